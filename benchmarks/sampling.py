"""Which steps of an epoch a contender does, where the whole epoch would take too long."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch.utils.data import BatchSampler, RandomSampler

from clseave.foundation.errors import UserError

Item = TypeVar("Item")


def shuffled(rows: int, size: int, epochs: int = 1) -> list[list[int]]:
    """Batches of row numbers in a random order, as a loader draws them; each epoch has another."""
    sampler = RandomSampler(range(rows), generator=torch.Generator().manual_seed(0))
    return [batch for _ in range(epochs) for batch in BatchSampler(sampler, size, drop_last=False)]


def evenly(items: Sequence[Item], count: int) -> list[list[Item]]:
    """Return each way to take `count` of the items at even distances. UserError when there are fewer."""
    if len(items) < count:
        raise UserError(f"{len(items)} batches at hand, {count} wanted: lower the size in benchmarks/workload.py")
    return [
        [items[first + number * len(items) // count] for number in range(count)] for first in range(len(items) // count)
    ]


def sampled(
    batches: Sequence[Sequence[int] | np.ndarray], lengths: np.ndarray, steps: int, part: int | None = None
) -> list[Sequence[int] | np.ndarray]:
    """`steps` of an epoch's batches that cost what the epoch's do, the widest last.

    They are at even distances of all batches sorted by width, and of such choices the one whose width is on average
    nearest to the epoch's. `part`: see `padded`.
    """
    by_width = sorted(batches, key=lambda rows: padded([rows], lengths, part))
    mean = padded(batches, lengths, part)
    return min(evenly(by_width, steps), key=lambda some: abs(padded(some, lengths, part) - mean))


def padded(batches: Sequence[Sequence[int] | np.ndarray], lengths: np.ndarray, part: int | None = None) -> float:
    """Tokens of a row when each batch is padded to its longest: the mean over all rows.

    `part` is for batches that run in parts of like length, of so many rows at least.
    """
    whole = [np.sort(lengths[rows]) for rows in batches]
    parts = [some for one in whole for some in np.array_split(one, max(1, len(one) // part) if part else 1)]
    return sum(len(some) * int(some.max()) for some in parts) / sum(map(len, whole))
