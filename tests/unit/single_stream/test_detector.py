"""Regions of a user's detector: .safetensors, .npz, and three layouts of bottom-up attention."""

import base64
import csv
import gzip
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import torch as torch_file
from safetensors.numpy import save_file

from clseave.foundation.errors import UserError
from clseave.single_stream.readers import bottom_up
from clseave.single_stream.readers.detector import read
from clseave.single_stream.regions import RegionTable, write

IDS = ["COCO_val2014_000000000042", "cafe\u0301"]
KINDS = ["safetensors", "npz"]


def tensors():
    """Two images of 100 x 50 and 200 x 100 pixels with two regions, the second of the second image padding."""
    return {
        "features": np.array([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [np.nan, 0, 0]]], dtype=np.float32),
        "boxes": np.array([[[0, 0, 50, 50], [25, 10, 100, 40]], [[20, 10, 100, 60], [9, 9, 0, 0]]], dtype=np.float32),
        "classes": np.array([[2, 0], [1, 77]]),
        "counts": np.array([2, 1]),
        "sizes": np.array([[100, 50], [200, 100]]),
    }


def save(folder, kind, content, ids=IDS, count=3):
    path = folder / f"train.{kind}"
    if kind == "npz":
        extra = {"class_count": np.array(count)} if count is not None else {}
        np.savez(path, ids=np.array(ids), **content, **extra)
    else:
        metadata = {"ids": json.dumps(ids)} | ({"class_count": str(count)} if count is not None else {})
        save_file({name: np.ascontiguousarray(part) for name, part in content.items()}, path, metadata)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_in_pixels_numbers_of_classes_and_padding(tmp_path, kind):
    (first, one), (second, other) = read(save(tmp_path, kind, tensors()))
    assert (first, second) == ("COCO_val2014_000000000042", "café")
    assert one.features.tolist() == [[1, 2, 3], [4, 5, 6]] and one.features.dtype == np.float32
    np.testing.assert_allclose(one.boxes, [[0, 0, 0.5, 1], [0.25, 0.2, 1, 0.8]], rtol=1e-6)
    assert one.classes.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert other.features.tolist() == [[7, 8, 9]] and other.classes.tolist() == [[0, 1, 0]]
    np.testing.assert_allclose(other.boxes, [[0.1, 0.1, 0.5, 0.6]], rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_as_shares_and_a_distribution_over_classes(tmp_path, kind):
    content = {
        "features": np.ones((1, 2, 2), dtype=np.float16),
        "boxes": np.array([[[0, 0.25, 0.5, 1.0005], [-0.0005, 0, 1, 1]]]),
        "classes": np.array([[[1, 3], [0.5, 0]]]),
    }
    ((key, found),) = read(save(tmp_path, kind, content, [9], None))
    assert key == "9" and found.classes.tolist() == [[0.25, 0.75], [1, 0]]
    assert found.boxes.tolist() == [[0, 0.25, 0.5, 1], [0, 0, 1, 1]]


@pytest.mark.parametrize("name", ["train.ids.json", "ids.json"])
def test_ids_and_number_of_classes_beside_the_tensors(tmp_path, name):
    content = tensors()
    save_file(content | {"class_count": np.array(3)}, tmp_path / "train.safetensors")
    (tmp_path / name).write_text(json.dumps(IDS))
    assert [key for key, _ in read(tmp_path / "train.safetensors")] == ["COCO_val2014_000000000042", "café"]
    save_file(content, tmp_path / "train.safetensors")
    assert next(read(tmp_path / "train.safetensors", class_count=5))[1].classes.shape == (2, 5)


def test_regions_are_stored_as_all_others(tmp_path):
    write(tmp_path / "regions", read(save(tmp_path, "npz", tensors())))
    table = RegionTable(tmp_path / "regions")
    assert (len(table), table.width, table.kinds) == (2, 3, 3) and table.mask.tolist() == [[1, 1], [1, 0]]


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("features", (0, 1, 2), NAN), "image COCO_val2014_000000000042: found features that are not finite numbers"),
        (("boxes", (1, 0, 2), INF), "image café: found boxes that are not finite"),
        (("boxes", (0, 0, 2), 102), "found a box outside the image or inverted, .* in pixels of 100 x 50"),
        (("boxes", (0, 1, 0), 101), "found a box outside the image or inverted"),
        (("classes", (0, 1), 3), "image COCO_val2014_000000000042: found class 3, expected 0 to 2: check class_count"),
        (("classes", (0, 1), -1), "found class -1, expected 0 to 2"),
        (("counts", 1, 0), "image café: found count 0, expected 1 to 2"),
        (("counts", 0, 3), "found count 3, expected 1 to 2"),
        (("sizes", (1, 0), 0), r"image café: found size \(0, 100\), expected width and height"),
    ],
)
def test_values_that_cannot_be(tmp_path, kind, change, message):
    name, place, value = change
    content = tensors()
    content[name][place] = value
    with pytest.raises(UserError, match=rf"train.{kind}: {message}" if message.startswith("image") else message):
        list(read(save(tmp_path, kind, content)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"boxes": np.zeros((2, 2, 5))},
            r"found boxes of shape \(2, 2, 5\) with features of shape \(2, 2, 3\), expected",
        ),
        ({"features": np.zeros((2, 6))}, r"found features of shape \(2, 6\)"),
        ({"classes": np.zeros((2, 3, 3))}, r"found classes of shape \(2, 3, 3\)"),
        ({"classes": np.zeros((2, 2))}, "found classes of type float64, expected whole numbers"),
        ({"classes": np.full((2, 2, 3), -1.5)}, "found classes with a negative share or none, .* take the softmax"),
        ({"classes": np.full((2, 2, 3), np.nan)}, "found classes that are not finite"),
        ({"counts": np.ones(3, dtype=int)}, r"found counts of shape \(3,\)"),
        ({"sizes": np.ones((2, 3))}, r"found sizes of shape \(2, 3\)"),
        (
            {"sizes": None},
            r"found a box outside the image or inverted, .* in shares from 0 to 1 \(or pixels, with sizes\)",
        ),
        ({"boxes": None}, "found .*, expected boxes too: add it"),
    ],
)
def test_shapes_that_do_not_belong_together(tmp_path, kind, change, message):
    content = {name: part for name, part in (tensors() | change).items() if part is not None}
    with pytest.raises(UserError, match=message):
        list(read(save(tmp_path, kind, content)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("ids", "count", "message"),
    [
        (["a", "a"], 3, "found id 'a' in rows 0 and 1, expected each once"),
        (["a", "b", "c"], 3, "found 3 ids, expected 2, one for each row"),
        (["a", ""], 3, "found id '' in row 1, expected a text"),
        (IDS, None, "found numbers of classes, expected class_count too"),
        (IDS, 0, "found class_count '?0'?, expected a whole number of 1 or more"),
    ],
)
def test_ids_and_numbers_of_classes_that_cannot_be(tmp_path, kind, ids, count, message):
    with pytest.raises(UserError, match=message):
        list(read(save(tmp_path, kind, tensors(), ids, count)))


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(tmp_path, kind):
    path = save(tmp_path, kind, tensors())
    whole = path.read_bytes()
    for content in (whole[:-9], whole[:50], b"", b"not what it says"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf"train.{kind}: found .*, expected .*: copy"):
            list(read(path))
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UserError, match="git lfs pull"):
        list(read(path))
    with pytest.raises(UserError, match=r"gone.npz does not exist: place the detector's file there"):
        list(read(tmp_path / "gone.npz"))


def test_a_type_that_numpy_lacks(tmp_path):
    content = {name: torch.from_numpy(part) for name, part in tensors().items()}
    content["features"] = content["features"].to(torch.bfloat16)
    torch_file.save_file(content, tmp_path / "a.safetensors", {"ids": json.dumps(IDS), "class_count": "3"})
    with pytest.raises(UserError, match="found features of type BF16, expected float32 or float16: write it again"):
        list(read(tmp_path / "a.safetensors"))


def test_no_ids_objects_and_other_kinds_of_files(tmp_path):
    save_file(tensors(), tmp_path / "train.safetensors")
    with pytest.raises(UserError, match=r"found no ids, expected metadata `ids` or train.ids.json beside it"):
        list(read(tmp_path / "train.safetensors"))
    np.savez(tmp_path / "a.npz", **tensors())
    with pytest.raises(UserError, match=r"a.npz: found no ids, expected an array of strings"):
        list(read(tmp_path / "a.npz"))
    np.savez(tmp_path / "a.npz", ids=np.array(["a", "b"], dtype=object), **tensors())
    with pytest.raises(UserError, match="Object arrays cannot be loaded"):
        list(read(tmp_path / "a.npz"))
    with pytest.raises(UserError, match=r"found .h5, expected .safetensors, .npz or .tsv: convert it"):
        list(read(tmp_path / "a.h5"))


# Bottom-up attention: two images of 100 x 50 pixels.

FEATURES = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
BOXES = np.array([[0, 0, 50, 50], [25, 10, 99, 40]], dtype=np.float32)
SHARES = [[0, 0, 0.5, 1], [0.25, 0.2, 0.99, 0.8]]
PROBABILITIES = np.array([[0.75, 0.25], [0.5, 0.5]], dtype=np.float32)


def coded(array):
    return base64.b64encode(array.tobytes()).decode()


def line(layout, key="42", **other):
    """A line as the scripts of each layout write it."""
    confidence = coded(np.array([0.9, 0.8], dtype=np.float32))
    fields = {
        "image_id": key, "image_w": 100, "image_h": 50, "num_boxes": 2, "boxes": coded(BOXES),
        "features": coded(FEATURES), "cls_prob": coded(PROBABILITIES),
        "objects_id": coded(np.array([3, 0])), "objects_conf": confidence,
        "attrs_id": coded(np.array([1, 2])), "attrs_conf": confidence,
    }  # fmt: skip
    return [str((fields | other)[name]) for name in bottom_up.LAYOUTS[layout]]


def table(path, rows):
    text = open(path, "w", newline="") if path.suffix == ".tsv" else gzip.open(path, "wt", newline="")
    with text as stream:
        csv.writer(stream, delimiter="\t").writerows(rows)
    return path


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
@pytest.mark.parametrize("layout", [6, 7, 10])
def test_three_layouts_of_bottom_up_attention(tmp_path, layout, name):
    first = {"boxes": BOXES[:1], "features": FEATURES[:1], "cls_prob": PROBABILITIES[:1], "objects_id": np.array([3])}
    rows = [line(layout, "391895"), line(layout, num_boxes=1, **{part: coded(array) for part, array in first.items()})]
    (first, one), (second, other) = read(table(tmp_path / name, rows), class_count=5)
    assert (first, second) == ("391895", "42") and other.features.tolist() == [[1, 2, 3]]
    assert one.features.tolist() == FEATURES.tolist()
    np.testing.assert_allclose(one.boxes, SHARES, rtol=1e-6)
    classes = {6: [[1], [1]], 7: PROBABILITIES.tolist(), 10: [[0, 0, 0, 1, 0], [1, 0, 0, 0, 0]]}
    assert one.classes.tolist() == classes[layout]


def test_visual_genomes_classes_are_the_default(tmp_path):
    ((_, found),) = read(table(tmp_path / "a.tsv", [line(10, objects_id=coded(np.array([1599, 3], dtype=np.int32)))]))
    assert found.classes.shape == (2, 1600) and found.classes.argmax(1).tolist() == [1599, 3]


def test_names_in_the_first_line_may_give_another_order(tmp_path):
    names = ["img_id", "img_h", "img_w", "boxes", "num_boxes", "features", "note"]
    row = ["42", "50", "100", coded(BOXES), "2", coded(FEATURES), "mine"]
    ((key, found),) = read(table(tmp_path / "a.tsv", [names, row]))
    np.testing.assert_allclose(found.boxes, SHARES, rtol=1e-6)
    assert key == "42" and found.features.tolist() == FEATURES.tolist()


def test_only_the_line_that_is_asked_for_is_read(tmp_path):
    path = table(tmp_path / "a.tsv", [line(6), ["broken"]])
    found = read(path)
    assert next(found)[0] == "42"
    with pytest.raises(UserError, match=r"a.tsv:2: found 1 fields, expected 6"):
        next(found)


def test_a_line_may_be_longer_than_a_line_of_text(tmp_path):
    features = np.arange(100 * 2048, dtype=np.float32).reshape(100, 2048)
    row = line(6, num_boxes=100, boxes=coded(np.repeat(BOXES, 50, axis=0)), features=coded(features))
    assert len(row[-1]) > 1 << 20
    ((_, found),) = read(table(tmp_path / "a.tsv", [row]))
    assert np.array_equal(found.features, features)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([line(6), line(6)], "a.tsv:2: image 42: found also in line 1, expected each id once"),
        ([line(6, "")], "a.tsv:1: image : found no id, expected each id once"),
        ([line(6)[:5]], "a.tsv:1: found 5 fields, expected 6, 7, 10: name the fields in a first line"),
        ([line(6), line(6, "7")[:4]], "a.tsv:2: found 4 fields, expected 6: is it cut short"),
        ([line(6, features=coded(FEATURES)[:-1])], "a.tsv:1: image 42: found features that is no base64"),
        ([line(6, features=coded(FEATURES)[:-4])], "found features of 21 bytes, expected a multiple of 8"),
        ([line(6), line(6, "7", features=coded(FEATURES[:, :2]))], "image 7: found features of 2 values, expected 3"),
        ([line(6, boxes=coded(BOXES[:, :3]))], "image 42: found boxes of 6 values, expected 2 times 4"),
        ([line(6, boxes="")], "found boxes of 0 bytes"),
        ([line(6, num_boxes=0)], "image 42: found num_boxes 0, expected 1 or more"),
        ([line(6, num_boxes="two")], "image 42: found no numbers of size and boxes"),
        ([line(6, image_w="0")], r"image 42: found size \(0.0, 50.0\), expected width and height"),
        ([line(6, image_h="40")], "image 42: found a box outside the image or inverted, .* in pixels of 100 x 40"),
        ([line(6, features=coded(FEATURES * np.float32(np.inf)))], "image 42: found features that are not finite"),
        ([line(7, cls_prob=coded(-PROBABILITIES))], "image 42: found classes with a negative share"),
        ([line(10, objects_id=coded(np.array([1600, 0])))], "image 42: found class 1600, expected 0 to 1599"),
        ([line(10, objects_id=coded(np.zeros(4, dtype=np.int64)))], "found objects_id of 8 values, expected 2"),
        ([["image_id", "image_w", "boxes"]], "a.tsv:1: found columns image_id, image_w, boxes, expected image_h once"),
        ([], "a.tsv: found no line with regions"),
    ],
)  # fmt: skip
def test_malformed_lines(tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        list(read(table(tmp_path / "a.tsv", rows)))


def test_a_file_cut_anywhere_is_found_or_lacks_whole_lines(tmp_path):
    whole = table(tmp_path / "whole.tsv", [line(6, "1"), line(6, "2")]).read_bytes()
    end = whole.index(b"\r\n") + 2
    for cut in range(end + 1, len(whole) - 2):
        (tmp_path / "cut.tsv").write_bytes(whole[:cut])
        with pytest.raises(UserError, match=r"cut.tsv:2: "):
            list(read(tmp_path / "cut.tsv"))


@given(
    st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=6, max_size=6), min_size=1)
)
def test_features_are_read_back_bit_by_bit(tmp_path_factory, rows):
    values = [np.array(row, dtype=np.float32).reshape(2, 3) for row in rows]
    path = tmp_path_factory.mktemp("tsv") / "a.tsv"
    found = list(read(table(path, [line(6, str(n), features=coded(part)) for n, part in enumerate(values)])))
    assert all(one.features.tobytes() == part.tobytes() for (_, one), part in zip(found, values, strict=True))
