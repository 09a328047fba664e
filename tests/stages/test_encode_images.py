"""`encode_images` on photos: what comes out, what breaks, and that nothing done is lost."""

import io
import json
import logging
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML
from tiny_models import clip_text
from transformers import CLIPModel, CLIPVisionModelWithProjection

from clseave.corpora.images import processor, write_archive
from clseave.corpora.photos import describe, open_collection, write_photos
from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import Example, examples_with_images, read_vectors, write_rows
from clseave.stages import encode_images
from settings import SETTINGS

BATCH, WIDTH = 4, 12


def save_clip(folder, seed=0):
    """A random CLIP of a few thousand weights for images of 32 pixels, with its preprocessing."""
    from transformers import CLIPConfig

    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**tower, "vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1, "projection_dim": WIDTH},
        vision_config={**tower, "image_size": 32, "patch_size": 8, "projection_dim": WIDTH},
        projection_dim=WIDTH,
    )
    torch.manual_seed(seed)
    CLIPModel._from_config(config, attn_implementation="eager").save_pretrained(folder)
    processor(32).save_pretrained(folder)
    clip_text().save_pretrained(folder)  # hypotheses that are too long stop this stage, which is the first to see both
    return folder


def photo(number):
    """Bytes of a JPEG: another size and other colours for each number."""
    rng = np.random.default_rng(number)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (40 + number, 64, 3), dtype=np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


class World:
    """Photos, examples that use them, and the arguments of the stage."""

    def __init__(self, folder, root, count=10, form="folder"):
        self.folder, self.root = folder, root
        self.ids = [str(number) for number in np.random.default_rng(1).permutation(count)]  # not in their sorted order
        self.photos = folder / "source" / "photos"
        self.photos.mkdir(parents=True)
        for image_id in self.ids:
            (self.photos / f"{image_id}.jpg").write_bytes(photo(int(image_id)))
        rows = [
            Example(f"{image_id}-{row}", image_id, "h", "A", "neutral", "train", None, True)
            for row in range(2)
            for image_id in self.ids
        ]
        write_rows(folder / "examples" / "train.jsonl", rows)
        for split in ("dev", "test"):
            one = Example(split, self.ids[0], "h", "A", "neutral", split, None, True)
            write_rows(folder / "examples" / f"{split}.jsonl", [one])
        write_rows(folder / "independent" / "examples.jsonl", [])
        self.rows = rows
        if form != "folder":
            shutil.make_archive(str(self.photos), form, folder / "source", "photos")
            shutil.rmtree(self.photos)
        self.form = form
        save_clip(folder / "clip")
        self.profile()
        self.list()

    def profile(self, **changes):
        content = YAML(typ="safe", pure=True).load((SETTINGS / "profiles" / "tiny.yaml").read_text(encoding="utf-8"))
        with open(self.folder / "photos.yaml", "w", encoding="utf-8") as stream:
            YAML().dump(content | {"encode_batch": BATCH, **changes}, stream)

    def list(self):
        """What `prepare` does for the photos."""
        ending = {"folder": "", "zip": ".zip", "gztar": ".tar.gz", "tar": ".tar"}[self.form]
        collection = open_collection(self.folder / "source" / f"photos{ending}")
        write_photos(self.folder / "images" / "photos.jsonl", describe(collection, self.ids, self.folder / "source"))

    def arguments(self, **changes):
        names = ("examples", "independent", "images", "source", "checkpoints", "clip", "out")
        paths = {name: self.folder / name for name in names}
        paths |= {"params": SETTINGS / "params.yaml", "profile": self.folder / "photos.yaml"} | changes
        return [str(part) for name, path in paths.items() for part in (f"--{name}", path)]

    def run(self, **changes):
        encode_images.main(self.arguments(**changes))
        return read_vectors(changes.get("out", self.folder / "out"))

    def parts(self):
        return sorted((self.folder / "checkpoints").glob("*.safetensors"))


@pytest.fixture
def world(tmp_path, repo_root):
    return World(tmp_path, repo_root)


def test_one_vector_a_photo_in_the_order_of_its_first_appearance(world):
    index, vectors = world.run()
    assert list(index) == world.ids and vectors.shape == (10, WIDTH) and vectors.dtype == np.float32
    tower = CLIPVisionModelWithProjection.from_pretrained(world.folder / "clip").eval()
    with torch.no_grad():
        for image_id in world.ids:
            with Image.open(world.photos / f"{image_id}.jpg") as image:
                pixels = processor(32)(image, return_tensors="pt").pixel_values
            assert np.allclose(vectors[index[image_id]], tower(pixel_values=pixels).image_embeds[0], atol=1e-5)
    assert sorted(path.name for path in (world.folder / "out").iterdir()) == ["ids.json", "vectors.safetensors"]
    assert list((world.folder / "checkpoints").iterdir()) == []


def test_the_bytes_are_the_same_again(world):
    world.run()
    world.run(out=world.folder / "again")
    for name in ("ids.json", "vectors.safetensors"):
        assert (world.folder / "out" / name).read_bytes() == (world.folder / "again" / name).read_bytes()


@pytest.mark.parametrize("form", ["zip", "tar", "gztar"])
def test_archives_give_the_same_vectors(tmp_path, repo_root, form):
    index, vectors = World(tmp_path / "folder", repo_root).run()
    again, others = World(tmp_path / form, repo_root, form=form).run()
    assert list(index) == list(again) and np.allclose(vectors, others, atol=1e-5)


def test_the_archive_of_the_miniature_needs_no_source(world):
    pixels = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    (world.folder / "drawn").mkdir()
    write_archive(world.folder / "drawn" / "archive.zip", [(str(number), pixels[number]) for number in range(10)])
    index, vectors = world.run(images=world.folder / "drawn", source=world.folder / "absent")
    tower = CLIPVisionModelWithProjection.from_pretrained(world.folder / "clip").eval()
    for start in range(0, 10, BATCH):  # to the last bit: the same batches, one image at a time or all at once
        ids = world.ids[start : start + BATCH]
        batch = [Image.fromarray(pixels[int(image_id)]) for image_id in ids]
        with torch.no_grad():
            wanted = tower(pixel_values=processor(32)(batch, return_tensors="pt").pixel_values).image_embeds
        assert np.allclose(vectors[[index[key] for key in ids]], wanted.numpy(), atol=1e-6)


def break_photos(world, *ids):
    for image_id in ids:
        path = world.photos / f"{image_id}.jpg"
        path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2])
    world.list()


def test_broken_photos_are_all_named_and_nothing_else_is_lost(world, caplog):
    clean = world.run(out=world.folder / "clean")
    broken = [world.ids[1], world.ids[9]]
    break_photos(world, *broken)
    with caplog.at_level(logging.WARNING), pytest.raises(UserError) as caught:
        world.run()
    message = str(caught.value)
    assert message.startswith("2 of 10 images are broken: ") and "skip_broken: true" in message
    listing = (world.folder / "checkpoints" / "broken_images.txt").read_text().splitlines()
    assert [line.split(": ")[0] for line in listing] == [f"photos/{image_id}.jpg" for image_id in broken]
    assert all("truncated" in line and line in message and line in caplog.messages for line in listing)
    assert not (world.folder / "out").exists() and len(world.parts()) == 3
    # Everything is encoded: with skip_broken not one photo is read again.
    shutil.rmtree(world.photos)
    world.profile(skip_broken=True)
    index, vectors = world.run()
    assert list(index) == [image_id for image_id in world.ids if image_id not in broken]
    assert np.allclose(vectors, clean[1][[clean[0][image_id] for image_id in index]], atol=1e-5)
    skipped = json.loads((world.folder / "out" / "skipped.json").read_text())
    assert set(skipped) == set(broken) and all("truncated" in reason for reason in skipped.values())
    assert {row.image_id for row in examples_with_images(world.rows, world.folder / "out")} == set(index)
    assert list((world.folder / "checkpoints").iterdir()) == []


def test_a_fixed_photo_costs_its_own_batch_only(world):
    clean = world.run(out=world.folder / "clean")
    path = world.photos / f"{world.ids[5]}.jpg"
    whole = path.read_bytes()
    break_photos(world, world.ids[5])
    with pytest.raises(UserError, match="1 of 10 images are broken"):
        world.run()
    path.write_bytes(whole)
    world.list()
    for image_id in [*world.ids[:4], *world.ids[8:]]:  # of the other batches
        (world.photos / f"{image_id}.jpg").unlink()
    index, vectors = world.run()
    assert list(index) == list(clean[0]) and np.array_equal(vectors, clean[1])


def test_a_photo_that_changed_since_it_was_listed_stops_it(world):
    (world.photos / f"{world.ids[5]}.jpg").write_bytes(photo(77))
    with pytest.raises(
        UserError, match=rf"photos/{world.ids[5]}\.jpg changed since prepare: run `dvc repro -f -s prepare`"
    ):
        world.run()
    assert len(world.parts()) == 1  # the batch before


def test_a_run_that_stops_goes_on_with_the_batch_that_failed(world):
    clean = world.run(out=world.folder / "clean")
    path = world.photos / f"{world.ids[9]}.jpg"
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(UserError, match=rf"photos/{world.ids[9]}\.jpg cannot be read: .*No such file"):
        world.run()
    assert len(world.parts()) == 2
    path.write_bytes(whole)
    for image_id in world.ids[:8]:
        (world.photos / f"{image_id}.jpg").unlink()
    index, vectors = world.run()
    assert list(index) == world.ids and np.array_equal(vectors, clean[1]) and world.parts() == []


def test_another_clip_takes_nothing_from_the_checkpoints(world):
    break_photos(world, world.ids[0])
    with pytest.raises(UserError):
        world.run()
    assert len(world.parts()) == 3
    save_clip(world.folder / "clip", seed=1)
    with pytest.raises(UserError):
        world.run()
    assert len(world.parts()) == 6


def test_no_readable_photo_at_all_is_an_error_even_when_broken_ones_are_skipped(world):
    break_photos(world, *world.ids)
    world.profile(skip_broken=True)
    with pytest.raises(UserError, match="10 of 10 images are broken"):
        world.run()


def test_examples_of_a_photo_that_prepare_did_not_list(world):
    rows = [Example("x", "unknown", "h", "A", "neutral", "dev", None, True)]
    write_rows(world.folder / "examples" / "dev.jsonl", rows)
    with pytest.raises(UserError, match=r"1 images are missing, the first unknown: run `dvc repro -f -s prepare`"):
        world.run()


@pytest.mark.slow
def test_a_killed_run_loses_one_batch_at_most(tmp_path, repo_root):
    world = World(tmp_path, repo_root, count=600)
    whole = world.run(out=tmp_path / "whole")[1]
    command = [sys.executable, str(repo_root / "src" / "run.py"), "encode_images", *world.arguments()]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 120
        while len(world.parts()) < 5 and time.monotonic() < deadline and running.poll() is None:
            time.sleep(0.002)
        running.send_signal(signal.SIGKILL)
    done = len(world.parts())
    assert 5 <= done < 150 and not (tmp_path / "out").exists()
    for image_id in world.ids[: BATCH * done]:  # batches are done in order: none of them is read again
        (world.photos / f"{image_id}.jpg").unlink()
    index, vectors = world.run()
    assert list(index) == world.ids and np.array_equal(vectors, whole)
    assert list((tmp_path / "checkpoints").iterdir()) == []  # nor what the killed run was writing


def test_a_part_that_cannot_be_read_is_made_again(world):
    clean = world.run(out=world.folder / "clean")
    path = world.photos / f"{world.ids[9]}.jpg"
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        world.run()
    part = world.parts()[0]
    part.write_bytes(part.read_bytes()[:-20])  # as a full disk or a crash may leave it
    path.write_bytes(whole)
    assert np.array_equal(world.run()[1], clean[1])
