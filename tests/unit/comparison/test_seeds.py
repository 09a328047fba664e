"""A table of more seeds than the run has: taken where it is of the same results."""

import pytest
from test_results import outcome

from clseave.comparison import seeds
from clseave.foundation.errors import UserError

HEADER = "seed,evaluation,rows,accuracy,seen,unseen,swap_accuracy\n"
OWN = "0,en,4,0.75,0.5,1.0,\n0,clteave,2,0.5,,,\n"
MORE = "1,en,4,0.25,0.5,0.0,\n1,clteave,2,1.0,,,\n1,elsewhere,9,1.0,,,\n"


def outcomes():
    return [outcome([1, 0, 1, 1], "en", seen=[True, True, False, False]), outcome([1, 0], "clteave_de")]


def joined(tmp_path, text):
    path = tmp_path / "mini.csv"
    path.write_text(text)
    return {one.name: one.by_seed for one in seeds.joined(outcomes(), path, "de")}


def test_a_table_of_the_same_results_is_taken(tmp_path, caplog):
    found = joined(tmp_path, HEADER + OWN + MORE)
    assert found["en"]["accuracy"] == {0: 0.75, 1: 0.25} and found["en"]["unseen"] == {0: 1.0, 1: 0.0}
    assert found["clteave_de"] == {"accuracy": {0: 0.5, 1: 1.0}, "seen": {}, "unseen": {}, "swap_accuracy": {}}
    assert caplog.messages == []


def test_no_table_changes_nothing(tmp_path, caplog):
    before = {one.name: one.by_seed for one in outcomes()}
    assert {one.name: one.by_seed for one in seeds.joined(outcomes(), tmp_path / "none.csv", "de")} == before
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (OWN.replace("0.75", "0.750002") + MORE, "seed 0 of en differs"),
        (OWN.replace(",4,", ",5,") + MORE, "seed 0 of en differs"),
        (OWN.replace("1.0,", "0.5,") + MORE, "seed 0 of en differs"),
        (OWN.replace("0.5,,,", "0.5,0.5,,") + MORE, "seed 0 of clteave_de differs"),
        (MORE, "seed 0 of en differs"),
        ("0,elsewhere,9,1.0,,,\n", "it names no evaluation of this run"),
    ],
)
def test_a_stale_table_is_left_out_with_one_warning(tmp_path, caplog, text, reason):
    found = joined(tmp_path, HEADER + text)
    assert found["en"]["accuracy"] == {0: 0.75}
    (message,) = caplog.messages
    assert reason in message and "`make seeds`" in message


def test_a_damaged_table_is_named(tmp_path):
    with pytest.raises(UserError, match="no column 'swap_accuracy'"):
        joined(tmp_path, "seed,evaluation,rows,accuracy,seen,unseen\n0,en,4,0.75,0.5,1.0\n")
    with pytest.raises(UserError, match="row 1, accuracy: found x, expected a number"):
        joined(tmp_path, HEADER + OWN.replace("0.75", "x"))
