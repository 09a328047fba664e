"""Tables as other programs write them: .tsv and .csv, also .gz, whose delimiter and quoting are detected.

A cell in quotation marks was either quoted by the program that wrote the file, or is a sentence in quotation marks.
One cell cannot tell, so two readings of the whole file are compared: quoted, by csv.reader (a quoted cell may hold
delimiters and line breaks, and its quotation marks are doubled), and plain, where a quotation mark is text.

The file is plain where the quoted reading fails or finds fewer of the sentences that are looked for. Else the reading
is taken in which fewer rows differ in width from the others. Else doubled quotation marks within a cell in quotation
marks mean quoted, and a quotation mark in another cell means plain, as a program that quotes would have quoted it.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import LONGEST_LINE, bounded_lines, hint, opened

DELIMITERS = {".tsv": "\t", ".csv": "\t;,"}  # in the order in which they are preferred
NAMES = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "bar"}
DECLARATION = re.compile(r"sep=([\t;,|])[\r\n]*")
REMEDY = "place the file there"
csv.field_size_limit(LONGEST_LINE)


class Row(NamedTuple):
    """A row that is not blank, and the number of its first line."""

    number: int
    cells: list[str]


class Dialect(NamedTuple):
    """How a file parts its cells, and whether cells in quotation marks are quoted."""

    delimiter: str
    quoted: bool

    def __str__(self) -> str:
        return f"{NAMES[self.delimiter]}-separated, {'quoted' if self.quoted else 'not quoted'}"


class Fit(NamedTuple):
    """How well a dialect fits: rows with a known sentence, rows of other widths than most, the width of most rows."""

    known: int
    odd: int
    width: int
    folded: bool  # whether a row has several lines


class Choice(NamedTuple):
    """A dialect, how well it fits, and what is wrong when a file is quoted only in part."""

    dialect: Dialect
    fit: Fit
    error: str = ""


def form(path: Path) -> str:
    """A file's suffix, without .gz: such as .tsv."""
    return Path(re.sub(r"(?i)\.gz$", "", path.name)).suffix.lower()


def read(path: Path, known: Collection[str] = ()) -> tuple[Dialect, Iterator[Row]]:
    """The dialect of a table, and its rows. UserError when it is no text, or names the line that cannot be read.

    `known` are sentences, NFC-normalised and stripped, that the file probably has.
    """
    declared = _declared(path)
    choices = [_choice(path, delimiter, known) for delimiter in declared or DELIMITERS[form(path)]]
    parting = [choice for choice in choices if choice.fit.width > 1] or choices[-1:]
    best = max(parting, key=lambda choice: (choice.fit.known, -choice.fit.odd))  # the first of equals
    if best.error:
        raise UserError(best.error)
    return best.dialect, _rows(path, best.dialect)


def _declared(path: Path) -> str:
    """The delimiter that a first line `sep=;` names, as Excel reads it; empty without such a line."""
    for _, line in _lines(path):
        return found[1] if (found := DECLARATION.fullmatch(line)) else ""
    return ""


def _choice(path: Path, delimiter: str, known: Collection[str]) -> Choice:
    """The better of the two dialects with this delimiter."""
    dialects, marks = [Dialect(delimiter, quoted) for quoted in (False, True)], _Marks()
    plain = _fit(marks.watch(_rows(path, dialects[False])), known)
    if not marks.any:
        return Choice(dialects[False], plain)
    try:
        quoted = _fit(_rows(path, dialects[True]), known)
    except UserError as error:
        said = f"{error}: double each one within a quoted cell" if marks.doubled or marks.escaped else ""
        return Choice(dialects[False], plain, said)
    if quoted.known < plain.known:
        better = False
    elif quoted.odd != plain.odd:
        better = quoted.odd < plain.odd
    elif marks.doubled:
        better = True
    elif quoted.folded or marks.bare:  # quotations may begin in one row and end in another
        better = False
    else:
        better = quoted.known > plain.known or delimiter != "\t" or marks.all_quoted or marks.by_excel
    return Choice(dialects[better], quoted if better else plain)


class _Marks:
    """What the quotation marks of plain cells look like."""

    def __init__(self) -> None:
        self.any = self.bare = False
        self.all_quoted = True  # but for numbers, as with QUOTE_ALL and QUOTE_NONNUMERIC
        self.doubled = self.escaped = False  # in a cell such as "Ein ""guter"" Hund" or "Ein \\"guter\\" Hund"
        self._wrapped = 0
        self._having: Counter[tuple[bool, str]] = Counter()

    @property
    def by_excel(self) -> bool:
        """Whether the cells in quotation marks are those with a comma: Excel quotes these also between tabs."""
        return self._wrapped > 1 and any(
            self._having[True, sign] == self._wrapped and not self._having[False, sign] for sign in ",;"
        )

    def watch(self, rows: Iterator[Row]) -> Iterator[Row]:
        """The same rows."""
        for row in rows:
            for cell in map(str.strip, row.cells):
                wrapped = len(cell) > 1 and cell[0] == cell[-1] == '"'
                if wrapped:
                    inner, pairs = cell[1:-1], cell[1:-1].replace('""', "")
                    self.doubled = self.doubled or (len(pairs) < len(inner) and '"' not in pairs)
                    self.escaped = self.escaped or '\\"' in inner
                elif cell and not cell.isdecimal():
                    self.all_quoted = False
                    self.bare = self.bare or ('"' in cell and cell[0] != '"')
                self.any = self.any or '"' in cell
                self._wrapped += wrapped
                for sign in ",;":
                    if sign in cell:
                        self._having[wrapped, sign] += 1
            yield row


def _fit(rows: Iterator[Row], known: Collection[str]) -> Fit:
    """Count what `Fit` says. Empty cells at the end of a row may be there or not."""
    shapes: Counter[tuple[int, int]] = Counter()  # number of cells without the empty ones at the end, and with them
    found, folded, last = 0, False, 0
    for number, cells in rows:
        used = max(place for place, cell in enumerate(cells, start=1) if cell.strip())
        shapes[used, len(cells)] += 1
        found += any(normal(cell) in known for cell in cells) if known else 0
        folded = folded or any("\n" in cell for cell in cells)
        last = number
    if not last:
        return Fit(0, 0, 0, folded)
    widths: Counter[int] = Counter()
    for (used, _), count in shapes.items():
        widths[used] += count
    width = max(widths, key=lambda used: (widths[used], used))
    odd = sum(count for (used, cells_), count in shapes.items() if not used <= width <= cells_)
    return Fit(found, odd, width, folded)


def normal(cell: str) -> str:
    """A cell as the sentences that are looked for: NFC, and stripped."""
    return unicodedata.normalize("NFC", cell).strip()


def _rows(path: Path, dialect: Dialect) -> Iterator[Row]:
    """Rows that are not blank, without a first line `sep=;`. UserError names where quotation marks do not match."""
    lines = ((number, line) for number, line in _lines(path) if number > 1 or not DECLARATION.fullmatch(line))
    rows: Iterator[tuple[int, list[str]]]
    if dialect.quoted:
        rows = _quoted_rows(path, dialect.delimiter, lines)
    else:
        rows = ((number, line.rstrip("\r\n").split(dialect.delimiter)) for number, line in lines)
    return (Row(number, cells) for number, cells in rows if any(cell.strip() for cell in cells))


def _quoted_rows(path: Path, delimiter: str, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """First line's number and cells of each row, by csv.reader."""
    first = last = 0

    def fed() -> Iterator[str]:
        nonlocal first, last
        for last, line in lines:
            first = first or last
            yield line

    reader = csv.reader(fed(), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            yield first, cells
            first = 0
    except csv.Error as error:
        raise UserError(f"{path}:{first or last}: quotation marks do not match ({error})") from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line, its end included. UserError: neither UTF-8 nor UTF-16 with its mark, or a NUL."""
    with opened(path, REMEDY) as stream:
        wide = stream.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        for number, line in _utf16_lines(stream, path) if wide else _utf8_lines(stream, path):
            if "\0" in line:
                raise UserError(f"{path}:{number}: a NUL character, which no text has: save the file as UTF-8")
            yield number, line


def _utf8_lines(stream: IO[bytes], path: Path) -> Iterator[tuple[int, str]]:
    for number, line in bounded_lines(stream, path):
        try:
            yield number, line.decode()
        except UnicodeDecodeError as error:
            raise UserError(f"{path}:{number}: not UTF-8: {error}{hint(line)}: save the file as UTF-8") from error


def _utf16_lines(stream: IO[bytes], path: Path) -> Iterator[tuple[int, str]]:
    """Excel's "Unicode text"."""
    text, number = io.TextIOWrapper(stream, "utf-16", newline="\n"), 1
    try:
        while line := text.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                raise UserError(f"{path}:{number}: a line of more than {LONGEST_LINE:,} characters, expected a row")
            yield number, line
            number += 1
    except UnicodeDecodeError as error:
        raise UserError(f"{path}:{number}: not UTF-16: {error}: save the file as UTF-8") from error
