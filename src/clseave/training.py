"""The one training loop: steps, validation, early stopping on the best epoch, a curve, checkpoints."""

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NoReturn

import numpy as np
import torch
from torch import nn

from clseave import distributed, progress, ranks
from clseave.errors import UserError
from clseave.resume import Checkpoint

log = logging.getLogger(__name__)

Keep = Literal["best", "last"]
Curve = list[dict[str, float]]
LOOK_EVERY = 50  # steps between two looks at the losses on a GPU, which each look makes wait; on the CPU every step


@dataclass
class Task:
    """What a stage trains: `step(rows)` returns the loss to minimise, `validate()` the figure to lower first.

    `batches(epoch)` gives the rows of each step. `clip` bounds the gradient's norm; None leaves it. What else changes
    from step to step is part of a checkpoint: `tally`, numbers that an epoch collects for `train_figures`, and
    `draws`, what the steps draw from beside torch's own generator.
    """

    name: str
    module: nn.Module
    batches: Callable[[int], Sequence[np.ndarray]]
    step: Callable[[np.ndarray], torch.Tensor]
    validate: Callable[[], dict[str, float]] | None = None
    clip: float | None = None
    train_figures: Callable[[], dict[str, float]] | None = None
    loss_name: str = "train_loss"
    tally: list[Any] = field(default_factory=list)
    draws: np.random.Generator | None = None
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
    checkpoint: Checkpoint | None = None,
) -> int:
    """Train, append a row an epoch to `task.curve`, and leave the best epoch's weights, or the last's, in the module.

    The best epoch has the lowest first figure of `validate`; training stops after `patience` epochs without a better
    one, or after epoch `stop_after` of a schedule made for `epochs`. Without `validate` the last epoch counts.
    With a `checkpoint` it goes on where a killed run stopped, to the same bytes; the caller removes it when the
    outputs are written. Returns the epoch kept, from 1. UserError at the step whose loss is not finite.
    """
    run = _Run(task, optimiser, schedule, epochs, checkpoint)
    run.resume()
    try:
        _epochs(run, patience, keep, min(epochs, stop_after or epochs))
    finally:
        if checkpoint:
            checkpoint.settle()
    if run.best:
        task.module.load_state_dict(run.best)
    task.module.eval()
    return run.at.kept if keep == "best" else len(task.curve)


def _epochs(run: "_Run", patience: int | None, keep: Keep, last: int) -> None:
    """Epochs until the last, or until none was better for long enough."""
    task = run.task
    while run.at.epoch <= last and not run.at.over:
        run.pass_over()
        if (score := run.close_epoch(last)) < run.at.best:
            run.at.best, run.at.kept = score, run.at.epoch
            if keep == "best" and task.validate:
                run.best = {name: value.clone() for name, value in task.module.state_dict().items()}
        elif patience is not None and run.at.epoch - run.at.kept >= patience:
            log.info("%s stops: no better epoch than %d in %d", task.name, run.at.kept, patience)
            run.at.over = True
        run.at.next_epoch()
        run.save()


@dataclass
class _Place:
    """Where a training stands, and the sums of the epoch at work."""

    epoch: int = 1
    step: int = 0  # done in this epoch
    steps: int = 0  # done in all
    total: float = 0.0  # of the losses, over rows
    rows: int = 0
    rate: float = 0.0  # of the last step
    best: float = math.inf
    kept: int = 0
    over: bool = False  # stopped early

    def next_epoch(self) -> None:
        """Begin an epoch."""
        self.epoch, self.step, self.total, self.rows = self.epoch + 1, 0, 0.0, 0


class _Run:
    """One training at work: what a checkpoint holds, and how it is made and taken up."""

    def __init__(
        self,
        task: Task,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LambdaLR,
        epochs: int,
        checkpoint: Checkpoint | None,
    ):
        self.task, self.optimiser, self.schedule, self.epochs = task, optimiser, schedule, epochs
        self.checkpoint, self.at, self.step = checkpoint, _Place(), distributed.parallel(task.module, task.step)
        self.best: dict[str, torch.Tensor] | None = None  # weights of the best epoch
        self.device = next(task.module.parameters()).device
        self.speed = 0.0  # pairs a second in the last epoch, of which a resumed one counts what it did itself
        self.pending: list[tuple[torch.Tensor, int]] = []  # losses not looked at yet, each with its rows

    def resume(self) -> None:
        """Take up the newest checkpoint, if there is one."""
        state = self.checkpoint.load() if self.checkpoint else None
        if state is None:
            return
        self.at, self.best = _Place(**state["at"]), state["best"]
        self.task.curve[:], self.task.tally[:] = state["curve"], state["tally"]
        self.task.module.load_state_dict(state["module"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["torch"][ranks.rank()])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"][ranks.rank()], self.device)
        if self.task.draws is not None:
            self.task.draws.bit_generator.state = json.loads(state["draws"])
        place = (self.task.name, self.at.steps, self.at.epoch, self.at.step)
        log.info("%s goes on after step %d: epoch %d, step %d", *place)

    def save(self) -> None:
        """Write a checkpoint, of finite weights only."""
        if self.checkpoint is None:
            return
        module = self.task.module.state_dict()
        if not all(value.isfinite().all() for value in module.values()):
            self.refuse(f"after step {self.at.steps} (epoch {self.at.epoch}) a weight is nan or infinite")
        state = {
            "at": asdict(self.at),
            "best": self.best,
            "curve": self.task.curve,
            "tally": [float(one) for one in self.task.tally],
            "module": module,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "torch": distributed.gather(torch.get_rng_state()),
            "cuda": distributed.gather(torch.cuda.get_rng_state(self.device)) if self.device.type == "cuda" else None,
            "draws": self.task.draws and json.dumps(self.task.draws.bit_generator.state),
        }
        self.checkpoint.save(self.at.steps, state)

    def pass_over(self) -> None:
        """The steps of the epoch that are still to do."""
        self.task.module.train()
        batches, label = self.task.batches(self.at.epoch), f"{self.task.name} epoch {self.at.epoch}/{self.epochs}"
        done, total = (sum(map(len, part)) for part in (batches[: self.at.step], batches))
        start = time.monotonic()
        with progress.bar(desc=label, total=total, initial=done, unit="pairs", leave=False) as bar:
            for rows in batches[self.at.step :]:
                self.one_step(rows, len(batches))
                bar.update(len(rows))
        self.look(len(batches))
        self.speed = (total - done) / max(1e-9, time.monotonic() - start)

    def one_step(self, rows: np.ndarray, count: int) -> None:
        """One step of the `count` of an epoch; a checkpoint where one is due."""
        loss = self.step(rows)
        self.pending.append((loss.detach(), len(rows)))
        self.at.step, self.at.steps = self.at.step + 1, self.at.steps + 1
        if self.device.type == "cpu" or len(self.pending) >= LOOK_EVERY:
            self.look(count)
        self.optimiser.zero_grad()
        loss.backward()
        if self.task.clip is not None:
            nn.utils.clip_grad_norm_(self.task.module.parameters(), self.task.clip)
        self.optimiser.step()
        self.at.rate = float(self.schedule.get_last_lr()[0])
        self.schedule.step()
        if self.checkpoint and self.checkpoint.due and self.at.step < count:  # the epoch's end writes its own
            self.look(count)
            self.save()

    def look(self, count: int) -> None:
        """Add up the losses of the last steps. UserError at the first that is not finite."""
        values = distributed.mean(torch.stack([loss for loss, _ in self.pending])).tolist() if self.pending else []
        for back, (value, (_, rows)) in enumerate(zip(values, self.pending, strict=True), start=1 - len(values)):
            if not math.isfinite(value):
                place = f"epoch {self.at.epoch}, step {self.at.step + back} of {count}"
                self.refuse(f"the loss of step {self.at.steps + back} ({place}) is {value}")
            self.at.total, self.at.rows = self.at.total + value * rows, self.at.rows + rows
        self.pending.clear()

    def close_epoch(self, last: int) -> float:
        """Validate and append the row of this epoch of `last`: its score, lower is better. UserError if not finite."""
        row = {"epoch": self.at.epoch, self.task.loss_name: round(self.at.total / self.at.rows, 6)}
        row |= self.task.train_figures() if self.task.train_figures else {}
        figures = distributed.from_first(_validate(self.task) if ranks.first() else {})
        row |= figures | {"learning_rate": float(f"{self.at.rate:.6g}")}
        self.task.curve.append(row)
        shown = "  ".join(f"{key} {value:.4g}" for key, value in row.items() if key != "epoch")
        pace = f"{self.speed:.0f} pairs/s, {progress.time_left((last - self.at.epoch) * self.at.rows, self.speed)}"
        log.info("%s %d/%d  %s  %s to epoch %d", self.task.name, self.at.epoch, self.epochs, shown, pace, last)
        score = next(iter(figures.values()), -float(self.at.epoch))
        if not math.isfinite(score):
            self.refuse(f"the validation loss of epoch {self.at.epoch} (step {self.at.steps}) is {score}")
        return score

    def refuse(self, what: str) -> NoReturn:
        """Stop: what comes after a number that is not finite is not worth computing."""
        latest = self.checkpoint.latest if self.checkpoint else None
        good = f"that of step {latest}, {self.checkpoint.path(latest)}" if self.checkpoint and latest else "none"
        raise UserError(
            f"{self.task.name}: {what}, expected finite numbers: lower the learning rate; last good checkpoint: {good}"
        )


def _validate(task: Task) -> dict[str, float]:
    """Figures of the validation set, dropout off, rounded for the curve."""
    task.module.eval()
    with torch.no_grad():
        return {name: round(value, 6) for name, value in task.validate().items()} if task.validate else {}
