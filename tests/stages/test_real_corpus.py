"""Real photos and sentence pairs through every stage of the pipeline: small models by default, full-size ones slow."""

import contextlib
import csv
import importlib
import json
import subprocess
import sys

import numpy as np
import pytest
from made_e5 import needs_weights
from real_world import build, pairs, run, run_all, save_models, save_other_models, shorten_report, xvnli
from test_graph import ROOT

from clseave import Entailment
from clseave.commands import export
from clseave.foundation.errors import UserError
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import (
    Alignment,
    Example,
    Prediction,
    Translation,
    hypothesis_id,
    read_rows,
    read_vectors,
)
from clseave.variants import runs, settings

pytestmark = [pytest.mark.needs_data, pytest.mark.slow, pytest.mark.xdist_group("real_corpus")]

LANGUAGES = ("de", "ja")
SMALL = {
    "encode_batch": 64,
    "align_words": {"layer": 1},
    "clip_ve": {"epochs": 2, "text_lr": 1e-3, "head_lr": 1e-3},
    "mbert_ve": {"epochs": 1},
    "autoencoder": {"epochs": 1},
    "clteave": {"epochs": 1},
    "clseave": {"epochs": 3, "stop_after": 2},
}
ROWS = {"train": 481, "dev": 17, "test": 24}


@pytest.fixture(scope="module")
def world(tmp_path_factory, test_data):
    """All stages, once, with small models."""
    folder = tmp_path_factory.mktemp("real")
    build(folder, test_data, LANGUAGES, ROWS, SMALL)
    save_models(folder, test_data, LANGUAGES, full_size=False)
    run_all(folder, LANGUAGES)
    return folder


def test_every_labelled_pair_is_an_example(world, test_data):
    for split, count in ROWS.items():
        rows = read_rows(world / f"data/real/examples/{split}.jsonl", Example)
        official = {row["pairID"]: row for row in pairs(test_data, split)}
        assert len(rows) == count and {row.pair_id for row in rows} == set(official)
        for row in rows:
            there = official[row.pair_id]
            assert (row.image_id, row.label) == (there["Flickr30K_ID"], there["gold_label"])
            assert row.hypothesis_id == hypothesis_id(there["sentence2"]) and row.kind is None


def test_seen_says_whether_train_has_the_sentence(world):
    trained = {row.hypothesis_id for row in read_rows(world / "data/real/examples/train.jsonl", Example)}
    for split in ("dev", "test"):
        for row in read_rows(world / f"data/real/examples/{split}.jsonl", Example):
            assert row.seen == (row.hypothesis_id in trained)


def test_every_photo_has_one_vector_and_every_hypothesis_one_translation_and_one_alignment(world):
    examples = [row for split in ROWS for row in read_rows(world / f"data/real/examples/{split}.jsonl", Example)]
    index, vectors = read_vectors(world / "data/real/image_vectors")
    assert set(index) == {row.image_id for row in examples} and np.isfinite(vectors).all()
    assert len(np.unique(vectors, axis=0)) == len(vectors)
    wanted = {row.hypothesis_id for row in examples}
    for language in LANGUAGES:
        texts = read_rows(world / f"data/real/hypotheses/{language}.jsonl", Translation)
        links = read_rows(world / f"data/real/alignments/{language}.jsonl", Alignment)
        for rows in (texts, links):
            assert {row.hypothesis_id for row in rows} == wanted and len(rows) == len(wanted)
        by_id = {row.hypothesis_id: row.text for row in texts}
        for row in links:  # each word stands in the text, in order
            assert "".join(row.target_words) == "".join(by_id[row.hypothesis_id].split())
            assert all(i < len(row.source_words) and j < len(row.target_words) for i, j in row.pairs)


def test_japanese_is_cut_into_words(world):
    rows = read_rows(world / "data/real/alignments/ja.jsonl", Alignment)
    assert min(len(row.target_words) for row in rows) > 2


def judged(world, name):
    return [row.pair_id for row in read_rows(world / f"reports/real/predictions/seed0/{name}.jsonl", Prediction)]


def test_every_evaluation_judged_every_test_pair(world, test_data):
    found = {path.stem for path in (world / "reports/real/predictions/seed0").glob("*.jsonl")}
    evaluations = json.loads((world / "params.yaml").read_text())["evaluations"]
    independent = {f"independent_{code}" for code in ("en", *LANGUAGES)}
    assert found == {*LANGUAGES, *independent, *(entry["name"] for entry in evaluations)}
    for name in found - independent:
        assert judged(world, name) == [row["pairID"] for row in pairs(test_data, "test")], name


def test_xvnli_is_judged_in_english_alone_where_no_language_is_its_own(world, test_data):
    seen = {row["Flickr30K_ID"] for split in ("train", "dev") for row in pairs(test_data, split)}
    photos = {path.stem for path in (test_data / "snli_ve_real/flickr30k_images").iterdir()} - seen
    rows = [row["pairID"] for row in xvnli(test_data, "en") if row["Flikr30kID"] in photos and row["gold_label"] != "-"]
    assert judged(world, "independent_en") == rows and len(rows) == 15
    assert judged(world, "independent_de") == judged(world, "independent_ja") == []
    with open(world / "reports/real/tables/independent.csv") as lines:
        (english,) = csv.DictReader(lines)
    assert (english["evaluation"], english["rows"]) == ("independent_en", "15")


def test_the_schedule_of_three_epochs_was_stopped_after_two_and_the_last_was_kept(world):
    metrics = json.loads((world / "reports/real/training/clseave-de-seed0.json").read_text())
    assert (metrics["epochs_run"], metrics["epoch"], metrics["lr"]) == (2, 2, 1e-4)


def test_the_report_shows_the_thesis_beside_ours_without_scores_of_what_is_not_known(world):
    page = (world / "reports/real/report.html").read_text()
    assert "no error rate" in page and "The backbones of this profile are downloaded" in page
    assert "has no kinds of statement" in page and "other corpus" in page
    metrics = json.loads((world / "reports/real/metrics.json").read_text())
    assert not metrics.get("aer") and metrics["accuracy"]["de"] is not None


def test_the_stages_need_no_photo_once_vectors_are_made(world, tmp_path):
    photos = world / "data/real/source/photos"
    photos.rename(world / "data/real/source/elsewhere")
    try:
        before = (world / "reports/real/predictions/seed0/de.jsonl").read_bytes()
        run(world, "evaluate_clseave", language="de", seed=0, rows={"set": "test", "prefix": ""})
        assert (world / "reports/real/predictions/seed0/de.jsonl").read_bytes() == before
    finally:
        (world / "data/real/source/elsewhere").rename(photos)


@pytest.mark.full
def test_the_languages_of_xvnli_are_judged_on_translations_by_people(tmp_path, test_data):
    """All stages, with `languages: [fr, es, ru, ar]` in params.yaml."""
    build(tmp_path, test_data, ("fr", "es", "ru", "ar"), ROWS, SMALL)
    save_models(tmp_path, test_data, ("fr", "es", "ru", "ar"), full_size=False)
    run_all(tmp_path, ("fr", "es", "ru", "ar"))
    with open(tmp_path / "reports/real/tables/independent.csv") as lines:
        found = {row["evaluation"]: row for row in csv.DictReader(lines)}
    assert set(found) == {f"independent_{code}" for code in ("en", "fr", "es", "ru", "ar")}
    rows = judged(tmp_path, "independent_en")
    gold = {row["pairID"]: row["gold_label"] for row in xvnli(test_data, "en")}
    for name, row in found.items():
        predictions = read_rows(tmp_path / f"reports/real/predictions/seed0/{name}.jsonl", Prediction)
        assert [one.pair_id for one in predictions] == rows
        right = [LABELS[int(np.argmax(one.logits))] == gold[one.pair_id] for one in predictions]
        assert float(row["accuracy"]) == pytest.approx(np.mean(right), abs=1e-6) and row["rows"] == "15"
        assert 0 < int(row["rows_shared"]) <= 15
    table = (tmp_path / "reports/real/tables/independent.md").read_text()
    assert all(name in table for name in ("English", "French", "Spanish", "Russian", "Arabic"))
    results = (tmp_path / "reports/real/results.md").read_text()
    assert all(f"French ({name})" in results for name in ("CLSEAVE", "CLTEAVE", "translate-test", "translate-train"))
    texts = read_rows(tmp_path / "data/real/independent/ar.jsonl", Translation)
    people = {row["pairID"]: row["sentence2"] for row in xvnli(test_data, "ar")}
    assert [one.text for one in texts] == [people[key] for key in rows]


@pytest.mark.full
def test_full_size_models_go_through_all_stages(tmp_path, test_data):
    # CLIP ViT-B/16 and mBERT with random weights; a handful of photos, sentences and steps.
    rows = {"train": 12, "dev": 4, "test": 6}
    changes = SMALL | {"align_words": {"layer": 8}, "clip_ve": {"epochs": 1, "batch_size": 6}, "encode_batch": 8}
    changes |= {"clseave": {"epochs": 1, "batch_size": 6}, "clteave": {"epochs": 1, "batch_size": 6}}
    build(tmp_path, test_data, ("de",), rows, changes)
    save_models(tmp_path, test_data, ("de",), full_size=True)
    run_all(tmp_path, ("de",))
    metrics = json.loads((tmp_path / "reports/real/metrics/seed0/de.json").read_text())
    assert metrics["rows"] == 6 and np.isfinite(metrics["loss"])
    assert read_vectors(tmp_path / "data/real/image_vectors")[1].shape[1] == 512
    config = json.loads((tmp_path / "models/real/clseave/de/seed0/config.json").read_text())
    assert (config["hidden_size"], config["num_hidden_layers"], config["vocab_size"]) == (768, 12, 119547)


STUDIES = [
    ("word_level", "clteave.relu=false clteave.terminal_pair=true", {"pairs": "found"}),
    ("word_level", "clteave.word_pairs=false clteave.terminal_pair=true", {"pairs": "found"}),
    ("pooling", "clseave.pooling=highest", {}),
    ("objectives", "clseave.loss=raw+infonce", {"pairs": "own+english+switched"}),
    ("objectives", "clseave.loss=infonce", {"pairs": "all"}),
    ("heads", "clip_ve.hidden=32", {"head": "bilinear", "pairs": "single+swapped", "languages": "en+de+ja"}),
    ("heads", "clip_ve.hidden=32", {"head": "attention", "pairs": "thinned", "languages": "en+de"}),
    ("heads", "clip_ve.hidden=32", {"head": "token_attention", "pairs": "single", "languages": "en"}),
    ("pretrained", "clseave.pooling=mean", {"student": "mbert", "pairs": "own", "languages": "de+ja", "share": 50}),
    ("pretrained", "clseave.pooling=mean", {"student": "mbert", "pairs": "en", "languages": "de+ja", "share": 100}),
    pytest.param(
        *("pretrained", "clseave.stop_after=1"),
        {"student": "e5", "pairs": "own", "languages": "de+ja", "share": 100},
        marks=needs_weights,
    ),
]
FILES = {
    "examples": "data/real/examples",
    "hypotheses": "data/real/hypotheses",
    "alignments": "data/real/alignments",
    "images": "data/real/image_vectors",
    "vectors": "data/real/image_vectors",
    "source": "data/real/source",
    "clip": "models/real/clip",
    "targets": "data/real/teacher_vectors/seed0",
    "teacher": "models/real/clip_ve/seed0",
    "head": "models/real/clip_ve/seed0",
    "mbert": "models/real/mbert",
    "autoencoder": "models/real/autoencoder/seed0",
}
READ = {
    "word_level": "examples hypotheses alignments images teacher mbert autoencoder",
    "pooling": "examples hypotheses targets images head mbert",
    "objectives": "examples hypotheses alignments targets images head mbert",
    "heads": "examples hypotheses source vectors clip mbert",
    "pretrained": "examples hypotheses targets images head mbert",
}


def run_study(world, folder, name, changes, more):
    """One variant of a study in Japanese and German, in this process; the folder of its runs."""
    variant = {"name": "one", "title": "one", "changes": changes}
    languages = ["ja", "de", "en"] if name == "heads" else ["ja", "de"]
    content = {"seeds": [0], "languages": languages, "variants": [variant], "references": [], "contrasts": []}
    if name == "pretrained":
        weights = settings.read(ROOT / "studies/pretrained/params.yaml").e5
        content["e5"] = weights.model_dump() | {"layers": 1}
    (folder / "params.yaml").write_text(json.dumps(content))
    given = {"study": folder, "params": "params.yaml", "profile": "profiles/real.yaml", "variant": "one", "seed": 0}
    given |= {key: FILES[key] for key in READ[name].split()} | more | {"out": folder / "out"}
    if name == "heads":
        given |= {"images": "data/real/images"}
    given |= {"checkpoints": folder / "checkpoints"}
    argv = [str(word) for key, value in given.items() for word in (f"--{key}", value)]
    with contextlib.chdir(world):
        importlib.import_module(f"clseave.studies.{name}").main([*argv, "--set", *changes.split()])
    return folder / "out"


@pytest.mark.parametrize(("name", "changes", "more"), STUDIES)
def test_the_switches_of_the_studies_work_on_real_sentences(world, tmp_path, name, changes, more):
    out = run_study(world, tmp_path, name, changes, more)
    names = [f"{language}.json" for language in sorted(more.get("languages", "de+ja").split("+"))]
    if more.get("pairs") in ("all", "en"):
        names = ["joint.json"]
    assert sorted(path.name for path in out.iterdir()) == names
    for file in names:
        found = runs.read(out / file)
        assert all(len(digits) == ROWS["test"] and set(digits) <= set("012") for digits in found.answers.values())
        assert all(np.isfinite(value) for value in found.measures.values())


def test_gold_word_pairs_are_the_grammars_alone(world, tmp_path):
    with pytest.raises(UserError, match="the grammar never says"):
        run_study(world, tmp_path, "word_level", "clteave.relu=true", {"pairs": "gold"})


def test_another_teacher_and_another_student_go_through_all_stages(tmp_path, test_data):
    """SigLIP and XLM-RoBERTa in place of CLIP and BERT, to a prediction."""
    build(tmp_path, test_data, ["de"], ROWS | {"train": 120}, SMALL)
    shorten_report(tmp_path)
    save_other_models(tmp_path, test_data, ["de"])
    values = json.loads((tmp_path / "params.yaml").read_text())
    with (
        contextlib.chdir(tmp_path),
        pytest.raises(UserError, match=r"assembly: found 'padded', allowed with .*: direct"),
    ):
        run(tmp_path, "check")
    values["evaluations"] = [row for row in values["evaluations"] if row["assembly"] == "direct"]
    (tmp_path / "params.yaml").write_text(json.dumps(values))
    run_all(tmp_path, ["de"])
    judged = read_rows(tmp_path / "reports/real/predictions/seed0/de.jsonl", Prediction)
    assert len(judged) == ROWS["test"]
    (row,) = read_rows(tmp_path / "data/real/examples/test.jsonl", Example)[:1]
    texts = read_rows(tmp_path / "data/real/hypotheses/de.jsonl", Translation)
    (text,) = [one.text for one in texts if one.hypothesis_id == row.hypothesis_id]
    model = Entailment.from_pretrained(tmp_path / "models/real", languages=["de"])
    photo = test_data / "snli_ve_real/flickr30k_images" / f"{row.image_id}.jpg"
    (found,) = model.predict(photo, text)
    (wanted,) = [one for one in judged if one.pair_id == row.pair_id]
    assert found.label == LABELS[int(np.argmax(wanted.logits))]
    with contextlib.chdir(tmp_path):
        export.main(["--model", "models/real", "--language", "de", "--out", "bundle", "--onnx"])
    assert Entailment.from_pretrained(tmp_path / "bundle").predict(photo, text) == [found]
    script = [sys.executable, tmp_path / "bundle/onnx/predict.py", "--language", "de", photo, text]
    alone = json.loads(subprocess.run(script, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert [alone[label] for label in LABELS] == pytest.approx(list(found.probabilities.values()), abs=1e-4)
