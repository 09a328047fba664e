"""Checkpoints: unfinished work, kept outside DVC's outputs, resumed after a kill and removed at the end.

The key of a checkpoint covers everything the work depends on, so a checkpoint of other parameters, inputs or code is
never used. A file is valid when it matches the hash beside it, which is written after the file; both atomically.
"""

import json
import logging
import os
import pickle
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from clseave.foundation.errors import UserError
from clseave.foundation.files import hashing
from clseave.foundation.files.formats import atomic, write_text
from clseave.foundation.process import distributed, ranks
from clseave.foundation.process.fingerprint import code_files, digest, fingerprint
from clseave.foundation.settings.schema import View

log = logging.getLogger(__name__)

# Seconds between two checkpoints within an epoch: one of a full-size model has 2.5 GB. Tests set a shorter interval.
SECONDS = 600.0
VARIABLE = "CLSEAVE_CHECKPOINT_SECONDS"
Input = Path | list[Path]  # a file, a folder, or several files of one folder
LIBRARIES = ("numpy", "safetensors", "tokenizers", "torch", "transformers")
UNREADABLE = (OSError, ValueError, RuntimeError, EOFError, IndexError, KeyError, pickle.UnpicklingError)


def key_of(
    stage: str, inputs: Mapping[str, Input], values: View, device: torch.device | None = None, **chosen: str | int
) -> str:
    """Return 16 hexadecimal digits that identify a computation: its values, `chosen`, contents of `inputs`, and code.

    `stage` is the stage's module, `inputs` are the files and folders it reads, by name, `chosen` its other arguments.
    The processor type (None: the CPU) and the number of processes count too, as their results differ in the last
    digits.
    """
    read = {name: digest(path) for name, path in inputs.items()}
    versions = [fingerprint(code_files(stage)), *(version(name) for name in LIBRARIES)]
    processor = torch.cuda.get_device_name(device) if device and device.type == "cuda" else "cpu"
    parts = [chosen, values.model_dump(mode="json"), read, versions, processor, ranks.size()]
    return hashing.of_text(json.dumps(parts, sort_keys=True))[:16]


def clear(folder: Path) -> None:
    """Remove a folder of checkpoints."""
    for path in folder.glob("*"):
        path.unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()


class Store:
    """Files of one key in a folder; files of other keys are removed, which is logged."""

    def __init__(self, folder: Path, key: str, *, alone: bool = True):
        """Remove files of other keys, unless other processes use the folder too; it is created with the first file.

        Of several processes of one training, only the first removes files.
        """
        self.folder, self.key = folder, key
        if not alone or not ranks.first():
            return
        others = [path for path in self._listed("*") if not path.name.startswith(f"{key}-") and path.suffix != ".lock"]
        if any(path.suffix == ".pt" for path in others):
            log.info("%s: removing checkpoints of other parameters, inputs or code", folder)
        for path in others:
            path.unlink(missing_ok=True)

    def _listed(self, pattern: str) -> list[Path]:
        """Return the files in the folder, including partial ones that a killed run left."""
        return sorted(path for path in self.folder.glob(pattern) if path.is_file())

    def path(self, number: int) -> Path:
        """Return the path of the file with a number."""
        return self.folder / f"{self.key}-{number:09d}.pt"

    def numbers(self) -> list[int]:
        """Return the numbers of the files that were written completely."""
        return [int(path.name.split(".")[0].split("-")[1]) for path in self._listed(f"{self.key}-*.pt.sha256")]

    def write(self, number: int, content: Any) -> None:
        """Store tensors, numbers, texts, or lists and dicts of them."""
        path = self.path(number)
        with atomic(path) as temporary, open(temporary, "wb") as stream:  # torch hides errors of open
            torch.save(content, stream)
        write_text(f"{path}.sha256", f"{digest(path)}  {path.name}\n")

    def read(self, number: int) -> Any | None:
        """Return the stored content with tensors on the CPU, or None with a warning when the file is damaged."""
        path = self.path(number)
        try:
            if digest(path) != Path(f"{path}.sha256").read_text(encoding="utf-8").split()[0]:
                raise ValueError("its content does not match its hash")
            return torch.load(path, map_location="cpu", weights_only=True)
        except UNREADABLE as error:
            log.warning("%s cannot be used, its work is repeated: %s", path, str(error).partition("\n")[0])
            return None

    def drop(self, number: int) -> None:
        """Remove one file."""
        for path in (Path(f"{self.path(number)}.sha256"), self.path(number)):
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all files, once the outputs are written."""
        clear(self.folder)


class Checkpoint(Store):
    """The state of one training, numbered by steps done. The last one stays until a newer one is complete.

    It is written in a thread while the training goes on: a full-size one takes seconds.
    """

    def __init__(self, folder: Path, key: str, settings: Mapping[str, Any] | None = None):
        """Start the clock for the first checkpoint. `settings` are the training's, for loggers."""
        super().__init__(folder, key)
        self.settings = settings or {}
        self.seconds = float(os.environ.get(VARIABLE, SECONDS))
        self._written = time.monotonic()
        self._writer = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None

    @property
    def due(self) -> bool:
        """Whether the interval has passed since the last checkpoint; of several processes, the first decides."""
        return distributed.from_first(time.monotonic() - self._written >= self.seconds)

    @property
    def latest(self) -> int | None:
        """The number of steps done at the last complete checkpoint; None without one."""
        self.wait_for_write()
        return max(self.numbers(), default=None)

    def save(self, steps: int, state: dict[str, Any]) -> None:
        """Start writing a copy of the state; older checkpoints are removed when it is complete.

        Raise the error of the previous write, if there was one. Of several processes, only the first writes.
        """
        if not ranks.first():
            return
        self.wait_for_write()
        self._writing = self._writer.submit(self._replace, steps, _copy(state))
        self._written = time.monotonic()

    def _replace(self, steps: int, state: dict[str, Any]) -> None:
        """Write a checkpoint, then remove the others."""
        self.write(steps, state)
        for number in self.numbers():
            if number != steps:
                self.drop(number)

    def wait_for_write(self) -> None:
        """Wait until the current write is complete. Raise its error, such as that of a full disk."""
        writing, self._writing = self._writing, None
        if writing:
            writing.result()

    def remove(self) -> None:
        """Remove all files, once the outputs are written."""
        self.wait_for_write()
        super().remove()

    def load(self) -> dict[str, Any] | None:
        """Return the newest readable state, or None. Several processes all load the one that the first has read.

        UserError when another process cannot read it: they must share one folder.
        """
        number, state = self._newest() if ranks.first() else (None, None)
        number = distributed.from_first(number)
        if number is not None and state is None and (state := self.read(number)) is None:
            raise UserError(
                f"{self.path(number)}: process {ranks.rank()} cannot read what process 0 has read, expected one folder "
                "for all: start them where they share their files"
            )
        return state

    def _newest(self) -> tuple[int | None, dict[str, Any] | None]:
        """Return the number and state of the newest readable checkpoint; remove unreadable ones."""
        for number in reversed(self.numbers()):
            if state := self.read(number):
                return number, dict(state)
            self.drop(number)
        return None, None


def _copy(state: Any) -> Any:
    """Return a copy of the state with all tensors on the CPU."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: _copy(value) for key, value in state.items()}
    return [_copy(value) for value in state] if isinstance(state, list) else state


class Parts(Store):
    """Numbered parts of a longer computation, each stored as soon as it is computed."""

    def __init__(self, folder: Path, key: str, *, alone: bool = True):
        """Log how many parts an earlier run left. A shard (not `alone`) leaves the removal of files to the stage."""
        super().__init__(folder, key, alone=alone)
        if done := len(self.numbers()):
            log.info("%s: found %d parts of an earlier run", folder, done)

    def get_or_compute(self, number: int, make: Callable[[], Any]) -> Any:
        """Return the part that an earlier run stored under this number, or compute it with `make` and store it."""
        found = self.read(number) if number in self.numbers() else None
        if found is None:
            found = make()
            self.write(number, found)
        return found


def begin(
    folder: Path,
    stage: str,
    inputs: Mapping[str, Input],
    values: View,
    device: torch.device | None = None,
    **chosen: str | int,
) -> Checkpoint:
    """Return the checkpoint of a stage's training in a folder of its own; other arguments as for `key_of`."""
    key = key_of(stage, inputs, values, device, **chosen)
    return Checkpoint(folder, key, values.model_dump(mode="json") | chosen)
