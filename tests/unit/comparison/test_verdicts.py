"""Outcomes beside English and beside the thesis."""

from types import SimpleNamespace

import numpy as np
import pytest

from clseave.comparison import measured, verdicts
from clseave.comparison.verdicts import Expected, Outcome
from clseave.foundation.errors import UserError
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import Example, Prediction
from clseave.foundation.settings.params import read_yaml
from settings import SETTINGS

ENTRY = Expected("de", "accuracy", 73.19, "percent", 1.5, "Table 4.1", "a reason")


def predictions(hits, *, first=0):
    """One row a hit; a miss predicts entailment, a hit neutral."""
    return [Prediction(f"p{first + row}", [0.0, 1.0, 0.0 if hit else 2.0]) for row, hit in enumerate(hits)]


def examples(rows, seen=None, first=0):
    """Neutral examples by pair id, two an image."""
    flags = [None] * rows if seen is None else seen
    return {
        f"p{first + row}": Example(
            f"p{first + row}", f"i{(first + row) // 2}", "h", "x", "neutral", "test", "count", flags[row]
        )
        for row in range(rows)
    }


def outcome(hits, name="de", *, seen=None, first=0):
    scores = {
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
    known = examples(len(hits), seen, first)
    return verdicts.outcome(name, name.upper(), [scores], [predictions(hits, first=first)], known)


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (73.19, "OK"),
        (74.69, "OK"),
        (71.69, "OK"),
        (74.70, "near"),
        (76.19, "near"),
        (76.20, "off"),
        (60.0, "off"),
        (None, "not run"),
    ],
)
def test_judge(measured, verdict):
    assert verdicts.judge(ENTRY, measured, comparable=True) == verdict


@pytest.mark.parametrize("measured", [73.19, 10.0, None])
def test_another_corpus_is_never_judged(measured):
    assert verdicts.judge(ENTRY, measured, comparable=False) == "other corpus"


def test_join_turns_shares_into_percent_and_reads_epochs():
    curve = Expected("de", "dev_mse", 0.0154, "MSE per element", 0.0015, "Table A.2", "a reason", epoch=9)
    measured = {("de", "accuracy", None): 0.7319, ("de", "dev_mse", 9): 0.02}
    rows = verdicts.join([ENTRY, curve], measured, comparable=True)
    assert [(row["ours"], row["verdict"]) for row in rows] == [(73.19, "OK"), (0.02, "off")]
    assert verdicts.join([curve], {("de", "dev_mse", 8): 0.02}, comparable=True)[0]["verdict"] == "not run"


def test_parse_names_a_wrong_entry():
    content = {"profile": "thesis", "width": 512, "series": [], "values": [{"evaluation": "en"}]}
    with pytest.raises(UserError, match=r"need `profile`, `width`, `series` .* and `values` with evaluation, metric"):
        verdicts.parse(content)
    with pytest.raises(UserError, match="'width'"):
        verdicts.parse({"profile": "thesis", "series": [], "values": []})


def test_the_committed_values_parse_and_carry_their_reasons(repo_root):
    expected = verdicts.parse(read_yaml(repo_root / "reports" / "expected.yaml"))
    assert (expected.profile, expected.width) == ("thesis", 512)
    assert expected.series == {"dev_mse": 0.1, "dev_mae": 0.05}
    values = expected.values
    keys = [(entry.evaluation, entry.metric, entry.epoch) for entry in values]
    assert len(set(keys)) == len(keys)
    assert all(entry.source and entry.why and entry.tolerance >= 0 for entry in values)
    table = {entry.evaluation: entry.value for entry in values if entry.metric == "accuracy"}
    assert [table[name] for name in ("en", "de", "nl", "ja", "zh", "ko")] == [73.17, 73.19, 71.35, 70.82, 69.94, 68.75]
    assert table["mean_of_languages"] == round((73.19 + 71.35 + 70.82 + 69.94 + 68.75) / 5, 2)
    # Tables A.2 and A.3 are sums over 512 elements.
    per_element = {entry.evaluation: entry.value for entry in values if entry.metric == "dev_mse"}
    assert per_element == pytest.approx(
        {"nl": 7.619 / 512, "de": 7.91 / 512, "ja": 8.04 / 512, "zh": 8.18 / 512, "ko": 8.335 / 512}, abs=5e-7
    )


def test_results_take_the_thesis_by_evaluation():
    joined = verdicts.join([ENTRY], {("de", "accuracy", None): 0.7319}, comparable=True)
    rows = verdicts.with_thesis([{"evaluation": "en"}, {"evaluation": "de"}], joined)
    assert [(row["thesis"], row["verdict"]) for row in rows] == [(None, None), (73.19, "OK")]


def test_a_result_row_names_the_most_frequent_answer():
    row = verdicts.result_row(outcome([1, 1, 1, 0]), outcome([1, 1, 1, 1], "en"))
    assert (row["answer"], row["answer_share"], row["constant"]) == ("neutral", 0.75, None)
    assert verdicts.result_row(outcome([1, 1]), outcome([1, 1], "en"))["constant"] == "neutral"
    assert (row["points_vs_en"], row["images"], row["ece"]) == (-25.0, 2, 0.1)


def test_difference_joins_by_pair_and_keeps_to_shared_rows():
    english = outcome([1, 1, 0, 1], "en")
    german = outcome([0, 1, 1, 0], first=2, seen=[True, False, False, None])  # pairs p2 to p5; shared: p2, p3
    assert verdicts.difference(german, english, unseen=False) == {"rows": 2, "points": 0.0, "low": 0.0, "high": 0.0}
    assert verdicts.difference(german, english, unseen=True)["rows"] == 1  # p3: both right
    elsewhere = outcome([1, 1], first=40)
    assert verdicts.difference(elsewhere, english, unseen=False)["points"] is None


def test_difference_in_points_by_hand():
    gap = verdicts.difference(outcome([0, 1, 1, 1]), outcome([1, 1, 1, 1], "en"), unseen=False)
    assert gap["points"] == -25.0
    assert (gap["low"], gap["high"]) == (-50.0, 0.0)  # two images, differences of -50 and 0


def test_seeds_are_averaged_row_by_row():
    scores = [{"rows": 2, "accuracy": 1.0}, {"rows": 2, "accuracy": 0.5}]
    both = verdicts.outcome("de", "DE", scores, [predictions([1, 1]), predictions([1, 0])], examples(2))
    assert both.hits.tolist() == [1.0, 0.5]
    assert both.right.tolist() == [[True, True], [True, False]]
    assert both.mean("accuracy") == 0.75
    assert both.table[LABELS.index("neutral")].tolist() == [0, 3, 1]


@pytest.mark.parametrize("other", [predictions([1]), predictions([1, 1], first=7)])
def test_metrics_and_predictions_must_agree(other):
    with pytest.raises(UserError, match="de: metrics count 2 rows"):
        verdicts.outcome("de", "DE", [{"rows": 2}] * 2, [predictions([1, 1]), other], examples(9))


def test_a_prediction_of_an_unknown_pair_is_named():
    with pytest.raises(UserError, match="no example of de for id p1"):
        verdicts.outcome("de", "DE", [{"rows": 2}], [predictions([1, 1])], examples(1))


def test_labels_and_images_are_those_of_the_examples_in_the_order_of_the_predictions():
    rows = predictions([1, 1])
    known = dict(reversed(examples(3, seen=[True, False, None]).items()))
    found = verdicts.outcome("de", "DE", [{"rows": 2}], [rows[::-1]], known)
    assert [row.pair_id for row in found.rows] == ["p1", "p0"] and [row.seen for row in found.rows] == [False, True]
    assert found.images == ["i0", "i0"] and found.gold.tolist() == [LABELS.index("neutral")] * 2


def test_the_headlines_of_profile_mini_are_at_most_forty_numbers(repo_root):
    values = SimpleNamespace(**read_yaml(SETTINGS / "params.yaml"))
    values.evaluations = [SimpleNamespace(**entry) for entry in values.evaluations]
    score = {"accuracy": 0.5, "accuracy_unseen": 0.25, "loss": 1.0}
    outcomes = [
        Outcome(name, name, [score, score], [], np.zeros((2, 0, 3)), np.zeros(0))
        for name in measured.evaluation_names(values)
    ]
    wide = verdicts.widen(outcomes, [{"language": code, "aer": 0.125} for code in values.languages])
    numbers = {f"{group}.{name}": number for group, row in wide.items() for name, number in row.items()}
    assert len(numbers) <= 39  # one more place is that of the seeds
    assert {"accuracy.en", "accuracy.zh", "accuracy.translate_test", "accuracy.hypothesis_only"} <= set(numbers)
    for code in values.languages:
        found = [numbers[f"{group}.{code}"] for group in ("accuracy", "accuracy_unseen", "loss", "aer")]
        assert found == [0.5, 0.25, 1.0, 0.125]
    assert "aer.en" not in numbers and verdicts.widen(outcomes, [{"language": "fr", "aer": None}])["aer"] == {}
