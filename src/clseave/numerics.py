"""The numeric pins: one processor path, one thread, one hash seed, so that a number is the same on every machine.

`pin` must run before numpy and torch load: their libraries read the environment once. Set through `os.environ`
the values act exactly as if exported, and they override whatever the user's shell had exported. Child processes
inherit them.
"""

import logging
import os
import sys
from typing import TYPE_CHECKING

from clseave.errors import UserError

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    import torch

PINS = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_CBWR": "COMPATIBLE",  # the only MKL branch that is the same on Intel and AMD
    "ATEN_CPU_CAPABILITY": "avx2",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # the setting with which CUDA's matrix products repeat
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
        raise RuntimeError(f"{' and '.join(loaded)} loaded before the numeric pins: import clseave.numerics first")
    os.environ.update(PINS)


def start_torch(seed: int, device: str) -> "torch.device":
    """Seed torch, turn off what differs between processors, and resolve "cpu", "cuda" or "auto" to a device.

    oneDNN and NNPACK have no variable that turns them off. Their kernels differ by instruction set, NNPACK's in the
    convolution of CLIP's patches for batches of 16 images and more. UserError when "cuda" finds no GPU; "auto" says so
    and takes the CPU.
    """
    import torch  # only the stages that compute with torch pay for loading it

    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    torch.backends.nnpack.set_flags(False)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # single precision means 23 bits
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    found = torch.cuda.is_available()
    if device == "cuda" and not found:
        raise UserError("device: found 'cuda', but torch sees no GPU: `make check-thesis` says what to install")
    if device == "auto" and not found:
        log.warning("no GPU found: running on the CPU, which takes the full-size models many times longer")
    return torch.device("cpu" if device == "cpu" or not found else "cuda")
