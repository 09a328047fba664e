"""MSCOCO, STAIR Captions, YJ Captions and Karpathy's files of splits."""

import json
import logging

import pytest

from clseave.foundation.errors import UserError
from clseave.single_stream.readers.captions import Caption, in_split
from clseave.single_stream.readers.coco import Place, read, read_karpathy, read_places


def image(key, part):
    name = f"COCO_{part}_{key:012d}.jpg"
    return {"license": 3, "file_name": name, "height": 480, "width": 640, "id": key}


KARPATHY = {
    "images": [
        {
            "filepath": "val2014",
            "sentids": [770337, 771687],
            "filename": "COCO_val2014_000000391895.jpg",
            "imgid": 0,
            "split": "test",
            "sentences": [
                {"tokens": ["a", "man"], "raw": "A man with a red helmet. ", "imgid": 0, "sentid": 770337},
                {"tokens": [], "raw": " ", "imgid": 0, "sentid": 771687},
            ],
            "cocoid": 391895,
        },
        {
            "filepath": "val2014",
            "sentids": [1],
            "filename": "COCO_val2014_000000000042.jpg",
            "imgid": 1,
            "split": "restval",
            "sentences": [{"tokens": ["shoes"], "raw": "Shoes.", "imgid": 1, "sentid": 1}],
            "cocoid": 42,
        },
        {
            "filepath": "train2014",
            "sentids": [2],
            "filename": "COCO_train2014_000000000009.jpg",
            "imgid": 2,
            "split": "train",
            "sentences": [{"tokens": ["food"], "raw": "Food.", "imgid": 2, "sentid": 2}],
            "cocoid": 9,
        },
        {
            "filepath": "val2014",
            "sentids": [3],
            "filename": "COCO_val2014_000000000073.jpg",
            "imgid": 3,
            "split": "val",
            "sentences": [{"tokens": ["bike"], "raw": "A bike.", "imgid": 3, "sentid": 3}],
            "cocoid": 73,
        },
    ],
    "dataset": "coco",
}
# STAIR Captions: train is of train2014, val of val2014; the captions of an image are not side by side.
STAIR_TRAIN = {
    "info": {"version": "1.2"},
    "licenses": [],
    "images": [image(9, "train2014"), image(11, "train2014")],
    "annotations": [
        {"image_id": 9, "id": 20, "caption": "皿の上の食べ物", "tokenized_caption": "皿 の 上 の 食べ物"},
        {"image_id": 11, "id": 21, "caption": "犬か\u3099いる"},
    ],
}
STAIR_VAL = {
    "images": [image(42, "val2014"), image(73, "val2014"), image(391895, "val2014")],
    "annotations": [
        {"image_id": 42, "id": 1, "caption": "靴"},
        {"image_id": 391895, "id": 2, "caption": "赤いヘルメットの男性"},
        {"image_id": 42, "id": 3, "caption": "犬と靴\n"},
        {"image_id": 73, "id": 4, "caption": "自転車"},
    ],
}


def put(path, content):
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def test_karpathys_file_gives_captions_and_restval_counts_as_train(tmp_path):
    assert list(read_karpathy(put(tmp_path / "dataset_coco.json", KARPATHY))) == [
        Caption("COCO_val2014_000000391895", "en", "A man with a red helmet.", "test"),
        Caption("COCO_val2014_000000000042", "en", "Shoes.", "train"),
        Caption("COCO_train2014_000000000009", "en", "Food.", "train"),
        Caption("COCO_val2014_000000000073", "en", "A bike.", "dev"),
    ]


def test_flickr30ks_file_has_no_ids_of_mscoco(tmp_path):
    row = {
        "sentids": [0],
        "imgid": 0,
        "sentences": [{"tokens": ["two"], "raw": "Two young guys.", "imgid": 0, "sentid": 0}],
        "split": "train",
        "filename": "1000092795.jpg",
    }
    path = put(tmp_path / "dataset_flickr30k.json", {"images": [row], "dataset": "flickr30k"})
    assert list(read_karpathy(path)) == [Caption("1000092795", "en", "Two young guys.", "train")]
    with pytest.raises(UserError, match=r"dataset_flickr30k.json: images\[0\]: found none, expected cocoid as int"):
        read_places(path)


def test_japanese_captions_have_karpathys_splits_ids_and_order(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    places = read_places(put(tmp_path / "dataset_coco.json", KARPATHY))
    assert places[42] == Place("COCO_val2014_000000000042", "train")
    paths = [put(tmp_path / "train.json", STAIR_TRAIN), put(tmp_path / "val.json", STAIR_VAL)]
    rows = list(read(paths, "ja", places))
    assert [(row.image_id[-6:], row.text, row.split) for row in rows] == [
        ("391895", "赤いヘルメットの男性", "test"),
        ("000042", "靴", "train"),
        ("000042", "犬と靴", "train"),
        ("000009", "皿の上の食べ物", "train"),
        ("000073", "自転車", "dev"),
    ]
    assert list(read(paths[::-1], "ja", places)) == rows
    assert "5 rows; left out: 1 of images without split" in caplog.text
    english = in_split(read_karpathy(tmp_path / "dataset_coco.json"), "train", "en")
    assert in_split(rows, "train", "ja").image_ids == english.image_ids


def test_without_karpathys_splits_all_images_are_of_one(tmp_path):
    rows = list(read([put(tmp_path / "train.json", STAIR_TRAIN)], "ja", "train"))
    assert rows[1] == Caption("COCO_train2014_000000000011", "ja", "犬がいる", "train") and len(rows) == 2


def test_a_file_of_annotations_only_needs_karpathys(tmp_path):
    path = put(tmp_path / "yj.json", {"annotations": STAIR_TRAIN["annotations"]})
    places = read_places(put(tmp_path / "dataset_coco.json", KARPATHY))
    assert [row.text for row in read([path], "ja", places)] == ["皿の上の食べ物"]
    with pytest.raises(UserError, match=r"yj.json: found none, expected images as list"):
        list(read([path], "ja", "train"))


def changed(content, *keys, to):
    """A copy of the content with another value at the keys."""
    copied = json.loads(json.dumps(content))
    place = copied
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    return copied


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            changed(STAIR_TRAIN, "annotations", 1, "image_id", to=5),
            r"annotations\[1\]: found image_id 5, expected the id",
        ),
        (changed(STAIR_TRAIN, "annotations", 1, "image_id", to="9"), r"found '9', expected image_id as int"),
        (
            changed(STAIR_TRAIN, "annotations", 0, "caption", to=None),
            r"annotations\[0\]: found none, expected caption as",
        ),
        (changed(STAIR_TRAIN, "annotations", 0, to=3), r"annotations\[0\]: found none, expected image_id"),
        (changed(STAIR_TRAIN, "images", 1, "id", to=9), r"images\[1\]: found id 9 twice, expected each image once"),
        (changed(STAIR_TRAIN, "images", 1, "file_name", to=""), r"images\[1\]: found an empty file_name"),
        (changed(STAIR_TRAIN, "annotations", to=[]), "found no caption of an image with a split"),
        ([], "found list, expected an object with images"),
    ],
)
def test_malformed_captions(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        list(read([put(tmp_path / "a.json", content)], "ja", "train"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            changed(KARPATHY, "images", 1, "split", to="dev"),
            r"images\[1\]: found split 'dev', allowed: train, restval, val",
        ),
        (
            changed(KARPATHY, "images", 1, "filename", to="COCO_val2014_000000391895.jpg"),
            "expected the name of another",
        ),
        (changed(KARPATHY, "images", 1, "cocoid", to=391895), r"images\[1\]: found cocoid 391895 twice"),
        (changed(KARPATHY, "images", 1, "cocoid", to=True), "found True, expected cocoid as int"),
    ],
)
def test_malformed_splits(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read_places(put(tmp_path / "a.json", content))


def test_a_file_that_is_cut_short(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(KARPATHY)[:-9])
    with pytest.raises(UserError, match=r"a.json: found no JSON \(.*\), expected captions in MSCOCO's format"):
        list(read_karpathy(path))
    with pytest.raises(UserError, match=r"b.json does not exist: place the file"):
        list(read_karpathy(tmp_path / "b.json"))
