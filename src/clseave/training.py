"""The one training loop: steps, validation, early stopping on the best epoch, a curve."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

log = logging.getLogger(__name__)

Schedule = Literal["constant", "linear"]
Keep = Literal["best", "last"]
Curve = list[dict[str, float]]


def schedule_factor(step: int, total: int, warmup: float, schedule: Schedule) -> float:
    """Learning-rate factor of one step: linear warm-up over a share of all steps, then constant or linear to zero.

    Plain arithmetic: a cosine would depend on the machine's maths library.
    """
    warm = round(total * warmup)
    if step < warm:
        return (step + 1) / warm
    return 1.0 if schedule == "constant" else (total - step) / max(1, total - warm)


def make_optimiser(
    groups: Iterable[dict[str, Any]], weight_decay: float, total: int, warmup: float, schedule: Schedule
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """Fused AdamW (the unfused one calls an approximate square root) and its schedule over `total` steps.

    With `weight_decay` 0 it equals Adam.
    """
    optimiser = torch.optim.AdamW(list(groups), weight_decay=weight_decay, fused=True)
    factor = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: schedule_factor(step, total, warmup, schedule))
    return optimiser, factor


@dataclass
class Task:
    """What a stage trains: `step(rows)` returns the loss to minimise, `validate()` the figure to lower first.

    `batches(epoch)` gives the rows of each step. `clip` bounds the gradient's norm; None leaves it.
    """

    name: str
    module: nn.Module
    batches: Callable[[int], Sequence[np.ndarray]]
    step: Callable[[np.ndarray], torch.Tensor]
    validate: Callable[[], dict[str, float]] | None = None
    clip: float | None = None
    train_figures: Callable[[], dict[str, float]] | None = None
    loss_name: str = "train_loss"
    curve: Curve = field(default_factory=list)


def train(
    task: Task,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    epochs: int,
    patience: int | None = None,
    *,
    keep: Keep = "best",
    stop_after: int | None = None,
) -> int:
    """Train, append a row an epoch to `task.curve`, and leave the best epoch's weights, or the last's, in the module.

    The best epoch has the lowest first figure of `validate`; training stops after `patience` epochs without a better
    one, or after epoch `stop_after` of a schedule made for `epochs`. Without `validate` the last epoch counts.
    Returns the epoch kept, from 1. RuntimeError on a loss that is not finite.
    """
    best, kept, state = float("inf"), 0, None
    for epoch in range(1, min(epochs, stop_after or epochs) + 1):
        loss, rate = _train_epoch(task, optimiser, schedule, epoch, epochs)
        row = {"epoch": epoch, task.loss_name: round(loss, 6)}
        row |= task.train_figures() if task.train_figures else {}
        figures = _validate(task)
        task.curve.append(row | figures | {"learning_rate": float(f"{rate:.6g}")})
        _report(task, epochs)
        score = next(iter(figures.values()), -float(epoch))
        if not np.isfinite(score):
            raise RuntimeError(
                f"{task.name}: the validation loss of epoch {epoch} is not finite: lower the learning rate"
            )
        if score < best:
            best, kept = score, epoch
            if keep == "best" and task.validate:
                state = {name: value.clone() for name, value in task.module.state_dict().items()}
        elif patience is not None and epoch - kept >= patience:
            log.info("%s stops: no better epoch than %d in %d", task.name, kept, patience)
            break
    if state:
        task.module.load_state_dict(state)
    task.module.eval()
    return kept if keep == "best" else len(task.curve)


def _report(task: Task, epochs: int) -> None:
    """One line for the epoch that ended."""
    row = task.curve[-1]
    figures = "  ".join(f"{key} {value:.4g}" for key, value in row.items() if key != "epoch")
    log.info("%s %d/%d  %s", task.name, row["epoch"], epochs, figures)


def _train_epoch(
    task: Task, optimiser: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LambdaLR, epoch: int, epochs: int
) -> tuple[float, float]:
    """One pass over the batches: the mean loss per row, and the last step's learning rate."""
    task.module.train()
    total, rows_seen, rate = 0.0, 0, 0.0
    for rows in tqdm(task.batches(epoch), desc=f"{task.name} {epoch}/{epochs}", unit="step", disable=None, leave=False):
        loss = task.step(rows)
        optimiser.zero_grad()
        loss.backward()
        if task.clip is not None:
            nn.utils.clip_grad_norm_(task.module.parameters(), task.clip)
        optimiser.step()
        rate = float(schedule.get_last_lr()[0])
        schedule.step()
        total, rows_seen = total + loss.item() * len(rows), rows_seen + len(rows)
    if not np.isfinite(total):
        raise RuntimeError(f"{task.name}: the loss of epoch {epoch} is not finite: lower the learning rate")
    return total / rows_seen, rate


def _validate(task: Task) -> dict[str, float]:
    """Figures of the validation set, dropout off, rounded for the curve."""
    task.module.eval()
    with torch.no_grad():
        return {name: round(value, 6) for name, value in task.validate().items()} if task.validate else {}
