"""Statistics from predictions, by hand: three evaluations on six rows of three images."""

import numpy as np
import pytest

from clseave.comparison import diagnostics, outcomes
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import Example, Prediction
from clseave.report.tables import difference_tables, statistics_tables

GOLD = (0, 1, 2, 0, 1, 2)
ANSWERS = {"en": (0, 1, 2, 0, 1, 2), "de": (0, 1, 2, 0, 1, 1), "image_only": (1, 1, 1, 1, 1, 1)}


def outcome(name, answers=None, *, first=0, seeds=1):
    answers = answers or ANSWERS[name]
    ids = [f"p{first + number}" for number in range(len(answers))]
    examples = {
        key: Example(key, f"i{number // 2}", f"h{number % 2}", "x", LABELS[GOLD[number]], "test", None, None)
        for number, key in enumerate(ids)
    }
    rows = [
        Prediction(key, [2.0 if label == answer else 0.0 for label in range(3)])
        for key, answer in zip(ids, answers, strict=True)
    ]
    scores = [{"rows": len(rows), "accuracy": 0.5, "seed": seed} for seed in range(seeds)]
    return outcomes.outcome(name, name.upper(), scores, [rows] * seeds, examples)


OUTCOMES = [outcome(name) for name in ANSWERS]


def test_only_evaluations_of_the_same_rows_are_compared():
    elsewhere = outcome("ko", ANSWERS["en"], first=9)
    found = diagnostics.on_same_rows([*OUTCOMES, elsewhere], ["en", "de", "ko"])
    assert [one.name for one in found] == ["en", "de"]


def test_pairs_carry_labels_and_rows():
    (row, *_) = diagnostics.pairs(OUTCOMES)
    assert (row["label"], row["other_label"], row["b"], row["c"], row["rows"]) == ("EN", "DE", 1, 0, 6)
    assert row["points"] == pytest.approx(100 / 6, abs=1e-6)
    table = difference_tables.significance(diagnostics.pairs(OUTCOMES))
    assert "on the same 6 rows" in table.caption and "number of comparisons, 3" in table.caption
    assert table.cells[0][:4] == ["EN", "DE", "1", "0"]


def test_one_evaluation_gives_no_pair_and_no_agreement():
    assert diagnostics.pairs(OUTCOMES[:1]) == []
    assert diagnostics.consistency(OUTCOMES[:1]) == []


def test_reliability_pools_the_seeds():
    rows = diagnostics.reliability([outcome("de", seeds=2)])
    (row,) = [row for row in rows if row["rows"]]
    assert row["rows"] == 12
    assert row["confidence"] == pytest.approx(np.e**2 / (np.e**2 + 2), abs=1e-6)
    assert row["accuracy"] == pytest.approx(5 / 6, abs=1e-6)


def test_slices_by_the_english_sentence():
    rows = diagnostics.slice_rows(OUTCOMES, {"h0": "Nobody is here.", "h1": "A man eats two apples."})
    found = {(row["evaluation"], row["slice"]): row for row in rows}
    assert found["de", "negation"]["rows"] == found["de", "counting"]["rows"] == 3
    assert found["de", "counting"]["accuracy"] == pytest.approx(2 / 3, abs=1e-6)  # its one miss is the last row
    assert found["de", "negation"]["accuracy"] == 1.0


def test_agreement_with_english():
    rows = {row["evaluation"]: row for row in diagnostics.consistency(OUTCOMES[:2])}
    assert rows["de"]["same"] == rows["all"]["same"] == pytest.approx(5 / 6, abs=1e-6)
    assert (rows["de"]["label"], rows["all"]["label"]) == ("DE", "all languages")
    assert rows["de"]["images_same"] == pytest.approx(2 / 3, abs=1e-6)


def test_confusion_is_a_mean_over_the_seeds():
    rows = diagnostics.confusion(outcome("de", seeds=3))
    assert [[row[label] for label in LABELS] for row in rows] == [[2, 0, 0], [0, 2, 0], [0, 1, 1]]


def test_class_rows_show_a_collapse():
    rows = diagnostics.class_rows(outcome("image_only"))
    assert [(row["class"], round(row["gold"], 6), row["predicted"]) for row in rows] == [
        ("contradiction", 0.333333, 0.0),
        ("neutral", 0.333333, 1.0),
        ("entailment", 0.333333, 0.0),
    ]
    assert [(row["precision"], row["recall"]) for row in rows] == [(0.0, 0.0), (0.333333, 1.0), (0.0, 0.0)]


def test_independent_rows_are_compared_with_their_namesake_on_the_rows_that_both_have():
    judged = [OUTCOMES[1], outcome("independent_de", (0, 1, 1), first=4), outcome("independent_x", (0,))]
    results = [{"evaluation": one.name, "rows": len(one.rows)} for one in judged]
    de, other = diagnostics.independent(judged, results)
    # Pairs p4, p5, p6 have labels 0, 1, 2 here; German judged p4 rightly and p5 wrongly in the test set.
    assert (de["evaluation"], de["rows"], de["rows_shared"], de["points"]) == ("independent_de", 3, 2, 50.0)
    assert (other["rows"], other["rows_shared"], other["points"]) == (1, 0, None)


def test_independent_rows_are_in_no_other_table():
    judged = [*OUTCOMES[:2], outcome("independent_de", (0, 1))]
    found = diagnostics.contents(judged, ["de"], {"h0": "A man.", "h1": "No man."})
    for name in ("classes", "confusion", "reliability", "slices"):
        assert {row["evaluation"] for row in found[name]} == {"en", "de"}, name


DISTANCES = [
    {"distance": "syntactic", "language": code, "published": near, "recomputed": other}
    for code, near, other in (("de", 0.1, 0.5), ("nl", 0.2, 0.5), ("ko", 0.3, 0.5), ("fr", None, 0.5))
]


def test_accuracy_falls_by_a_line():
    results = [{"evaluation": code, "accuracy": share} for code, share in (("de", 0.9), ("nl", 0.8), ("ko", 0.7))]
    (row,) = diagnostics.fits(DISTANCES, results)  # all recomputed distances are the same: no line
    assert (row["maker"], row["points"], row["slope"], row["r"]) == ("published", 3, -100.0, -1.0)
    assert row["supports"] is False and row["sentence"] == "three points support no regression"
    assert statistics_tables.fits([row]).cells[0][:4] == ["syntactic", "thesis", "3", "−100.0"]


@pytest.mark.parametrize("shares", [{"de": 0.9, "nl": 0.8}, dict.fromkeys(("de", "nl", "ko"), 0.9)])
def test_too_few_or_equal_points_give_no_fit(shares):
    assert diagnostics.fits(DISTANCES, [{"evaluation": key, "accuracy": value} for key, value in shares.items()]) == []


def test_quality_flags_a_collapse():
    row = {"label": "X", "accuracy": 1 / 3, "seeds_sd": None, "macro_f1": 1 / 6, "loss": 1.2, "ece": 0.3}
    row |= {"answer": "neutral", "answer_share": 1.0, "constant": "neutral"}
    (cells,) = statistics_tables.quality([row]).cells
    assert cells == ["X", "33.3 %", "–", "16.7 %", "1.200", "30.0 %", "neutral, 100.0 %", "yes: neutral"]
    (cells,) = statistics_tables.quality([row | {"constant": None, "seeds_sd": 0.012}]).cells
    assert (cells[2], cells[-1]) == ("± 1.2", "no")


@pytest.mark.parametrize(("p", "text"), [(0.0, "< 0.001"), (0.0125, "0.013"), (1.0, "1.000"), (None, "–")])
def test_a_p_value_is_never_zero(p, text):
    assert statistics_tables.p_value(p) == text


def test_distances_as_printed_and_recomputed():
    rows = [row | {"note": "equals: x" if row["published"] else "not in the thesis"} for row in DISTANCES]
    table = statistics_tables.table_1_1(rows)
    assert table.cells == [
        ["syntactic", "thesis", "0.1", "0.2", "0.3", "–"],
        ["syntactic", "recomputed", "0.5000", "0.5000", "0.5000", "0.5000"],
    ]
    assert statistics_tables.distance_notes(rows).cells == [
        ["syntactic", "German, Dutch, Korean", "equals: x"],
        ["syntactic", "French", "not in the thesis"],
    ]
