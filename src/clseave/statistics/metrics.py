"""Metrics of three-class predictions: numpy in, plain numbers out. Intervals are in `clustered`.

Only `rounded` rounds, far coarser than the last bits, in which processors may differ.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import logsumexp

from clseave.foundation.rows.labels import LABELS, label_id

DECIMALS = 6
BINS = 15  # of confidence, as in Guo et al. (2017)
CONSTANT = 0.995  # share of rows with the same label from which on a model counts as constant
_PLACES = 9  # of a confidence: the last bits, in which processors may differ, must not decide its bin
Logits = np.ndarray | Sequence[Sequence[float]]


def rounded(value: float | None) -> float | None:
    """Return a number rounded to `DECIMALS` decimals, as every report prints it; None for None or NaN."""
    return None if value is None or np.isnan(value) else round(float(value), DECIMALS) + 0.0


def mean(values: np.ndarray) -> float | None:
    """Return the mean of (N,) values; None when N is 0."""
    return float(np.mean(values)) if len(values) else None


def gold_ids(gold: Sequence[str]) -> np.ndarray:
    """Return the label ids (N,) of N label names. ValueError names an unknown label, or says that there is no row."""
    if not len(gold):
        raise ValueError("no row to measure")
    return np.array([label_id(name) for name in gold], dtype=np.int64)


def check_logits(logits: Logits, rows: int) -> np.ndarray:
    """Return logits as (rows, 3) float64. ValueError when the shape differs or a value is not finite."""
    table = np.asarray(logits, dtype=np.float64)
    if table.shape != (rows, len(LABELS)):
        raise ValueError(f"logits have the shape {table.shape}, expected {(rows, len(LABELS))}: one row a gold label")
    if not np.isfinite(table).all():
        raise ValueError(f"logits of row {int(np.argmin(np.isfinite(table).all(1)))} are not finite")
    return table


def cross_entropy(gold: np.ndarray, logits: np.ndarray) -> float:
    """Return the mean cross-entropy in nats of (N,) ids and (N, 3) logits."""
    return float(np.mean(logsumexp(logits, axis=1) - logits[np.arange(len(gold)), gold]))


def confusion(gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return counts (3, 3): row = gold id, column = predicted id."""
    classes = len(LABELS)
    return np.bincount(gold * classes + predicted, minlength=classes**2).reshape(classes, classes)


def class_scores(table: np.ndarray) -> dict[str, np.ndarray]:
    """Return precision, recall and F1 of each class, (3,) each, from a confusion table; 0 for a class without rows."""
    correct, predicted, gold = np.diag(table), table.sum(0), table.sum(1)
    return {
        "precision": correct / np.maximum(predicted, 1),
        "recall": correct / np.maximum(gold, 1),
        "f1": 2 * correct / np.maximum(predicted + gold, 1),
    }


def macro_f1(table: np.ndarray) -> float:
    """Return the unweighted mean of the three classes' F1."""
    return float(class_scores(table)["f1"].mean())


def histogram(ids: np.ndarray) -> dict[str, int]:
    """Count each label in (N,) ids, in label order."""
    return {name: int(count) for name, count in zip(LABELS, np.bincount(ids, minlength=len(LABELS)), strict=True)}


def constant_label(predicted: np.ndarray) -> str | None:
    """Return the label predicted in at least `CONSTANT` of the rows, from (N,) ids; None without such a label.

    The accuracy of such a model is the share of that label. Section 4.1 of the thesis takes it for chance (33.32 %, the
    share of two of SNLI-VE's labels).
    """
    counts = np.bincount(predicted, minlength=len(LABELS))
    return LABELS[counts.argmax()] if counts.max() >= CONSTANT * len(predicted) else None


def confidence_bins(gold: np.ndarray, logits: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return rows, summed confidence and correct rows of each bin, (bins, 3), from (N,) ids and (N, 3) logits.

    The confidence is the largest softmax probability; bin m of M holds confidences in ((m - 1) / M, m / M].
    """
    confidence = np.round(np.exp(logits.max(1) - logsumexp(logits, axis=1)), _PLACES)
    edges = np.round(np.arange(1, bins + 1) / bins, _PLACES)
    bin_ids = np.searchsorted(edges, confidence)  # the first edge that is not below
    hits = logits.argmax(1) == gold
    columns = (None, confidence, hits.astype(np.float64))
    return np.stack([np.bincount(bin_ids, weights=column, minlength=bins) for column in columns], axis=1)


def calibration_error(table: np.ndarray) -> float:
    """Return the expected calibration error from a table of `confidence_bins`.

    It is the mean distance between confidence and accuracy of the bins, weighted by their rows (Guo et al. 2017, On
    Calibration of Modern Neural Networks, equation 3).
    """
    return float(np.abs(table[:, 1] - table[:, 2]).sum() / table[:, 0].sum())


def by_group(values: np.ndarray, groups: Sequence[Any]) -> dict[Any, tuple[float, int]]:
    """Return mean and number of (N,) values by group, groups in sorted order; rows whose group is None are left out."""
    members: dict[Any, list[int]] = {}
    for row, group in enumerate(groups):
        if group is not None:
            members.setdefault(group, []).append(row)
    return {group: (float(np.mean(values[rows])), len(rows)) for group, rows in sorted(members.items())}


def summary(
    gold: Sequence[str],
    logits: Logits,
    kinds: Sequence[str | None],
    seen: Sequence[bool | None],
    *,
    name: str,
    seed: int,
) -> dict[str, Any]:
    """Return the metrics of one evaluation from N gold label names, (N, 3) logits, and each row's kind and seen flag.

    Accuracies are shares of 1, the loss is in nats, `predicted` counts rows by label, `confusion` has gold labels as
    rows and predicted labels as columns, `constant` is `constant_label`. Thesis Table 4.1 has `accuracy` (in percent)
    and `loss`. ValueError when lengths differ, a label is unknown or a logit is not finite.
    """
    ids = gold_ids(gold)
    table = check_logits(logits, len(ids))
    for what, values in (("kinds", kinds), ("seen flags", seen)):
        if len(values) != len(ids):
            raise ValueError(f"{len(values)} {what} for {len(ids)} gold labels: expected as many")
    predicted = table.argmax(1)
    hits = (predicted == ids).astype(np.float64)
    overall = {"name": name, "seed": seed, "rows": len(ids), **_overall(ids, table, hits)}
    return overall | _by_class(ids, predicted) | _by_part(hits, kinds, seen)


def _overall(ids: np.ndarray, table: np.ndarray, hits: np.ndarray) -> dict[str, Any]:
    """Return the entries of `summary` that are one number over all rows."""
    return {
        "accuracy": rounded(mean(hits)),
        "loss": rounded(cross_entropy(ids, table)),
        "ece": rounded(calibration_error(confidence_bins(ids, table))),
    }


def _by_class(ids: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Return the entries of `summary` that compare gold and predicted labels."""
    table = confusion(ids, predicted)
    scores = {
        key: {name: rounded(value) for name, value in zip(LABELS, values, strict=True)}
        for key, values in class_scores(table).items()
    }
    return scores | {
        "macro_f1": rounded(macro_f1(table)),
        "confusion": table.tolist(),
        "predicted": histogram(predicted),
        "constant": constant_label(predicted),
    }


def _by_part(hits: np.ndarray, kinds: Sequence[str | None], seen: Sequence[bool | None]) -> dict[str, Any]:
    """Return the entries of `summary` by seen flag and by kind of statement."""
    by_seen = {True: (None, 0), False: (None, 0)} | by_group(hits, seen)
    return {
        "accuracy_seen": rounded(by_seen[True][0]),
        "accuracy_unseen": rounded(by_seen[False][0]),
        "rows_seen": by_seen[True][1],
        "rows_unseen": by_seen[False][1],
        "kinds": {kind: rounded(score) for kind, (score, _) in by_group(hits, kinds).items()},
    }
