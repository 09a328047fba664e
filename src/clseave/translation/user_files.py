"""Translations in the user's files: complete ones, and corrections of a translator's.

A file has one sentence per row, in one of two formats, and may be compressed (.gz):

- JSON Lines: `{"source": ..., "text": ...}`, or rows of `records.Translation`, as written by an earlier run;
- a table (`delimited`): English and translation, or columns named by a first row, such as `id`, `en` and `de`.

A file of corrections holds several languages: its rows also have `"target": "de"`, or a first column `de`, or each
language has a column with its name.
"""

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from clseave.foundation.errors import UserError
from clseave.foundation.files import delimited
from clseave.foundation.files.delimited import Dialect, Row, form, normal
from clseave.foundation.files.formats import parse_line, read_lines
from clseave.foundation.files.hashing import of_file
from clseave.foundation.rows.records import Translation, hypothesis_id
from clseave.translation.answers import SOURCE, tidy

log = logging.getLogger(__name__)

SUFFIXES = (".jsonl", ".tsv", ".csv", ".jsonl.gz", ".tsv.gz", ".csv.gz")
FIELDS = frozenset(field.name for field in fields(Translation))
CODE = re.compile(r"[a-z]{2,3}")  # code of a language
# Usual names of columns in parallel files, besides language codes.
ENGLISH = ("eng", "english")
SOURCES = ("source", "src", "sentence", "hypothesis")
TEXTS = ("text", "translation", "tgt", "trg", "target")
LANGUAGES = ("target", "language", "lang", "code")

Parts = tuple[str | None, str, str]  # target language or None, English, translation


class Given(NamedTuple):
    """A translation in a user's file, and its line number."""

    text: str
    number: int


class Wanted(NamedTuple):
    """What to look for in a file: the languages of source and translation, the sentences, and the file's scope."""

    origin: str
    language: str
    texts: Collection[str]
    shared: bool  # whether rows name their language


class Columns(NamedTuple):
    """Indices of the columns of sentence, translation and language code; None for a missing column."""

    source: int
    text: int | None
    code: int | None
    named: bool  # whether the translation's column has the name of the language


def file_hash(path: Path) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a file."""
    return of_file(path)[:16]


def find(folder: Path, name: str) -> list[Path]:
    """Return the files of translations with a name in a folder."""
    return [path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").is_file()]


def read_given(
    path: Path, language: str, texts: Iterable[str], *, shared: bool, origin: str = SOURCE
) -> dict[str, Given]:
    """Return a user's translations of `texts`, by hypothesis id; other sentences are skipped and counted in the log.

    With `shared`, rows name their language, and those of others are skipped. UserError for a malformed line, or two
    lines that translate one sentence differently.
    """
    wanted = Wanted(origin, language, {normal(text) for text in texts}, shared)
    given: dict[str, Given] = {}
    others = 0
    for number, (target, source, text) in _rows(path, wanted):
        if not CODE.fullmatch(target or ("" if shared else language)):
            raise UserError(f"{path}:{number}: found language {target!r}, expected code, English, translation")
        if target not in (None, language):
            if shared:
                continue
            raise UserError(f"{path}:{number}: found target {target!r}, expected {language!r}")
        sentence, line = normal(re.sub(r"[\t\r\n]+", " ", source)), Given(tidy(text), number)
        if sentence not in wanted.texts:
            others += 1
        elif given.setdefault(key := hypothesis_id(sentence), line).text != line.text:
            raise UserError(f"{path}: lines {given[key].number} and {number} translate {source!r} differently")
    if others:
        log.info("%s: %d lines are for sentences that are no hypotheses", path, others)
    return given


def _rows(path: Path, wanted: Wanted) -> Iterator[tuple[int, Parts]]:
    """Yield line number and parts of each row, in either format. UserError: no file, or an unknown suffix."""
    if not path.is_file():
        raise UserError(f"{path} does not exist: expected a file of translations")
    if form(path) == ".jsonl":
        for number, line in read_lines(path):
            if line.strip():
                yield number, _of_object(path, number, parse_line(path, number, line), wanted)
    elif form(path) in delimited.DELIMITERS:
        yield from _of_table(path, wanted)
    else:
        raise UserError(f"{path}: found {path.suffix or 'no suffix'}, expected {', '.join(SUFFIXES)}")


def _of_object(path: Path, number: int, row: dict[str, Any], wanted: Wanted) -> Parts:
    """Return the parts of a row of JSON Lines, with this package's fields or with fields named by language."""
    target, source, text = row.get("target"), row.get("source"), row.get("text")
    known = row.keys() <= FIELDS
    if wanted.origin in row and wanted.language in row:
        target, source, text = wanted.language, row[wanted.origin], row[wanted.language]
        known = True
    if not (known and isinstance(source, str) and isinstance(text, str) and isinstance(target, str | None)):
        raise UserError(f"{path}:{number}: found {row}, expected source, text and perhaps target, all strings")
    return target, source, text


def _of_table(path: Path, wanted: Wanted) -> Iterator[tuple[int, Parts]]:
    """Yield line number and parts of each row of a table; log how the table was read."""
    dialect, rows = delimited.read(path, wanted.texts)
    first = next(rows, Row(1, []))
    columns, count = header(first.cells, wanted), 0
    if columns and columns.text is None and not wanted.shared:
        raise UserError(
            f"{path}:{first.number}: found columns {first.cells}, expected one named {wanted.language!r} too"
        )
    for row in rows if columns or not first.cells else chain([first], rows):
        count += 1
        if columns is None:
            yield row.number, _by_place(path, row, wanted, dialect)
        elif parts := _by_name(path, row, columns, len(first.cells), wanted):
            yield row.number, parts
    names = [first.cells[place] for place in columns[:3] if place is not None] if columns else []
    log.info("%s: %d rows, %s, %s", path, count, dialect, f"columns {' and '.join(names)}" if names else "no header")


def header(cells: Sequence[str], wanted: Wanted) -> Columns | None:
    """Return the columns that a first row names; None when it is an ordinary row."""
    names = [cell.strip().casefold() for cell in cells]
    if any(normal(cell) in wanted.texts for cell in cells):
        return None

    def place(*known: str) -> int | None:
        return next((names.index(name) for name in known if name in names), None)

    source = place(wanted.origin, *(ENGLISH if wanted.origin == SOURCE else ()), *SOURCES)
    if source is None:
        return None
    if (text := place(wanted.language)) is not None:
        return Columns(source, text, None, named=True)
    if (text := place(*TEXTS)) is not None:
        code = place(*(name for name in LANGUAGES if name != names[text]))
        return Columns(source, text, code, named=False)
    others = names[:source] + names[source + 1 :]
    return Columns(source, None, None, named=False) if any(map(CODE.fullmatch, others)) else None


def _by_name(path: Path, row: Row, columns: Columns, width: int, wanted: Wanted) -> Parts | None:
    """Return the parts of a row below a header; None when it has no translation into this language.

    UserError when it has too many or too few cells.
    """
    if columns.text is None:
        return None
    places = [place for place in columns[:3] if place is not None]
    if len(row.cells) <= max(places) or any(cell.strip() for cell in row.cells[width:]):
        raise UserError(f"{path}:{row.number}: found {len(row.cells)} columns, but {width} in the header: {row.cells}")
    source, text = row.cells[columns.source], row.cells[columns.text]
    if columns.named:  # a column per language: a correction may be missing in some of them
        return (wanted.language, source, text) if text.strip() or not wanted.shared else None
    return (None if columns.code is None else row.cells[columns.code].strip()), source, text


def _by_place(path: Path, row: Row, wanted: Wanted, dialect: Dialect) -> Parts:
    """Return the parts of a row without header: English, translation; perhaps preceded by the language or a number.

    UserError for any other number of cells.
    """
    cells = list(row.cells)
    while len(cells) > 3 and not cells[-1].strip():
        cells.pop()
    match cells:
        case [source, text]:
            return None, source, text
        case [source, text, ""] if not wanted.shared and source != wanted.language:
            return None, source, text
        case [place, source, text] if place.isdecimal():
            return None, source, text
        case [target, source, text] if wanted.shared or CODE.fullmatch(target):
            return target, source, text
    raise UserError(
        f"{path}:{row.number}: found {len(cells)} columns, expected English and translation, or a header such as "
        f"{wanted.origin} and {wanted.language}; the file is {dialect}, and this row is {cells}"
    )
