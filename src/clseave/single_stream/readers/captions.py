"""Captions of images: the row that all readers of this package yield, captions in a table, and what retrieval needs.

Texts are NFC-normalised, on one line and stripped. A reader yields its rows in the order of the files, counts the rows
that it leaves out in the log, and raises UserError for a malformed one.
"""

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

from clseave.corpora.photos import SUFFIXES, Collection
from clseave.foundation.errors import UserError
from clseave.foundation.files import delimited
from clseave.foundation.files.delimited import Row

log = logging.getLogger(__name__)

BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")  # a tab, and all that `str.splitlines` divides at
CAPTION, URL, FILE = "caption", "url", "file"  # names of columns
MOST = 5  # captions of an image that retrieval uses, as is customary: some images of MSCOCO have six or seven
FOLDS, FOLD = 5, 1000  # MSCOCO's 1K protocol


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption of an image. `image_id` is the photo's file name without suffix, `split` is train, dev or test."""

    image_id: str
    language: str
    text: str
    split: str


class Retrieval(NamedTuple):
    """N images in their order, and the 1 to 5 captions of each: `captions[n]` are those of `image_ids[n]`."""

    image_ids: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...]


class Columns(NamedTuple):
    """Indices of the columns of caption and photo (None: photos are named by row number); the number of columns."""

    caption: int
    file: int | None
    width: int


def clean(text: str) -> str:
    """Return a text NFC-normalised, with a space for tabs and line breaks, and stripped."""
    return BREAKS.sub(" ", unicodedata.normalize("NFC", text)).strip()


def image_id(name: str) -> str:
    """Return the id of a photo, as `corpora.photos` does: its file name without folders and without .jpg or .png."""
    path = PureWindowsPath(unicodedata.normalize("NFC", name.strip()))  # divides at / and at \
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def report(name: object, kept: int, left_out: Mapping[str, int]) -> None:
    """Log how many rows of a file were kept and how many were left out, by reason."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items() if count)
    log.info("%s: %s rows; left out: %s", name, f"{kept:,}", reasons or "none")


def read_table(
    path: Path, photos: Collection, language: str, split: str = "train", *, first: int = 1
) -> Iterator[Caption]:
    """Yield the captions of a table (.tsv or .csv, also .gz) whose photo is in `photos`: Conceptual Captions, SBU.

    Without header: `caption, url` with photos named by the number of their row, which is `first` for the first one
    (leading zeros are allowed), or `caption, url, file`. With a header: a column `caption`, and perhaps `file`. Rows
    that are blank have no number. Rows without text or without photo (a broken URL) are counted and left out.
    UserError: another number of columns, two photos of one number, or no row with a photo.
    """
    if delimited.form(path) not in delimited.DELIMITERS:
        raise UserError(
            f"{path}: found {path.suffix or 'no suffix'}, expected .tsv or .csv, each also with .gz: rename it"
        )
    _, rows = delimited.read(path)
    start = next(rows, Row(1, []))
    columns, named = _columns(path, start)
    numbered = _by_number(photos) if columns.file is None else {}
    kept, left_out = 0, Counter[str]()
    for number, row in enumerate(rows if named else chain([start], rows), start=first):
        cells = _fitting(path, row, columns)
        key = numbered.get(number, "") if columns.file is None else image_id(cells[columns.file])
        if not (text := clean(cells[columns.caption])):
            left_out["without text"] += 1
        elif key not in photos.files:
            left_out["without photo"] += 1
        else:
            kept += 1
            yield Caption(key, language, text, split)
    report(path, kept, left_out)
    if not kept:
        by = f"row number, from {first}" if columns.file is None else f"column {columns.file + 1}"
        raise UserError(
            f"{path}: found no row with a photo in {photos.path}, expected photos named by {by}: check both"
        )


def _columns(path: Path, row: Row) -> tuple[Columns, bool]:
    """Return the columns, and whether the first row is a header. UserError for an unknown number of columns."""
    names = [cell.strip().casefold() for cell in row.cells]
    if CAPTION in names and (len(names) == 1 or {URL, FILE} & set(names)):
        if names.count(CAPTION) > 1 or names.count(FILE) > 1:
            raise UserError(
                f"{path}:{row.number}: found columns {', '.join(names)}, expected each name once: rename one"
            )
        return Columns(names.index(CAPTION), names.index(FILE) if FILE in names else None, len(names)), True
    if len(names) not in (2, 3):
        raise UserError(
            f"{path}:{row.number}: found {len(names)} columns, expected caption, url and perhaps file: "
            f"name the columns in a first row"
        )
    return Columns(0, 2 if len(names) == 3 else None, len(names)), False


def _fitting(path: Path, row: Row, columns: Columns) -> list[str]:
    """Return the cells of a row. UserError for a missing cell, or one too many."""
    needed = max(columns.caption, columns.file or 0)
    if len(row.cells) <= needed or any(cell.strip() for cell in row.cells[columns.width :]):
        raise UserError(
            f"{path}:{row.number}: found {len(row.cells)} cells, expected {columns.width} as in the first row: "
            f"replace a tab within a caption by a space"
        )
    return row.cells


def _by_number(photos: Collection) -> dict[int, str]:
    """Return the ids of the photos whose names are numbers. UserError for two of one number, such as 7 and 007."""
    found: dict[int, str] = {}
    for key in photos.files:
        if key.isascii() and key.isdecimal() and (other := found.setdefault(int(key), key)) != key:
            raise UserError(
                f"{photos.path}: found {photos.files[other]} and {photos.files[key]}, expected one photo of a number: "
                f"remove one"
            )
    return found


def in_split(captions: Iterable[Caption], split: str, language: str, most: int = MOST) -> Retrieval:
    """Return the images of a split in the order of their first caption, with the first `most` captions of each.

    UserError when the split has no caption in this language.
    """
    found: dict[str, list[str]] = {}
    beyond = 0
    for row in captions:
        if (row.split, row.language) == (split, language):
            if len(texts := found.setdefault(row.image_id, [])) < most:
                texts.append(row.text)
            else:
                beyond += 1
    if not found:
        raise UserError(
            f"found no caption of split {split} in {language}, expected one or more: check files and splits"
        )
    if beyond:
        log.info("split %s, %s: %d captions beyond the first %d of their image left out", split, language, beyond, most)
    return Retrieval(tuple(found), tuple(map(tuple, found.values())))


def protocol(test: Retrieval, name: str) -> list[Retrieval]:
    """Return the parts of MSCOCO's test split over whose results the mean is taken.

    "5K": all 5,000 images at once. "1K": five folds of 1,000 images in their order. UserError for another number of
    images; ValueError for another name.
    """
    if name not in ("1K", "5K"):
        raise ValueError(f"protocol {name!r}, allowed: 1K, 5K")
    if (count := len(test.image_ids)) != FOLDS * FOLD:
        raise UserError(
            f"found {count:,} test images, expected {FOLDS * FOLD:,} for protocol {name}: "
            f"take MSCOCO by Karpathy's splits"
        )
    if name == "5K":
        return [test]
    starts = range(0, FOLDS * FOLD, FOLD)
    return [Retrieval(test.image_ids[at : at + FOLD], test.captions[at : at + FOLD]) for at in starts]
