"""Regions of bottom-up attention (Anderson et al. 2018): tab-separated text, one image on each line, arrays in base64.

Lines have no header, so the number of their fields says what they are:

- 6, as published: image_id, image_w, image_h, num_boxes, boxes, features;
- 7, as for ViLBERT (Lu et al. 2019): the same, then cls_prob, (R, C) float32, which is a share for each class;
- 10, as for LXMERT (Tan and Bansal 2019): img_id, img_h, img_w (height first), objects_id, (R,) int64, objects_conf,
  attrs_id, attrs_conf, num_boxes, boxes, features.

`boxes` is (R, 4) float32, left, top, right, bottom in pixels; `features` is (R, V) float32, V of the same size in all
lines. A first line with these names may give another order. objects_conf, attrs_id and attrs_conf are not used.

Six fields have no class. Each region is then of the single class 0, which says nothing: masked region classification
learns nothing from such a file. A class of objects_id has the share 1, whatever its confidence.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from clseave.foundation.errors import UserError
from clseave.foundation.files.delimited import normal
from clseave.foundation.files.formats import opened
from clseave.single_stream.regions import BOX, Regions

LONGEST = 1 << 26  # bytes of a line: 100 regions with 2,048 values take 1.1 million
PUBLISHED = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
LXMERT = (
    *("image_id", "image_h", "image_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf"),
    *("num_boxes", "boxes", "features"),
)
LAYOUTS = {len(names): names for names in (PUBLISHED, (*PUBLISHED, "cls_prob"), LXMERT)}
OTHER_NAMES = {"img_id": "image_id", "img_w": "image_w", "img_h": "image_h"}
CLASSES = 1600  # of Visual Genome, as in objects_id; cls_prob has 1,601, of which the first is the background
SLACK = 1e-3  # share of an image by which a rounded box may leave it
FETCH = "copy or fetch the file again"


def read(path: Path, class_count: int | None = None) -> Iterator[tuple[str, Regions]]:
    """Yield id and regions of each line, reading one line at a time; .gz is decompressed.

    `class_count` is the number of classes of objects_id, 1,600 by default. UserError, with line and image: a truncated
    file, another number of fields, arrays of another length, values that are not finite, a duplicate id.
    """
    names: tuple[str, ...] = ()
    first: dict[str, int] = {}
    width = 0
    for number, cells in _lines(path):
        if not names:
            names, header = _layout(path, number, cells)
            if header:
                continue
        if len(cells) != len(names):
            raise UserError(
                f"{path}:{number}: found {len(cells)} fields, expected {len(names)}: is it cut short? {FETCH}"
            )
        fields = dict(zip(names, cells, strict=True))
        key = normal(fields["image_id"].decode("utf-8", "backslashreplace"))
        where = f"{path}:{number}: image {key}"
        if not key or first.setdefault(key, number) != number:
            found = f"also in line {first[key]}" if key else "no id"
            raise UserError(f"{where}: found {found}, expected each id once: remove one of the lines")
        regions = _regions(where, fields, class_count or CLASSES)
        width = width or regions.features.shape[1]
        if regions.features.shape[1] != width:
            raise UserError(
                f"{where}: found features of {regions.features.shape[1]} values, expected {width} as in the lines "
                f"before: is it cut short? {FETCH}"
            )
        yield key, regions
    if not first:
        raise UserError(f"{path}: found no line with regions, expected one for each image: {FETCH}")


def _lines(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Yield number and fields of each line that is not blank. UserError for a line of more than `LONGEST` bytes."""
    with opened(path, "place the detector's file there") as stream:
        number = 0
        while line := stream.readline(LONGEST + 1):
            number += 1
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if len(line) > LONGEST:
                raise UserError(
                    f"{path}:{number}: found a line of more than {LONGEST:,} bytes, expected one image: {FETCH}"
                )
            if line.strip():
                yield number, line.rstrip(b"\r\n").split(b"\t")


def _layout(path: Path, number: int, cells: list[bytes]) -> tuple[tuple[str, ...], bool]:
    """Return the names of the fields, and whether the line is a header. UserError for an unknown number of fields."""
    found = [cell.decode("utf-8", "backslashreplace").strip() for cell in cells]
    named = tuple(OTHER_NAMES.get(name, name) for name in found)
    if "image_id" in named:
        if lacking := [name for name in PUBLISHED if named.count(name) != 1]:
            raise UserError(
                f"{path}:{number}: found columns {', '.join(named)}, expected {lacking[0]} once: correct them"
            )
        return named, True
    if len(cells) not in LAYOUTS:
        raise UserError(
            f"{path}:{number}: found {len(cells)} fields, expected {', '.join(map(str, LAYOUTS))}: "
            f"name the fields in a first line"
        )
    return LAYOUTS[len(cells)], False


def _regions(where: str, fields: Mapping[str, bytes], class_count: int) -> Regions:
    """Decode the fields of a line."""
    try:
        count = int(fields["num_boxes"])
        size = np.array([float(fields["image_w"]), float(fields["image_h"])])
    except ValueError as error:
        raise UserError(
            f"{where}: found no numbers of size and boxes ({error}), expected whole numbers: {FETCH}"
        ) from error
    if count < 1:
        raise UserError(f"{where}: found num_boxes {count}, expected 1 or more: remove the line")
    boxes = _decoded(where, "boxes", fields, count)
    if boxes.shape[1] != BOX:
        raise UserError(f"{where}: found boxes of {boxes.size} values, expected {count} times 4: {FETCH}")
    classes = np.ones((count, 1), dtype=np.float32)
    if "cls_prob" in fields:
        classes = _decoded(where, "cls_prob", fields, count)
    elif "objects_id" in fields:
        wide = len(_bytes(where, "objects_id", fields)) == 8 * count
        numbers = _decoded(where, "objects_id", fields, count, np.int64 if wide else np.int32)
        if numbers.shape[1] != 1:
            raise UserError(f"{where}: found objects_id of {numbers.size} values, expected {count}: {FETCH}")
        classes = one_hot(numbers[:, 0], class_count, where)
    return region(where, _decoded(where, "features", fields, count), boxes, classes, size)


def _bytes(where: str, name: str, fields: Mapping[str, bytes]) -> bytes:
    """Return the bytes of a field in base64. UserError when it is none, as after a cut."""
    try:
        return base64.b64decode(fields[name], validate=True)
    except binascii.Error as error:
        raise UserError(f"{where}: found {name} that is no base64 ({error}), expected an array: {FETCH}") from error


def _decoded(where: str, name: str, fields: Mapping[str, bytes], count: int, kind: type = np.float32) -> np.ndarray:
    """Return a field as an array (count, anything), little-endian. UserError for another length."""
    content, size = _bytes(where, name, fields), np.dtype(kind).itemsize
    if not content or len(content) % (count * size):
        raise UserError(
            f"{where}: found {name} of {len(content)} bytes, expected a multiple of {count * size}: is it cut short? "
            f"{FETCH}"
        )
    return np.frombuffer(content, dtype=np.dtype(kind).newbyteorder("<")).reshape(count, -1)


def one_hot(numbers: np.ndarray, class_count: int, where: str) -> np.ndarray:
    """Return classes (R,), whole numbers from 0, as a distribution (R, C). UserError for a number outside."""
    if numbers.dtype.kind not in "iu":
        raise UserError(f"{where}: found classes of type {numbers.dtype}, expected whole numbers: convert them")
    if (odd := numbers[(numbers < 0) | (numbers >= class_count)]).size:
        raise UserError(f"{where}: found class {odd[0]}, expected 0 to {class_count - 1}: check class_count")
    shares = np.zeros((len(numbers), class_count), dtype=np.float32)
    shares[np.arange(len(numbers)), numbers] = 1
    return shares


def region(where: str, features: np.ndarray, boxes: np.ndarray, scores: np.ndarray, size: np.ndarray | None) -> Regions:
    """Return the regions of an image: `features` (R, V), `boxes` (R, 4), `scores` (R, C) that are divided by their sum.

    With `size`, width and height in pixels, boxes are in pixels. Boxes that leave the image by less than a pixel, or a
    thousandth, are cut. UserError for values that are not finite, negative scores, and boxes outside the image.
    """
    for name, values in {"features": features, "boxes": boxes, "classes": scores}.items():
        if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
            raise UserError(
                f"{where}: found {name} that are not finite numbers, expected finite ones: run the detector again"
            )
    if (scores < 0).any() or not scores.sum(1).all():
        raise UserError(
            f"{where}: found classes with a negative share or none, expected shares: take the softmax of scores"
        )
    shares, slack = boxes.astype(np.float64), np.full(2, SLACK)
    if size is not None:
        if not (np.isfinite(size).all() and (size > 0).all()):
            raise UserError(
                f"{where}: found size {tuple(size.tolist())}, expected width and height in pixels: correct it"
            )
        shares, slack = shares / np.tile(size, 2), np.maximum(slack, 1 / size)
    outside = (shares < -np.tile(slack, 2)).any() or (shares > 1 + np.tile(slack, 2)).any()
    if outside or (shares[:, :2] > shares[:, 2:]).any():
        kind = (
            f"pixels of {size[0]:g} x {size[1]:g}" if size is not None else "shares from 0 to 1 (or pixels, with sizes)"
        )
        raise UserError(
            f"{where}: found a box outside the image or inverted, expected left, top, right, bottom in "
            f"{kind}: correct it"
        )
    scores = scores.astype(np.float32)
    try:
        return Regions(
            features.astype(np.float32), shares.clip(0, 1).astype(np.float32), scores / scores.sum(1, keepdims=True)
        )
    except ValueError as error:
        raise UserError(f"{where}: found regions that cannot be used: {error}: run the detector again") from error
