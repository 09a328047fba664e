"""Values of the thesis beside ours."""

import pytest

from clseave.comparison import verdicts
from clseave.comparison.verdicts import Expected
from clseave.foundation.errors import UserError
from clseave.foundation.settings.params import read_yaml

ENTRY = Expected("de", "accuracy", 73.19, "percent", 1.5, "Table 4.1", "a reason")


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
    measured, results = {("de", "accuracy", None): 0.7319}, [{"evaluation": "en"}, {"evaluation": "de"}]
    rows = verdicts.with_thesis(results, verdicts.join([ENTRY], measured, comparable=True))
    assert [(row["thesis"], row["verdict"]) for row in rows] == [(None, None), (73.19, "OK")]
    assert verdicts.with_thesis(results, verdicts.join([ENTRY], measured, comparable=False)) == results
