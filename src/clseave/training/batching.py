"""Which rows make a batch: seeded, and by length, so that padding is small."""

from collections.abc import Sequence

import numpy as np

from clseave.foundation.settings.schema import Sampler

LIKE = 4  # lengths that differ by less than this are mixed: batches of one length are of one kind, and learn worse


def draw_batches(
    lengths: np.ndarray,
    size: int,
    sampler: Sampler,
    seed: Sequence[int],
    *,
    groups: np.ndarray | None = None,
    rows_per_group: int = 1,
) -> list[np.ndarray]:
    """Return every row once, in batches of about `size` rows; `seed` (with the epoch in it) decides the order.

    `lengths` (N,) are token counts. "bucket" sorts by length, in steps of `LIKE`, before cutting and then shuffles.
    `groups` (N,) keeps up to `rows_per_group` rows of one group in one batch: rows that share a hypothesis are then
    encoded once. Batches differ by one row at most, so that none is too small for batch norm.
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
    """Reorder so that rows of one group stand in runs of up to `size`, the runs in random order."""
    by_group = order[np.argsort(groups[order], kind="stable")]
    _, starts, counts = np.unique(groups[by_group], return_index=True, return_counts=True)
    place = np.arange(len(by_group)) - np.repeat(starts, counts)
    run = np.repeat(np.cumsum(-(-counts // size)) - -(-counts // size), counts) + place // size
    return by_group[np.argsort(rng.permutation(run.max() + 1)[run], kind="stable")]
