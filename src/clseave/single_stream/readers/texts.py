r"""Text without images: sentences of one language, and parallel sentences of two.

Plain files have one sentence on each line; lines end with \n or \r\n only, because Unicode's other line breaks occur
within sentences of Wikipedia and of parallel corpora.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

from clseave.foundation.errors import UserError
from clseave.foundation.files import delimited
from clseave.foundation.files.delimited import Row
from clseave.foundation.files.formats import hint, read_lines
from clseave.single_stream.readers.captions import clean, report

REMEDY = "place the file (or a link to it) there"
CODE = re.compile(r"[a-z]{2,3}")  # code of a language
BLANK, UNPAIRED = "blank", "with one side blank"


class Parallel(NamedTuple):
    """A sentence and its translation, in the two `languages`, in this order."""

    first: str
    second: str
    languages: tuple[str, str]


def read_sentences(path: Path) -> Iterator[str]:
    """Yield the sentences of a .txt or .txt.gz; blank lines are counted and left out.

    UserError: another kind of file, a line that is not UTF-8, or no sentence at all.
    """
    if delimited.form(path) != ".txt":
        raise UserError(f"{path}: found {path.suffix or 'no suffix'}, expected .txt or .txt.gz: rename or convert it")
    kept, left_out = 0, Counter[str]()
    for _, text in clean_lines(path):
        if text:
            kept += 1
            yield text
        else:
            left_out[BLANK] += 1
    report(path, kept, left_out)
    if not kept:
        raise UserError(f"{path}: found no sentence, expected one on each line: fetch the file again")


def clean_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and cleaned text of each line, blank ones included; .gz is decompressed.

    UserError for a line that is not UTF-8 or has a NUL character.
    """
    for number, line in read_lines(path, REMEDY):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}:{number}: found {error.object[error.start : error.end]!r}, expected UTF-8: "
                f"save the file as UTF-8{hint(line)}"
            ) from error
        if "\0" in text:
            raise UserError(f"{path}:{number}: found a NUL character, expected text: save the file as UTF-8")
        yield number, clean(text)


def find_moses(folder: Path, name: str, languages: tuple[str, str]) -> tuple[Path, Path]:
    """Return the two files of a corpus in Moses' format, such as name.de-en.de and name.de-en.en, also .gz.

    The languages may be in either order in the files' names; the files are returned in the order of `languages`.
    UserError when there are none.
    """
    first, second = languages
    for pair in (f"{first}-{second}", f"{second}-{first}"):
        for suffix in ("", ".gz"):
            paths = [folder / f"{name}.{pair}.{code}{suffix}" for code in languages]
            if all(path.is_file() for path in paths):
                return paths[0], paths[1]
    raise UserError(
        f"{folder}: found no two files {name}.{first}-{second}.{first} and {name}.{first}-{second}.{second} "
        f"(or {second}-{first}, also .gz), expected a corpus in Moses' format: place both there"
    )


def read_aligned(first: Path, second: Path, languages: tuple[str, str]) -> Iterator[Parallel]:
    """Yield the pairs of two files whose lines belong together, one by one, such as those of Moses and OPUS.

    Pairs with a blank side are counted and left out. UserError, after the last pair, when one file has more lines.
    """
    kept, left_out = 0, Counter[str]()
    rows = zip_longest(clean_lines(first), clean_lines(second))
    for one, other in rows:
        if one is None or other is None:
            longer, shorter = (first, second) if other is None else (second, first)
            number, _ = one or other
            total = number + sum(1 for _ in rows)
            raise UserError(
                f"{shorter}:{number - 1}: found the last line, expected {total:,} lines as in {longer}: "
                f"fetch both files again"
            )
        if one[1] and other[1]:
            kept += 1
            yield Parallel(one[1], other[1], languages)
        else:
            left_out[UNPAIRED if one[1] or other[1] else BLANK] += 1
    report(f"{first}, {second.name}", kept, left_out)
    if not kept:
        raise UserError(
            f"{first}: found no pair of sentences with {second}, expected one on each line: fetch both again"
        )


def read_pairs(path: Path, languages: tuple[str, str]) -> Iterator[Parallel]:
    """Yield the pairs of a table (.tsv or .csv, also .gz), read by `delimited`.

    Its first row names the columns by language, such as `id, en, de`; without such a row the table has two columns, in
    the order of `languages`. Pairs with a blank side are counted and left out. UserError: columns of other languages,
    another number of columns, or no pair at all.
    """
    if delimited.form(path) not in delimited.DELIMITERS:
        raise UserError(
            f"{path}: found {path.suffix or 'no suffix'}, expected .tsv or .csv, each also with .gz: rename it"
        )
    _, rows = delimited.read(path)
    start = next(rows, Row(1, []))
    places, named = _columns(path, start, languages)
    kept, left_out = 0, Counter[str]()
    for row in rows if named else chain([start], rows):
        if len(row.cells) <= max(places) or any(cell.strip() for cell in row.cells[len(start.cells) :]):
            raise UserError(
                f"{path}:{row.number}: found {len(row.cells)} cells, expected {len(start.cells)} as in the first row: "
                f"replace a tab within a sentence by a space"
            )
        one, other = (clean(row.cells[place]) for place in places)
        if one and other:
            kept += 1
            yield Parallel(one, other, languages)
        else:
            left_out[UNPAIRED] += 1
    report(path, kept, left_out)
    if not kept:
        raise UserError(f"{path}: found no pair of sentences, expected one in each row: fetch the file again")


def _columns(path: Path, row: Row, languages: tuple[str, str]) -> tuple[tuple[int, int], bool]:
    """Return the indices of the columns of both languages, and whether the first row is a header."""
    names = [cell.strip().casefold() for cell in row.cells]
    if all(names.count(code) == 1 for code in languages):
        return (names.index(languages[0]), names.index(languages[1])), True
    if len(names) != 2 or all(CODE.fullmatch(name) for name in names):
        raise UserError(
            f"{path}:{row.number}: found columns {', '.join(names) or 'none'}, expected {' and '.join(languages)}: "
            f"name the columns by language in a first row, each once"
        )
    return (0, 1), False
