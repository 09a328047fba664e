"""Captions in JSON: MSCOCO's own format, also that of STAIR Captions and YJ Captions, and Karpathy's splits.

MSCOCO (Lin et al. 2014; captions: Chen et al. 2015): `{"images": [{"id", "file_name"}], "annotations": [{"image_id",
"caption"}]}`. STAIR Captions (Yoshikawa, Shigeto and Takeuchi 2017; Japanese) and YJ Captions (Miyazaki and Shimizu
2016; Japanese) use the ids of MSCOCO's images. Karpathy and Fei-Fei (2015) divided MSCOCO's train2014 and val2014 anew:
`{"images": [{"filename", "split", "cocoid", "sentences": [{"raw"}]}]}`; Flickr30k's file has no `cocoid`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import LARGEST_TEXT, parse_json, read_text
from clseave.single_stream.readers.captions import Caption, clean, image_id, report

REMEDY = "place the file (or a link to it) there"
REPAIR = "fetch the file again"
SPLITS = {"train": "train", "restval": "train", "val": "dev", "test": "test"}  # restval: the rest of val2014
LARGEST = 4 * LARGEST_TEXT  # bytes: STAIR Captions with its tokenised texts


class Place(NamedTuple):
    """The id of an image of MSCOCO as a photo's name, and its split."""

    image_id: str
    split: str


def read_karpathy(path: Path, language: str = "en") -> Iterator[Caption]:
    """Yield the captions of dataset_coco.json or dataset_flickr30k.json, image by image, in the file's order.

    UserError for a field that is missing or of another type, an unknown split, or a photo listed twice.
    """
    kept, left_out = 0, Counter[str]()
    for place, where, image in _karpathy_images(path):
        for number, sentence in enumerate(_of(image, "sentences", list, where)):
            if text := clean(_of(sentence, "raw", str, f"{where}.sentences[{number}]")):
                kept += 1
                yield Caption(place.image_id, language, text, place.split)
            else:
                left_out["blank"] += 1
    report(path, kept, left_out)


def read_places(path: Path) -> dict[int, Place]:
    """Return the images of dataset_coco.json by MSCOCO's id, in the file's order: the argument `places` of `read`.

    UserError as `read_karpathy`, and for images without such an id, as in Flickr30k's file.
    """
    found: dict[int, Place] = {}
    for place, where, image in _karpathy_images(path):
        if (key := _of(image, "cocoid", int, where)) in found:
            raise UserError(f"{where}: found cocoid {key} twice, expected each once: {REPAIR}")
        found[key] = place
    return found


def _karpathy_images(path: Path) -> Iterator[tuple[Place, str, dict[str, Any]]]:
    """Yield place, name in messages, and content of each image of a file of Karpathy's."""
    seen: set[str] = set()
    for number, image in enumerate(_of(_read(path), "images", list, str(path))):
        where = f"{path}: images[{number}]"
        split, name = _of(image, "split", str, where), _of(image, "filename", str, where)
        if split not in SPLITS:
            raise UserError(f"{where}: found split {split!r}, allowed: {', '.join(SPLITS)}: {REPAIR}")
        if not (key := image_id(name)) or key in seen:
            raise UserError(f"{where}: found filename {name!r}, expected the name of another photo: {REPAIR}")
        seen.add(key)
        yield Place(key, SPLITS[split]), where, image


def read(paths: Sequence[Path], language: str, places: Mapping[int, Place] | str) -> Iterator[Caption]:
    """Yield the captions of one or more files of one corpus in MSCOCO's format, image by image.

    `places` gives the id and split of each image, and their order: the result is then independent of how the corpus is
    divided into files, and images of two languages are in the same order. Captions of images that `places` lacks are
    counted and left out. Or `places` is the split of all images, which keep the order of the files. The captions of an
    image keep the order of the files. UserError: a field is missing or of another type, or an image is not listed.
    """
    texts: dict[int, list[str]] = {}
    listed: dict[int, str] = {}
    left_out = Counter[str]()
    for path in paths:
        content = _read(path)
        if isinstance(places, str) or "images" in content:
            _list_images(path, content, listed, needed=isinstance(places, str))
        for number, row in enumerate(_of(content, "annotations", list, str(path))):
            where = f"{path}: annotations[{number}]"
            if (key := _of(row, "image_id", int, where)) not in listed and "images" in content:
                raise UserError(f"{where}: found image_id {key}, expected the id of one of the images: {REPAIR}")
            if text := clean(_of(row, "caption", str, where)):
                texts.setdefault(key, []).append(text)
            else:
                left_out["blank"] += 1
    order = {key: Place(name, places) for key, name in listed.items()} if isinstance(places, str) else places
    left_out["of images without split"] = sum(len(found) for key, found in texts.items() if key not in order)
    kept = 0
    for key, place in order.items():
        for text in texts.get(key, ()):
            kept += 1
            yield Caption(place.image_id, language, text, place.split)
    report(", ".join(map(str, paths)), kept, left_out)
    if not kept:
        raise UserError(
            f"{paths[0]}: found no caption of an image with a split, expected one or more: check both files"
        )


def _list_images(path: Path, content: dict[str, Any], listed: dict[int, str], *, needed: bool) -> None:
    """Add the images of a file to `listed`: their photos' ids, by MSCOCO's id. Names are `needed` without places."""
    for number, image in enumerate(_of(content, "images", list, str(path))):
        where = f"{path}: images[{number}]"
        key = _of(image, "id", int, where)
        name = image_id(_of(image, "file_name", str, where)) if needed or "file_name" in image else str(key)
        if key in listed:
            raise UserError(f"{where}: found id {key} twice, expected each image once: {REPAIR}")
        if not name:
            raise UserError(f"{where}: found an empty file_name, expected the name of a photo: {REPAIR}")
        listed[key] = name


def _read(path: Path) -> dict[str, Any]:
    """Return the object that a file holds. UserError when it is not JSON, or no object."""
    try:
        content = parse_json(read_text(path, LARGEST, REMEDY))
    except ValueError as error:
        raise UserError(f"{path}: found no JSON ({error}), expected captions in MSCOCO's format: {REPAIR}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: found {type(content).__name__}, expected an object with images: {REPAIR}")
    return content


def _of(row: Any, name: str, kind: type, where: str) -> Any:
    """Return a field of an object. UserError when it is missing or of another type."""
    value = row.get(name) if isinstance(row, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        found = "none" if value is None else repr(value)[:80]
        raise UserError(f"{where}: found {found}, expected {name} as {kind.__name__}: {REPAIR}")
    return value
