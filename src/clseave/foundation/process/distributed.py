"""Data-parallel training in several processes started by torchrun: each holds the model and a share of every batch.

Gradients are averaged by torch's DistributedDataParallel. The batches are those of a single process, so the result
differs from a single process's only in the order of sums and in dropout, as each process has its own random generator.
With one process, every function here returns its input unchanged.
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
# Timeout of collective operations: the other processes wait while the first validates and writes checkpoints.
PATIENCE = timedelta(hours=1)
CPU = torch.device("cpu")


def start(device: torch.device) -> torch.device:
    """Join the process group, if there are several processes: gloo on the CPU, NCCL on GPUs with one GPU per process.

    Return the device of this process. UserError when the machine has fewer GPUs than processes.
    """
    if ranks.size() == 1:
        return device
    if device.type == "cuda":
        device = _own_gpu(ranks.local_rank(), torch.cuda.device_count())
        torch.cuda.set_device(device)
    if ranks.one_machine():  # gloo's default, the address of the host name, may not resolve
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=PATIENCE)
    return device


def _own_gpu(number: int, count: int) -> torch.device:
    """Return the GPU of the process with local rank `number`. UserError when there are only `count` or fewer."""
    if number >= count:
        raise UserError(
            f"device: found {count} GPUs on this machine for process {number + 1}, expected one for each process: "
            "start as many with `--nproc-per-node`"
        )
    return torch.device("cuda", number)


def stop() -> None:
    """Leave the process group after all processes have arrived; what follows runs in the first process alone."""
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def size() -> int:
    """Return the number of processes in the group."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def share(rows: np.ndarray) -> np.ndarray:
    """Return this process's rows of a batch: every `size`-th, so that the shares have similar lengths."""
    return rows[ranks.rank() :: size()] if size() > 1 else rows


def squared_error(ours: torch.Tensor, theirs: torch.Tensor, count: int) -> torch.Tensor:
    """Return this process's share of the mean squared error per element of `count` vectors.

    `ours` and `theirs` (B, D) are this process's vectors. The mean of the returned values over processes is the mean
    over all elements, even when shares are unequal or empty, so the averaged gradient is that of the whole batch.
    """
    if size() == 1:
        return functional.mse_loss(ours, theirs)
    return functional.mse_loss(ours, theirs, reduction="sum").div(count * ours.shape[-1]) * size()


def parallel(module: nn.Module, step: Callable[[np.ndarray], torch.Tensor]) -> Callable[[np.ndarray], torch.Tensor]:
    """Return `step` wrapped so that every process gets the gradient of the whole batch, starting from the first's
    weights.

    From here on every process except the first draws its own random numbers, seeded by the seed and the rank.
    """
    if size() == 1:
        return step
    if not ranks.first():
        own = np.random.SeedSequence([torch.initial_seed() % 2**63, ranks.rank()])
        torch.manual_seed(int(own.generate_state(1, np.uint64)[0] >> 1))
    return DistributedDataParallel(_Step(module, step), forward_sync_buffers=False)


class _Step(nn.Module):
    """A training step as the module that DistributedDataParallel wraps, with all modules that the step calls."""

    def __init__(self, module: nn.Module, step: Callable[[np.ndarray], torch.Tensor]):
        super().__init__()
        self.module, self.step = module, step

    def forward(self, rows: np.ndarray) -> torch.Tensor:
        """Return the loss of this process's share, or zero with a gradient of zeros when the share is empty."""
        if len(rows) > ranks.rank():
            return self.step(rows)
        trained = (weight for weight in self.module.parameters() if weight.requires_grad)
        return torch.stack([weight.sum() for weight in trained]).sum() * 0.0


def mean(values: torch.Tensor) -> torch.Tensor:
    """Return each value averaged over processes, the same in all of them. `values` is overwritten."""
    if size() > 1:
        distributed.all_reduce(values)
        values /= size()
    return values


def from_first(value: Value) -> Value:
    """Return the first process's value in every process; the arguments of the others are ignored."""
    if size() == 1:
        return value
    held = [value]
    distributed.broadcast_object_list(held, src=0, device=CPU)
    return held[0]


def gather(value: torch.Tensor) -> list[torch.Tensor]:
    """Return the values of all processes by rank: tensors of one shape on the CPU."""
    if size() == 1:
        return [value]
    held = [torch.empty_like(value) for _ in range(size())]
    distributed.all_gather(held, value)
    return held
