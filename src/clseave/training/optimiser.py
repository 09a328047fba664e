"""The optimiser of all trainings, and its learning-rate schedule."""

from collections.abc import Iterable
from typing import Any, Literal

import torch

Schedule = Literal["constant", "linear"]


def schedule_factor(step: int, total: int, warmup: float, schedule: Schedule) -> float:
    """Return the learning-rate factor of a step: linear warm-up over a share of all steps, then constant or linear to
    zero.

    Only basic arithmetic: the cosine differs between maths libraries.
    """
    warm = round(total * warmup)
    if step < warm:
        return (step + 1) / warm
    return 1.0 if schedule == "constant" else (total - step) / max(1, total - warm)


def make_optimiser(
    groups: Iterable[dict[str, Any]], weight_decay: float, total: int, warmup: float, schedule: Schedule
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """Return fused AdamW and its schedule over `total` steps.

    Unfused AdamW uses an approximate square root, which differs between processors. With `weight_decay` 0 it equals
    Adam.
    """
    optimiser = torch.optim.AdamW(list(groups), weight_decay=weight_decay, fused=True)
    factor = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: schedule_factor(step, total, warmup, schedule))
    return optimiser, factor
