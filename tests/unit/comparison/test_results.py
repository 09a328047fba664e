"""Outcomes, their intervals and differences by hand."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import t

from clseave.comparison import measured, outcomes, results
from clseave.comparison.outcomes import Outcome
from clseave.foundation.errors import UserError
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import Example, Prediction
from clseave.foundation.settings.params import read_yaml
from clseave.report.tables import difference_tables
from settings import SETTINGS


def predictions(hits, *, first=0):
    """One row a hit; a miss predicts entailment, a hit neutral."""
    return [Prediction(f"p{first + row}", [0.0, 1.0, 0.0 if hit else 2.0]) for row, hit in enumerate(hits)]


def examples(rows, seen=None, first=0, said="", pairs=()):
    """Neutral examples by pair id, two an image."""
    flags = [None] * rows if seen is None else seen
    return {
        f"p{first + row}": Example(
            f"p{first + row}",
            f"i{(first + row) // 2}",
            "h",
            "x",
            "neutral",
            "test",
            "count",
            flags[row],
            *(said[row] if said else None, pairs[row] if pairs else None),
        )
        for row in range(rows)
    }


def outcome(hits, name="de", *, seen=None, first=0, said="", pairs=()):
    scores = {
        "seed": 0,
        "rows": len(hits),
        "accuracy": float(np.mean(hits)),
        "accuracy_seen": None,
        "accuracy_unseen": None,
        "macro_f1": 0.5,
        "loss": 0.7,
        "ece": 0.1,
        "rows_seen": 0,
        "rows_unseen": 0,
    }
    known = examples(len(hits), seen, first, said, pairs)
    return outcomes.outcome(name, name.upper(), [scores], [predictions(hits, first=first)], known)


def test_a_result_row_names_the_most_frequent_answer():
    row = results.result_row(outcome([1, 1, 1, 0]), outcome([1, 1, 1, 1], "en"))
    assert (row["answer"], row["answer_share"], row["constant"]) == ("neutral", 0.75, None)
    assert results.result_row(outcome([1, 1]), outcome([1, 1], "en"))["constant"] == "neutral"
    assert (row["points_vs_en"], row["images"], row["ece"]) == (-25.0, 2, 0.1)


def test_difference_joins_by_pair_and_keeps_to_shared_rows():
    english = outcome([1, 1, 0, 1], "en")
    german = outcome([0, 1, 1, 0], first=2, seen=[True, False, False, None])  # pairs p2 to p5; shared: p2, p3
    assert (results.difference(german, english).rows, results.difference(german, english).points.value) == (2, 0.0)
    assert results.difference(german, english, part="unseen").rows == 1  # p3: both right
    elsewhere = outcome([1, 1], first=40)
    assert results.difference(elsewhere, english).row() == {"rows": 0, "points": None, "low": None, "high": None}


def test_difference_in_points_by_hand():
    found = results.difference(outcome([0, 1, 1, 1], said="xyxy"), outcome([1, 1, 1, 1], "en", said="xyxy"))
    # Points -100 0 / 0 0 by image and by statement: mean -25, residual sums -50 and 50, times 2 / 1, over 16.
    one_way, rows = 2 * (50**2 + 50**2) / 16, 4 / 3 * (75**2 + 3 * 25**2) / 16
    half = t.ppf(0.975, 1) * math.sqrt(max(one_way, 2 * one_way - rows))
    gap = found.row()
    assert (found.statements, gap["rows"], gap["points"]) == (2, 4, -25.0)
    assert (gap["low"], gap["high"]) == pytest.approx((-25 - half, -25 + half), abs=1e-5)


def test_seeds_are_averaged_row_by_row():
    scores = [{"rows": 2, "accuracy": 1.0, "seed": 0}, {"rows": 2, "accuracy": 0.5, "seed": 1}]
    both = outcomes.outcome("de", "DE", scores, [predictions([1, 1]), predictions([1, 0])], examples(2))
    assert both.hits.tolist() == [1.0, 0.5]
    assert both.right.tolist() == [[True, True], [True, False]]
    assert both.mean("accuracy") == 0.75
    assert both.table[LABELS.index("neutral")].tolist() == [0, 3, 1]


@pytest.mark.parametrize("other", [predictions([1]), predictions([1, 1], first=7)])
def test_metrics_and_predictions_must_agree(other):
    with pytest.raises(UserError, match="de: metrics count 2 rows"):
        outcomes.outcome("de", "DE", [{"rows": 2, "seed": 0}] * 2, [predictions([1, 1]), other], examples(9))


def test_a_prediction_of_an_unknown_pair_is_named():
    with pytest.raises(UserError, match="no example of de for id p1"):
        outcomes.outcome("de", "DE", [{"rows": 2, "seed": 0}], [predictions([1, 1])], examples(1))


def test_labels_and_images_are_those_of_the_examples_in_the_order_of_the_predictions():
    rows = predictions([1, 1])
    known = dict(reversed(examples(3, seen=[True, False, None]).items()))
    found = outcomes.outcome("de", "DE", [{"rows": 2, "seed": 0}], [rows[::-1]], known)
    assert [row.pair_id for row in found.rows] == ["p1", "p0"] and [row.seen for row in found.rows] == [False, True]
    assert found.images == ["i0", "i0"] and found.gold.tolist() == [LABELS.index("neutral")] * 2


def test_the_headlines_of_profile_mini_are_at_most_forty_numbers(repo_root):
    values = SimpleNamespace(**read_yaml(SETTINGS / "params.yaml"))
    values.evaluations = [SimpleNamespace(**entry) for entry in values.evaluations]
    score = {"accuracy": 0.5, "accuracy_unseen": 0.25, "loss": 1.0}
    found = [
        Outcome(name, name, [score, score], [], np.zeros((2, 0, 3)), np.zeros(0))
        for name in measured.evaluation_names(values)
    ]
    rows = [{"evaluation": one.name, "swap_accuracy": 0.75} for one in found]
    wide = results.headline_metrics(found, [{"language": code, "aer": 0.125} for code in values.languages], rows)
    numbers = {f"{group}.{name}": number for group, row in wide.items() for name, number in row.items()}
    assert len(numbers) <= 39  # one more place is that of the seeds
    assert {"accuracy.en", "accuracy.zh", "accuracy.translate_test", "accuracy.hypothesis_only"} <= set(numbers)
    for code in values.languages:
        found = [
            numbers[f"{group}.{code}"] for group in ("accuracy", "accuracy_unseen", "loss", "swap_accuracy", "aer")
        ]
        assert found == [0.5, 0.25, 1.0, 0.75, 0.125]
    assert "aer.en" not in numbers and results.headline_metrics([], [{"language": "fr", "aer": None}], [])["aer"] == {}


def with_seeds(one, **values):
    """The outcome with what is known of its seeds."""
    return replace(one, by_seed={name: dict(enumerate(found)) for name, found in values.items()})


def test_seeds_that_are_known_widen_the_interval_of_one():
    hits = [1, 0, 1, 1, 0, 1, 1, 1]
    one = outcome(hits, said="xyzwxyzw")
    alone = results.accuracy(one)
    seeds = with_seeds(one, accuracy=[0.75, 0.8, 0.7])
    wider = results.accuracy(seeds)
    assert alone["accuracy_low"] > wider["accuracy_low"] and alone["statements"] == 4
    row = results.result_row(seeds, seeds)
    assert (row["all_seeds"], row["seeds_mean"], row["seeds_sd"]) == (3, 0.75, pytest.approx(0.05))
    assert results.result_row(one, one)["seeds_sd"] is None


def test_seeds_are_compared_with_english_of_the_same_seed():
    english = with_seeds(outcome([1, 1], "en"), accuracy=[0.9, 0.8, 0.85], unseen=[0.5, 0.6, 0.7])
    german = with_seeds(outcome([1, 0]), accuracy=[0.8, 0.8, 0.8], unseen=[0.5])
    rows = {row["evaluation"]: row for row in results.seed_rows([english, german, outcome([1, 1], "nl")])}
    assert set(rows) == {"en", "de"}  # one seed has no spread
    assert (rows["en"]["mean"], rows["en"]["min"], rows["en"]["max"], rows["en"]["gap_mean"]) == (0.85, 0.8, 0.9, None)
    assert (rows["de"]["gap_mean"], rows["de"]["gap_sd"]) == (-5.0, 5.0)  # -10, 0, -5 points
    assert (rows["en"]["unseen_sd"], rows["de"]["unseen_sd"], rows["en"]["swap_mean"]) == (0.1, None, None)


def test_swap_rows_by_hand():
    pairs = ("p", "p", "q", "q", None, "r")  # the other row of r is missing
    row = results.swap_row(outcome([1, 1, 1, 0, 1, 1], said="abcdef", pairs=pairs))
    assert (row["pairs"], row["swap_accuracy"], row["row_accuracy"], row["chance"]) == (2, 0.5, 0.75, 0.0)
    # Two images of a pair each: residuals +-1/2, variance 2 (1/4 + 1/4) / 4, one degree of freedom: cut to 0 and 1.
    assert (row["swap_low"], row["swap_high"]) == (0.0, 1.0)
    assert results.swap_row(outcome([1, 1])) == {}


def test_rows_and_statements_seen_and_not_by_kind():
    seen = [True, True, False, False, None]
    english = outcome([1, 0, 1, 1, 0], "en", seen=seen, said="xxyzz")
    german = outcome([0, 0, 1, 0, 0], seen=seen, said="xxyzz")
    rows = results.unseen([english, german])
    assert [row["kind"] for row in rows] == ["all", "count"]
    assert rows[0] == rows[1] | {"kind": "all"}
    assert rows[0] == {
        "kind": "all", "rows_seen": 2, "statements_seen": 1, "rows_unseen": 2, "statements_unseen": 2,
        "en_seen": 0.5, "en_unseen": 1.0, "de_seen": 0.0, "de_unseen": 0.5,
    }  # fmt: skip
    assert results.unseen([outcome([1, 1], "en")]) == []


def test_differences_to_english_on_all_seen_and_unseen_rows():
    seen = [True, True, False, False]
    english = outcome([1, 1, 1, 1], "en", seen=seen, said="xyxy")
    rows = results.against_english([english, outcome([1, 0, 1, 1], seen=seen, said="xyxy")])
    assert [(row["rows_set"], row["rows"], row["statements"], row["points"]) for row in rows] == [
        *(("all", 4, 2, -25.0), ("seen", 2, 2, -50.0), ("unseen", 2, 2, 0.0)),
    ]
    assert not any(row["significant"] for row in rows)
    table = difference_tables.against_english(rows)
    assert "all: 4 rows of 2; seen: 2 rows of 2; unseen: 2 rows of 2 statements" in table.caption
    assert table.cells[0][-4:] == ["0.0", "–", "1.000", "no"]
