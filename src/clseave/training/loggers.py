"""TensorBoard, Weights & Biases and DVCLive: what they are told of a training, each in a folder of its own.

`CLSEAVE_LOGGERS` names them (`clseave.foundation.settings.loggers`). They write below `.work/logs/runs`, never into an
output, and draw no random numbers. They cannot stop a training: a logger that fails is left out after one warning.
"""

import json
import logging
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from clseave.foundation.errors import one_line
from clseave.foundation.process import ranks
from clseave.foundation.process.resume import Checkpoint
from clseave.foundation.settings.loggers import chosen

log = logging.getLogger(__name__)

FOLDER, CHECKPOINTS = Path(".work", "logs", "runs"), Path(".work", "checkpoints")
FINISH_S = 60.0  # how long a training waits at its end for uploads to W&B; `wandb sync` sends the rest

Settings = Mapping[str, Any]


class Logger(Protocol):
    """A logger of one training, made with its folder, name, settings, and the steps that an earlier run did.

    What an earlier run logged after that step is logged again, with the same values.
    """

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log values by name after `step` steps, counted over all epochs."""

    def close(self, *, failed: bool) -> None:
        """Write what is not written yet."""


class TensorBoard:
    """Event files; the settings are TensorBoard's hyperparameters."""

    def __init__(self, folder: Path, name: str, settings: Settings, step: int):
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        self.writer = SummaryWriter(folder, purge_step=step + 1)  # it hides what an earlier run logged after `step`
        for summary in hparams(flat(settings), {}):
            self.writer._get_file_writer().add_summary(summary)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log one scalar for each value."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self, *, failed: bool) -> None:
        """Close the event file."""
        self.writer.close()


class WeightsAndBiases:
    """A run of W&B: on this machine alone, unless `WANDB_MODE` says otherwise. A resumed training keeps its run."""

    def __init__(self, folder: Path, name: str, settings: Settings, step: int):
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        if mode == "offline":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # which W&B sends in this mode too
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        identity = folder / "id.txt"
        if not (step and identity.is_file()):
            identity.write_text(secrets.token_hex(4), encoding="utf-8")
        hooks = sys.exit, sys.excepthook
        try:
            self.run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "clseave"), name=name, id=identity.read_text(encoding="utf-8"),
                resume="allow" if step else None, dir=folder.resolve(), config=dict(settings), mode=mode,
                settings=wandb.Settings(console="off", silent=True, finish_timeout=FINISH_S),
            )  # fmt: skip
        finally:
            sys.exit, sys.excepthook = hooks  # W&B's print a traceback at Ctrl-C

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log one row."""
        self.run.log(dict(values), step=step)

    def close(self, *, failed: bool) -> None:
        """End the run."""
        self.run.finish(exit_code=int(failed))


class DvcLive:
    """DVCLive's tables, for `dvc plots` and Studio. It makes no experiment and no `dvc.yaml`."""

    def __init__(self, folder: Path, name: str, settings: Settings, step: int):
        from dvclive import Live

        for table in folder.glob("plots/metrics/*.tsv"):
            head, *rows = table.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [row for row in rows if int(row.split("\t")[0]) <= step]
            table.write_text("".join([head, *kept]), encoding="utf-8")
        self.live = Live(str(folder), resume=step > 0, save_dvc_exp=False, dvcyaml=None)
        self.live.log_params(dict(settings))

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add a row to the table of each value."""
        self.live.step = step
        for name, value in values.items():
            self.live.log_metric(name, value)
        self.live.sync()

    def close(self, *, failed: bool) -> None:
        """Write the summary."""
        self.live.end()


LOGGERS: dict[str, Callable[[Path, str, Settings, int], Logger]] = {
    "dvclive": DvcLive,
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
}


class Loggers:
    """The loggers of one training that have not failed. A context manager: its end closes them."""

    def __init__(self) -> None:
        self.running: dict[str, Logger] = {}

    def add(self, name: str, make: Callable[[], Logger]) -> None:
        """Start a logger."""
        with self._dropped_on_failure(name):
            self.running[name] = make()

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log values by name after `step` steps, counted over all epochs."""
        for name, logger in list(self.running.items()):
            with self._dropped_on_failure(name):
                logger.log(values, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for name, logger in list(self.running.items()):
            with self._dropped_on_failure(name):
                logger.close(failed=kind is not None)

    @contextmanager
    def _dropped_on_failure(self, name: str) -> Iterator[None]:
        """Turn a failure of a logger into one warning, and leave the logger out from there on."""
        try:
            yield
        except Exception as error:
            reason = one_line(str(error)) or type(error).__name__
            log.warning("%s failed, the training goes on without it: %s", name, reason)
            if dropped := self.running.pop(name, None):
                with suppress(Exception):
                    dropped.close(failed=True)


def start(checkpoint: Checkpoint | None, step: int) -> Loggers:
    """Return the chosen loggers of a training whose earlier run did `step` steps.

    None without a checkpoint, whose folder names the training, and in all but the first of several processes. UserError
    when `CLSEAVE_LOGGERS` names a logger that cannot be had.
    """
    loggers = Loggers()
    if checkpoint is None or not ranks.first():
        return loggers
    name = name_of(checkpoint.folder)
    for kind in chosen():
        folder = FOLDER / name / checkpoint.key / kind
        loggers.add(kind, partial(LOGGERS[kind], folder, name, checkpoint.settings, step))
    return loggers


def name_of(checkpoints: Path) -> str:
    """Return the name of a training, from the folder of its checkpoints: such as models/mini/clseave/de/seed0."""
    start = CHECKPOINTS if checkpoints.is_relative_to(CHECKPOINTS) else checkpoints.anchor
    return checkpoints.relative_to(start).as_posix()


def flat(settings: Settings, prefix: str = "") -> dict[str, str | float | bool]:
    """Return nested settings with dotted names, and as texts what TensorBoard does not take."""
    found: dict[str, str | float | bool] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value if isinstance(value, str | int | float) else json.dumps(value)
    return found
