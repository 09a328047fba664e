"""The stage `compare` on small made reports."""

import csv
import json

import pytest
from made_reports import compare_arguments, make

from clseave import tables
from clseave.errors import UserError
from clseave.stages import compare


@pytest.fixture
def expected(repo_root):
    return repo_root / "reports" / "expected.yaml"


def table(reports, name):
    with open(reports / "tables" / f"{name}.csv", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_tables_of_one_seed(tmp_path, expected):
    reports = make(tmp_path)
    compare.main(compare_arguments(tmp_path, expected))
    wide = json.loads((reports / "metrics.json").read_text())
    assert wide["accuracy"]["clteave_de"] == pytest.approx(1 / 3, abs=1e-6)
    assert wide["aer"] == {"de": 0.1, "ko": 0.2}
    assert set(wide["accuracy_kind_en"]) == {"count", "object_at"}
    rows = {row["evaluation"]: row for row in table(reports, "results")}
    assert list(rows) == ["en", "de", "ko", "clteave_de", "image_only"]  # English, languages, the rest
    for name, row in rows.items():
        assert float(row["accuracy"]) == wide["accuracy"][name]
        gap = 100 * (wide["accuracy"][name] - wide["accuracy"]["en"])
        assert float(row["points_vs_en"]) == pytest.approx(gap, abs=1e-3)
        assert float(row["accuracy_low"]) <= float(row["accuracy"]) <= float(row["accuracy_high"])
    metrics = json.loads((reports / "metrics/seed0/de.json").read_text())
    assert [float(rows["de"][key]) for key in ("accuracy_low", "accuracy_high")] == [
        metrics["accuracy_low"],
        metrics["accuracy_high"],
    ]
    assert rows["clteave_de"]["label"] == "German (CLTEAVE)"
    shares = {row["class"]: row["predicted"] for row in table(reports, "classes") if row["evaluation"] == "clteave_de"}
    assert shares == {"contradiction": "0.0", "neutral": "1.0", "entailment": "0.0"}


def test_the_readme_table(tmp_path, expected):
    reports = make(tmp_path)
    compare.main(compare_arguments(tmp_path, expected))
    text = (reports / "results.md").read_text(encoding="utf-8")
    assert text == (reports / "tables" / "results.md").read_text(encoding="utf-8")
    assert len({len(line) for line in text.splitlines()}) == 1
    assert "| German (CLTEAVE)  |" in text
    assert "33.3 %" in text


def test_other_corpora_are_never_judged_and_the_thesis_is(tmp_path, expected):
    reports = make(tmp_path)
    compare.main(compare_arguments(tmp_path, expected))
    assert {row["verdict"] for row in table(reports, "thesis")} == {"other corpus"}
    compare.main(compare_arguments(tmp_path, expected, profile="thesis"))
    verdicts = {(row["evaluation"], row["metric"]): row["verdict"] for row in table(reports, "thesis")}
    assert verdicts["clteave_de", "accuracy"] == "OK"
    assert verdicts["de", "accuracy"] == "off"
    assert verdicts["nl", "accuracy"] == "not run"
    assert verdicts["de", "dev_mse"] == "not run"  # the made curves end at epoch 3


def test_curves_are_read_at_the_epoch_of_the_thesis(tmp_path, expected):
    reports = make(tmp_path)
    curve = reports / "curves" / "clseave-de-seed0.csv"
    curve.write_text(curve.read_text() + "9,0.0135,0.0154,0.0916,0.9,0.001\n")
    compare.main(compare_arguments(tmp_path, expected, profile="thesis"))
    verdicts = {(row["evaluation"], row["metric"]): row["verdict"] for row in table(reports, "thesis")}
    assert [verdicts["de", key] for key in ("train_mse", "dev_mse", "dev_mae")] == ["OK"] * 3


def test_seeds_are_averaged(tmp_path, expected):
    reports = make(tmp_path, seeds=(0, 1))
    compare.main(compare_arguments(tmp_path, expected))
    scores = [json.loads((reports / f"metrics/seed{seed}/ko.json").read_text())["accuracy"] for seed in (0, 1)]
    row = {row["evaluation"]: row for row in table(reports, "results")}["ko"]
    assert float(row["accuracy"]) == pytest.approx(sum(scores) / 2, abs=1e-6)
    assert row["seeds"] == "2"
    assert float(row["accuracy_sd"]) == pytest.approx(abs(scores[0] - scores[1]) / 2**0.5, abs=1e-6)


def test_a_corpus_without_kinds_or_seen_flags(tmp_path, expected):
    reports = make(tmp_path, known=False)
    compare.main(compare_arguments(tmp_path, expected))
    assert not (reports / "tables" / "kinds.csv").exists()
    assert table(reports, "results")[1]["accuracy_unseen"] == ""
    assert json.loads((reports / "metrics.json").read_text())["accuracy_unseen"] == {}


@pytest.mark.parametrize(
    "stale",
    [
        *("metrics/seed0/nl.json", "metrics/seed1/en.json", "predictions/seed0/nl.jsonl", "metrics/align/nl.json"),
        *("training/clseave-nl-seed0.json", "curves/clseave-nl-seed0.csv", "curves/clteave-ko-seed0.csv"),
    ],
)
def test_a_stale_file_stops_the_comparison(tmp_path, expected, stale):
    reports = make(tmp_path)
    path = reports / stale
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    with pytest.raises(UserError, match=f"names no such model or language any more, delete: .*{stale}"):
        compare.main(compare_arguments(tmp_path, expected))
    assert not (reports / "results.md").exists()


@pytest.mark.parametrize(
    "missing", ["metrics/seed0/ko.json", "predictions/seed0/en.jsonl", "training/clseave-de-seed0.json"]
)
def test_a_missing_file_is_named(tmp_path, expected, missing):
    reports = make(tmp_path)
    (reports / missing).unlink()
    with pytest.raises(UserError, match=f"missing, `dvc repro` makes them: .*{missing}"):
        compare.main(compare_arguments(tmp_path, expected))


def test_hidden_files_do_not_count(tmp_path, expected):
    reports = make(tmp_path)
    (reports / "metrics" / ".gitignore").write_text("/x\n")
    compare.main(compare_arguments(tmp_path, expected))


def test_twice_gives_the_same_bytes(tmp_path, expected):
    for name in ("one", "two"):
        make(tmp_path / name)
        compare.main(compare_arguments(tmp_path / name, expected))
    first, second = (
        {
            path.relative_to(tmp_path / name).as_posix(): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("one", "two")
    )
    assert first == second


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("en", "English (CLIP-VE)"),
        ("ja", "Japanese (CLSEAVE)"),
        ("clteave_de", "German (CLTEAVE)"),
        ("clteave_de_padded", "German (CLTEAVE, padded)"),
        ("hypothesis_only", "hypothesis only"),
        ("clteave", "clteave"),
    ],
)
def test_labels(name, label):
    assert tables.label_of(name) == label
