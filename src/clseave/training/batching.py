"""Batches of rows: drawn with a seed, and bucketed by length to reduce padding."""

from collections.abc import Sequence

import numpy as np

from clseave.foundation.settings.schema import Sampler

LIKE = 4  # bucket width in tokens: rows of equal length often share a statement kind, and such batches train worse


def draw_batches(
    lengths: np.ndarray,
    size: int,
    sampler: Sampler,
    seed: Sequence[int],
    *,
    groups: np.ndarray | None = None,
    rows_per_group: int = 1,
) -> list[np.ndarray]:
    """Return every row once, in batches of about `size` rows; `seed`, which includes the epoch, determines the order.

    `lengths` (N,) are token counts. "bucket" sorts rows by length, in steps of `LIKE`, cuts batches and shuffles them.
    `groups` (N,) keeps up to `rows_per_group` rows of one group in one batch, so that a hypothesis that they share is
    encoded once. Batch sizes differ by at most one row, so that none is too small for batch norm.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    if groups is not None and rows_per_group > 1:
        order = _keep_together(order, groups, rows_per_group, rng)
    if sampler == "bucket":
        order = order[np.argsort(-(-lengths[order] // LIKE), kind="stable")]
    batches = np.array_split(order, max(1, round(len(order) / size)))
    return [batches[row] for row in rng.permutation(len(batches))]


def _keep_together(order: np.ndarray, groups: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Reorder rows so that those of one group form runs of up to `size`, with the runs in random order."""
    by_group = order[np.argsort(groups[order], kind="stable")]
    _, starts, counts = np.unique(groups[by_group], return_index=True, return_counts=True)
    place = np.arange(len(by_group)) - np.repeat(starts, counts)
    run = np.repeat(np.cumsum(-(-counts // size)) - -(-counts // size), counts) + place // size
    return by_group[np.argsort(rng.permutation(run.max() + 1)[run], kind="stable")]
