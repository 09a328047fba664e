"""How fast a machine multiplies, what the towers multiply, and what the thesis's size then takes."""

import time
from collections.abc import Mapping
from typing import Any

import torch

TRAINED = 3  # times the work of the forward pass: the backward pass takes twice as much
EDGE = {"cuda": 8192, "cpu": 512}  # of the matrices
SIZES = {"photos": 31_783, "clip_ve": 6 * 529_527, "clseave": 9 * 529_527}  # thesis: 2.1, 3.1.2, 4.2
LANGUAGES = 5


def matmul(dtype: str, device: torch.device, repeats: int = 20) -> float:
    """Operations in a second (a multiplication and an addition are two) of the product of two square matrices."""
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
    """Tokens of an image: its patches and the class token."""
    return int(config["image_size"] // config["patch_size"]) ** 2 + 1


def tower(config: Mapping[str, Any], tokens: float) -> float:
    """Operations of the forward pass of one text or image of `tokens` tokens: the blocks' matrix products.

    Embeddings, norms and projections, which are below a hundredth of it, are left out.
    """
    width, inner, layers = (config[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    weights = 4 * width**2 + 2 * width * inner
    return float(layers * (2 * weights * tokens + 4 * tokens**2 * width))


def minutes(found: Mapping[str, Any]) -> dict[str, float]:
    """Minutes of the thesis's size at the rates found: photos once, CLIP-VE, CLSEAVE for all languages."""
    each = {name: size / found[name]["per_second"] / 60 for name, size in SIZES.items()}
    return each | {"clseave": LANGUAGES * each["clseave"]}
