"""Swap accuracy: whether a model distinguishes two hypotheses that differ in word order only.

A minimal pair is two rows of one image whose hypotheses have the same words in another order or direction, and
different labels. A model that ignores word order predicts the same label for both, so it never has both right: its swap
accuracy is 0, whatever its accuracy on single rows. As the text score of Thrush et al. (2022), Winoground, CVPR.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from clseave.statistics.metrics import mean, rounded


def complete(pairs: Sequence[str | None]) -> np.ndarray:
    """Return the row numbers of every complete pair, (pairs, 2), from each row's pair (None: not in a pair).

    A pair with a single row, as in a subset of the rows, is left out. ValueError names a pair with more than two rows.
    """
    members: dict[str, list[int]] = {}
    for row, pair in enumerate(pairs):
        if pair is not None:
            members.setdefault(pair, []).append(row)
    if odd := [pair for pair, rows in members.items() if len(rows) > 2]:
        raise ValueError(f"minimal pair {odd[0]} has {len(members[odd[0]])} rows, expected two")
    return np.array([rows for rows in members.values() if len(rows) == 2], dtype=np.int64).reshape(-1, 2)


def clusters(
    pairs: np.ndarray, images: Sequence[Any] | np.ndarray, statements: Sequence[str]
) -> tuple[list[Any], list[str]]:
    """What pairs (P, 2) of rows are clustered by, (P,) each: their image, and their two statements together."""
    said = [" | ".join(sorted(statements[row] for row in pair)) for pair in pairs.tolist()]
    return [images[first] for first in pairs[:, 0].tolist()], said


def summary(hits: np.ndarray, pairs: Sequence[str | None]) -> dict[str, Any]:
    """Return, for (N,) hits, the number of pairs, the share of pairs with both rows correct, and the share of correct
    rows in pairs; None without pairs.
    """
    both = np.asarray(hits, dtype=bool)[complete(pairs)]
    return {
        "swap_pairs": len(both) or None,
        "swap_accuracy": rounded(mean(both.all(1))),
        "swap_rows": rounded(mean(both.ravel())),
    }
