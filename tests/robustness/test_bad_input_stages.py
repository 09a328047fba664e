"""The real stages on bad input: one line, exit code 2 and nothing half-written; or the documented treatment.

Commands are read from dvc.yaml, so what is tested is what `dvc repro` would run.
"""

import contextlib
import importlib
import json
import logging
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_files import POINTER, alias_bomb, bomb_image, long_line, zip_bomb
from PIL import Image
from real_world import arguments
from tiny_models import bert_text, clip_text, save_masked_bert
from transformers import CLIPConfig, CLIPModel

from clseave.corpora.images import processor
from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import Translation, read_rows, read_splits, read_vectors
from clseave.foundation.settings import params
from settings import SETTINGS

pytestmark = pytest.mark.slow  # stages as programs

ROOT = Path(__file__).resolve().parents[2]
SPLITS = {"train": ["1", "2"], "dev": ["3"], "test": ["4"]}
LABELS = ("entailment", "neutral", "contradiction")
RIGHT_TO_LEFT = "\u0645\u0631\u062d\u0628\u0627 \u202b\u05d1\u05d3"
ODD = "A \u202edog\u202c with a zero\u200bwidth\u00ad sign and a\ttab"


def row(photo, label, text=None, **changes):
    text = text or f"A red circle is {label} of {photo}"
    return {
        "pairID": f"{photo}.jpg#0r1{label[0]}",
        "Flickr30K_ID": photo,
        "gold_label": label,
        "sentence2": text,
    } | changes


class World:
    """A folder with parameters, photos, pairs and small models, in which the stages run."""

    def __init__(self, folder):
        self.folder, self.source = folder, folder / "data/real/source"
        self.profile = params.read_yaml(SETTINGS / "profiles/thesis.yaml")
        self.profile["device"] = "cpu"
        self.profile["source"] |= {
            "rows": {"format": "snli_ve", "files": {split: f"{split}.jsonl" for split in SPLITS}},
            "photos": "photos",
            "expected_counts": "none",
        }
        for name in ("clip", "mbert"):
            model = {"id": f"./local/{name}", "revision": None, "weights": "safetensors"}
            self.profile["backbones"][name] = model
        self.rows = {split: [row(photo, label) for photo in ids for label in LABELS] for split, ids in SPLITS.items()}
        (self.source / "photos").mkdir(parents=True)
        for photo in "1234":
            pixels = np.random.default_rng(int(photo)).integers(0, 256, (9, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(self.source / "photos" / f"{photo}.png")
        self.write()

    def write(self):
        """Place what was changed."""
        values = params.read_yaml(SETTINGS / "params.yaml") | {"profile": "real"}
        (self.folder / "profiles").mkdir(exist_ok=True)
        (self.folder / "params.yaml").write_text(json.dumps(values))
        (self.folder / "profiles/real.yaml").write_text(json.dumps(self.profile))
        for split, rows in self.rows.items():
            lines = "".join(json.dumps(one) + "\n" for one in rows)
            (self.source / f"{split}.jsonl").write_text(lines)

    def zip_photos(self, megabytes):
        """The photos as a zip, the first of them zeros of this size."""
        zip_bomb("1.png", megabytes)(self.source / "photos.zip")
        with zipfile.ZipFile(self.source / "photos.zip", "a") as archive:
            for path in sorted((self.source / "photos").iterdir()):
                if path.name != "1.png":
                    archive.write(path, path.name)
                path.unlink()
        (self.source / "photos").rmdir()

    def save_models(self):
        """A CLIP and an mBERT of a few thousand weights, as a user would place them."""
        words = clip_text()
        tower = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        text = {"vocab_size": len(words), "max_position_embeddings": 24, "eos_token_id": words.eos_token_id}
        config = CLIPConfig(
            text_config=tower | text | {"projection_dim": 8},
            vision_config=tower | {"image_size": 32, "patch_size": 16, "projection_dim": 8},
            projection_dim=8,
        )
        torch.manual_seed(0)
        folder = self.folder / "local/clip"
        CLIPModel._from_config(config, attn_implementation="eager").save_pretrained(folder)
        words.save_pretrained(folder)
        processor(32).save_pretrained(folder)
        save_masked_bert(self.folder / "local/mbert")

    def run(self, stage, **item):
        """One stage, in this process."""
        module, argv = arguments(stage, profile="real", **item)
        with contextlib.chdir(self.folder):
            importlib.import_module(f"clseave.stages.{module}").main(argv)

    def fail(self, stage, **item):
        """What one stage says as a program: it must exit with 2, say one line and leave the folder as it was."""
        before = self.outputs()
        module, argv = arguments(stage, profile="real", **item)
        command = [sys.executable, ROOT / "src/run.py", module, *argv]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=120)
        said = done.stderr.strip().splitlines()
        assert done.returncode == 2 and "Traceback" not in done.stderr and said[-1].startswith("error: "), done.stderr
        assert self.outputs() == before
        return said[-1]

    def outputs(self):
        """What the stages have written, the lists of problems apart."""
        found = [path for name in ("data", "models", "reports") for path in (self.folder / name).rglob("*")]
        return {path for path in found if path.is_file() and self.source not in path.parents}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("params.yaml", lambda path: path.write_text(alias_bomb()), "params.yaml: more than 10,000 values"),
        ("params.yaml", lambda path: path.write_bytes(b"\xff"), "params.yaml is not UTF-8 text"),
        ("profiles/real.yaml", lambda path: path.write_text("device:\n\t- cpu"), "real.yaml: not YAML: "),
        ("profiles/real.yaml", long_line(b"a: "), "real.yaml holds more than 1,048,576 bytes"),
    ],
    ids=["alias bomb", "no UTF-8", "tabs", "100 MB"],
)
def test_values_that_are_none_stop_in_the_first_stage(world, name, write, message):
    write(world.folder / name)
    assert message in world.fail("check")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda world: world.rows["dev"].clear(), "the dev split has no labelled pair: check the files"),
        (lambda world: world.rows["dev"].append(row("3", "maybe")), "dev.jsonl:4: label 'maybe' is not one of"),
        (
            lambda world: world.rows["test"].append(world.rows["train"][0]),
            r"duplicate pair id .*train\.jsonl:1 and .*test\.jsonl:\d+, in two splits",
        ),
        (lambda world: world.rows["dev"].append(row("../../etc/passwd", "neutral")), "is no safe file name"),
        (
            lambda world: world.rows["dev"].append(row("3", "neutral", "\ud800")),
            "dev.jsonl:4: .*surrogates not allowed",
        ),
        (lambda world: world.zip_photos(279), r"photos\.zip: 1\.png cannot be read: 279,000,000 bytes, more than"),
    ],
    ids=["empty split", "label", "duplicate id", "path", "lone surrogate", "zip bomb"],
)
def test_a_corpus_that_makes_no_sense_stops_before_anything_is_written(world, change, message):
    change(world)
    world.write()
    before = world.outputs()
    with pytest.raises(UserError, match=message):
        world.run("prepare")
    assert world.outputs() == before


def test_a_stage_as_a_program_says_one_line(world):
    world.rows["dev"].append(row("3", "may\nbe\u202e"))
    world.write()
    said = world.fail("prepare")
    assert said.endswith("dev.jsonl:4: label 'may\\nbe\\u202e' is not one of contradiction, neutral, entailment or '-'")


def test_odd_but_honest_text_goes_through(world, caplog):
    """Marks of direction and zero width are text; tabs and line breaks are spaces; blank rows are counted."""
    long = "red " * 10_000
    world.rows["dev"] += [
        row("3", "neutral", text, pairID=f"3.jpg#{number}")
        for number, text in enumerate([ODD, f"  {long} \n", "\u200b\u2060", "Cafe\u0301\r\nopen", RIGHT_TO_LEFT])
    ]
    world.write()
    with caplog.at_level(logging.INFO):
        world.run("prepare")
    dev = [one.hypothesis for one in read_splits(world.folder / "data/real/examples", ["dev"])]
    assert dev[3:] == [ODD.replace("\t", " "), long.strip(), "Café open", RIGHT_TO_LEFT]
    assert "{'blank_hypothesis': 1}" in caplog.text
    rows = read_rows(world.folder / "data/real/hypotheses/en.jsonl", Translation)
    assert {one.text for one in rows} >= set(dev) and len({one.hypothesis_id for one in rows}) == len(rows)


def test_a_hypothesis_of_ten_thousand_words_stops_before_the_first_image_or_is_cut(world, caplog):
    world.save_models()
    world.rows["test"].append(row("4", "neutral", "red " * 10_000, pairID="4.jpg#9"))
    world.write()
    world.run("prepare")
    world.run("backbones", backbone="clip")
    with pytest.raises(UserError, match=r"10002 tokens, the model takes 24: 'red red .*`long_texts: cut`"):
        world.run("encode_images")
    assert not (world.folder / "data/real/image_vectors").exists()
    world.profile["backbones"]["clip"]["long_texts"] = "cut"
    world.write()
    world.run("backbones", backbone="clip")
    with caplog.at_level(logging.WARNING):
        world.run("encode_images")
    assert "1 of 13 texts are longer than 24 tokens: their ends are left out" in caplog.text
    assert list(read_vectors(world.folder / "data/real/image_vectors")[0]) == ["1", "2", "3", "4"]


def test_a_split_whose_photos_are_all_broken_is_named(world):
    world.save_models()
    (world.source / "photos/3.png").write_bytes(bomb_image())
    world.run("prepare")
    world.run("backbones", backbone="clip")
    with pytest.raises(UserError, match=r"1 of 4 images are broken: photos/3\.png: .*or set skip_broken: true"):
        world.run("encode_images")
    world.profile["skip_broken"] = True
    world.write()
    world.run("encode_images")
    with pytest.raises(UserError, match=r"skipped\.json: none of 3 examples of dev is left, all images were skipped"):
        world.run("finetune_clip_ve", model="clip_ve", seed=0)
    assert not list((world.folder / "models/real").rglob("head.*"))


def test_a_model_without_its_preprocessing_or_its_weights_is_named_at_once(world):
    world.save_models()
    world.run("prepare")
    kept = world.folder / "local/clip/preprocessor_config.json"
    content = kept.read_bytes()
    kept.unlink()
    with pytest.raises(UserError, match="describes how this model preprocesses photos: copy it"):
        world.run("backbones", backbone="clip")
    kept.write_bytes(content)
    (world.folder / "local/clip/model.safetensors").write_bytes(POINTER)
    with pytest.raises(UserError, match=r"model\.safetensors is a pointer of Git LFS, .*`git lfs pull`"):
        world.run("backbones", backbone="clip")
    bert_text().save_pretrained(world.folder / "local/mbert")
    (world.folder / "local/mbert/tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="no tokenizer there"):
        world.run("backbones", backbone="mbert")
    assert not any(path.is_file() for path in (world.folder / "models").rglob("*.safetensors"))


def test_links_that_lead_back_and_folders_in_folders_are_no_fault(world):
    photos = world.source / "photos"
    (photos / "a/b").mkdir(parents=True)
    (photos / "1.png").rename(photos / "a/b/1.png")
    (photos / "back").symlink_to("..")
    (photos / "a/b/again").symlink_to(photos)
    (photos / "dangling.png").symlink_to("nowhere")
    (photos / "notes.txt").write_text("not a photo")
    world.run("prepare")
    listed = (world.folder / "data/real/images/photos.jsonl").read_text().splitlines()
    assert [json.loads(one)["file"] for one in listed] == [
        "photos/a/b/1.png", "photos/2.png", "photos/3.png", "photos/4.png"
    ]  # fmt: skip
