"""The image archive, decoding of any photo, and preprocessing equal to CLIP's own."""

import hashlib
import io
import logging
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPImageProcessorPil

from clseave.corpora.images import (
    LARGEST,
    BrokenImageError,
    decode,
    load_processor,
    prepare,
    preprocess,
    processor,
    read_pixels,
    require_sound,
    write_archive,
)
from clseave.corpora.photos import describe, open_collection
from clseave.foundation.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, size=(4, 32, 32, 3), dtype=np.uint8)
NAMED = [(f"train-{number}", image) for number, image in enumerate(PIXELS)]


def test_an_archive_gives_back_every_pixel(tmp_path):
    write_archive(tmp_path / "a.zip", NAMED)
    archive = open_collection(tmp_path / "a.zip")
    for name, pixels in NAMED:
        image = decode(archive.read(name))
        assert np.array_equal(np.array(image), pixels) and image.mode == "RGB"


def test_the_bytes_depend_on_the_pixels_alone(tmp_path, monkeypatch):
    write_archive(tmp_path / "a.zip", NAMED)
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2040, 1, 1, 0, 0, 0, 0, 1, 0))
    write_archive(tmp_path / "b.zip", iter(NAMED))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist()[0] == "train-0.png"


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


# Decoding

RED, GREEN, BLUE, GREY = (250, 10, 20), (10, 240, 30), (20, 30, 230), (128, 128, 128)


def stored(image, kind="PNG", **settings):
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def painted(*colours):
    """An RGB image of one row of 8 x 8 squares."""
    return Image.fromarray(np.concatenate([np.full((8, 8, 3), colour, np.uint8) for colour in colours], axis=1))


def corner(image, x, y):
    return tuple(int(value) for value in np.asarray(image)[y, x])


# How a 16 x 8 image, red left and green right, looks upright for each EXIF orientation: size, a pixel that is red.
ORIENTED = {
    1: ((16, 8), (1, 1)),
    2: ((16, 8), (14, 1)),
    3: ((16, 8), (14, 6)),
    4: ((16, 8), (1, 6)),
    5: ((8, 16), (1, 1)),
    6: ((8, 16), (6, 1)),
    7: ((8, 16), (6, 14)),
    8: ((8, 16), (1, 14)),
}


@pytest.mark.parametrize("orientation", ORIENTED)
def test_photos_are_turned_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode(stored(painted(RED, GREEN), exif=exif))
    size, red = ORIENTED[orientation]
    assert (found.size, found.mode) == (size, "RGB")
    assert corner(found, *red) == RED and corner(found, size[0] - 1 - red[0], size[1] - 1 - red[1]) == GREEN
    assert 0x0112 not in found.getexif()  # else whoever gets the upright image turns it once more


def exif_of(*entries):
    """Big-endian EXIF data of (tag, type, count, four bytes)."""
    packed = b"".join(struct.pack(">HHI4s", *entry) for entry in entries)
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", len(entries)) + packed + bytes(4)


SIXTH = (0x0112, 3, 1, b"\0\6\0\0")  # orientation 6


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "exif", "size"),
    [
        ("JPEG", exif_of(SIXTH), (8, 16)),
        ("JPEG", exif_of((0x0100, 2, 4, b"abc\0"), SIXTH), (8, 16)),  # a width that is no number
        ("JPEG", exif_of(SIXTH, (0x0100, 8, 1, b"\xff\xf0\0\0")), (8, 16)),  # a width below zero
        ("JPEG", exif_of(SIXTH, (0x8769, 4, 1, b"\x7f\xff\xff\xff")), (8, 16)),  # a pointer to nowhere
        ("JPEG", exif_of((0x0112, 7, 4, b"\0\6\0\0")), (16, 8)),  # an orientation that is no number
        ("JPEG", exif_of((0x0112, 3, 1, b"\0\x63\0\0")), (16, 8)),  # one that does not exist
        ("PNG", b"Exif\0\0MM\0*\0\0\0", (16, 8)),  # cut short
        ("WEBP", b"Exif\0\0no TIFF header", (16, 8)),
    ],
)
def test_damaged_exif_data_do_not_cost_a_photo(kind, exif, size):
    assert decode(stored(painted(RED, GREEN), kind, exif=exif)).size == size


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        (painted(RED, BLUE), RED),
        (painted(RED, BLUE).convert("P", palette=Image.Palette.ADAPTIVE), RED),
        (Image.new("L", (8, 8), 128), GREY),
        (Image.new("1", (8, 8), 1), (255, 255, 255)),
        (Image.new("RGBA", (8, 8), (*GREEN, 0)), GREEN),  # transparent: its colour, as CLIP's processor has it
        (Image.new("LA", (8, 8), (128, 7)), GREY),
        (Image.fromarray(np.full((8, 8), 65535, np.uint16)), (255, 255, 255)),
        (Image.fromarray(np.full((8, 8), 128 * 257, np.uint16)), GREY),
        (Image.fromarray(np.full((8, 8), 200, np.uint16)), (1, 1, 1)),  # 200 of 65,535, not of 255
    ],
    ids=["RGB", "P", "L", "1", "RGBA", "LA", "white I;16", "grey I;16", "dark I;16"],
)
def test_every_mode_becomes_rgb(image, wanted):
    found = decode(stored(image))
    assert found.mode == "RGB" and corner(found, 1, 1) == wanted


def test_cmyk_and_palettes_with_transparency_become_rgb():
    cmyk = decode(stored(painted(RED, BLUE).convert("CMYK"), "JPEG", quality=100, subsampling=0))
    assert cmyk.mode == "RGB" and np.abs(np.subtract(corner(cmyk, 3, 3), RED)).max() <= 4
    palette = painted(RED, BLUE).convert("P", palette=Image.Palette.ADAPTIVE)
    assert corner(decode(stored(palette, transparency=bytes([0, 128]))), 1, 1) == RED


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_the_content_decides_the_kind(kind):
    found = decode(stored(painted(RED, BLUE), kind))
    assert np.abs(np.subtract(corner(found, 3, 3), RED)).max() <= 40


WHOLE = {"JPEG": stored(Image.fromarray(PIXELS[0]), "JPEG"), "PNG": stored(Image.fromarray(PIXELS[0]))}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"<html>404</html>", "not an image of a known kind; starts with b'<html>404</h'"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image of a known kind"),
        (WHOLE["JPEG"][: len(WHOLE["JPEG"]) // 2], "truncated"),
        (WHOLE["PNG"][: len(WHOLE["PNG"]) // 2], "truncated"),
        (WHOLE["JPEG"][:20], "not an image of a known kind"),
        (stored(Image.fromarray(np.full((4, 4), 0.5, np.float32)), "TIFF"), "pixels of mode F, whose range is unknown"),
        (
            stored(Image.fromarray(np.full((4, 4), 70_000, np.int32)), "TIFF"),
            "pixels of mode I, whose range is unknown",
        ),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(content, reason):
    with pytest.raises(BrokenImageError) as caught:
        decode(content)
    assert reason in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_460, 60_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side):
    assert side * side > LARGEST
    content = stored(Image.new("1", (8, 8)))
    header = side.to_bytes(4, "big") * 2 + content[24:29]  # width, height, then depth, kind and methods
    import zlib

    bomb = content[:16] + header + zlib.crc32(b"IHDR" + header).to_bytes(4, "big") + content[33:]
    with pytest.raises(BrokenImageError, match="pixels"):
        decode(bomb)


# Preprocessing of photos


def test_reading_prepares_in_order_and_gives_the_reason_for_a_broken_one(tmp_path, caplog):
    write_archive(tmp_path / "a.zip", NAMED)
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("broken.png", b"text")
    collection = open_collection(tmp_path / "a.zip")
    wanted = describe(collection, ["train-3", "broken", "train-1"], None)
    with caplog.at_level(logging.WARNING):
        third, reason, first = read_pixels(collection, wanted, processor(32), 2)
    for found, row in ((third, 3), (first, 1)):
        assert found.equal(processor(32)(PIXELS[row], return_tensors="pt").pixel_values[0])
    assert reason.startswith("not an image") and caplog.messages == [f"broken.png: {reason}"]


def test_a_photo_that_changed_is_not_read(tmp_path):
    (tmp_path / "1.png").write_bytes(stored(Image.fromarray(PIXELS[0])))
    collection = open_collection(tmp_path)
    wanted = describe(collection, ["1"], tmp_path)
    assert wanted[0].sha256 == hashlib.sha256((tmp_path / "1.png").read_bytes()).hexdigest()
    (tmp_path / "1.png").write_bytes(stored(Image.fromarray(PIXELS[1])))
    with pytest.raises(UserError, match=r"1\.png changed since prepare: run `dvc repro -f -s prepare`"):
        list(read_pixels(collection, wanted, processor(32), 2))


def test_broken_images_are_counted_and_listed(tmp_path):
    require_sound({}, {"1": "1.jpg"}, tmp_path / "broken.txt")
    assert not (tmp_path / "broken.txt").exists()
    files = {str(number): f"photos/{number}.jpg" for number in range(30)}
    broken = {str(number): f"reason {number}" for number in range(12)}
    with pytest.raises(UserError) as caught:
        require_sound(broken, files, tmp_path / "broken.txt")
    message = str(caught.value)
    assert message.startswith("12 of 30 images are broken: photos/0.jpg: reason 0; ")
    assert "reason 9;" in message and "reason 10" not in message
    assert "Everything else is kept" in message and "skip_broken: true" in message
    assert (tmp_path / "broken.txt").read_text().splitlines()[11] == "photos/11.jpg: reason 11"


@pytest.mark.needs_data
def test_real_photos_are_prepared_as_clip_does_to_the_last_bit(test_data):
    paths = sorted((test_data / "images").glob("*.jpg")) + sorted((test_data / "snli_ve_real").rglob("*.jpg"))
    assert len(paths) == 230
    official, sizes = CLIPImageProcessorPil(), set()
    for path in paths[::4]:
        with Image.open(path) as image:
            wanted = official(image, return_tensors="pt").pixel_values[0]
            sizes.add(image.size)
        assert preprocess(processor(224), decode(path.read_bytes())).equal(wanted), path.name
    assert len(sizes) > 5


@pytest.mark.needs_data
def test_odd_photos_load_upright_and_broken_ones_are_refused(test_data):
    reasons, found = {}, {}
    for path in sorted((test_data / "images" / "odd").iterdir()):
        try:
            found[path.name] = decode(path.read_bytes())
        except BrokenImageError as error:
            reasons[path.name] = str(error)
    assert {name for name in [*found, *reasons] if name.startswith("BROKEN_")} == set(reasons) and len(reasons) == 4
    assert "empty" in reasons["BROKEN_empty.jpg"] and "truncated" in reasons["BROKEN_truncated_half.jpg"]
    assert len(found) == 15 and {image.mode for image in found.values()} == {"RGB"}
    upright = np.asarray(found["progressive.jpg"].resize((50, 38)), dtype=float)
    for name in ("exif_orientation_3.jpg", "exif_orientation_6.jpg", "exif_orientation_8.jpg", "cmyk.jpg"):
        assert found[name].width > found[name].height
        assert np.abs(np.asarray(found[name].resize((50, 38)), dtype=float) - upright).mean() < 8, name
    grey = np.asarray(found["grayscale_L.jpg"].resize((50, 38)), dtype=float)
    deep = np.asarray(found["gray_16bit.png"].resize((50, 38)), dtype=float)
    assert np.abs(deep - grey).mean() < 8  # scaled, not clipped to white
    for image in found.values():
        assert preprocess(processor(224), image).shape == (3, 224, 224)
