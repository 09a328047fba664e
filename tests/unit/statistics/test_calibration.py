"""Reliability and calibration error in closed cases."""

import numpy as np
import pytest

from clseave.statistics import calibration
from clseave.statistics.metrics import calibration_error, confidence_bins


def rows_of(confidence, right, wrong):
    """Gold ids and logits of rows that say class 0 with a probability, so many of them rightly."""
    probabilities = [confidence, (1 - confidence) * 0.6, (1 - confidence) * 0.4]
    return np.array([0] * right + [1] * wrong), np.tile(np.log(probabilities), (right + wrong, 1))


def joined(*parts):
    return tuple(np.concatenate(one) for one in zip(*parts, strict=True))


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ([(0.6, 6, 4)], 0.0),
        ([(0.9, 80, 20), (0.5, 120, 180)], 0.1),  # both 0.1 too sure
        ([(0.9, 5, 5), (0.5, 15, 15)], 0.1),  # 0.4 on a quarter of the rows
        ([(0.95, 5, 5), (0.55, 10, 0)], 0.45),  # too sure and too modest do not cancel between bins
        ([(0.82, 10, 0), (0.84, 7, 3)], 0.02),  # within a bin they do: confidence 0.83, accuracy 0.85
    ],
)
def test_error_in_closed_cases(parts, error):
    gold, logits = joined(*(rows_of(*part) for part in parts))
    assert calibration_error(confidence_bins(gold, logits)) == pytest.approx(error, abs=1e-9)


def test_one_bin_compares_the_means():
    gold, logits = joined(rows_of(0.95, 5, 5), rows_of(0.55, 10, 0))
    assert calibration_error(confidence_bins(gold, logits, bins=1)) == pytest.approx(abs(0.75 - 0.75), abs=1e-9)


def test_error_follows_from_the_rows_of_the_diagram():
    generator = np.random.default_rng(0)
    gold, logits = generator.integers(0, 3, 500), generator.normal(0, 2, (500, 3))
    rows = [row for row in calibration.reliability(gold, logits) if row["rows"]]
    assert sum(row["rows"] for row in rows) == 500
    gaps = [row["rows"] * abs(row["confidence"] - row["accuracy"]) for row in rows]
    assert calibration_error(confidence_bins(gold, logits)) == pytest.approx(sum(gaps) / 500, abs=1e-6)
    assert all(row["low"] < row["confidence"] <= row["high"] for row in rows)
    order = generator.permutation(500)
    assert calibration.reliability(gold[order], logits[order]) == calibration.reliability(gold, logits)


def test_a_bin_holds_its_upper_bound_and_an_empty_one_has_no_values():
    rows = calibration.reliability(*rows_of(0.6, 1, 1))
    assert rows[8] == {"bin": 8, "low": 0.533333, "high": 0.6, "rows": 2, "confidence": 0.6, "accuracy": 0.5}
    assert rows[9] == {"bin": 9, "low": 0.6, "high": 0.666667, "rows": 0, "confidence": None, "accuracy": None}
    assert [row["rows"] for row in rows] == [0] * 8 + [2] + [0] * 6


def test_certain_and_undecided_rows_have_a_bin():
    rows = calibration.reliability(np.array([0, 0]), [[0.0, 0.0, 0.0], [1000.0, 0.0, 0.0]], bins=3)
    assert [(row["rows"], row["confidence"]) for row in rows] == [(1, 0.333333), (0, None), (1, 1.0)]


@pytest.mark.parametrize(
    ("gold", "logits", "bins", "message"),
    [
        ([], np.zeros((0, 3)), 15, "no row to measure"),
        ([0, 1], np.zeros((1, 3)), 15, r"shape \(1, 3\), expected \(2, 3\)"),
        ([0], [[0.0, np.nan, 0.0]], 15, "logits of row 0 are not finite"),
        ([0], np.zeros((1, 3)), 0, "0 bins: expected at least one"),
    ],
)
def test_bad_input_says_what_is_wrong(gold, logits, bins, message):
    with pytest.raises(ValueError, match=message):
        calibration.reliability(np.array(gold), logits, bins)
