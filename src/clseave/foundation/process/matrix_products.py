"""Matrix products of torch on the CPU, by numpy's OpenBLAS: the same on every processor, and four times as fast.

Torch's own library, MKL, gives the same numbers on processors of Intel and AMD only in the branch that `numerics` pins,
which uses the SSE2 instructions of 2001. OpenBLAS can be told to run the AVX2 kernels of one processor on all
(`OPENBLAS_CORETYPE`), but torch's wheels cannot be told to call it. So the kernels behind `torch.mm`, `torch.addmm` and
the convolution of image patches, and with them those of the gradients, are registered anew here.
"""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_registered: list["torch.library.Library"] = []  # torch drops the kernels when this object is gone


def use_openblas() -> None:
    """Register the kernels of this module in torch for tensors on the CPU; a second call does nothing."""
    import torch

    if _registered:
        return
    kernels = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Warning only once for all operators")
        kernels.impl("mm", mm, "CPU")
        kernels.impl("addmm", addmm, "CPU")
        kernels.impl("_slow_conv2d_forward", convolve, "CPU")
        kernels.impl("_slow_conv2d_backward.output_mask", convolve_backward, "CPU")
    _registered.append(kernels)


def mm(first: "torch.Tensor", second: "torch.Tensor") -> "torch.Tensor":
    """Product of two matrices, (M, K) and (K, N) -> (M, N); types that OpenBLAS does not know go to torch's kernel."""
    import torch

    if first.shape[1] != second.shape[0] or first.dtype != second.dtype:
        raise RuntimeError(f"no product of {first.dtype} {tuple(first.shape)} and {second.dtype} {tuple(second.shape)}")
    out = torch.empty(len(first), second.shape[1], dtype=first.dtype)
    if first.dtype in (torch.float32, torch.float64):
        np.matmul(_array(first), _array(second), out=out.numpy())
        return out
    return torch.mm(first, second, out=out)


def addmm(
    bias: "torch.Tensor", first: "torch.Tensor", second: "torch.Tensor", *, beta: float = 1, alpha: float = 1
) -> "torch.Tensor":
    """`beta` bias + `alpha` first second, where the bias (N,) or (M, N) is broadcast -> (M, N)."""
    out = mm(first, second)
    if alpha != 1:
        out *= alpha
    return out if beta == 0 else out.add_(bias, alpha=beta)


def convolve(  # noqa: PLR0917 - torch calls it so
    images: "torch.Tensor",
    weight: "torch.Tensor",
    kernel_size: tuple[int, ...],
    bias: "torch.Tensor | None",
    stride: tuple[int, ...],
    padding: tuple[int, ...],
) -> "torch.Tensor":
    """Convolution of images, (B, C, H, W) with (O, C, h, w) -> (B, O, H', W')."""
    patches = _patches(images, kernel_size, stride, padding)
    out = mm(patches, weight.flatten(1).T)  # (B H' W', O)
    if bias is not None:
        out += bias
    size = [(images.shape[side + 2] + 2 * padding[side] - kernel_size[side]) // stride[side] + 1 for side in (0, 1)]
    return out.view(len(images), *size, len(weight)).permute(0, 3, 1, 2).contiguous()


def convolve_backward(  # noqa: PLR0917 - torch calls it so
    gradient: "torch.Tensor",
    images: "torch.Tensor",
    weight: "torch.Tensor",
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    output_mask: Sequence[bool],
) -> "tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]":
    """Gradients of images, weight and bias, as far as `output_mask` asks for them, from that of the output."""
    import torch

    rows = gradient.permute(0, 2, 3, 1).reshape(-1, len(weight))  # (B H' W', O)
    of_images = of_weight = None
    if output_mask[0]:
        columns = mm(rows, weight.flatten(1)).view(len(images), -1, weight[0].numel()).transpose(1, 2)
        shape = tuple(images.shape[2:])
        of_images = torch.nn.functional.fold(columns, shape, kernel_size, padding=padding, stride=stride)
    if output_mask[1]:
        of_weight = mm(rows.T, _patches(images, kernel_size, stride, padding)).view_as(weight)
    return of_images, of_weight, rows.sum(0) if output_mask[2] else None


def _patches(
    images: "torch.Tensor", kernel_size: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...]
) -> "torch.Tensor":
    """The patches under each position of the kernel, (B, C, H, W) -> (B H' W', C h w)."""
    import torch

    columns = torch.nn.functional.unfold(images, kernel_size, padding=padding, stride=stride)  # (B, C h w, H' W')
    return columns.transpose(1, 2).flatten(0, 1)


def _array(matrix: "torch.Tensor") -> np.ndarray:
    """The same memory as an array; a copy where neither rows nor columns are contiguous, which numpy sums elsewise."""
    if not (matrix.is_contiguous() or matrix.T.is_contiguous()):
        matrix = matrix.contiguous()
    return matrix.detach().numpy()
