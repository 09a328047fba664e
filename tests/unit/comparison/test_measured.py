"""What the stages left: files, averages over seeds, and every number by its name."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from clseave.comparison import measured
from clseave.comparison.measured import Training
from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import write_json
from clseave.foundation.rows.records import Example, Prediction, write_rows

COUNTS = {
    split: {"rows": 60, "images": 10, "labels": {"contradiction": 20, "neutral": 21, "entailment": 19}}
    for split in ("train", "dev", "test")
} | {"skipped": {"no photo": 3}}


def test_curves_are_averaged_over_the_seeds_that_reached_an_epoch(tmp_path):
    (tmp_path / "m-seed0.csv").write_text("epoch,loss,learning_rate\n1,0.5,1e-6\n2,0.25,5e-7\n")
    (tmp_path / "m-seed3.csv").write_text("epoch,loss,learning_rate\n1,1.0,1e-6\n")
    assert measured.read_curve(tmp_path, "m", [0, 3]) == [
        {"epoch": 1, "loss": 0.75, "learning_rate": 1e-6},
        {"epoch": 2, "loss": 0.25, "learning_rate": 5e-7},
    ]


def test_what_was_settled_is_averaged_and_texts_are_kept(tmp_path):
    for seed, epoch in ((0, 4), (1, 5)):
        text = f'{{"seed": {seed}, "epoch": {epoch}, "epochs_run": 6, "loss": "raw", "lr": 1e-7}}'
        (tmp_path / f"m-seed{seed}.json").write_text(text)
    found = measured.read_training(tmp_path, "m", [0, 1])
    assert found == {"epoch": 4.5, "epochs_run": 6, "loss": "raw", "lr": 1e-7}
    assert measured.settings({"m": found})[0]["values"] == "epoch: 4.5 · epochs run: 6 · loss: raw · lr: 1e-07"


def test_fetched_backbones_leave_no_step(tmp_path):
    (tmp_path / "backbones-clip.csv").write_text("step,loss,learning_rate\n")
    (tmp_path / "backbones-mbert.csv").write_text("step,loss,learning_rate\n")
    assert measured.read_steps(tmp_path) == []
    (tmp_path / "backbones-clip.csv").write_text("step,loss,learning_rate\n100,2.5,0.001\n")
    (tmp_path / "backbones-old.csv").write_text(
        "step,loss,learning_rate\n100,9.5,0.001\n"
    )  # of no backbone that there is
    assert measured.read_steps(tmp_path) == [{"backbone": "clip", "step": 100, "loss": 2.5, "learning_rate": 0.001}]


def test_alignment_without_true_pairs(tmp_path):
    (tmp_path / "fr.json").write_text('{"sentences": 9, "pairs": 30, "source_words_aligned": 0.9}')
    (row,) = measured.read_alignment(tmp_path, ["fr"])
    assert (row["aer"], row["sentences"], row["source_words_aligned"], "pairs" in row) == (None, 9, 0.9, False)


def trained(languages):
    curve = [{"epoch": 6, "dev_loss": 0.66}]
    settled = {f"clseave-{code}": {"epochs_run": 9, "width": 512} for code in languages}
    return Training(
        curve,
        [{"epoch": 20, "train_loss": 0.15}],
        {code: [] for code in languages},
        settled | {"clip_ve": {"epochs_run": 6}},
    )


def results(*languages):
    return [
        {"evaluation": name, "accuracy": share, "loss": 0.7, "points_vs_en": -1.0}
        for name, share in zip(("en", *languages), (0.9, 0.7, 0.6), strict=False)
    ]


def test_numbers_by_evaluation_metric_and_epoch():
    found = measured.numbers(results("de", "nl"), COUNTS, trained(["de", "nl"]), ["en", "nl", "de"])
    assert found["test", "rows", None] == 60 and found["dev", "images", None] == 10
    assert found["train", "rows_per_label", None] == 20
    assert found["en", "dev_loss", 6] == 0.66 and found["autoencoder", "train_loss", 20] == 0.15
    assert (found["en", "epochs_run", None], found["de", "epochs_run", None], found["nl", "width", None]) == (6, 9, 512)
    assert found["nl", "points_vs_en", None] == -1.0
    assert found[measured.MEAN, "accuracy", None] == 0.65


@pytest.mark.parametrize("languages", [["de"], ["de", "fr"]])
def test_a_mean_of_other_languages_is_not_the_thesis_s(languages):
    found = measured.numbers(results(*languages), COUNTS, trained(languages), ["en", "nl", "de"])
    assert (measured.MEAN, "accuracy", None) not in found


def test_missing_files_are_named_and_stale_ones_counted(tmp_path, caplog):
    for name in ("a/old.csv", "a/.gitignore", "b/below/old.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=r"missing, `dvc repro` makes them: .*a/new.csv"):
        measured.check_files({tmp_path / "a": {"new.csv"}})
    measured.check_files({tmp_path / "a": {"old.csv"}, tmp_path / "b": {"below/old.json"}})
    assert caplog.messages == []
    measured.check_files({tmp_path / "a": set(), tmp_path / "b": set()})
    (message,) = caplog.messages
    assert message.startswith("2 files of ") and f"the first is {tmp_path}/a/old.csv" in message
    assert "`make clean-stale` removes them" in message


def evaluation(root, name, rows, language="de", examples="test"):
    """Metrics and predictions of one evaluation that answers neutral to `rows`."""
    write_json(root / f"m/seed0/{name}.json", {"seed": 0, "rows": len(rows), "language": language, "set": examples})
    write_rows(root / f"p/seed0/{name}.jsonl", [Prediction(key, [0.0, 1.0, 0.0]) for key in rows])


def test_outcomes_are_joined_with_the_examples_of_their_set_and_empty_ones_are_left_out(tmp_path):
    one = Example("a", "i", "h", "x", "neutral", "test", None, None)
    sets = {"test": [one], "independent": [replace(one, label="entailment")]}
    evaluation(tmp_path, "en", ["a"], "en")
    evaluation(tmp_path, "clteave_padded", ["a"])
    evaluation(tmp_path, "translate_test", [])
    evaluation(tmp_path, "independent_en", ["a"], "en", "independent")
    names = ["en", "clteave_padded", "translate_test", "independent_en"]
    found = measured.read_outcomes(tmp_path / "m", tmp_path / "p", [0], names, sets, label=lambda *about: about)
    assert [row.label for row in found] == [("en", "en"), ("clteave_de_padded", "de"), ("independent_en", "en")]
    assert [row.right.tolist() for row in found] == [[[True]], [[True]], [[False]]]


def test_every_evaluation_and_model_has_its_files(tmp_path):
    named = [SimpleNamespace(name=name) for name in ("en", "zero_shot")]
    values = SimpleNamespace(languages=["de"], evaluations=named, seeds=[3], ve_models=["clip_ve"], baselines=named[1:])
    (tmp_path / "backbones-clip.csv").write_text("")
    found = measured.expected_files(Path("m"), Path("p"), Path("t"), tmp_path, values)
    judged = {"en", "de", "zero_shot", "independent_de"}
    assert found[Path("m")] == {f"seed3/{name}.json" for name in judged} | {"align/de.json"}
    assert found[Path("p")] == {f"seed3/{name}.jsonl" for name in judged}
    assert found[Path("t")] == {f"{name}-seed3.json" for name in ("clip_ve", "zero_shot", "clseave-de")}
    curves = {"clip_ve", "zero_shot", "clseave-de", "autoencoder", "clteave"}
    assert found[tmp_path] == {f"{name}-seed3.csv" for name in curves} | {"backbones-clip.csv"}


def test_english_comes_first_and_nothing_twice():
    values = SimpleNamespace(
        languages=["de", "en"], evaluations=[SimpleNamespace(name="x"), SimpleNamespace(name="de")]
    )
    found = measured.evaluation_names(values)
    assert found == ["en", "de", "x", "independent_de", "independent_en"]
