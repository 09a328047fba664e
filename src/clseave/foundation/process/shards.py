"""Shards: a stage's work divided among processes that any scheduler starts, on one machine or on several.

`--shard 2/4` computes every fourth part of the work, starting from the second, and stores it where the stage keeps its
checkpoints. The stage, run without `--shard`, then reuses these parts, computes the missing ones, and writes the
output: the same bytes as without shards, whichever shards ran, in any order, complete or not.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from clseave.foundation.errors import UserError

MOST = 10_000  # shards: more than an array of jobs on any cluster
Part = TypeVar("Part")


@dataclass(frozen=True)
class Shard:
    """One of `count` shards; `number` counts from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def name(self) -> str:
        """The shard as part of a file name."""
        return f"shard-{self.number}-of-{self.count}"

    def has(self, index: int) -> bool:
        """Return whether the part at `index`, counted from 0, belongs to this shard."""
        return index % self.count == self.number - 1


def parse(text: str) -> Shard:
    """Parse a shard written as I/N. UserError for anything else."""
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if found and 1 <= (number := int(found[1])) <= (count := int(found[2])) <= MOST:
        return Shard(number, count)
    raise UserError(
        f"--shard: found {text!r}, expected I/N, the I-th of N shards with I from 1 to N (N at most {MOST:,}): 1/4 to "
        "4/4 are four shards"
    )


def share(parts: Sequence[Part], shard: Shard | None) -> list[Part]:
    """Return a shard's parts, in order; all parts without a shard."""
    return [part for index, part in enumerate(parts) if shard is None or shard.has(index)]


@contextmanager
def lock_shards(shard: Shard | None, folder: Path) -> Iterator[None]:
    """Hold a shard's lock file in the folder of parts; for the stage itself (None), those of all shards that ran.

    A lock ends with its process. UserError when another process holds one of them, as the work would be done twice.
    """
    names = sorted(folder.glob("shard-*.lock")) if shard is None else [folder / f"{shard.name}.lock"]
    with ExitStack() as held:
        for path in names:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                held.enter_context(FileLock(path, timeout=0))
            except Timeout as error:
                raise UserError(f"{path}: this shard is at work: wait for its end, or stop it") from error
        yield
        if shard is None:
            for path in names:
                path.unlink(missing_ok=True)
