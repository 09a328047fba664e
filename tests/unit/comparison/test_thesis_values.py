"""The thesis's tables, and ours beside them."""

from types import SimpleNamespace

import pandas as pd
import pytest

from clseave.comparison import hyperparameters, thesis_values, verdicts
from clseave.comparison.measured import Training
from clseave.comparison.thesis_values import Published
from clseave.foundation.errors import UserError
from clseave.foundation.settings.params import read_yaml
from clseave.report.tables import thesis_tables

COUNTS = {
    split: {
        "rows": rows, "images": 10, "hypotheses": 5, "unseen_rows": 1,
        "labels": {"contradiction": rows // 3, "neutral": rows // 3, "entailment": rows // 3},
    }
    for split, rows in (("train", 900), ("dev", 30), ("test", 60))
}  # fmt: skip

OFFICIAL = {"train": {"rows": 529527}, "dev": {"rows": 17858}, "test": {"rows": 17901}}


@pytest.fixture(scope="module")
def thesis(repo_root) -> Published:
    expected = verdicts.parse(read_yaml(repo_root / "reports/expected.yaml"))
    return thesis_values.read(repo_root / "reports/published", expected, profile="thesis", counts=OFFICIAL)


def student(epoch, mse, mae):
    return {
        "epoch": epoch,
        "train_mse": mse,
        "dev_mse": mse,
        "dev_mae": mae,
        "dev_cosine": 0.9,
        "learning_rate": 1e-4,
    }


def test_the_published_tables_agree_with_each_other_and_with_the_single_values(thesis):
    sizes = {row["split"]: row for row in thesis.tables["table_2_1"]}
    for name in ("snli", "snli_ve"):
        assert sizes["total"][name] == sum(sizes[split][name] for split in ("train", "dev", "test"))
    labels = pd.DataFrame(thesis.tables["figure_2_1"]).groupby(["dataset", "split"])["rows"].sum()
    assert labels["SNLI-VE", "train"] == sizes["train"]["snli_ve"]
    assert labels["SNLI-VE", "test"] == sizes["test"]["snli_ve"]
    single = {(entry.evaluation, entry.metric, entry.epoch): entry.value for entry in thesis.expected.values}
    for code, row in thesis.scores().items():
        assert (single[code, "accuracy", None], single[code, "loss", None]) == (row["accuracy"], row["loss"])
    for metric in thesis_values.ERRORS:
        for code, series in thesis.series(metric).items():
            assert single[code, metric, 9] == pytest.approx(series[9] / 512, abs=2e-5)  # the text has more digits
    (end,) = thesis.tables["figure_3_2"]
    assert [single["en", key, 6] for key in ("train_loss", "dev_accuracy")] == [end["train_loss"], end["dev_accuracy"]]


def test_errors_fall_in_every_epoch_of_every_language(thesis):
    """So that no rule on them can have stopped the thesis's runs at epoch 9."""
    for metric in thesis_values.ERRORS:
        for series in thesis.series(metric).values():
            values = [series[epoch] for epoch in range(1, 10)]
            assert values == sorted(values, reverse=True)


def test_sizes_and_labels(thesis):
    found = thesis_values.corpus(thesis, COUNTS)
    assert [row["ours"] for row in found["table_2_1"]] == [900, 30, 60, 990]
    assert found["counts"][2] == {
        "split": "test", "rows": 60, "images": 10, "hypotheses": 5, "unseen_rows": 1,
        "contradiction": 20, "neutral": 20, "entailment": 20,
    }  # fmt: skip
    ours = [row["rows"] for row in found["figure_2_1"] if row["dataset"] == "this run"]
    assert ours == [300] * 3 + [20] * 3


def test_an_error_of_both_units_and_its_verdict(thesis):
    curves = {"de": [student(9, 0.0154, 0.2)], "fr": [student(1, 0.5, 0.5)]}
    rows = {
        (row["language"], row["epoch"]): row for row in thesis_values.errors(thesis, "dev_mse", curves, {"de": 100})
    }
    assert rows["de", 9]["ours_sum"] == 1.54  # 100 elements
    assert rows["de", 9]["thesis"] == round(7.91 / 512, 6)
    assert rows["de", 9]["verdict"] == "OK"
    assert (rows["de", 1]["ours"], rows["de", 1]["verdict"]) == (None, "not run")
    assert (rows["fr", 1]["thesis"], rows["fr", 1]["verdict"], rows["fr", 1]["ours_sum"]) == (None, None, None)
    assert list(dict.fromkeys(row["language"] for row in rows.values())) == ["de", "fr", "nl", "ja", "zh", "ko"]


def test_tables_of_errors_have_a_line_for_each_source(thesis):
    curves = {"de": [student(epoch, 0.1 / epoch, 0.1) for epoch in (1, 2, 12)], "fr": [student(1, 0.5, 0.5)]}
    rows = thesis_values.errors(thesis, "dev_mse", curves, {"de": 100, "fr": 100})
    summed, each = (thesis_tables.RENDER[name](rows) for name in ("table_a_2", "table_a_2_per_element"))
    assert summed.header == ["Language", "Source", *map(str, range(1, 10)), "Last (epoch)"]
    assert summed.cells[0] == ["German", "this run", "10.00", "5.00", *"–––––––", "0.83 (12)"]
    assert summed.cells[1][:3] + summed.cells[1][-1:] == ["German", "thesis", "17.70", "7.91 (9)"]
    assert [line[:2] for line in summed.cells[2:4]] == [["French", "this run"], ["Dutch", "this run"]]
    assert summed.cells[3][2] == "not run"
    assert each.cells[1][2] == "0.0346" and "100 or 512" in each.caption


def test_figure_3_2_has_shares_of_one(thesis):
    ours = [{"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5, "dev_loss": 0.9, "dev_accuracy": 0.6}]
    mine, theirs = thesis_values.clip_ve(thesis, ours)
    assert (mine["source"], mine["epoch"], mine["dev_accuracy"]) == ("this run", 1, 0.6)
    assert (theirs["source"], theirs["epoch"], theirs["dev_accuracy"], theirs["dev_loss"]) == (
        "thesis",
        6,
        0.7289,
        0.663,
    )


def test_figure_4_1_has_the_thesis_per_element_and_its_range(thesis):
    rows = thesis_values.students(thesis, {"de": [student(1, 0.03, 0.1)]})
    theirs = {(row["language"], row["epoch"]): row for row in rows if row["source"] == "thesis"}
    assert theirs["ko", 9]["dev_mae"] == round(47.91 / 512, 6)
    assert [theirs[None, 9][key] for key in ("train_mse_low", "train_mse_high", "dev_mse")] == [0.013, 0.014, None]
    assert len({tuple(row) for row in rows}) == 1  # one header for all


def test_scores_without_a_run_or_without_the_thesis(thesis):
    results = [
        {"evaluation": "en", "rows": 60, "loss": 0.7, "accuracy": 0.73, "accuracy_low": 0.6, "accuracy_high": 0.8}
    ]
    results.append(results[0] | {"evaluation": "fr"})
    joined = verdicts.join(thesis.expected.values, {("en", "accuracy", None): 0.73}, comparable=True)
    table = thesis_tables.table_4_1(thesis_values.scores(thesis, results, joined, ["fr"]))
    assert table.cells[0] == ["English", "0.7000", "0.6550", "73.00 %", "60.0–80.0", "73.17 %", "not run / OK"]
    assert table.cells[1] == ["French", "0.7000", "–", "73.00 %", "60.0–80.0", "–", "–"]
    assert table.cells[2] == ["German", "–", "0.6761", "–", "–", "73.19 %", "not run"]


def test_hyperparameters_beside_those_of_the_thesis(thesis):
    common = {"weight_decay": 0.0, "batch_size": 64, "epochs": 22}
    values = SimpleNamespace(
        lr=1e-4,
        clip_ve=SimpleNamespace(text_lr=1e-6, head_lr=1e-6, validation="dev", **common),
        clseave=SimpleNamespace(lr_scale=10.0, loss="normalised", **common),
        autoencoder=SimpleNamespace(lr=1e-5, **common),
    )
    settled = {
        "clip_ve": {"epochs_run": 6, "epoch": 5},
        "clseave-de": {"epochs_run": 9},
        "clseave-nl": {"epochs_run": 7},
    }
    trained = Training([], [{}] * 20, {"de": [], "nl": []}, settled)
    rows = {row["hyperparameter"]: row for row in hyperparameters.hyperparameters(thesis, values, trained)}
    assert rows["Learning rate"] == {
        "hyperparameter": "Learning rate",
        "clip_ve": "1e-6", "clip_ve_thesis": "1e-6",
        "clseave": "0.001", "clseave_thesis": "4e-5 (section 4.2: 1e-4)",
        "autoencoder": "1e-5", "autoencoder_thesis": "1e-5",
    }  # fmt: skip
    assert [rows["Epochs"][key] for key in ("clip_ve", "clseave", "autoencoder")] == [
        *("6, kept 5, at most 22", "7–9, at most 22", "20")
    ]
    assert rows["Loss function"]["clseave"] == "MSE of unit vectors"
    assert (rows["Optimizer"]["clip_ve"], rows["Optimizer"]["clip_ve_thesis"]) == ("AdamW", "Adam")
    values.clip_ve.head_lr = 1e-3
    assert hyperparameters.hyperparameters(thesis, values, trained)[0]["clip_ve"] == "1e-6 (text), 0.001 (head)"


@pytest.mark.parametrize(
    ("profile", "counts", "comparable"),
    [("thesis", OFFICIAL, True), ("mini", OFFICIAL, False), ("thesis", OFFICIAL | {"test": {"rows": 17900}}, False)],
)
def test_only_the_theses_own_corpus_is_compared(thesis, repo_root, profile, counts, comparable):
    found = thesis_values.read(repo_root / "reports/published", thesis.expected, profile=profile, counts=counts)
    assert found.comparable is comparable


def test_a_missing_table_is_named(thesis, tmp_path):
    with pytest.raises(UserError, match=r"table_2_1.csv does not exist: it holds values of the thesis"):
        thesis_values.read(tmp_path, thesis.expected, profile="thesis", counts=OFFICIAL)
