"""Which steps of an epoch a contender does, where the whole epoch would take too long."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, RandomSampler

from clseave.errors import UserError


def shuffled(rows: int, size: int, epochs: int = 1, steps: int | None = None) -> list[list[int]]:
    """Batches in a random order, as a loader draws them, or the first `steps` of each epoch; each epoch has another."""
    sampler = RandomSampler(range(rows), generator=torch.Generator().manual_seed(0))
    return [batch for _ in range(epochs) for batch in list(BatchSampler(sampler, size, drop_last=False))[:steps]]


def evenly(items: Sequence[Any], count: int) -> list[Any]:
    """`count` of the items at even distances. UserError when there are fewer."""
    if len(items) < count:
        raise UserError(f"{len(items)} batches at hand, {count} wanted: lower the size in benchmarks/workload.py")
    return [items[int((number + 0.5) * len(items) / count)] for number in range(count)]


def sampled(batches: Sequence[np.ndarray], lengths: np.ndarray, steps: int) -> list[np.ndarray]:
    """`steps` of an epoch's batches, at even distances of all sorted by longest row: they cost what the epoch's do."""
    return evenly(sorted(batches, key=lambda rows: int(lengths[rows].max())), steps)


def padded(batches: Sequence[Any], lengths: np.ndarray, part: int | None = None) -> float:
    """Tokens of a row when each batch is padded to its longest: the mean over all rows.

    `part` is for batches that run in parts of like length, of so many rows at least.
    """
    whole = [np.sort(lengths[rows]) for rows in batches]
    parts = [some for one in whole for some in np.array_split(one, max(1, len(one) // part) if part else 1)]
    return round(sum(len(some) * int(some.max()) for some in parts) / sum(map(len, whole)), 1)
