"""Which models kept the last epoch of their schedule, and which evaluations are of those."""

from types import SimpleNamespace

import pytest

from clseave.comparison import budgets
from clseave.report.tables import difference_tables

VALUES = SimpleNamespace(
    ve_models=["clip_ve"],
    baselines=[SimpleNamespace(name="zero_shot", kind="mbert"), SimpleNamespace(name="majority", kind="majority")],
    languages=["de", "nl"],
    evaluations=[
        SimpleNamespace(name=name, text_encoder=encoder, head=head)
        for name, encoder, head in (
            *(("en", "clip_ve", "clip_ve"), ("clteave", "clteave", "clip_ve"), ("zero_shot", "zero_shot", "zero_shot")),
            *(("majority", "clip_ve", "majority"), ("read", "clseave/de", "clip_ve")),
        )
    ],
    clip_ve=SimpleNamespace(epochs=24, keep="best"),
    mbert_ve=SimpleNamespace(epochs=6, keep="last"),
    clseave=SimpleNamespace(epochs=22, stop_after=9, keep="best"),
)
KEPT = {"clip_ve": [12, 14], "zero_shot": [6, 6], "clseave-de": [8, 9], "clseave-nl": [8, 8]}
TRAINED = SimpleNamespace(kept=KEPT, settled={name: {"epochs_run": 15.5} for name in KEPT})


def test_only_who_kept_the_last_epoch_that_there_was_is_cut():
    rows = {row["model"]: row for row in budgets.stopped(TRAINED, VALUES)}
    assert {name: (row["text"], row["cut"]) for name, row in rows.items()} == {
        "clip_ve": ("12–14 of 24", False),
        "zero_shot": ("6 of 6", False),  # keeps its last epoch in any case
        "clseave-de": ("8–9 of 22", True),  # one of two seeds, where no run is longer than 9
        "clseave-nl": ("8 of 22", False),
    }
    assert difference_tables.stopped(list(rows.values())).cells[2] == ["clseave-de", "8–9", "15.5", "22", "yes"]


@pytest.mark.parametrize(
    ("name", "stopped", "cut"),
    [
        *(("en", "12–14 of 24", False), ("de", "8–9 of 22", True), ("nl", "8 of 22", False)),
        *(("clteave_de", "12–14 of 24", False), ("read", "8–9 of 22", True), ("nothing", None, False)),
    ],
)
def test_evaluations_are_marked_by_their_models(name, stopped, cut):
    (row,) = budgets.marked([{"evaluation": name}], budgets.stopped(TRAINED, VALUES), VALUES)
    assert row == {"evaluation": name, "stopped": stopped, "cut": cut}
