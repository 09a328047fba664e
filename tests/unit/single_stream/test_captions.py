"""Captions in a table with photos in a folder, tar or zip, as after a download of Conceptual Captions; retrieval."""

import gzip
import logging
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clseave.corpora.photos import open_collection
from clseave.foundation.errors import UserError
from clseave.single_stream.readers.captions import Caption, Retrieval, clean, image_id, in_split, protocol, read_table

# Conceptual Captions: caption and URL, tab-separated, without header and without quoting.
ROWS = (
    "a very typical bus station\thttp://lh6.ggpht.com/-IvRtNLNcG8o/5C2.jpg\n"
    "sierra looked stunning in this top\thttp://78.media.tumblr.com/3b133294bdc7.jpg\n"
    '" young " cafe\u0301 owner\thttp://l7.alamy.com/zooms/9a1.jpg\n'
    " \thttps://media.gettyimages.com/photos/id1.jpg\n"
    "interior design of modern living room\thttps://a.b/c.jpg\n"
)


def folder(path, *names):
    path.mkdir(exist_ok=True)
    for name in names:
        (path / name).write_bytes(b"photo")
    return path


def placed(tmp_path, kind, *names):
    """A collection of photos as a folder, a tar or a zip."""
    place = folder(tmp_path / "photos", *names)
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
            for name in names:
                archive.write(place / name, f"training/{name}")
        place = tmp_path / "photos.zip"
    elif kind == "tar":
        with tarfile.open(tmp_path / "photos.tar", "w") as archive:
            archive.add(place, "training")
        place = tmp_path / "photos.tar"
    return open_collection(place)


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_photos_named_by_row_number_leave_out_broken_urls_and_blank_captions(tmp_path, kind, caplog):
    caplog.set_level(logging.INFO)
    photos = placed(tmp_path, kind, "000001.jpg", "000003.jpg", "000004.jpg", "000005.png")
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_text(ROWS, encoding="utf-8")
    assert list(read_table(path, photos, "en")) == [
        Caption("000001", "en", "a very typical bus station", "train"),
        Caption("000003", "en", '" young " café owner', "train"),
        Caption("000005", "en", "interior design of modern living room", "train"),
    ]
    assert "3 rows; left out: 1 without photo, 1 without text" in caplog.text


def test_the_first_row_may_have_the_number_zero(tmp_path):
    path = tmp_path / "cc.tsv.gz"
    path.write_bytes(gzip.compress(ROWS.encode()))
    found = list(read_table(path, placed(tmp_path, "folder", "1.jpg"), "en", "dev", first=0))
    assert found == [Caption("1", "en", "sierra looked stunning in this top", "dev")]


@pytest.mark.parametrize(
    "text",
    [
        "two dogs\thttp://a/1\tshots/a_1.jpg\na cat\thttp://a/2\tgone.jpg\na bird\thttp://a/3\t\n",
        "file\tcaption\nshots/a_1.jpg\ttwo dogs\ngone.jpg\ta cat\n\ta bird\n",
        "url\tfile\tcaption\nhttp://a/1\ta_1\ttwo dogs\nhttp://a/2\tgone\ta cat\n",
    ],
)
def test_a_column_names_the_photo(tmp_path, text):
    path = tmp_path / "sbu.tsv"
    path.write_text(text, encoding="utf-8")
    found = read_table(path, placed(tmp_path, "folder", "a_1.jpg"), "en")
    assert list(found) == [Caption("a_1", "en", "two dogs", "train")]


def test_a_quoted_table_keeps_commas_and_line_breaks_of_a_caption(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text('caption,file\r\n"Two dogs,\r\none ball",1.jpg\r\n"A ""good"" cat",1.jpg\r\n', encoding="utf-8")
    texts = [row.text for row in read_table(path, placed(tmp_path, "folder", "1.jpg"), "en")]
    assert texts == ["Two dogs, one ball", 'A "good" cat']


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "one\nt\n", r"a.tsv:1: found 1 columns, expected caption, url and perhaps file: name the columns"),
        ("a.tsv", "x\tu\na\tcat\tu\n", "a.tsv:2: found 3 cells, expected 2 as in the first row: replace a tab"),
        ("a.tsv", "caption\tfile\nx\n", "a.tsv:2: found 1 cells, expected 2"),
        (
            "a.tsv",
            "caption\tfile\tfile\nx\ty\tz\n",
            "a.tsv:1: found columns caption, file, file, expected each name once",
        ),
        ("a.tsv", "x\tu\ty.jpg\n", "found no row with a photo in .*, expected photos named by column 3: check both"),
        ("a.tsv", "x\tu\n", "expected photos named by row number, from 1: check both"),
        ("a.json", "{}", "found .json, expected .tsv or .csv"),
    ],
)
def test_malformed_tables(tmp_path, name, text, message):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        list(read_table(tmp_path / name, placed(tmp_path, "folder", "7.jpg"), "en"))


def test_two_photos_of_one_number(tmp_path):
    (tmp_path / "a.tsv").write_text("x\tu\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"found 007.jpg and 7.png, expected one photo of a number: remove one"):
        list(read_table(tmp_path / "a.tsv", placed(tmp_path, "folder", "007.jpg", "7.png"), "en"))


def test_ids_are_file_names_without_folder_and_suffix():
    names = ["COCO_train2014_000000000009.jpg", "a/b\\c.JPG", "v1.5", "x.webp", "cafe\u0301.png", ""]
    assert [image_id(name) for name in names] == ["COCO_train2014_000000000009", "c", "v1.5", "x.webp", "café", ""]


@given(st.text())
def test_clean_texts_are_on_one_line_and_stay_as_they_are(text):
    found = clean(text)
    assert len(found.splitlines()) <= 1 and "\t" not in found and found == found.strip() == clean(found)


def test_tabs_and_line_breaks_become_one_space():
    assert clean(" a\t\tb\r\nc\u2028d  e ") == "a b c d  e"


def test_a_split_has_its_images_in_order_with_five_captions_at_most():
    rows = [Caption("b", "en", f"b{n}", "test") for n in range(7)]
    rows += [Caption("c", "en", "c0", "train"), Caption("a", "ja", "x", "test"), Caption("a", "en", "a0", "test")]
    rows += [Caption("b", "en", "b7", "test")]
    assert in_split(rows, "test", "en") == Retrieval(("b", "a"), (("b0", "b1", "b2", "b3", "b4"), ("a0",)))
    assert in_split(rows, "test", "en", most=1).captions == (("b0",), ("a0",))
    with pytest.raises(UserError, match="found no caption of split dev in en"):
        in_split(rows, "dev", "en")


def test_protocols_of_mscoco():
    ids = tuple(f"i{n}" for n in range(5000))
    test = Retrieval(ids, tuple((key,) for key in ids))
    assert protocol(test, "5K") == [test]
    folds = protocol(test, "1K")
    assert [fold.image_ids[0] for fold in folds] == ["i0", "i1000", "i2000", "i3000", "i4000"]
    assert sum((fold.image_ids for fold in folds), ()) == ids and folds[4].captions[999] == ("i4999",)
    with pytest.raises(UserError, match="found 4,999 test images, expected 5,000 for protocol 1K"):
        protocol(Retrieval(ids[:-1], test.captions[:-1]), "1K")
    with pytest.raises(ValueError, match="allowed: 1K, 5K"):
        protocol(test, "1k")
