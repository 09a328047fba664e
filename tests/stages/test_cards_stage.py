"""The stage `cards`: one card for every model that the settings name, from what the trainings left."""

import json
import logging
import subprocess
import sys

import pytest
from huggingface_hub import ModelCard

from clseave.foundation.errors import UserError
from clseave.foundation.rows.training_record import Origin, TrainingRecord
from clseave.stages import cards
from settings import ROOT

PARAMS = """
languages: [de, ja]
seeds: [0, 1]
ve_models: [clip_ve, image_only]
baselines: [{name: majority, kind: majority, hypotheses: english}]
"""
SEEDED = ("clip_ve", "image_only", "majority", "autoencoder", "clteave", "clseave/de", "clseave/ja")
BASES = {
    "clteave": ["mbert", "clip_ve/seed0", "autoencoder/seed0"],
    "autoencoder": ["clip", "mbert"],
    "clseave": ["mbert"],
}


def leave(models, name):
    """What a training leaves."""
    base = name.partition("/")[0]
    known = "finetune_baseline" if base == "majority" else base
    made = models / name
    made.mkdir(parents=True)
    (made / "model.safetensors").write_text(name)
    TrainingRecord(
        name=known, stage="a_stage", profile="mini", seed=0, languages=["en"], parameters={"lr": 0.1},
        inputs={"examples": "0" * 64}, bases=[f"models/mini/{one}" for one in BASES.get(base, ["clip"])],
        origin=Origin(corpus="scenes") if base in ("clip", "mbert") else None, metrics={"dev_loss": 0.5},
    ).write(made)  # fmt: skip


@pytest.fixture
def world(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    for name in ("clip", "mbert", *(f"{name}/seed{seed}" for name in SEEDED for seed in (0, 1))):
        leave(tmp_path / "models/mini", name)
    return tmp_path


def arguments(world):
    paths = {"params": "params.yaml", "models": "models/mini", "out": "reports/mini/cards"}
    return [part for name, path in paths.items() for part in (f"--{name}", str(world / path))]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def made(world):
    cards.main(arguments(world))
    return contents(world / "reports/mini/cards")


def test_every_model_of_the_settings_has_one_card(world, caplog):
    found = made(world)
    seeded = {f"{name.replace('/', '-')}-seed{seed}.md" for name in SEEDED for seed in (0, 1)}
    assert set(found) == {"clip.md", "mbert.md"} | seeded
    for name, content in found.items():
        assert ModelCard(content.decode()).data.license == "mit", name
    assert "Multilingual BERT" in found["mbert.md"].decode() and caplog.messages == []
    assert "`models/mini/clseave/ja/seed1`" in found["clseave-ja-seed1.md"].decode()


def test_the_program_writes_the_same_bytes_from_relative_paths(world):
    before = made(world)
    command = [sys.executable, str(ROOT / "src/run.py"), "cards", "--params", "params.yaml", "--models", "models/mini"]
    done = subprocess.run([*command, "--out", "cards"], cwd=world, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(world / "cards") == before


def test_what_the_settings_do_not_name_is_ignored_with_one_warning(world, caplog):
    before = made(world)
    for name in ("clseave/zh/seed0", "clip_ve/seed2"):
        leave(world / "models/mini", name)
    (world / "models/mini/clip_ve/seed2/training.json").write_text("not a record")
    assert made(world) == before
    (warning,) = caplog.messages
    assert warning.startswith("2 files of languages, seeds or models that params.yaml does not name are ignored")


def test_a_card_of_an_earlier_run_does_not_stay(world):
    made(world)
    (world / "reports/mini/cards/clseave-zh-seed0.md").write_text("of an earlier run")
    assert "clseave-zh-seed0.md" not in made(world)


def test_a_model_without_a_record_has_no_card_and_what_is_made_of_it_no_known_licence(world, caplog):
    caplog.set_level(logging.WARNING)
    (world / "models/mini/mbert/training.json").unlink()
    found = made(world)
    assert "mbert.md" not in found
    licences = {name: ModelCard(content.decode()).data.license for name, content in found.items()}
    unknown = {name for name, licence in licences.items() if licence == "unknown"}
    assert unknown == {name for name in found if name.startswith(("autoencoder", "clteave", "clseave"))}
    (warning,) = caplog.messages
    assert warning.startswith("no card for 1 models without training.json, the first is ")
    assert "models/mini/mbert: run the stage that writes it" in warning


def test_a_missing_model_is_named_and_nothing_is_written(world):
    (world / "models/mini/clseave/ja/seed1").rename(world / "elsewhere")
    with pytest.raises(UserError, match=r"missing, `dvc repro` makes them: \S*models/mini/clseave/ja/seed1$"):
        cards.main(arguments(world))
    assert not (world / "reports").exists()


def test_a_damaged_record_is_one_line_and_nothing_is_written(world):
    path = world / "models/mini/clteave/seed0/training.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": "none"}))
    command = [sys.executable, str(ROOT / "src/run.py"), "cards", *arguments(world)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "clteave/seed0/training.json: seed: Input should be a valid integer: delete the folder, then" in done.stderr
    assert not (world / "reports").exists()
