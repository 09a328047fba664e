"""The training loop: steps, validation, early stopping, the curve, and checkpoints that resume to the same bytes.

Read from top to bottom: the loop (`train`), its position (`LoopState`), and its parts (`TrainingLoop`), in the order in
which they run.
"""

import json
import logging
import math
import time
from dataclasses import asdict, dataclass, field
from typing import Literal, NoReturn

import numpy as np
import torch
from torch import nn

from clseave.foundation.errors import UserError
from clseave.foundation.process import distributed, progress, ranks
from clseave.foundation.process.resume import Checkpoint
from clseave.training import loggers
from clseave.training.objective import Objective

log = logging.getLogger(__name__)

Keep = Literal["best", "last"]
Curve = list[dict[str, float]]  # one row per epoch
FLUSH_EVERY = 50  # steps between two reads of the losses on a GPU, as a read waits for the GPU; on the CPU every step


def train(
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    epochs: int,
    patience: int | None = None,
    *,
    keep: Keep = "best",
    stop_after: int | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[Curve, int]:
    """Train, and leave the model in evaluation mode with the weights of the best epoch, or of the last one.

    The best epoch has the lowest first metric of `validate`; training stops after `patience` epochs without a better
    one, or after epoch `stop_after` of a schedule made for `epochs`. Without validation the last epoch is kept. With a
    `checkpoint`, a killed training is resumed and gives the same bytes; the caller removes the checkpoint once the
    outputs are written. Return the curve and the kept epoch, counted from 1. UserError when a loss is not finite.
    """
    loop = TrainingLoop(objective, optimiser, schedule, epochs, checkpoint)
    loop.load_checkpoint()
    state, last = loop.state, min(epochs, stop_after or epochs)
    try:
        with loggers.start(checkpoint, state.total_steps) as loop.loggers:
            while state.epoch <= last and not state.stopped:
                loop.run_epoch()
                metrics = loop.validate()
                loop.add_curve_row(metrics, last)
                loop.compare_with_best(metrics, keep, patience)
                state.start_next_epoch()
                loop.save_checkpoint()
    finally:
        if checkpoint:
            checkpoint.wait_for_write()
    if loop.best_weights:
        objective.model.load_state_dict(loop.best_weights)
    objective.model.eval()
    return state.curve, state.best_epoch if keep == "best" else len(state.curve)


@dataclass
class LoopState:
    """The position of a training, stored in its checkpoints."""

    epoch: int = 1
    step: int = 0  # steps done in this epoch
    total_steps: int = 0  # steps done in all epochs
    loss_sum: float = 0.0  # over the rows of this epoch
    rows: int = 0  # rows counted in `loss_sum`
    learning_rate: float = 0.0  # of the last step
    best_score: float = math.inf
    best_epoch: int = 0
    stopped: bool = False  # before the last epoch
    curve: Curve = field(default_factory=list)

    def start_next_epoch(self) -> None:
        """Advance to the next epoch and reset its sums."""
        self.epoch, self.step, self.loss_sum, self.rows = self.epoch + 1, 0, 0.0, 0


class TrainingLoop:
    """The parts of one training, in the order in which `train` runs them."""

    def __init__(
        self,
        objective: Objective,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LambdaLR,
        epochs: int,
        checkpoint: Checkpoint | None,
    ):
        self.objective, self.optimiser, self.schedule, self.epochs = objective, optimiser, schedule, epochs
        self.checkpoint, self.state = checkpoint, LoopState()
        self.loggers = loggers.Loggers()  # none, until `train` starts those that were chosen
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.loss = distributed.parallel(objective.model, objective.loss)
        self.device = next(objective.model.parameters()).device
        self.pending: list[tuple[torch.Tensor, int]] = []  # unread losses, each with its number of rows
        self.rows_per_second = 0.0  # in the last epoch, excluding steps done by an earlier run

    def load_checkpoint(self) -> None:
        """Restore the newest checkpoint, if there is one."""
        found = self.checkpoint.load() if self.checkpoint else None
        if found is None:
            return
        self.state, self.best_weights = LoopState(**found["loop"]), found["best_weights"]
        self.objective.model.load_state_dict(found["model"])
        self.objective.load_state_dict(found["objective"])
        self.optimiser.load_state_dict(found["optimiser"])
        self.schedule.load_state_dict(found["schedule"])
        torch.set_rng_state(found["torch"][ranks.rank()])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(found["cuda"][ranks.rank()], self.device)
        if self.objective.generator is not None:
            self.objective.generator.bit_generator.state = json.loads(found["generator"])
        place = (self.objective.name, self.state.total_steps, self.state.epoch, self.state.step)
        log.info("%s resumes after step %d: epoch %d, step %d", *place)

    def run_epoch(self) -> None:
        """Run the remaining steps of the epoch."""
        self.objective.model.train()
        batches = self.objective.batches(self.state.epoch)
        remaining = batches[self.state.step :]
        total, rows = (sum(map(len, part)) for part in (batches, remaining))
        label = f"{self.objective.name} epoch {self.state.epoch}/{self.epochs}"
        start = time.monotonic()
        with progress.bar(desc=label, total=total, initial=total - rows, unit="pairs", leave=False) as bar:
            for batch in remaining:
                self.run_step(batch, len(batches))
                bar.update(len(batch))
        self.flush_losses(len(batches))
        self.rows_per_second = rows / max(1e-9, time.monotonic() - start)

    def run_step(self, batch: np.ndarray, steps: int) -> None:
        """Run one of the `steps` steps of an epoch, and save a checkpoint when one is due."""
        loss = self.loss(batch)
        self.pending.append((loss.detach(), len(batch)))
        self.state.step, self.state.total_steps = self.state.step + 1, self.state.total_steps + 1
        if self.device.type == "cpu" or len(self.pending) >= FLUSH_EVERY:
            self.flush_losses(steps)
        self.optimiser.zero_grad()
        loss.backward()
        if self.objective.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.objective.model.parameters(), self.objective.max_grad_norm)
        self.optimiser.step()
        self.state.learning_rate = float(self.schedule.get_last_lr()[0])
        self.schedule.step()
        if self.checkpoint and self.checkpoint.due and self.state.step < steps:  # the epoch's end writes its own
            self.flush_losses(steps)
            self.save_checkpoint()

    def flush_losses(self, steps: int) -> None:
        """Add the losses of the last steps to the epoch's sum. UserError at the first that is not finite."""
        values = distributed.mean(torch.stack([loss for loss, _ in self.pending])).tolist() if self.pending else []
        for offset, (value, (_, rows)) in enumerate(zip(values, self.pending, strict=True), start=1 - len(values)):
            if not math.isfinite(value):
                place = f"epoch {self.state.epoch}, step {self.state.step + offset} of {steps}"
                self.fail_not_finite(f"the loss of step {self.state.total_steps + offset} ({place}) is {value}")
            self.state.loss_sum, self.state.rows = self.state.loss_sum + value * rows, self.state.rows + rows
            self.loggers.log({"step_loss": value}, self.state.total_steps + offset)
        self.pending.clear()

    def validate(self) -> dict[str, float]:
        """Return the metrics of the validation set, without dropout, rounded for the curve; the first process computes
        them.
        """
        self.objective.model.eval()
        with torch.no_grad():
            metrics = self.objective.validate() if ranks.first() else {}
        return distributed.from_first({name: round(value, 6) for name, value in metrics.items()})

    def add_curve_row(self, metrics: dict[str, float], last: int) -> None:
        """Append and log the row of this epoch of `last`: mean loss over rows, metrics, last learning rate."""
        row = {"epoch": self.state.epoch, self.objective.loss_name: round(self.state.loss_sum / self.state.rows, 6)}
        row |= self.objective.train_metrics() | metrics | {"learning_rate": float(f"{self.state.learning_rate:.6g}")}
        self.state.curve.append(row)
        self.loggers.log(row | {"pairs_per_second": self.rows_per_second}, self.state.total_steps)
        shown = "  ".join(f"{key} {value:.4g}" for key, value in row.items() if key != "epoch")
        place = (self.objective.name, self.state.epoch, self.epochs)
        left = progress.time_left((last - self.state.epoch) * self.state.rows, self.rows_per_second)
        log.info("%s %d/%d  %s  %.0f pairs/s, %s to epoch %d", *place, shown, self.rows_per_second, left, last)

    def compare_with_best(self, metrics: dict[str, float], keep: Keep, patience: int | None) -> None:
        """Keep the weights of a better epoch, or stop after `patience` epochs without one.

        UserError when the first metric, which is the score, is not finite.
        """
        state = self.state
        score = next(iter(metrics.values()), -float(state.epoch))  # without validation, each epoch is the best so far
        if not math.isfinite(score):
            self.fail_not_finite(f"the validation loss of epoch {state.epoch} (step {state.total_steps}) is {score}")
        if score < state.best_score:
            state.best_score, state.best_epoch = score, state.epoch
            if keep == "best" and metrics:
                self.best_weights = {name: value.clone() for name, value in self.objective.model.state_dict().items()}
        elif patience is not None and state.epoch - state.best_epoch >= patience:
            log.info("%s stops: no better epoch than %d in %d", self.objective.name, state.best_epoch, patience)
            state.stopped = True

    def save_checkpoint(self) -> None:
        """Save a checkpoint. UserError when a weight is not finite."""
        if self.checkpoint is None:
            return
        model, generator = self.objective.model.state_dict(), self.objective.generator
        if not all(value.isfinite().all() for value in model.values()):
            self.fail_not_finite(
                f"after step {self.state.total_steps} (epoch {self.state.epoch}) a weight is nan or infinite"
            )
        content = {
            "loop": asdict(self.state),
            "best_weights": self.best_weights,
            "model": model,
            "objective": self.objective.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "torch": distributed.gather(torch.get_rng_state()),
            "cuda": distributed.gather(torch.cuda.get_rng_state(self.device)) if self.device.type == "cuda" else None,
            "generator": generator and json.dumps(generator.bit_generator.state),
        }
        self.checkpoint.save(self.state.total_steps, content)

    def fail_not_finite(self, found: str) -> NoReturn:
        """Raise UserError for a value that is not finite; the message names the last good checkpoint."""
        latest = self.checkpoint.latest if self.checkpoint else None
        good = f"that of step {latest}, {self.checkpoint.path(latest)}" if self.checkpoint and latest else "none"
        raise UserError(
            f"{self.objective.name}: {found}, expected finite numbers: lower the learning rate; "
            f"last good checkpoint: {good}"
        )
