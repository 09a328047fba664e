"""Checkpoints: unfinished work of one key, outside DVC's outputs, taken up again after a kill and then removed.

A key names everything that the work depends on, so that a checkpoint of other parameters, inputs or code is never
taken. A file counts when the hash beside it is its own: it is written after the file, whole or not at all.
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

# Seconds between two checkpoints within an epoch: a full-size one has 2.5 GB. Tests set the variable to lose less.
SECONDS = 600.0
VARIABLE = "CLSEAVE_CHECKPOINT_SECONDS"
Input = Path | list[Path]  # a file, a folder, or several
LIBRARIES = ("numpy", "safetensors", "tokenizers", "torch", "transformers")
UNREADABLE = (OSError, ValueError, RuntimeError, EOFError, IndexError, KeyError, pickle.UnpicklingError)


def key_of(
    stage: str, inputs: Mapping[str, Input], values: View, device: torch.device | None = None, **chosen: str | int
) -> str:
    """16 hex digits for what a stage computes: its values, what was `chosen`, the contents of `inputs`, its code.

    `stage` is the stage's module, `inputs` are the files and folders it reads, by name, `chosen` its names and numbers.
    The kind of processor counts too (None: the CPU), and the number of processes: numbers of two kinds are not mixed.
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
    """Files of one key in a folder. What other keys left there is removed, with a line in the log."""

    def __init__(self, folder: Path, key: str, *, alone: bool = True):
        """Clean the folder, unless other processes work there too; it is made with the first file.

        Of several processes of one training the first one cleans.
        """
        self.folder, self.key = folder, key
        if not alone or not ranks.first():
            return
        others = [path for path in self._listed("*") if not path.name.startswith(f"{key}-") and path.suffix != ".lock"]
        if any(path.suffix == ".pt" for path in others):
            log.info("%s: checkpoints of other parameters, inputs or code are removed", folder)
        for path in others:
            path.unlink(missing_ok=True)

    def _listed(self, pattern: str) -> list[Path]:
        """Files in the folder, those that a kill cut short included."""
        return sorted(path for path in self.folder.glob(pattern) if path.is_file())

    def path(self, number: int) -> Path:
        """The file of a number."""
        return self.folder / f"{self.key}-{number:09d}.pt"

    def numbers(self) -> list[int]:
        """Numbers of the files that were written to their end."""
        return [int(path.name.split(".")[0].split("-")[1]) for path in self._listed(f"{self.key}-*.pt.sha256")]

    def write(self, number: int, content: Any) -> None:
        """Keep tensors, numbers, texts, lists and dicts of them."""
        path = self.path(number)
        with atomic(path) as temporary, open(temporary, "wb") as stream:  # torch tells no reason of its own files
            torch.save(content, stream)
        write_text(f"{path}.sha256", f"{digest(path)}  {path.name}\n")

    def read(self, number: int) -> Any | None:
        """What was kept, tensors on the CPU; None, with a line in the log, when the file is not what was written."""
        path = self.path(number)
        try:
            if digest(path) != Path(f"{path}.sha256").read_text(encoding="utf-8").split()[0]:
                raise ValueError("its content is not what was written")
            return torch.load(path, map_location="cpu", weights_only=True)
        except UNREADABLE as error:
            log.warning("%s cannot be used, that work is done again: %s", path, str(error).partition("\n")[0])
            return None

    def drop(self, number: int) -> None:
        """Remove one file."""
        for path in (Path(f"{self.path(number)}.sha256"), self.path(number)):
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all: the outputs are written."""
        clear(self.folder)


class Checkpoint(Store):
    """The state of one training; its number is that of the steps done. The last one stays until a newer is whole.

    It is written beside the training, which goes on: a full-size one takes seconds.
    """

    def __init__(self, folder: Path, key: str):
        """The clock starts here."""
        super().__init__(folder, key)
        self.seconds = float(os.environ.get(VARIABLE, SECONDS))
        self._written = time.monotonic()
        self._writer = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None

    @property
    def due(self) -> bool:
        """Whether enough time has passed since the last one; of several processes the first one's clock says so."""
        return distributed.from_first(time.monotonic() - self._written >= self.seconds)

    @property
    def latest(self) -> int | None:
        """The steps done at the last whole checkpoint."""
        self.settle()
        return max(self.numbers(), default=None)

    def save(self, steps: int, state: dict[str, Any]) -> None:
        """Begin to write a copy of the state; the older ones go when it is whole. Raises what the one before met.

        Of several processes the first one writes.
        """
        if not ranks.first():
            return
        self.settle()
        self._writing = self._writer.submit(self._replace, steps, _copy(state))
        self._written = time.monotonic()

    def _replace(self, steps: int, state: dict[str, Any]) -> None:
        self.write(steps, state)
        for number in self.numbers():
            if number != steps:
                self.drop(number)

    def settle(self) -> None:
        """Wait until what is being written is whole. Raises what went wrong, as a full disk."""
        writing, self._writing = self._writing, None
        if writing:
            writing.result()

    def remove(self) -> None:
        """Remove all: the outputs are written."""
        self.settle()
        super().remove()

    def load(self) -> dict[str, Any] | None:
        """The newest that can be read. Several processes all take the one that the first has read.

        UserError when another one does not find it: they work in one folder.
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
        """Number and state; those that cannot be read are removed."""
        for number in reversed(self.numbers()):
            if state := self.read(number):
                return number, dict(state)
            self.drop(number)
        return None, None


def _copy(state: Any) -> Any:
    """The same on the CPU, with tensors of its own."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: _copy(value) for key, value in state.items()}
    return [_copy(value) for value in state] if isinstance(state, list) else state


class Parts(Store):
    """Numbered parts of a longer work, each kept as soon as it is made."""

    def __init__(self, folder: Path, key: str, *, alone: bool = True):
        """Say how many an earlier run left. Not `alone`: a shard, which leaves cleaning to the stage itself."""
        super().__init__(folder, key, alone=alone)
        if done := len(self.numbers()):
            log.info("%s: %d parts were done before", folder, done)

    def get(self, number: int, make: Callable[[], Any]) -> Any:
        """What an earlier run kept under this number, or else what `make` gives."""
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
    """The checkpoint of a stage's training in a folder of its own; the other arguments are those of `key_of`."""
    return Checkpoint(folder, key_of(stage, inputs, values, device, **chosen))
