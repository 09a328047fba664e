"""Samples of an epoch's steps for contenders, when the whole epoch would take too long."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch.utils.data import BatchSampler, RandomSampler

from clseave.foundation.errors import UserError

Item = TypeVar("Item")


def shuffled(rows: int, size: int, epochs: int = 1) -> list[list[int]]:
    """Return batches of row numbers in random order, as a data loader draws them, different in each epoch."""
    sampler = RandomSampler(range(rows), generator=torch.Generator().manual_seed(0))
    return [batch for _ in range(epochs) for batch in BatchSampler(sampler, size, drop_last=False)]


def evenly(items: Sequence[Item], count: int) -> list[list[Item]]:
    """Return all ways to take `count` of the items at even distances. UserError when there are fewer items."""
    if len(items) < count:
        raise UserError(f"{len(items)} batches at hand, {count} wanted: lower the size in benchmarks/workload.py")
    return [
        [items[first + number * len(items) // count] for number in range(count)] for first in range(len(items) // count)
    ]


def sampled(
    batches: Sequence[Sequence[int] | np.ndarray], lengths: np.ndarray, steps: int, part: int | None = None
) -> list[Sequence[int] | np.ndarray]:
    """Return `steps` batches of an epoch whose mean cost is that of the epoch, the widest last.

    They are taken at even distances from all batches sorted by width; of the possible choices, the one with the mean
    width nearest to the epoch's. For `part` see `padded`.
    """
    by_width = sorted(batches, key=lambda rows: padded([rows], lengths, part))
    mean = padded(batches, lengths, part)
    return min(evenly(by_width, steps), key=lambda some: abs(padded(some, lengths, part) - mean))


def padded(batches: Sequence[Sequence[int] | np.ndarray], lengths: np.ndarray, part: int | None = None) -> float:
    """Return the mean number of tokens per row when each batch is padded to its longest row.

    `part` is the smallest sub-batch, when batches run in sub-batches of similar length.
    """
    whole = [np.sort(lengths[rows]) for rows in batches]
    parts = [some for one in whole for some in np.array_split(one, max(1, len(one) // part) if part else 1)]
    return sum(len(some) * int(some.max()) for some in parts) / sum(map(len, whole))
