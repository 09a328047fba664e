"""Evaluation statistics of three-class judgements: numpy in, plain numbers out.

Rows of one image are not independent, so every interval resamples images, not rows. Numbers are rounded in one
place (`rounded`), far coarser than the last bits in which processors may differ.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import logsumexp

from clseave.labels import LABELS, label_id

DECIMALS = 6
DRAWS = 2000  # bootstrap draws
LEVEL = 0.95
_CHUNK = 100  # draws held in memory at a time
Logits = np.ndarray | Sequence[Sequence[float]]


def rounded(value: float | None) -> float | None:
    """A number as every report prints it: `DECIMALS` decimals, None where there is nothing to measure."""
    return None if value is None or np.isnan(value) else round(float(value), DECIMALS) + 0.0


def mean(values: np.ndarray) -> float | None:
    """Mean of (N,) values; None when N is 0."""
    return float(np.mean(values)) if len(values) else None


def gold_ids(gold: Sequence[str]) -> np.ndarray:
    """Label names -> (N,) ids of `labels`. ValueError names an unknown label, or says that there is no row."""
    if not len(gold):
        raise ValueError("no row to measure")
    return np.array([label_id(name) for name in gold], dtype=np.int64)


def check_logits(logits: Logits, rows: int) -> np.ndarray:
    """Logits as (rows, 3) float64. ValueError when the shape differs or a value is not finite."""
    table = np.asarray(logits, dtype=np.float64)
    if table.shape != (rows, len(LABELS)):
        raise ValueError(f"logits have the shape {table.shape}, expected {(rows, len(LABELS))}: one row a gold label")
    if not np.isfinite(table).all():
        raise ValueError(f"logits of row {int(np.argmin(np.isfinite(table).all(1)))} are not finite")
    return table


def cross_entropy(gold: np.ndarray, logits: np.ndarray) -> float:
    """Mean cross-entropy in nats of (N,) ids and (N, 3) logits."""
    return float(np.mean(logsumexp(logits, axis=1) - logits[np.arange(len(gold)), gold]))


def confusion(gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Counts (3, 3): row = gold id, column = predicted id."""
    classes = len(LABELS)
    return np.bincount(gold * classes + predicted, minlength=classes**2).reshape(classes, classes)


def class_scores(table: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1 of each class, (3,) each, of a confusion table; 0 where a class never occurs."""
    right, predicted, gold = np.diag(table), table.sum(0), table.sum(1)
    return {
        "precision": right / np.maximum(predicted, 1),
        "recall": right / np.maximum(gold, 1),
        "f1": 2 * right / np.maximum(predicted + gold, 1),
    }


def macro_f1(table: np.ndarray) -> float:
    """Unweighted mean of the three classes' F1."""
    return float(class_scores(table)["f1"].mean())


def histogram(ids: np.ndarray) -> dict[str, int]:
    """How often each label occurs in (N,) ids, in label order."""
    return {name: int(count) for name, count in zip(LABELS, np.bincount(ids, minlength=len(LABELS)), strict=True)}


def by_group(values: np.ndarray, groups: Sequence[Any]) -> dict[Any, tuple[float, int]]:
    """Mean and number of (N,) values by group, groups in sorted order; rows whose group is None are left out."""
    members: dict[Any, list[int]] = {}
    for row, group in enumerate(groups):
        if group is not None:
            members.setdefault(group, []).append(row)
    return {group: (float(np.mean(values[rows])), len(rows)) for group, rows in sorted(members.items())}


def interval(values: np.ndarray, images: Sequence[str], *, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """Bootstrap interval (95 %, percentile) of the mean of (N,) values, resampling whole images.

    A draw takes as many images as there are, with replacement, and all rows of each: the sums and sizes of the
    images are enough. ValueError when there is no row or the lengths differ.
    """
    if len(values) != len(images) or not len(images):
        raise ValueError(f"{len(values)} values for {len(images)} image ids: expected as many, and at least one")
    names, cluster = np.unique(np.asarray(images, dtype=str), return_inverse=True)
    sums = np.bincount(cluster, weights=np.asarray(values, dtype=np.float64))
    sizes = np.bincount(cluster)
    generator = np.random.Generator(np.random.PCG64(seed))
    means = []
    for start in range(0, draws, _CHUNK):
        chosen = generator.integers(0, len(names), size=(min(_CHUNK, draws - start), len(names)))
        means.append(sums[chosen].sum(1) / sizes[chosen].sum(1))
    low, high = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def summary(
    gold: Sequence[str],
    logits: Logits,
    kinds: Sequence[str | None],
    seen: Sequence[bool | None],
    images: Sequence[str],
    *,
    name: str,
    seed: int,
) -> dict[str, Any]:
    """The metrics of one evaluation: N gold label names, (N, 3) logits, and each row's kind, seen flag and image id.

    Accuracies are shares of 1, the loss is in nats, `predicted` counts rows. ValueError when lengths differ, a
    label is unknown or a logit is not finite. Thesis Table 4.1 has `accuracy` (in percent) and `loss`.
    """
    ids = gold_ids(gold)
    table = check_logits(logits, len(ids))
    for what, values in (("kinds", kinds), ("seen flags", seen), ("image ids", images)):
        if len(values) != len(ids):
            raise ValueError(f"{len(values)} {what} for {len(ids)} gold labels: expected as many")
    predicted = table.argmax(1)
    hits = (predicted == ids).astype(np.float64)
    low, high = interval(hits, images)
    by_seen = {True: (None, 0), False: (None, 0)} | by_group(hits, seen)
    return {
        "name": name,
        "seed": seed,
        "rows": len(ids),
        "accuracy": rounded(mean(hits)),
        "accuracy_low": rounded(low),
        "accuracy_high": rounded(high),
        "loss": rounded(cross_entropy(ids, table)),
        "macro_f1": rounded(macro_f1(confusion(ids, predicted))),
        "accuracy_seen": rounded(by_seen[True][0]),
        "accuracy_unseen": rounded(by_seen[False][0]),
        "rows_seen": by_seen[True][1],
        "rows_unseen": by_seen[False][1],
        "kinds": {kind: rounded(score) for kind, (score, _) in by_group(hits, kinds).items()},
        "predicted": histogram(predicted),
    }
