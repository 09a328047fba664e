"""The image archive, and preprocessing equal to CLIP's own."""

import zipfile

import numpy as np
import pytest
from transformers import CLIPImageProcessorPil

from clseave.errors import UserError
from clseave.images import load_processor, prepare, processor, read_archive, write_archive

PIXELS = np.random.default_rng(0).integers(0, 256, size=(4, 32, 32, 3), dtype=np.uint8)
NAMED = [(f"train-{number}", image) for number, image in enumerate(PIXELS)]


def test_an_archive_gives_back_every_pixel_in_the_order_asked_for(tmp_path):
    write_archive(tmp_path / "a.zip", NAMED)
    found = list(read_archive(tmp_path / "a.zip", ["train-2", "train-0"]))
    assert [name for name, _ in found] == ["train-2", "train-0"]
    assert np.array_equal(np.array(found[0][1]), PIXELS[2]) and found[0][1].mode == "RGB"


def test_the_bytes_depend_on_the_pixels_alone(tmp_path, monkeypatch):
    write_archive(tmp_path / "a.zip", NAMED)
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2040, 1, 1, 0, 0, 0, 0, 1, 0))
    write_archive(tmp_path / "b.zip", iter(NAMED))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist()[0] == "train-0.png"


def test_missing_images_are_counted_and_named(tmp_path):
    write_archive(tmp_path / "a.zip", NAMED)
    with pytest.raises(UserError, match=r"a\.zip: 2 images are missing, the first dev-1, train-9"):
        list(read_archive(tmp_path / "a.zip", ["train-9", "train-0", "dev-1"]))


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n cut"])
def test_a_broken_image_is_named(tmp_path, content):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("train-0.png", content)
    with pytest.raises(UserError, match=r"train-0\.png is not a readable image"):
        list(read_archive(tmp_path / "a.zip", ["train-0"]))


@pytest.mark.parametrize("content", [None, b"no archive"])
def test_a_missing_or_broken_archive_is_named(tmp_path, content):
    path = tmp_path / "a.zip"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.zip"):
        list(read_archive(path, ["train-0"]))


@pytest.mark.parametrize("size", [32, 16])
def test_prepare_equals_clips_own_processor(size):
    images = PIXELS[:, :size, :size]
    official = CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
    wanted = official(list(images), return_tensors="pt").pixel_values
    found = prepare(images, size)
    assert found.shape == wanted.shape == (4, 3, size, size) and found.dtype == wanted.dtype
    assert (found - wanted).abs().max() < 1e-6


def test_prepare_by_hand():
    image = np.full((1, 2, 2, 3), 255, dtype=np.uint8)
    # CLIP's published mean and deviation of each channel.
    mean, deviation = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
    assert prepare(image, 2)[0, :, 0, 1].tolist() == pytest.approx(((1 - mean) / deviation).tolist(), abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 16, 16, 3), (1, 32, 16, 3), (1, 32, 32, 4)])
def test_prepare_refuses_another_size(shape):
    with pytest.raises(ValueError, match="expected images of 32 x 32 x 3, got"):
        prepare(np.zeros(shape, dtype=np.uint8), 32)


def test_a_saved_processor_prepares_alike(tmp_path):
    processor(32).save_pretrained(tmp_path)
    again = load_processor(tmp_path)
    assert isinstance(again, CLIPImageProcessorPil)
    one, two = (made(list(PIXELS), return_tensors="pt").pixel_values for made in (processor(32), again))
    assert one.equal(two)
