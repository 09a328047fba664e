"""The numeric pins: one processor path, one thread, one hash seed, so that a number is the same on every machine.

`pin` must run before numpy and torch load: their libraries read the environment once. Set through `os.environ`
the values act exactly as if exported, and they override whatever the user's shell had exported. Child processes
inherit them.
"""

import logging
import os
import sys
from typing import TYPE_CHECKING, Literal

from clseave.foundation.errors import UserError

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    import torch

Kernels = Literal["deterministic", "fast"]
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"

PINS = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_CBWR": "COMPATIBLE",  # the only MKL branch that is the same on Intel and AMD; see `matrix_products`
    "ATEN_CPU_CAPABILITY": "avx2",
    WORKSPACE: ":4096:8",  # the setting with which CUDA's matrix products repeat
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "PYTHONHASHSEED": "0",
    "TOKENIZERS_PARALLELISM": "false",
    "SOURCE_DATE_EPOCH": "315532800",
}


def pin() -> None:
    """Set `PINS` in this process and its children. Raises RuntimeError when numpy or torch is loaded already."""
    loaded = [name for name in ("numpy", "torch") if name in sys.modules]
    if loaded and any(os.environ.get(name) != value for name, value in PINS.items()):
        raise RuntimeError(
            f"{' and '.join(loaded)} loaded before the numeric pins: import clseave.foundation.process.numerics first"
        )
    os.environ.update(PINS)


def start_torch(seed: int, device: str, kernels: Kernels = "deterministic") -> "torch.device":
    """Seed torch, turn off what differs between processors, and resolve "cpu", "cuda" or "auto" to a device.

    oneDNN and NNPACK have no variable that turns them off. Their kernels differ by instruction set, NNPACK's in the
    convolution of CLIP's patches for batches of 16 images and more. UserError when "cuda" finds no GPU; "auto" says so
    and takes the CPU. `kernels` "fast" lets a GPU choose kernels whose sums come in another order each time; on the
    CPU nothing would be faster, so it stays deterministic there, and `kernels_used` says so.
    """
    import torch  # only the stages that compute with torch pay for loading it

    from clseave.foundation.process import matrix_products  # it loads numpy, which `pin` must come before

    matrix_products.use_openblas()
    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    torch.backends.nnpack.set_flags(False)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # single precision means 23 bits
    found = _resolve(device, torch.cuda.is_available())
    _choose_kernels("deterministic" if found == "cpu" else kernels)
    torch.manual_seed(seed)
    return torch.device(found)


def _resolve(device: str, gpu: bool) -> str:
    """The device that "cpu", "cuda" or "auto" stands for on a machine with a GPU or without."""
    if device == "cuda" and not gpu:
        raise UserError("device: found 'cuda', but torch sees no GPU: `make check-thesis` says what to install")
    if device == "auto" and not gpu:
        log.warning("no GPU found: running on the CPU, which takes the full-size models many times longer")
    return "cpu" if device == "cpu" or not gpu else "cuda"


def _choose_kernels(kernels: Kernels) -> None:
    """Set torch's switches; before the first work on a GPU, since cuBLAS reads its variable once."""
    import torch

    deterministic = kernels == "deterministic"
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # no result reads it
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = not deterministic  # timing the choices makes the choice depend on the moment
    if deterministic:
        os.environ[WORKSPACE] = PINS[WORKSPACE]
    else:
        os.environ.pop(WORKSPACE, None)


def kernels_used() -> Kernels:
    """What torch is set to in this process, for the metrics: "deterministic" or "fast"."""
    import torch

    return "deterministic" if torch.are_deterministic_algorithms_enabled() else "fast"


def summary(device: "torch.device", precision: str) -> dict[str, str]:
    """What a training ran with, for its metrics: kernels, and the precision of the text encoder's steps."""
    return {"kernels": kernels_used(), "precision": precision if device.type == "cuda" else "float32"}
