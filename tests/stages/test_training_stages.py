"""Every stage from `check` to `evaluate` on a world of a few images: formats, reproducibility, what must not change."""

import csv
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from clseave.commands import predict
from clseave.corpora.images import decode
from clseave.corpora.photos import open_collection
from clseave.foundation.errors import UserError
from clseave.foundation.process import fingerprint
from clseave.foundation.rows import training_record
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import (
    SPLITS,
    Alignment,
    Example,
    Prediction,
    Translation,
    hypothesis_id,
    read_rows,
    read_splits,
    read_vectors,
    write_rows,
    write_vectors,
)
from clseave.foundation.settings import params
from clseave.miniature import gold, grammar
from clseave.models.encoders import embed_texts
from clseave.models.student import Student
from clseave.models.towers import TextTower
from clseave.stages import (
    align_words,
    autoencoder,
    backbones,
    check,
    clseave,
    clteave,
    embed_english,
    encode_images,
    evaluate,
    finetune_baseline,
    finetune_clip_ve,
    prepare,
    translate,
    translate_back,
)
from settings import SETTINGS

# All stages on a world of a few images; the group shares what is made once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("training_stages")]

ROOT = Path(__file__).resolve().parents[2]
TOWER = {"layers": 1, "width": 16, "heads": 2}
CHANGES = {
    "source": {"images": {"train": 24, "dev": 8, "test": 8}, "text_lines": 60},
    "backbones": {
        "clip": {"text": TOWER, "vision": TOWER, "projection": 16, "vocabulary": 900, "steps": 100, "batch_size": 4},
        "mbert": {"tower": TOWER | {"layers": 2, "width": 20}, "vocabulary": 900, "steps": 100, "batch_size": 4},
    },
    "clip_ve": {"batch_size": 32, "epochs": 6, "patience": 3, "hidden": 8},
    "mbert_ve": {"text_lr": 2e-3, "head_lr": 1e-2, "batch_size": 32, "epochs": 6, "patience": 6, "hidden": 8},
    "autoencoder": {"epochs": 2},
    "clteave": {"epochs": 2},
    "clseave": {"epochs": 3, "patience": 3, "dropout": 0.1},
}
LANGUAGES = ("de", "ja")
BASELINES = {  # kind, hypotheses
    "majority": ("majority", "english"),
    "clip_score": ("clip_score", "english"),
    "zero_shot": ("mbert", "english"),
    "translate_train": ("mbert", "translated"),
}


def merged(old, changes):
    return {
        key: merged(value, changes[key]) if isinstance(changes.get(key), dict) else changes.get(key, value)
        for key, value in old.items()
    }


def arguments(**values):
    return [part for name, value in values.items() for part in (f"--{name}", str(value))]


def contents(folder):
    """Hash and time of every file of a folder."""
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def hashes(folder):
    return {name: digest for name, (digest, _) in contents(folder).items()}


def weights_and_settings(folder):
    """The model without its record, which names what it was made from."""
    return {name: digest for name, digest in hashes(folder).items() if name != "training.json"}


class World:
    """A folder with the parameters, and the arguments of each stage in it."""

    def __init__(self, folder):
        self.folder = folder
        self.common = {"params": folder / "params.yaml", "profile": folder / "profiles" / "small.yaml"}

    def __truediv__(self, name):
        return self.folder / name

    def prepare(self, out="data"):
        out = self / out
        prepare.main(
            arguments(
                **self.common,
                examples=out / "examples",
                independent=out / "independent",
                hypotheses=out / "hypotheses" / "en.jsonl",
                images=out / "images",
                text=out / "pretraining",
                counts=out / "counts.json",
                source=out / "source",
                downloads=out / "downloads",
                problems=out / "problems",
            )
        )

    def backbone(self, name, out="models"):
        backbones.main(
            arguments(
                **self.common,
                backbone=name,
                text=self / "data/pretraining",
                out=self / out / name,
                curve=self / out / f"{name}.csv",
                checkpoints=self / "unfinished",
            )
        )

    def encode_images(self, out="data/image_vectors"):
        encode_images.main(
            arguments(
                **self.common,
                examples=self / "data/examples",
                independent=self / "data/independent",
                images=self / "data/images",
                source=self / "data/source",
                checkpoints=self / "checkpoints",
                clip=self / "models/clip",
                out=self / out,
            )
        )

    def translate(self, language):
        translate.main(
            arguments(
                **self.common,
                language=language,
                hypotheses=self / "data/hypotheses/en.jsonl",
                source=self / "data/source",
                store=self / "translations",
                out=self / f"data/hypotheses/{language}.jsonl",
            )
        )

    def translate_back(self):
        translate_back.main(
            arguments(
                **self.common,
                language="de",
                examples=self / "data/examples",
                translations=self / "data/hypotheses/de.jsonl",
                source=self / "data/source",
                store=self / "translations",
                out=self / "data/back/de.jsonl",
            )
        )

    def align(self, language, out="data/alignments"):
        align_words.main(
            arguments(
                **self.common,
                language=language,
                mbert=self / "models/mbert",
                translations=self / f"data/hypotheses/{language}.jsonl",
                out=self / out / f"{language}.jsonl",
                metrics=self / f"{out}-{language}.json",
                checkpoints=self / "unfinished",
            )
        )

    def finetune(self, model="clip_ve", seed=0, out=None):
        out = self / (out or f"models/{model}")
        finetune_clip_ve.main(
            arguments(
                **self.common,
                model=model,
                seed=seed,
                examples=self / "data/examples",
                images=self / "data/image_vectors",
                clip=self / "models/clip",
                out=out,
                checkpoints=self / "unfinished",
                curve=f"{out}.csv",
                metrics=f"{out}.json",
            )
        )

    def baseline(self, name, seed=0, out=None, **changes):
        kind, hypotheses = BASELINES[name]
        out = self / (out or f"models/{name}")
        values = {
            "examples": self / "data/examples",
            "english": self / "data/hypotheses/en.jsonl",
            "translated": self / "data/hypotheses/de.jsonl",
            "images": self / "data/image_vectors",
            "clip": self / "models/clip",
            "mbert": self / "models/mbert",
            "checkpoints": self / "unfinished",
        } | changes
        files = {"out": out, "curve": f"{out}.csv", "metrics": f"{out}.json"}
        finetune_baseline.main(arguments(**self.common, **values, **files, kind=kind, hypotheses=hypotheses, seed=seed))

    def embed(self, out="data/teacher_vectors"):
        embed_english.main(
            arguments(
                **self.common,
                hypotheses=self / "data/hypotheses/en.jsonl",
                teacher=self / "models/clip_ve",
                out=self / out,
                checkpoints=self / "unfinished",
            )
        )

    def autoencoder(self, seed=0, out="models/autoencoder"):
        autoencoder.main(
            arguments(
                **self.common,
                seed=seed,
                examples=self / "data/examples",
                hypotheses=self / "data/hypotheses",
                alignments=self / "data/alignments",
                mbert=self / "models/mbert",
                clip=self / "models/clip",
                out=self / out,
                checkpoints=self / "unfinished",
                curve=self / f"{out}.csv",
            )
        )

    def clteave(self, seed=0, out="models/clteave"):
        clteave.main(
            arguments(
                **self.common,
                seed=seed,
                examples=self / "data/examples",
                translations=self / "data/hypotheses/de.jsonl",
                alignments=self / "data/alignments/de.jsonl",
                teacher=self / "models/clip_ve",
                mbert=self / "models/mbert",
                autoencoder=self / "models/autoencoder",
                out=self / out,
                checkpoints=self / "unfinished",
                curve=self / f"{out}.csv",
            )
        )

    def clseave(self, language="de", seed=0, out="models/clseave", **changes):
        values = {
            **self.common,
            "examples": self / "data/examples",
            "targets": self / "data/teacher_vectors",
            "translations": self / f"data/hypotheses/{language}.jsonl",
            "mbert": self / "models/mbert",
            "checkpoints": self / "unfinished",
        } | changes
        clseave.main(
            arguments(**values, seed=seed, out=self / out, curve=self / f"{out}.csv", metrics=self / f"{out}.json")
        )

    def evaluation(
        self,
        out,
        *,
        encoder="clip_ve",
        head="clip_ve",
        hypotheses="english",
        language="de",
        split="test",
        assembly="direct",
        **changes,
    ):
        values = {
            "examples": self / "data/examples",
            "independent": self / "data/independent",
            "english": self / "data/hypotheses/en.jsonl",
            "translated": self / f"data/hypotheses/{language}.jsonl",
            "back": self / f"data/back/{language}.jsonl",
            "images": self / "data/image_vectors",
        } | changes
        return arguments(
            **self.common,
            **values,
            name="name",
            seed=0,
            set=split,
            hypotheses=hypotheses,
            assembly=assembly,
            encoder=self / "models" / encoder,
            head=self / "models" / head,
            predictions=f"{out}.jsonl",
            metrics=f"{out}.json",
        )

    def evaluate(self, out, **values):
        evaluate.main(self.evaluation(out, **values))
        return read_rows(f"{out}.jsonl", Prediction), json.loads(Path(f"{out}.json").read_text())


@pytest.fixture(scope="session")
def backbone_world(tmp_path_factory):
    """Corpus and backbones, once."""
    folder = tmp_path_factory.mktemp("world")
    values = params.read_yaml(SETTINGS / "params.yaml") | {"profile": "small", "languages": list(LANGUAGES)}
    (folder / "params.yaml").write_text(json.dumps(values))
    (folder / "profiles").mkdir()
    profile = merged(params.read_yaml(SETTINGS / "profiles" / "tiny.yaml"), CHANGES)
    (folder / "profiles" / "small.yaml").write_text(json.dumps(profile))
    world = World(folder)
    check.main(arguments(params=folder / "params.yaml", profiles=folder / "profiles", out=folder / "data/checked.txt"))
    world.prepare()
    for name in ("clip", "mbert"):
        world.backbone(name)
    return world


@pytest.fixture(scope="session")
def world(backbone_world):
    """All stages, once, in the order of the pipeline."""
    made = backbone_world
    made.encode_images()
    for language in LANGUAGES:
        made.translate(language)
        made.align(language)
    made.translate_back()
    for model in ("clip_ve", "hypothesis_only", "image_only"):
        made.finetune(model)
    for name in BASELINES:
        made.baseline(name)
    made.embed()
    made.autoencoder()
    made.clteave()
    made.clseave()
    return made


def test_check_leaves_a_constant_stamp_and_none_for_bad_values(backbone_world, tmp_path):
    assert (backbone_world / "data/checked.txt").read_text() == "checked\n"
    bad = json.loads((backbone_world / "params.yaml").read_text()) | {"seeds": []}
    (tmp_path / "params.yaml").write_text(json.dumps(bad))
    with pytest.raises(UserError, match="seeds"):
        check.main(
            arguments(params=tmp_path / "params.yaml", profiles=backbone_world / "profiles", out=tmp_path / "stamp")
        )
    assert not (tmp_path / "stamp").exists()


def test_prepare_leaves_examples_images_hypotheses_texts_and_counts(backbone_world):
    data = backbone_world / "data"
    rows = read_splits(data / "examples")
    assert list(json.loads((data / "examples/train.jsonl").read_text().splitlines()[0])) == [
        "pair_id",
        "image_id",
        "hypothesis_id",
        "hypothesis",
        "label",
        "split",
        "kind",
        "seen",
        "statement",
        "pair",
    ]
    assert len({row.pair_id for row in rows}) == len(rows)
    english = read_rows(data / "hypotheses/en.jsonl", Translation)
    assert {row.hypothesis_id: row.text for row in english} == {row.hypothesis_id: row.hypothesis for row in rows}
    assert len({row.hypothesis_id for row in english}) == len(english)
    assert all(row.source == row.text and row.target == "en" for row in english)
    ids = sorted({row.image_id for row in rows})
    archive = open_collection(data / "images/archive.zip")
    assert {decode(archive.read(key)).size for key in ids} == {(32, 32)}
    assert sorted(path.name for path in (data / "pretraining").iterdir()) == [
        f"{code}.txt" for code in ("de", "en", "ja", "ko", "nl", "zh")
    ]
    counts = json.loads((data / "counts.json").read_text())
    for split in SPLITS:
        mine = [row for row in rows if row.split == split]
        assert counts[split]["rows"] == len(mine) and counts[split]["images"] == len({row.image_id for row in mine})
        assert set(counts[split]["labels"].values()) == {len(mine) / 3}
        assert counts[split]["unseen_rows"] == sum(not row.seen for row in mine)


def test_no_image_is_in_two_splits_and_training_sees_no_held_out_sentence(backbone_world):
    rows = read_splits(backbone_world / "data/examples")
    images = {split: {row.image_id for row in rows if row.split == split} for split in SPLITS}
    assert sum(map(len, images.values())) == len(set.union(*images.values()))
    trained = {row.hypothesis for row in rows if row.split == "train"}
    assert all(row.seen == (row.hypothesis in trained) for row in rows)


def test_pretraining_texts_hold_no_sentence_of_dev_and_test_alone(backbone_world):
    data = backbone_world / "data"
    unseen = {row.hypothesis for row in read_splits(data / "examples") if not row.seen}
    for language in ("en", *LANGUAGES):
        lines = set((data / f"pretraining/{language}.txt").read_text().splitlines())
        assert unseen and not lines & {gold.sentence(text, language).text for text in unseen}


def test_the_corpus_has_the_same_bytes_again(backbone_world):
    backbone_world.prepare("prepared-again")
    again = hashes(backbone_world / "prepared-again")
    spoken = len(grammar.LANGUAGES)  # the last: independent examples, and their texts in each language
    assert len(again) == 3 + 1 + 1 + spoken + 1 + (1 + spoken)
    assert again == {name: value for name, value in hashes(backbone_world / "data").items() if name in again}


@pytest.mark.parametrize("name", ["clip", "mbert"])
def test_a_backbone_has_the_same_bytes_again(backbone_world, name):
    backbone_world.backbone(name, "again_models")
    assert hashes(backbone_world / "again_models" / name) == hashes(backbone_world / "models" / name)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(hashes(backbone_world / "models" / name))
    with open(backbone_world / f"models/{name}.csv") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["step", "loss", "learning_rate"] and [row["step"] for row in rows] == ["100"]


def test_one_vector_per_image(world):
    index, vectors = read_vectors(world / "data/image_vectors")
    rows = read_splits(world / "data/examples")
    assert list(index) == list(dict.fromkeys(row.image_id for row in rows))
    assert vectors.shape == (len(index), 16) and np.isfinite(vectors).all()
    assert len(np.unique(vectors.round(5), axis=0)) > len(index) / 2
    assert np.ptp(np.linalg.norm(vectors, axis=1)) > 1e-3  # not normalised


def test_image_vectors_belong_to_their_images(world):
    from transformers import CLIPModel

    from clseave.corpora.images import load_processor

    index, vectors = read_vectors(world / "data/image_vectors")
    ids = list(index)[::7]
    model = CLIPModel.from_pretrained(world / "models/clip").eval()
    archive = open_collection(world / "data/images/archive.zip")
    pictures = [decode(archive.read(key)) for key in ids]
    with torch.no_grad():
        pixels = load_processor(world / "models/clip")(pictures, return_tensors="pt").pixel_values
        wanted = model.get_image_features(pixel_values=pixels).pooler_output
    assert np.allclose(vectors[[index[key] for key in ids]], wanted, atol=1e-5)


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_translation_and_one_alignment_per_hypothesis(world, language):
    english = read_rows(world / "data/hypotheses/en.jsonl", Translation)
    translations = read_rows(world / f"data/hypotheses/{language}.jsonl", Translation)
    alignments = read_rows(world / f"data/alignments/{language}.jsonl", Alignment)
    ids = [row.hypothesis_id for row in english]
    assert [row.hypothesis_id for row in translations] == ids == [row.hypothesis_id for row in alignments]
    for before, after, link in zip(english, translations, alignments, strict=True):
        assert (after.source, after.target, after.backend) == (before.text, language, "gold")
        assert after.hypothesis_id == hypothesis_id(after.source)
        joiner = "" if language == "ja" else " "
        assert (" ".join(link.source_words), joiner.join(link.target_words)) == (after.source, after.text)
        assert link.pairs == sorted(link.pairs)
        assert all(0 <= i < len(link.source_words) and 0 <= j < len(link.target_words) for i, j in link.pairs)
    metrics = json.loads((world / f"data/alignments-{language}.json").read_text())
    assert set(metrics) == {"aer", "precision", "recall", "aer_diagonal", "sentences", "seed"}
    assert metrics["sentences"] == len(ids) and all(0 <= metrics[key] <= 1 for key in ("aer", "aer_diagonal"))


def curve(path):
    with open(path) as lines:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]


def control(model):
    """Encoder, head and hypotheses; the image-only control and the majority have no text tower of their own."""
    _, hypotheses = BASELINES.get(model, (None, "english"))
    encoder = "clip_ve" if model in ("image_only", "majority") else model
    return {"encoder": encoder, "head": model, "hypotheses": hypotheses}


@pytest.mark.parametrize("model", ["clip_ve", "hypothesis_only", "image_only", *BASELINES])
def test_the_kept_epoch_is_the_best_one_and_evaluation_finds_its_accuracy_again(world, model, tmp_path):
    rows, metrics = curve(world / f"models/{model}.csv"), json.loads((world / f"models/{model}.json").read_text())
    assert {"seed", "epoch", "epochs_run", "dev_loss", "dev_accuracy", "train_loss"} <= set(metrics)
    losses = [row["dev_loss"] for row in rows]
    assert (metrics["epoch"], metrics["epochs_run"]) == (losses.index(min(losses)) + 1, len(rows))
    # Training and evaluation pool, fuse and normalise alike: the same figure from the saved folder.
    _, found = world.evaluate(tmp_path / model, **control(model), split="dev")
    assert found["accuracy"] == pytest.approx(metrics["dev_accuracy"], abs=1e-5)
    assert found["loss"] == pytest.approx(metrics["dev_loss"], abs=1e-3)  # logits are stored with four decimals


def test_one_teacher_vector_per_english_hypothesis(world):
    index, vectors = read_vectors(world / "data/teacher_vectors")
    rows = read_rows(world / "data/hypotheses/en.jsonl", Translation)
    assert list(index) == [row.hypothesis_id for row in rows] and vectors.shape == (len(rows), 16)


def test_the_saved_student_is_that_of_the_best_epoch(world):
    rows, metrics = curve(world / "models/clseave.csv"), json.loads((world / "models/clseave.json").read_text())
    errors = [row["dev_mse"] for row in rows]
    assert (metrics["epoch"], metrics["epochs_run"]) == (errors.index(min(errors)) + 1, len(rows))
    assert metrics["lr"] == pytest.approx(1e-4 * 10) and metrics["loss"] == "raw"
    translations = {row.hypothesis_id: row.text for row in read_rows(world / "data/hypotheses/de.jsonl", Translation)}
    index, vectors = read_vectors(world / "data/teacher_vectors")
    ids = list(dict.fromkeys(row.hypothesis_id for row in read_splits(world / "data/examples", ["dev"])))
    ours = embed_texts(Student.load(world / "models/clseave"), [translations[key] for key in ids], 7)
    theirs = torch.from_numpy(vectors[[index[key] for key in ids]])
    assert functional.mse_loss(ours, theirs).item() == pytest.approx(metrics["dev_mse"], abs=2e-6)


@pytest.mark.parametrize("name", ["clip_ve", "clseave", "clteave", "autoencoder"])
def test_training_moves_the_weights_and_lowers_the_loss(world, name):
    key = "train_mse" if name == "clseave" else "train_loss"
    losses = [row[key] for row in curve(world / f"models/{name}.csv")]
    assert losses[-1] < losses[0]
    if name in ("clseave", "clteave"):
        before = {
            key.removeprefix("bert."): value
            for key, value in load_file(world / "models/mbert/model.safetensors").items()
        }
        after = load_file(world / f"models/{name}/model.safetensors")
        assert set(after) <= set(before)
        assert sum(not torch.equal(value, before[key]) for key, value in after.items()) > 0.9 * len(after)


def test_training_a_student_leaves_its_inputs_unchanged(world):
    folders = [world / "models" / name for name in ("clip_ve", "mbert", "autoencoder", "clip")] + [world / "data"]
    before = [contents(folder) for folder in folders]
    world.clseave(out="other/clseave")
    world.clteave(out="other/clteave")
    assert [contents(folder) for folder in folders] == before


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_weights(world):
    for train, name in (
        (world.clseave, "clseave"),
        (world.finetune, "clip_ve"),
        (world.autoencoder, "autoencoder"),
        (world.clteave, "clteave"),
    ):
        train(out=f"seed0/{name}")
        assert hashes(world / f"seed0/{name}") == hashes(world / f"models/{name}"), name
        assert (world / f"seed0/{name}.csv").read_bytes() == (world / f"models/{name}.csv").read_bytes()
        train(seed=1, out=f"seed1/{name}")
        one, other = hashes(world / f"seed0/{name}"), hashes(world / f"seed1/{name}")
        weights = [file for file in one if file.endswith(".safetensors")]
        assert set(one) == set(other) and weights and all(one[file] != other[file] for file in weights), name
        assert all(one[file] == other[file] for file in one if file not in [*weights, "training.json"])


EVALUATIONS = {
    "en": {},
    "de": {"encoder": "clseave", "hypotheses": "translated"},
    **{
        assembly: {"encoder": "clteave", "hypotheses": "translated", "assembly": assembly}
        for assembly in ("direct", "padded", "decoder")
    },
    **{model: control(model) for model in ("hypothesis_only", "image_only", *BASELINES)},
    "translate_test": {"hypotheses": "back_translated"},
    "zero_shot_de": control("zero_shot") | {"hypotheses": "translated"},
}


@pytest.mark.parametrize("name", EVALUATIONS)
def test_evaluation_judges_every_example_and_changes_no_model(world, tmp_path, name):
    examples = read_splits(world / "data/examples", ["test"])
    before = contents(world / "models")
    rows, metrics = world.evaluate(tmp_path / name, **EVALUATIONS[name])
    assert contents(world / "models") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.json", f"{name}.jsonl"]
    for example, row in zip(examples, rows, strict=True):
        assert row.pair_id == example.pair_id
        assert len(row.logits) == 3 and all(round(value, 4) == value for value in row.logits)
    right = [
        row.logits.index(max(row.logits)) == ["contradiction", "neutral", "entailment"].index(example.label)
        for row, example in zip(rows, examples, strict=True)
    ]
    assert metrics["accuracy"] == pytest.approx(sum(right) / len(right), abs=1e-6)
    assert (metrics["rows"], metrics["name"], metrics["seed"]) == (len(rows), "name", 0)
    language = "en" if EVALUATIONS[name].get("hypotheses", "english") == "english" else "de"
    assert (metrics["set"], metrics["language"], metrics["kernels"]) == ("test", language, "deterministic")


@pytest.mark.parametrize(
    "name",
    ["de", "decoder", *(pytest.param(name, marks=pytest.mark.full) for name in ("clip_score", "translate_train"))],
)
def test_a_reloaded_checkpoint_scores_the_same_to_the_last_digit_in_a_new_process(world, tmp_path, name):
    world.evaluate(tmp_path / "here", **EVALUATIONS[name])
    command = [
        sys.executable,
        ROOT / "src" / "run.py",
        "evaluate",
        *world.evaluation(tmp_path / "there", **EVALUATIONS[name]),
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "9", "OMP_NUM_THREADS": "2"},
    )
    assert done.returncode == 0, done.stderr
    for suffix in ("json", "jsonl"):
        assert (tmp_path / f"there.{suffix}").read_bytes() == (tmp_path / f"here.{suffix}").read_bytes()


@pytest.fixture(scope="session")
def other_inputs(world):
    """Other image vectors, and English hypotheses whose texts are exchanged."""
    index, vectors = read_vectors(world / "data/image_vectors")
    write_vectors(world / "other/images", list(index), np.roll(vectors, 1, axis=0) * 2 + 1)
    rows = read_rows(world / "data/hypotheses/en.jsonl", Translation)
    texts = [row.text for row in rows[3:] + rows[:3]]
    write_rows(
        world / "other/en.jsonl",
        [Translation(**asdict(row) | {"text": text}) for row, text in zip(rows, texts, strict=True)],
    )
    return {"image": {"images": world / "other/images"}, "text": {"english": world / "other/en.jsonl"}}


@pytest.mark.parametrize(
    ("model", "sees"),
    [
        ("clip_ve", {"image", "text"}),
        ("hypothesis_only", {"text"}),
        ("image_only", {"image"}),
        ("zero_shot", {"image", "text"}),
        ("clip_score", {"image", "text"}),
        ("majority", set()),
    ],
)
def test_a_control_is_blind_to_the_other_input(world, other_inputs, tmp_path, model, sees):
    def logits(**changes):
        return [row.logits for row in world.evaluate(tmp_path / "out", **control(model), **changes)[0]]

    plain = logits()
    assert {name for name, changes in other_inputs.items() if logits(**changes) != plain} == sees


def test_predictions_of_a_control_differ_by_what_it_sees_alone(world, tmp_path):
    examples = read_splits(world / "data/examples", ["test"])
    for model, key in (("hypothesis_only", "hypothesis_id"), ("image_only", "image_id")):
        rows, _ = world.evaluate(tmp_path / model, **control(model))
        said = {}
        for row, example in zip(rows, examples, strict=True):
            assert said.setdefault(getattr(example, key), row.logits) == row.logits
        assert len(set(map(tuple, said.values()))) > 1


def test_training_a_control_never_uses_the_other_input(world, other_inputs, tmp_path):
    values = {
        **world.common,
        "seed": 0,
        "clip": world / "models/clip",
        "checkpoints": tmp_path / "unfinished",
        "curve": tmp_path / "c.csv",
        "metrics": tmp_path / "m.json",
    }
    finetune_clip_ve.main(
        arguments(
            **values,
            model="hypothesis_only",
            examples=world / "data/examples",
            images=world / "other/images",
            out=tmp_path / "hypothesis_only",
        )
    )
    assert weights_and_settings(tmp_path / "hypothesis_only") == weights_and_settings(world / "models/hypothesis_only")
    # One text for all: the image-only control learns the same. Batches are drawn by length and hypothesis: keep those.
    rows = read_splits(world / "data/examples")
    texts = {row.hypothesis_id: row.hypothesis for row in rows}
    same_length = {key: " ".join(text.split()[::-1]) for key, text in texts.items()}
    for split in SPLITS:
        write_rows(
            tmp_path / f"examples/{split}.jsonl",
            [
                Example(**asdict(row) | {"hypothesis": same_length[row.hypothesis_id]})
                for row in rows
                if row.split == split
            ],
        )
    finetune_clip_ve.main(
        arguments(
            **values,
            model="image_only",
            examples=tmp_path / "examples",
            images=world / "data/image_vectors",
            out=tmp_path / "image_only",
        )
    )
    assert weights_and_settings(tmp_path / "image_only") == weights_and_settings(world / "models/image_only")
    assert not (world / "models/image_only/model.safetensors").exists()  # its tower never ran


def test_teacher_vectors_are_made_in_parts_and_a_killed_run_goes_on(world, tmp_path, monkeypatch):
    profile = json.loads((world / "profiles/small.yaml").read_text()) | {"encode_batch": 16}
    (tmp_path / "small.yaml").write_text(json.dumps(profile))
    values = {
        "params": world / "params.yaml",
        "profile": tmp_path / "small.yaml",
        "hypotheses": world / "data/hypotheses/en.jsonl",
        "teacher": world / "models/clip_ve",
        "checkpoints": tmp_path / "unfinished",
    }
    embed_english.main(arguments(**values, out=tmp_path / "whole"))
    monkeypatch.setattr(embed_english, "PIECE", 2)
    made, inner = [], embed_english.embed_texts

    def cut_short(tower, texts, batch):
        made.append(len(texts))
        if len(made) == 3:
            raise KeyboardInterrupt
        return inner(tower, texts, batch)

    monkeypatch.setattr(embed_english, "embed_texts", cut_short)
    with pytest.raises(KeyboardInterrupt):
        embed_english.main(arguments(**values, out=tmp_path / "parts"))
    assert not (tmp_path / "parts").exists() and len(list((tmp_path / "unfinished").glob("*.pt"))) == 2
    embed_english.main(arguments(**values, out=tmp_path / "parts"))
    count = len(read_rows(world / "data/hypotheses/en.jsonl", Translation))
    assert count > 96 and made[:3] == [32, 32, 32] and sum(made) == count + 32, "two parts were done before"
    assert hashes(tmp_path / "parts") == hashes(tmp_path / "whole")
    assert not (tmp_path / "unfinished").exists()


def test_the_learning_rate_reaches_the_student(world, tmp_path):
    values = json.loads((world / "params.yaml").read_text()) | {"lr": 4e-5}
    (tmp_path / "params.yaml").write_text(json.dumps(values))
    world.clseave(out="lr/clseave", params=tmp_path / "params.yaml")
    assert json.loads((world / "lr/clseave.json").read_text())["lr"] == pytest.approx(4e-5 * 10)
    assert hashes(world / "lr/clseave") != hashes(world / "models/clseave")


@pytest.mark.parametrize(
    ("key", "value"), [("loss", "normalised"), ("pooling", "mean"), ("pooling", "cls"), ("dropout", 0.0)]
)
def test_every_setting_of_the_student_matters(world, tmp_path, key, value):
    profile = json.loads((world / "profiles/small.yaml").read_text())
    profile["clseave"] |= {key: value, "epochs": 1}
    (tmp_path / "profile.yaml").write_text(json.dumps(profile))
    out = f"settings/{key}-{value}"
    world.clseave(out=out, profile=tmp_path / "profile.yaml")
    assert (world / f"{out}/projection.safetensors").read_bytes() != (
        world / "models/clseave/projection.safetensors"
    ).read_bytes()
    if key == "pooling":
        assert Student.load(world / out).pooling == value


def test_the_autoencoder_does_not_depend_on_languages_that_the_settings_do_not_name(world, caplog):
    folders = [world / "data" / name for name in ("hypotheses", "alignments")]
    inputs = training_record.read(world / "models/autoencoder").inputs
    assert [folder.name for folder in folders if fingerprint.digest(folder) != inputs[folder.name]] == []
    stale = [folder / "ko.jsonl" for folder in folders]
    for path in stale:
        path.write_text("not a row")
    try:
        world.autoencoder(out="stale/autoencoder")
    finally:
        for path in stale:
            path.unlink()
    made, usual = (
        {path.name: path.read_bytes() for path in [*(world / out).iterdir(), world / f"{out}.csv"]}
        for out in ("stale/autoencoder", "models/autoencoder")
    )
    assert made == usual and len(made) == 4
    (warning,) = [line for line in caplog.messages if "params.yaml does not name" in line]
    assert warning.startswith("2 files of ") and "make clean-stale" in warning


def test_the_independent_examples_are_judged_in_their_own_words(world, tmp_path):
    examples = read_rows(world / "data/independent/examples.jsonl", Example)
    assert 0 < len({row.image_id for row in examples}) == 5
    for name, values, language in (
        ("en", {}, "en"),
        ("de", {"encoder": "clseave", "hypotheses": "translated"}, "de"),
        ("ja", {"encoder": "clseave", "hypotheses": "translated", "language": "ja"}, "ja"),
    ):
        rows, metrics = world.evaluate(tmp_path / name, split="independent", **values)
        assert [row.pair_id for row in rows] == [row.pair_id for row in examples]
        assert (metrics["rows"], metrics["set"], metrics["language"]) == (len(rows), "independent", language)
        plain, _ = world.evaluate(tmp_path / f"{name}_test", **values)
        before = {row.pair_id: row.logits for row in plain}
        assert any(row.logits != before[row.pair_id] for row in rows), "the pipeline's own words were judged"
        texts = {
            one.hypothesis_id: one.text for one in read_rows(world / f"data/independent/{language}.jsonl", Translation)
        }
        own = read_rows(world / f"data/hypotheses/{language}.jsonl", Translation)
        assert not [one for one in own if texts.get(one.hypothesis_id) == one.text]


def test_the_test_hypotheses_are_translated_back_and_judged_in_english(world, tmp_path):
    examples = read_splits(world / "data/examples", ["test"])
    back = read_rows(world / "data/back/de.jsonl", Translation)
    german = {row.hypothesis_id: row.text for row in read_rows(world / "data/hypotheses/de.jsonl", Translation)}
    assert [row.hypothesis_id for row in back] == list(dict.fromkeys(row.hypothesis_id for row in examples))
    assert all((row.source, row.target) == (german[row.hypothesis_id], "en") for row in back)
    assert all(row.text == gold.back(row.source, "de") for row in back)
    rows, _ = world.evaluate(tmp_path / "back", hypotheses="back_translated")
    as_english, _ = world.evaluate(tmp_path / "english", english=world / "data/back/de.jsonl")
    assert [row.logits for row in rows] == [row.logits for row in as_english]
    plain, _ = world.evaluate(tmp_path / "plain")
    assert [row.logits for row in rows] != [row.logits for row in plain]


@pytest.mark.parametrize("how", ["no such language", "no such examples", "no translation back"])
def test_what_the_corpus_does_not_have_is_not_run(world, tmp_path, how):
    if how == "no such language":
        values = {"split": "independent", "hypotheses": "translated", "translated": tmp_path / "fr.jsonl"}
    elif how == "no such examples":
        for name in ("examples", "en"):
            write_rows(tmp_path / f"independent/{name}.jsonl", [])
        values = {"split": "independent", "independent": tmp_path / "independent"}
    else:
        write_rows(tmp_path / "de.jsonl", [])
        values = {"hypotheses": "back_translated", "back": tmp_path / "de.jsonl"}
    rows, metrics = world.evaluate(tmp_path / "out", **values)
    assert rows == [] and metrics["rows"] == 0
    assert set(metrics) == {"name", "seed", "set", "language", "kernels", "rows"}


def test_hypotheses_of_the_test_set_that_are_not_there_are_no_choice(world, tmp_path):
    with pytest.raises(UserError, match=r"nl\.jsonl"):
        world.evaluate(tmp_path / "out", hypotheses="translated", translated=tmp_path / "nl.jsonl")
    assert not (tmp_path / "out.json").exists()


def test_the_majority_is_the_shares_of_the_labels(world, tmp_path):
    assert sorted(path.name for path in (world / "models/majority").iterdir()) == ["head.json", "training.json"]
    head = json.loads((world / "models/majority/head.json").read_text())
    assert (head["thresholds"], head["inputs"]) == ([], "clip_ve")
    assert np.exp(head["log_shares"][0]) == pytest.approx([1 / 3] * 3, abs=1e-6)  # the miniature is balanced
    rows, metrics = world.evaluate(tmp_path / "majority", **control("majority"))
    assert metrics["accuracy"] == pytest.approx(1 / 3, abs=1e-6) and metrics["constant"] == LABELS[0]
    assert metrics["loss"] == pytest.approx(np.log(3), abs=1e-4) and len({tuple(row.logits) for row in rows}) == 1


def test_clip_score_compares_the_vectors_of_clip_before_fine_tuning(world):
    rows = read_splits(world / "data/examples", ["train"])
    index, vectors = read_vectors(world / "data/image_vectors")
    texts = embed_texts(TextTower.load(world / "models/clip").eval(), [row.hypothesis for row in rows], 64)
    images = torch.from_numpy(vectors[[index[row.image_id] for row in rows]])
    scores = functional.cosine_similarity(texts, images).numpy()
    labels = np.array([LABELS.index(row.label) for row in rows])
    head = json.loads((world / "models/clip_score/head.json").read_text())
    low, high = head["thresholds"]
    said = np.searchsorted([low, high], scores)
    assert [[np.mean(labels[said == part] == label) for label in range(3)] for part in range(3)] == pytest.approx(
        np.exp(head["log_shares"]), abs=0.1
    )  # but for the one that is added to each count
    figures = json.loads((world / "models/clip_score.json").read_text())
    logits = np.array(head["log_shares"])[said]
    assert figures["train_accuracy"] == pytest.approx(np.mean(logits.argmax(1) == labels), abs=2e-3)
    assert (figures["epoch"], figures["epochs_run"]) == (1, 1) and len(curve(world / "models/clip_score.csv")) == 1
    weights = load_file(world / "models/clip_score/model.safetensors")
    before = load_file(world / "models/clip/model.safetensors")
    assert weights and all(torch.equal(value, before[key]) for key, value in weights.items())


def test_the_trained_baselines_are_mbert_on_labels_in_one_language(world, tmp_path):
    for name in ("zero_shot", "translate_train"):
        losses = [row["train_loss"] for row in curve(world / f"models/{name}.csv")]
        assert losses[-1] < losses[0]
        before, after = (load_file(world / f"models/{folder}/model.safetensors") for folder in ("mbert", name))
        named = {key.removeprefix("bert."): value for key, value in before.items()}
        assert sum(not torch.equal(value, named[key]) for key, value in after.items()) > 0.9 * len(after)
    assert hashes(world / "models/zero_shot") != hashes(world / "models/translate_train")
    rows = read_rows(world / "data/hypotheses/de.jsonl", Translation)
    write_rows(tmp_path / "en.jsonl", rows)  # English hypotheses that are German: the same training
    world.baseline("zero_shot", out="swapped/zero_shot", english=tmp_path / "en.jsonl")
    for file in ("model.safetensors", "projection.safetensors", "head.safetensors"):
        wanted = (world / "models/translate_train" / file).read_bytes()
        assert (world / "swapped/zero_shot" / file).read_bytes() == wanted


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_has_the_same_bytes_again(world, name):
    world.baseline(name, out=f"again/{name}")
    assert hashes(world / f"again/{name}") == hashes(world / f"models/{name}")
    for suffix in ("csv", "json"):
        assert (world / f"again/{name}.{suffix}").read_bytes() == (world / f"models/{name}.{suffix}").read_bytes()
    assert not (world / "unfinished").exists()


def test_a_baseline_keeps_checkpoints_where_it_is_told_and_goes_on_from_them(world, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Student, "save", lambda self, folder: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            world.baseline("translate_train", out="cut/translate_train", checkpoints=tmp_path / "kept")
    assert list((tmp_path / "kept").glob("*.pt")) and not (world / "cut/translate_train").exists()
    world.baseline("translate_train", out="cut/translate_train", checkpoints=tmp_path / "kept")
    assert hashes(world / "cut/translate_train") == hashes(world / "models/translate_train")
    assert not (tmp_path / "kept").exists()


def test_a_baseline_names_a_translation_that_is_missing(world, tmp_path):
    without_row(world / "data/hypotheses/de.jsonl", tmp_path / "de.jsonl", Translation, 0)
    with pytest.raises(UserError, match="no translation for id"):
        world.baseline("translate_train", out="missing/translate_train", translated=tmp_path / "de.jsonl")
    assert not (world / "missing").exists()


def without_row(source, target, kind, number):
    rows = read_rows(source, kind)
    write_rows(target, rows[:number] + rows[number + 1 :])


def test_a_translation_that_is_missing_is_the_users_error(world, tmp_path):
    without_row(world / "data/hypotheses/de.jsonl", tmp_path / "de.jsonl", Translation, 0)
    with pytest.raises(UserError, match="id"):
        world.clseave(out="missing/clseave", translations=tmp_path / "de.jsonl")
    assert not (world / "missing").exists()


def test_a_hypothesis_that_is_missing_is_the_users_error_of_an_evaluation(world, tmp_path):
    wanted = read_splits(world / "data/examples", ["test"])[0].hypothesis_id
    rows = read_rows(world / "data/hypotheses/en.jsonl", Translation)
    write_rows(tmp_path / "en.jsonl", [row for row in rows if row.hypothesis_id != wanted])
    with pytest.raises(UserError, match=wanted):
        world.evaluate(tmp_path / "out", english=tmp_path / "en.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_a_vector_that_is_missing_is_the_users_error(world, tmp_path):
    index, vectors = read_vectors(world / "data/image_vectors")
    gone = read_splits(world / "data/examples", ["test"])[0].image_id
    kept = [key for key in index if key != gone]
    write_vectors(tmp_path / "images", kept, vectors[[index[key] for key in kept]])
    with pytest.raises(UserError, match=f"no image vector for id {gone}"):
        world.evaluate(tmp_path / "out", images=tmp_path / "images")


def test_stages_print_nothing(world, tmp_path, capsys):
    world.embed("quiet/vectors")
    world.clseave(out="quiet/clseave")
    world.evaluate(tmp_path / "quiet")
    assert capsys.readouterr().out == ""
    assert hashes(world / "quiet/vectors") == hashes(world / "data/teacher_vectors")


def softmax(logits):
    powers = np.exp(np.array(logits) - max(logits))
    return powers / powers.sum()


def test_predict_says_what_the_evaluation_says(world, tmp_path, capsys):
    predictions, _ = world.evaluate(tmp_path / "de", encoder="clseave", hypotheses="translated")
    row, example = predictions[0], read_splits(world / "data/examples", ["test"])[0]
    archive = open_collection(world / "data/images/archive.zip")
    decode(archive.read(example.image_id)).save(tmp_path / "photo.png")
    texts = {one.hypothesis_id: one.text for one in read_rows(world / "data/hypotheses/de.jsonl", Translation)}
    common = arguments(model=world / "models/clseave", image=tmp_path / "photo.png", text=texts[example.hypothesis_id])
    folders = arguments(head=world / "models/clip_ve", clip=world / "models/clip")
    predict.main([*common, *folders, "--format", "json"])
    (found,) = json.loads(capsys.readouterr().out)
    assert [found[name] for name in LABELS] == pytest.approx(softmax(row.logits), abs=1e-3)
    predict.main([*common, *folders])
    assert capsys.readouterr().out.split()[0] == LABELS[int(np.argmax(row.logits))]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "nowhere"}, "no such folder"),
        ({"image": "params.yaml"}, "not a readable image"),
        ({"image": "absent.png"}, "absent.png does not exist"),
        ({"text": " "}, "a blank text"),
    ],
)
def test_predict_names_what_is_wrong(world, tmp_path, changes, message):
    from PIL import Image

    Image.new("RGB", (32, 32)).save(tmp_path / "photo.png")
    values = {"model": "models/clip_ve", "image": tmp_path / "photo.png", "text": "A red circle"} | changes
    paths = {key: value if key == "text" else world / value for key, value in values.items()}
    with pytest.raises(UserError, match=message):
        predict.main(arguments(**paths, head=world / "models/clip_ve", clip=world / "models/clip"))
