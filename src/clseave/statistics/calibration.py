"""Calibration: reliability diagrams of the largest softmax probability.

Source: Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks, ICML, section 2. The thesis
does not measure it. With three classes every confidence is at least 1/3, so the lower bins are empty.
"""

from typing import Any

import numpy as np

from clseave.statistics.metrics import BINS, Logits, check_logits, confidence_bins, rounded


def reliability(gold_ids: np.ndarray, logits: Logits, bins: int = BINS) -> list[dict[str, Any]]:
    """Return one row per bin of equal width: bounds (low excluded, high included), rows, mean confidence, accuracy.

    `gold_ids` (N,) and `logits` (N, 3) are in the order of `labels`. Confidence and accuracy are shares of 1, None for
    an empty bin. ValueError when there is no row or no bin, or the sizes differ.
    """
    if bins < 1:
        raise ValueError(f"{bins} bins: expected at least one")
    if not len(gold_ids):
        raise ValueError("no row to measure")
    table = confidence_bins(np.asarray(gold_ids), check_logits(logits, len(gold_ids)), bins)
    return [
        {
            "bin": number,
            "low": rounded(number / bins),
            "high": rounded((number + 1) / bins),
            "rows": int(rows),
            "confidence": rounded(confidence / rows) if rows else None,
            "accuracy": rounded(hits / rows) if rows else None,
        }
        for number, (rows, confidence, hits) in enumerate(table)
    ]
