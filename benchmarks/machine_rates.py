"""A machine's rate of matrix products, the operations of the towers, and the resulting time at the thesis's size."""

import time
from collections.abc import Mapping
from typing import Any

import torch

TRAINED = 3  # times the work of the forward pass: the backward pass takes twice as much
EDGE = {"cuda": 8192, "cpu": 512}  # of the matrices
SIZES = {"photos": 31_783, "clip_ve": 6 * 529_527, "clseave": 9 * 529_527}  # thesis: 2.1, 3.1.2, 4.2
LANGUAGES = 5


def matmul(dtype: str, device: torch.device, repeats: int = 20) -> float:
    """Return the operations per second of a product of two square matrices; a multiply-add counts as two."""
    edge = EDGE[device.type]
    one, other = (torch.randn(edge, edge, device=device, dtype=getattr(torch, dtype)) for _ in range(2))
    for count in (3, repeats):  # the first are not counted
        _settle(device)
        begin = time.perf_counter()
        for _ in range(count):
            one @ other
        _settle(device)
        seconds = time.perf_counter() - begin
    return 2 * edge**3 * repeats / seconds


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def patches(config: Mapping[str, Any]) -> int:
    """Return the number of tokens of an image: its patches and the class token."""
    return int(config["image_size"] // config["patch_size"]) ** 2 + 1


def tower(config: Mapping[str, Any], tokens: float) -> float:
    """Return the operations in the matrix products of a forward pass for one text or image with `tokens` tokens.

    Embeddings, norms and projections, which are less than one per cent, are ignored.
    """
    width, inner, layers = (config[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    weights = 4 * width**2 + 2 * width * inner
    return float(layers * (2 * weights * tokens + 4 * tokens**2 * width))


def minutes(found: Mapping[str, Any]) -> dict[str, float]:
    """Return minutes at the thesis's size for the measured rates: photos once, CLIP-VE, CLSEAVE for all languages."""
    each = {name: size / found[name]["per_second"] / 60 for name, size in SIZES.items()}
    return each | {"clseave": LANGUAGES * each["clseave"]}
