"""Regions that a user's object detector found, from files of tensors or of bottom-up attention, image by image.

Files of tensors, one for each split: .safetensors, or .npz (read into memory at once), with

- `ids`: N image ids, which are photos' file names without suffix: in a .npz an array of strings or whole numbers; for
  NAME.safetensors its metadata `ids`, a list as JSON, or such a list in NAME.ids.json or in ids.json beside it;
- `features` (N, R, V): the feature of each region;
- `boxes` (N, R, 4): left, top, right, bottom; in pixels when there are `sizes`, else as shares of width and height;
- `classes`: (N, R) whole numbers from 0, with `class_count` (in a .npz a number, in a .safetensors such a tensor or
  metadata); or (N, R, C) shares or counts, none negative, which are divided by their sum;
- perhaps `counts` (N,): the number of regions of each image, when rows beyond it are padding;
- perhaps `sizes` (N, 2): width and height of each image in pixels.

Bottom-up attention (Anderson et al. 2018) is `bottom_up.py`.
"""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from clseave.foundation.errors import UserError
from clseave.foundation.files.delimited import form, normal
from clseave.foundation.files.formats import cannot_read, parse_json, read_json, require_no_pointer
from clseave.single_stream.readers import bottom_up
from clseave.single_stream.readers.bottom_up import one_hot, region
from clseave.single_stream.regions import Regions

REMEDY = "place the detector's file there"
NEEDED, OPTIONAL = ("features", "boxes", "classes"), ("counts", "sizes")
DIMENSIONS = {"features": (3,), "boxes": (3,), "classes": (2, 3), "counts": (1,), "sizes": (2,)}
UNKNOWN = ("BF16", "F8_E4M3", "F8_E5M2")  # types that numpy lacks
BROKEN = (ValueError, EOFError, KeyError, zipfile.BadZipFile, SafetensorError)


class Tensors(NamedTuple):
    """An open file: ids, shapes by name, a function from name and row number to the row, and the number of classes."""

    ids: list[str]
    shapes: dict[str, tuple[int, ...]]
    row: Callable[[str, int], np.ndarray]
    class_count: int | None


def read(path: Path, class_count: int | None = None) -> Iterator[tuple[str, Regions]]:
    """Yield id and regions of each image of a .safetensors, a .npz, or a .tsv of bottom-up attention (also .gz).

    `class_count` is the number C of classes, where the file has numbers of classes and does not say how many there are.
    UserError, with file and image: another kind of file, a truncated one, wrong shapes, values that are not finite,
    boxes outside their image, duplicate ids.
    """
    kind = form(path)
    if kind == ".tsv":
        yield from bottom_up.read(path, class_count)
    elif kind in (".safetensors", ".npz"):
        require_no_pointer(path)
        try:
            yield from _regions(path, _safetensors(path) if kind == ".safetensors" else _npz(path), class_count)
        except OSError as error:
            raise cannot_read(path, error, REMEDY) from error
        except BROKEN as error:
            raise UserError(
                f"{path}: found a file that cannot be read ({error}), expected {kind}: copy it again"
            ) from error
    else:
        raise UserError(f"{path}: found {kind or 'no suffix'}, expected .safetensors, .npz or .tsv: convert it")


def _safetensors(path: Path) -> Tensors:
    """Open a .safetensors, whose rows are read one by one."""
    with safe_open(path, framework="numpy") as content:  # the file stays mapped while a slice is held
        metadata = content.metadata() or {}
        slices = {name: content.get_slice(name) for name in content.keys()}
    shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
    if odd := [name for name, part in slices.items() if part.get_dtype() in UNKNOWN]:
        kind = slices[odd[0]].get_dtype()
        raise UserError(f"{path}: found {odd[0]} of type {kind}, expected float32 or float16: write it again as such")

    def row(name: str, number: int) -> np.ndarray:
        return np.asarray(slices[name][number : number + 1])[0]

    count = metadata.get("class_count")
    if count is None and "class_count" in slices:
        count = np.asarray(slices["class_count"][:] if shapes["class_count"] else _scalar(path)).item()
    return Tensors(_ids_beside(path, metadata), shapes, row, _whole(path, count))


def _scalar(path: Path) -> np.ndarray:
    """Return the tensor `class_count` without dimensions, which cannot be sliced."""
    with safe_open(path, framework="numpy") as content:
        return np.asarray(content.get_tensor("class_count"))


def _ids_beside(path: Path, metadata: Mapping[str, str]) -> list[str]:
    """Return the ids of a .safetensors: from its metadata, NAME.ids.json or ids.json."""
    if "ids" in metadata:
        try:
            return _texts(path, parse_json(metadata["ids"]))
        except ValueError as error:
            raise UserError(
                f"{path}: found metadata ids that are not JSON ({error}), expected a list: {REMEDY}"
            ) from error
    for place in (path.with_suffix(".ids.json"), path.with_name("ids.json")):
        if place.is_file():
            return _texts(place, read_json(place))
    raise UserError(
        f"{path}: found no ids, expected metadata `ids` or {path.stem}.ids.json beside it: add the list of ids"
    )


def _npz(path: Path) -> Tensors:
    """Read a .npz. Nothing in it is unpickled."""
    with open(path, "rb") as stream:
        if not zipfile.is_zipfile(stream):
            raise UserError(f"{path}: found no whole .npz, expected what numpy.savez writes: copy or write it again")
    with np.load(path, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    if "ids" not in arrays:
        raise UserError(f"{path}: found no ids, expected an array of strings: add the ids of the images")
    count = arrays["class_count"].item() if "class_count" in arrays else None
    shapes = {name: part.shape for name, part in arrays.items()}
    return Tensors(
        _texts(path, arrays["ids"].tolist()), shapes, lambda name, row: arrays[name][row], _whole(path, count)
    )


def _texts(path: Path, ids: Any) -> list[str]:
    """Return ids as NFC-normalised texts. UserError for other things than a list of distinct texts or whole numbers."""
    if not isinstance(ids, list):
        raise UserError(
            f"{path}: found ids of type {type(ids).__name__}, expected a list of texts: write them as a list"
        )
    first: dict[str, int] = {}
    for number, given in enumerate(ids):
        if not isinstance(given, str | int) or isinstance(given, bool) or not (key := normal(str(given))):
            raise UserError(f"{path}: found id {given!r} in row {number}, expected a text: name the image")
        if (other := first.setdefault(key, number)) != number:
            raise UserError(f"{path}: found id {key!r} in rows {other} and {number}, expected each once: remove one")
    return list(first)


def _whole(path: Path, count: Any) -> int | None:
    """Return a number of classes. UserError when it is no whole number of 1 or more."""
    if count is None or (isinstance(count, int) and count > 0):
        return count
    if isinstance(count, str) and count.isascii() and count.isdecimal() and int(count) > 0:
        return int(count)
    raise UserError(f"{path}: found class_count {count!r}, expected a whole number of 1 or more: correct it")


def _regions(path: Path, tensors: Tensors, class_count: int | None) -> Iterator[tuple[str, Regions]]:
    """Yield the regions of each row."""
    _require_shapes(path, tensors)
    shapes, row = tensors.shapes, tensors.row
    classes = tensors.class_count or class_count
    if len(shapes["classes"]) == 2 and classes is None:
        raise UserError(
            f"{path}: found numbers of classes, expected class_count too: add the detector's number of classes"
        )
    for number, key in enumerate(tensors.ids):
        where = f"{path}: image {key}"
        used = int(row("counts", number)) if "counts" in shapes else shapes["features"][1]
        if not 1 <= used <= shapes["features"][1]:
            raise UserError(f"{where}: found count {used}, expected 1 to {shapes['features'][1]}: correct counts")
        found = row("classes", number)[:used]
        shares = one_hot(found, classes, where) if found.ndim == 1 and classes is not None else found
        size = row("sizes", number) if "sizes" in shapes else None
        yield key, region(where, row("features", number)[:used], row("boxes", number)[:used], shares, size)


def _require_shapes(path: Path, tensors: Tensors) -> None:
    """Raise UserError for a missing tensor, or shapes that do not belong together."""
    shapes = tensors.shapes
    if lacking := [name for name in NEEDED if name not in shapes]:
        raise UserError(f"{path}: found {', '.join(sorted(shapes))}, expected {lacking[0]} too: add it")
    wanted = {"features": shapes["features"], "boxes": (*shapes["features"][:2], 4)}
    wanted |= {"classes": (*shapes["features"][:2], *shapes["classes"][2:]), "counts": shapes["features"][:1]}
    wanted["sizes"] = (*shapes["features"][:1], 2)
    for name in (*NEEDED, *OPTIONAL):
        if name in shapes and (len(shapes[name]) not in DIMENSIONS[name] or shapes[name] != wanted[name]):
            raise UserError(
                f"{path}: found {name} of shape {shapes[name]} with features of shape {shapes['features']}, "
                f"expected features (N, R, V), boxes (N, R, 4), classes (N, R) or (N, R, C), counts (N,), sizes (N, 2)"
            )
    if len(tensors.ids) != shapes["features"][0]:
        raise UserError(
            f"{path}: found {len(tensors.ids)} ids, expected {shapes['features'][0]}, one for each row of features: "
            f"write both again"
        )
    if not tensors.ids:
        raise UserError(f"{path}: found no image, expected one or more: run the detector again")
