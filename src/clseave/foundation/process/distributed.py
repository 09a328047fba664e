"""One training in several processes, which torchrun starts: each holds the model and computes its share of every batch.

torch's DistributedDataParallel adds up the gradients. The batches are those of one process, so the result is that of
one process up to the order of sums; what the processes draw at random (dropout) differs, as each has its own generator.
With one process every function here gives back what it was given.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
from torch import distributed, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from clseave.foundation.errors import UserError
from clseave.foundation.process import ranks

Value = TypeVar("Value")
# How long a process waits for another: the first one validates, and writes checkpoints, while the others wait.
PATIENCE = timedelta(hours=1)
CPU = torch.device("cpu")


def start(device: torch.device) -> torch.device:
    """Join the group, if there are several processes: over gloo on the CPU, over NCCL on GPUs, one GPU a process.

    Returns the device of this process. UserError when the machine has fewer GPUs than processes.
    """
    if ranks.size() == 1:
        return device
    if device.type == "cuda":
        device = _own_gpu(ranks.local_rank(), torch.cuda.device_count())
        torch.cuda.set_device(device)
    if ranks.one_machine():  # else gloo asks for the address of the host's name, which a machine may not know
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=PATIENCE)
    return device


def _own_gpu(number: int, count: int) -> torch.device:
    """The GPU of a process; UserError when there is none left for it."""
    if number >= count:
        raise UserError(
            f"device: found {count} GPUs on this machine for process {number + 1}, expected one for each process: "
            "start as many with `--nproc-per-node`"
        )
    return torch.device("cuda", number)


def stop() -> None:
    """Leave the group: what follows is the first process's own."""
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def size() -> int:
    """The number of processes in the group."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def share(rows: np.ndarray) -> np.ndarray:
    """Which of a batch's rows are this process's: every `size`-th. Lengths in a batch vary little between shares."""
    return rows[ranks.rank() :: size()] if size() > 1 else rows


def squared_error(ours: torch.Tensor, theirs: torch.Tensor, count: int) -> torch.Tensor:
    """Mean squared error per element of `count` vectors, of which `ours` and `theirs` (B, D) are this process's.

    The mean of what the processes return is the mean over all their elements, also when the shares are unequal or one
    is empty: so a gradient that is averaged over processes is that of the whole batch.
    """
    if size() == 1:
        return functional.mse_loss(ours, theirs)
    return functional.mse_loss(ours, theirs, reduction="sum").div(count * ours.shape[-1]) * size()


def parallel(module: nn.Module, step: Callable[[np.ndarray], torch.Tensor]) -> Callable[[np.ndarray], torch.Tensor]:
    """`step`, whose loss gives every process the gradient of the whole batch; all begin with the first one's weights.

    From here on each process but the first draws numbers of its own, decided by the seed and its rank.
    """
    if size() == 1:
        return step
    if not ranks.first():
        own = np.random.SeedSequence([torch.initial_seed() % 2**63, ranks.rank()])
        torch.manual_seed(int(own.generate_state(1, np.uint64)[0] >> 1))
    return DistributedDataParallel(_Step(module, step), forward_sync_buffers=False)


class _Step(nn.Module):
    """A step as the module that DistributedDataParallel wraps: whatever the step calls is then a part of it."""

    def __init__(self, module: nn.Module, step: Callable[[np.ndarray], torch.Tensor]):
        super().__init__()
        self.module, self.step = module, step

    def forward(self, rows: np.ndarray) -> torch.Tensor:
        """The loss of this process's share; zero, with a gradient of zeros, when there is none."""
        if len(rows) > ranks.rank():
            return self.step(rows)
        trained = (weight for weight in self.module.parameters() if weight.requires_grad)
        return torch.stack([weight.sum() for weight in trained]).sum() * 0.0


def mean(values: torch.Tensor) -> torch.Tensor:
    """The mean over processes of each value, the same in all of them. `values` is overwritten."""
    if size() > 1:
        distributed.all_reduce(values)
        values /= size()
    return values


def from_first(value: Value) -> Value:
    """The first process's value in every process; what the others give is not used."""
    if size() == 1:
        return value
    held = [value]
    distributed.broadcast_object_list(held, src=0, device=CPU)
    return held[0]


def gather(value: torch.Tensor) -> list[torch.Tensor]:
    """The values of all processes by rank: tensors of one shape on the CPU."""
    if size() == 1:
        return [value]
    held = [torch.empty_like(value) for _ in range(size())]
    distributed.all_gather(held, value)
    return held
