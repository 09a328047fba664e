"""Multi30k's two tasks, in the folders and names in which it is published."""

import gzip
import os
from pathlib import Path

import pytest

from clseave.foundation.errors import UserError
from clseave.single_stream.readers.captions import Caption, in_split
from clseave.single_stream.readers.multi30k import TASK_1, read_ids, read_task_1, read_task_2
from clseave.single_stream.readers.texts import read_pairs

PHOTOS = {
    "train": ["1000092795.jpg", "10002456.jpg"],
    "val": ["1018148011.jpg"],
    "test_2016_flickr": ["1007129816.jpg"],
}
SENTENCES = {
    "train": [
        ("Two young, White males are outside.", "Zwei junge weiße Männer sind im Freien."),
        ("Several men in hard hats.", "Mehrere Männer mit Schutzhelmen."),
    ],
    "val": [("A group of men are loading cotton.", "Eine Gruppe von Männern lädt Baumwolle.")],
    "test_2016_flickr": [("A man in an orange hat.", "Ein Mann mit einem orangefarbenen Hut.")],
}


def published(folder, sentences=SENTENCES, photos=PHOTOS, raw=True):
    """The folder data/task1 of the repository, or all of its files in one folder."""
    for part in ("raw", "image_splits"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, pairs in sentences.items():
        for place, code in enumerate(("en", "de")):
            text = "".join(f"{pair[place]}\n" for pair in pairs)
            if raw:
                (folder / "raw" / f"{name}.{code}.gz").write_bytes(gzip.compress(text.encode()))
            else:
                (folder / f"{name}.{code}").write_text(text, encoding="utf-8")
    for name, names in photos.items():
        place = folder / "image_splits" if raw else folder
        (place / f"{name}{'_images' if name == 'train' else ''}.txt").write_text("\n".join(names) + "\n")
    return folder


@pytest.mark.parametrize("raw", [True, False])
def test_sentence_n_belongs_to_photo_n(tmp_path, raw):
    found = list(read_task_1(published(tmp_path, raw=raw), ("en", "de")))
    assert found == [
        Caption("1000092795", "en", "Two young, White males are outside.", "train"),
        Caption("1000092795", "de", "Zwei junge weiße Männer sind im Freien.", "train"),
        Caption("10002456", "en", "Several men in hard hats.", "train"),
        Caption("10002456", "de", "Mehrere Männer mit Schutzhelmen.", "train"),
        Caption("1018148011", "en", "A group of men are loading cotton.", "dev"),
        Caption("1018148011", "de", "Eine Gruppe von Männern lädt Baumwolle.", "dev"),
        Caption("1007129816", "en", "A man in an orange hat.", "test"),
        Caption("1007129816", "de", "Ein Mann mit einem orangefarbenen Hut.", "test"),
    ]


def test_five_sentences_of_task_2_with_the_lists_of_task_1(tmp_path):
    published(tmp_path / "task1")
    folder = tmp_path / "task2"
    (folder / "raw").mkdir(parents=True)
    for name, photos in {"train": 2, "val": 1, "test_2016": 1}.items():
        for code in ("en", "de"):
            for n in range(1, 6):
                lines = "".join(f"{name} {code}{n} {photo}\n" for photo in range(photos))
                (folder / "raw" / f"{name}.{n}.{code}.gz").write_bytes(gzip.compress(lines.encode()))
    rows = list(read_task_2(folder, ("en", "de")))
    train = in_split(rows, "train", "de")
    assert train.image_ids == ("1000092795", "10002456")
    assert train.captions[1] == ("train de1 1", "train de2 1", "train de3 1", "train de4 1", "train de5 1")
    assert in_split(rows, "test", "en").captions == (tuple(f"test_2016 en{n} 0" for n in range(1, 6)),)
    assert len(rows) == 4 * 2 * 5


def test_blank_sentences_are_left_out(tmp_path):
    published(tmp_path, {"train": [("A dog", ""), ("A cat", "Eine Katze")]}, {"train": PHOTOS["train"]})
    rows = read_task_1(tmp_path, ("en", "de"), {"train": "train"})
    assert [(row.image_id, row.language) for row in rows] == [
        ("1000092795", "en"), ("10002456", "en"), ("10002456", "de")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("photos", "message"),
    [
        (3, r"train.en.gz:2: found the last line, expected 3 lines as in .*train_images.txt: fetch both files again"),
        (1, r"train.en.gz:2: found a line more, expected 1 lines as in"),
    ],
)
def test_another_number_of_photos_than_sentences(tmp_path, photos, message):
    published(tmp_path, photos={"train": [f"{n}.jpg" for n in range(photos)]})
    with pytest.raises(UserError, match=message):
        list(read_task_1(tmp_path, ("en", "de"), {"train": "train"}))


def test_missing_files(tmp_path):
    published(tmp_path)
    with pytest.raises(UserError, match=r"found no train.cs, expected it there or in raw, also as train.cs.gz"):
        list(read_task_1(tmp_path, ("cs",)))
    with pytest.raises(
        UserError, match=r"found no test_2018.txt and no test_2018_images.txt, expected a list of photos"
    ):
        list(read_task_1(tmp_path, ("en",), {"test": "test_2018"}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.jpg\n\nb.jpg\n", "list.txt:2: found '', expected the file name of a photo"),
        ("a.jpg\nb.jpg\na.jpg\n", "list.txt:3: found 'a.jpg', also in line 1, expected each once"),
        ("\n", "list.txt: found no line"),
    ],
)
def test_malformed_lists(tmp_path, text, message):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        read_ids(tmp_path / "list.txt")


def test_a_list_of_photos_of_mscoco_names_captions_too(tmp_path):
    (tmp_path / "list.txt").write_text(
        "COCO_train2014_000000117071.jpg#367178\nCOCO_val2014_000000398076.jpg#657409\n\n"
    )
    assert read_ids(tmp_path / "list.txt") == ["COCO_train2014_000000117071", "COCO_val2014_000000398076"]


@pytest.mark.needs_data
def test_the_real_validation_sentences_written_as_published_are_read_back(tmp_path):
    path = Path(os.environ["CLSEAVE_TEST_DATA"]) / "parallel" / "en-de.multi30k_val_human.tsv"
    pairs = [row[:2] for row in read_pairs(path, ("en", "de"))]
    ids = [line.split("\t")[0] for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    published(tmp_path, {"val": pairs}, {"val": [f"{key}.jpg" for key in ids]})
    rows = list(read_task_1(tmp_path, ("en", "de"), {"dev": TASK_1["dev"]}))
    assert [row.image_id for row in rows[::2]] == ids and len(rows) == 1400
    assert [(one.text, other.text) for one, other in zip(rows[::2], rows[1::2], strict=True)] == pairs
