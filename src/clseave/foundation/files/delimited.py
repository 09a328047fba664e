"""Tables written by other programs: .tsv and .csv, also .gz, with detection of delimiter and quoting.

A cell in quotation marks is either quoted by the program that wrote the file, or a sentence that is itself a quotation.
One cell cannot decide, so two readings of the whole file are compared: quoted, by csv.reader (a quoted cell may hold
delimiters and line breaks, and doubles its quotation marks), and plain, where a quotation mark is ordinary text.

Rules, in this order: plain, when the quoted reading fails or finds fewer of the known sentences; the reading in which
fewer rows have an unusual number of cells; quoted, when a quoted cell has doubled quotation marks; plain, when another
cell has a quotation mark, because a program that quotes would have quoted that cell.
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

DELIMITERS = {".tsv": "\t", ".csv": "\t;,"}  # in order of preference
NAMES = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "bar"}
DECLARATION = re.compile(r"sep=([\t;,|])[\r\n]*")
REMEDY = "place the file there"
csv.field_size_limit(LONGEST_LINE)


class Row(NamedTuple):
    """A row that is not blank, and the number of its first line in the file."""

    number: int
    cells: list[str]


class Dialect(NamedTuple):
    """The delimiter of a file, and whether cells in quotation marks are quoted."""

    delimiter: str
    quoted: bool

    def __str__(self) -> str:
        return f"{NAMES[self.delimiter]}-separated, {'quoted' if self.quoted else 'not quoted'}"


class Fit(NamedTuple):
    """How well a dialect fits: rows with a known sentence, rows of unusual width, and the most common width."""

    known: int
    odd: int
    width: int
    folded: bool  # whether any row spans several lines


class Choice(NamedTuple):
    """A dialect, how well it fits, and an error message when only part of the file is quoted."""

    dialect: Dialect
    fit: Fit
    error: str = ""


def form(path: Path) -> str:
    """Return a file's suffix without .gz, in lower case, such as .tsv."""
    return Path(re.sub(r"(?i)\.gz$", "", path.name)).suffix.lower()


def read(path: Path, known: Collection[str] = ()) -> tuple[Dialect, Iterator[Row]]:
    """Return the dialect of a table, and its rows.

    `known` are sentences, NFC-normalised and stripped, that the file probably has. UserError when the file is not text;
    it names the line that cannot be read.
    """
    declared = _declared(path)
    choices = [_choice(path, delimiter, known) for delimiter in declared or DELIMITERS[form(path)]]
    parting = [choice for choice in choices if choice.fit.width > 1] or choices[-1:]
    best = max(parting, key=lambda choice: (choice.fit.known, -choice.fit.odd))  # the first on a tie
    if best.error:
        raise UserError(best.error)
    return best.dialect, _rows(path, best.dialect)


def _declared(path: Path) -> str:
    """Return the delimiter that a first line `sep=;` (a convention of Excel) declares; empty without such a line."""
    for _, line in _lines(path):
        return found[1] if (found := DECLARATION.fullmatch(line)) else ""
    return ""


def _choice(path: Path, delimiter: str, known: Collection[str]) -> Choice:
    """Return the better of the two dialects with this delimiter, by the rules of the module."""
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
    elif quoted.folded or marks.bare:  # a quotation may begin in one row and end in another
        better = False
    else:
        better = quoted.known > plain.known or delimiter != "\t" or marks.all_quoted or marks.by_excel
    return Choice(dialects[better], quoted if better else plain)


class _Marks:
    """Statistics of the quotation marks in cells of the plain reading."""

    def __init__(self) -> None:
        self.any = self.bare = False
        self.all_quoted = True  # except numbers, as with QUOTE_ALL and QUOTE_NONNUMERIC
        self.doubled = self.escaped = False  # in a cell such as "Ein ""guter"" Hund" or "Ein \\"guter\\" Hund"
        self._wrapped = 0
        self._having: Counter[tuple[bool, str]] = Counter()

    @property
    def by_excel(self) -> bool:
        """Whether exactly the cells with a comma (or a semicolon) are in quotation marks: Excel quotes them in .tsv
        too.
        """
        return self._wrapped > 1 and any(
            self._having[True, sign] == self._wrapped and not self._having[False, sign] for sign in ",;"
        )

    def watch(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the same rows and collect their statistics."""
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
    """Measure how well rows fit their dialect. A row with and without its empty last cells counts as either width."""
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
    """Return a cell in the form of the known sentences: NFC-normalised and stripped."""
    return unicodedata.normalize("NFC", cell).strip()


def _rows(path: Path, dialect: Dialect) -> Iterator[Row]:
    """Return the rows that are not blank, without a first line `sep=;`.

    UserError when quotation marks do not match; it names the line.
    """
    lines = ((number, line) for number, line in _lines(path) if number > 1 or not DECLARATION.fullmatch(line))
    rows: Iterator[tuple[int, list[str]]]
    if dialect.quoted:
        rows = _quoted_rows(path, dialect.delimiter, lines)
    else:
        rows = ((number, line.rstrip("\r\n").split(dialect.delimiter)) for number, line in lines)
    return (Row(number, cells) for number, cells in rows if any(cell.strip() for cell in cells))


def _quoted_rows(path: Path, delimiter: str, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first line and the cells of each row, by csv.reader."""
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
    """Yield the number and the text of each line, line end included.

    UserError when it is neither UTF-8 nor UTF-16 with a byte-order mark, or holds a NUL character.
    """
    with opened(path, REMEDY) as stream:
        wide = stream.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        for number, line in _utf16_lines(stream, path) if wide else _utf8_lines(stream, path):
            if "\0" in line:
                raise UserError(f"{path}:{number}: a NUL character, which no text has: save the file as UTF-8")
            yield number, line


def _utf8_lines(stream: IO[bytes], path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a UTF-8 file."""
    for number, line in bounded_lines(stream, path):
        try:
            yield number, line.decode()
        except UnicodeDecodeError as error:
            raise UserError(f"{path}:{number}: not UTF-8: {error}{hint(line)}: save the file as UTF-8") from error


def _utf16_lines(stream: IO[bytes], path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a UTF-16 file, which Excel saves as "Unicode text"."""
    text, number = io.TextIOWrapper(stream, "utf-16", newline="\n"), 1
    try:
        while line := text.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                raise UserError(f"{path}:{number}: a line of more than {LONGEST_LINE:,} characters, expected a row")
            yield number, line
            number += 1
    except UnicodeDecodeError as error:
        raise UserError(f"{path}:{number}: not UTF-16: {error}: save the file as UTF-8") from error
