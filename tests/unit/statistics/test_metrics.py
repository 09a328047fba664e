"""Evaluation statistics against values computed by hand."""

import math

import numpy as np
import pytest

from clseave.statistics import metrics

GOLD = ["contradiction", "contradiction", "neutral", "entailment"]
# Predictions: contradiction, neutral, neutral, contradiction.
LOGITS = np.array([[2.0, 0, 0], [0, 2.0, 0], [0, 2.0, 0], [2.0, 0, 0]])


def summarise(**changes):
    arguments = {
        "gold": GOLD,
        "logits": LOGITS,
        "kinds": ["count", "count", "relation", None],
        "seen": [True, False, True, None],
        "name": "en",
        "seed": 3,
    } | changes
    return metrics.summary(**arguments)


def test_summary_by_hand():
    found = summarise()
    assert {key: found[key] for key in ("name", "seed", "rows", "accuracy")} == {
        "name": "en",
        "seed": 3,
        "rows": 4,
        "accuracy": 0.5,
    }
    # Two rows with the gold logit at 2, two with it at 0.
    wanted = math.log(math.exp(2) + 2) - 1
    assert found["loss"] == pytest.approx(wanted, abs=5e-7)
    # F1: contradiction 2*1/(2+2), neutral 2*1/(2+1), entailment 0.
    assert found["macro_f1"] == pytest.approx((1 / 2 + 2 / 3 + 0) / 3, abs=5e-7)
    assert (found["accuracy_seen"], found["rows_seen"]) == (1.0, 2)
    assert (found["accuracy_unseen"], found["rows_unseen"]) == (0.0, 1)
    assert found["kinds"] == {"count": 0.5, "relation": 1.0}
    assert found["predicted"] == {"contradiction": 2, "neutral": 2, "entailment": 0}


def test_a_corpus_without_kinds_and_seen_flags_has_none():
    found = summarise(kinds=[None] * 4, seen=[None] * 4)
    assert (found["accuracy_seen"], found["accuracy_unseen"], found["rows_seen"], found["kinds"]) == (None, None, 0, {})


def test_confusion_counts_gold_down_and_predicted_across():
    table = metrics.confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]))
    assert table.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    scores = metrics.class_scores(table)
    assert scores["precision"].tolist() == [0.5, 0.5, 0.0]
    assert scores["recall"].tolist() == [0.5, 1.0, 0.0]


def test_a_constant_answer_scores_one_third_of_f1_and_shows_in_the_histogram():
    gold = ["contradiction", "neutral", "entailment"] * 4
    found = summarise(
        gold=gold,
        logits=np.tile([0, 1.0, 0], (12, 1)),
        kinds=[None] * 12,
        seen=[None] * 12,
    )
    assert found["predicted"] == {"contradiction": 0, "neutral": 12, "entailment": 0}
    assert found["accuracy"] == round(1 / 3, 6)
    assert found["macro_f1"] == round((2 * 4 / 16) / 3, 6)


def test_classes_are_named_and_the_confusion_is_there():
    found = summarise()
    assert found["confusion"] == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert found["precision"] == {"contradiction": 0.5, "neutral": 0.5, "entailment": 0.0}
    assert found["recall"] == {"contradiction": 0.5, "neutral": 1.0, "entailment": 0.0}
    assert found["f1"] == {"contradiction": 0.5, "neutral": 0.666667, "entailment": 0.0}


def test_calibration_error_of_one_confidence():
    # Every row is sure by e^2 / (e^2 + 2), half of them are right.
    assert summarise()["ece"] == pytest.approx(math.exp(2) / (math.exp(2) + 2) - 0.5, abs=5e-7)


def test_the_last_bits_of_a_confidence_do_not_decide_its_bin():
    thirds = np.zeros((2, 3))
    thirds[1, 0] = 1e-13  # 1/3 is the upper edge of the fifth of 15 bins
    assert metrics.confidence_bins(np.array([0, 0]), thirds)[:, 0].tolist() == [0] * 4 + [2] + [0] * 10


@pytest.mark.parametrize(("others", "label"), [(0, "neutral"), (1, "neutral"), (2, None)])
def test_a_model_that_says_one_thing_is_named(others, label):
    predicted = np.array([1] * (200 - others) + [2] * others)  # 199 of 200 are 99.5 %
    assert metrics.constant_label(predicted) == label
    arguments = {"kinds": [None] * 200, "seen": [None] * 200}
    assert summarise(gold=["neutral"] * 200, logits=np.eye(3)[predicted], **arguments)["constant"] == label


def test_row_order_does_not_matter():
    order = [3, 1, 0, 2]
    flags, kinds = [True, False, True, None], ["count", "count", "relation", None]
    assert summarise() == summarise(
        gold=[GOLD[row] for row in order],
        logits=LOGITS[order],
        kinds=[kinds[row] for row in order],
        seen=[flags[row] for row in order],
    )


def test_lists_of_logits_are_fine():
    assert summarise(logits=LOGITS.tolist()) == summarise()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gold": ["contradiction", "maybe", "neutral", "entailment"]}, "label 'maybe' is not one of"),
        ({"gold": []}, "no row to measure"),
        ({"logits": LOGITS[:3]}, r"logits have the shape \(3, 3\), expected \(4, 3\)"),
        ({"logits": np.where(np.eye(4, 3) == 1, np.nan, 0.0)}, "logits of row 0 are not finite"),
        ({"kinds": [None]}, "1 kinds for 4 gold labels"),
        ({"seen": [None]}, "1 seen flags for 4 gold labels"),
    ],
)
def test_bad_input_says_what_is_wrong(changes, message):
    with pytest.raises(ValueError, match=message):
        summarise(**changes)


def test_rounding_happens_in_one_place():
    assert metrics.rounded(1 / 3) == 0.333333
    assert metrics.rounded(None) is None
    assert metrics.rounded(float("nan")) is None
    assert str(metrics.rounded(-1e-9)) == "0.0"
