"""The user's own rows: a CSV, TSV or JSON Lines file for each split, with columns of any names."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

from clseave.corpora.photos import SUFFIXES
from clseave.corpora.snli_ve import Pair, parse, to_corpus
from clseave.foundation.errors import UserError
from clseave.foundation.files import delimited
from clseave.foundation.files.formats import parse_json, read_lines, write_text
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import Example
from clseave.foundation.settings.schema import SPLITS, Columns, TableRows

JSON_LINES = ".jsonl"
NAMED = 10  # faulty rows that a message lists
OTHER_IMAGES = (".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".svg")  # not read as photos
REMEDY = "place the file (or a link to it) there"

Found = tuple[int, dict[str, str] | str]  # line number from 1; the fields of a pair under SNLI-VE's names, or a fault


class Tables(NamedTuple):
    """What the files hold: the pairs of each split, the faults of all files, and the rows left out, by reason."""

    pairs: dict[str, list[Pair]]
    faults: list[str]
    skipped: Counter[str]


def read_corpus(
    rows: TableRows, source: Path, problems: Path, held_out: Collection[str] = ()
) -> tuple[dict[str, list[Example]], dict[str, int]]:
    """Return the examples by split, and the number of rows left out, by reason, as `snli_ve.read_corpus` does.

    UserError for rows that cannot be used: how many, the first ten, and the file in `problems` that lists all.
    """
    found = read_tables(rows, source)
    require_sound(found.faults, problems)
    return to_corpus(found.pairs, found.skipped, held_out)


def require_sound(faults: list[str], problems: Path) -> None:
    """Raise UserError for faults, and list them in `problems`."""
    listing = problems / "faulty_rows.txt"
    if not faults:
        listing.unlink(missing_ok=True)
        return
    write_text(listing, "\n".join(faults) + "\n")
    rows = "a row" if len(faults) == 1 else f"{len(faults):,} rows"
    first = "; ".join(faults[:NAMED])
    raise UserError(f"{rows} cannot be used: {first}; all of them in {listing}: correct them")


def read_tables(rows: TableRows, source: Path) -> Tables:
    """Read all files to their end, whatever is wrong with some rows or files."""
    made = Tables({split: [] for split in SPLITS}, [], Counter())
    ids: dict[str, str] = {}
    places: dict[str, str] = {}
    for split in SPLITS:
        path = source / rows.files[split]
        try:
            for number, row in read(path, rows, split):
                place = f"{path.name}:{number}"
                if isinstance(found := _checked(row, place, ids, places), str):
                    made.faults.append(f"{place}: {found}")
                elif isinstance(pair := found[0], str):
                    made.skipped[pair] += 1
                else:
                    made.pairs[split].append(pair._replace(file=str(path), line=number))
        except UserError as error:
            made.faults.append(str(error))
    return made


def _checked(
    row: dict[str, str] | str, place: str, ids: dict[str, str], places: dict[str, str]
) -> tuple[Pair | str] | str:
    """Return a row's pair, or the reason to leave it out, in a tuple; or what is wrong with it.

    `ids` and `places` hold the rows so far: the place of each id, and each photo's path as its first row has it.
    """
    if isinstance(row, str):
        return row
    try:
        pair = parse(row, own=True)
    except ValueError as error:
        return str(error)
    if isinstance(pair, str):
        return (pair,)
    if (first := ids.setdefault(pair.pair_id, place)) != place:
        return f"id {pair.pair_id!r} is also that of {first}: give each row of all splits another, or say `id: null`"
    if (other := places.setdefault(pair.image_id, row["path"])) != row["path"]:
        return f"{row['path']} and {other} are two photos of one file name: rename one, here and in the folder"
    return (pair,)


def read(path: Path, rows: TableRows, split: str) -> Iterator[Found]:
    """Yield each row of a file. UserError for another kind of file, or a header that lacks a column."""
    form = delimited.form(path)
    if form not in (JSON_LINES, *delimited.DELIMITERS):
        raise UserError(f"{path}: found {form or 'no suffix'}, allowed: .csv, .tsv, .jsonl, each also with .gz")
    content = _json_rows(path) if form == JSON_LINES else _table_rows(path, rows.columns)
    for count, (number, row) in enumerate(content, start=1):
        yield number, row if isinstance(row, str) else _pair(row, rows, f"{split}-{count:06d}")


def _table_rows(path: Path, columns: Columns) -> Iterator[tuple[int, dict[str, str] | str]]:
    """The rows of a table by the names in its first line."""
    _, found = delimited.read(path)
    number, header = next(found, delimited.Row(1, []))
    header = [name.strip() for name in header]
    if lacking := [name for name in columns.names() if name not in header]:
        names = ", ".join(header) or "none"
        raise UserError(f"{path}:{number}: found columns {names}, expected {lacking[0]!r}, which source.rows names")
    if twice := [name for name in columns.names() if header.count(name) > 1]:
        raise UserError(f"{path}:{number}: two columns are named {twice[0]!r}: rename one")
    for number, cells in found:
        if any(cell.strip() for cell in cells[len(header) :]):
            yield number, f"{len(cells)} cells for {len(header)} columns: is a sentence with a separator not quoted?"
        else:
            yield number, dict(zip(header, cells, strict=False))


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """The objects of a file with one on each line; blank lines are left out."""
    for number, line in read_lines(path, REMEDY):
        if not line.strip():
            continue
        try:
            content = parse_json(line.decode("utf-8-sig"))
        except ValueError as error:
            yield number, f"not JSON: {error}"
            continue
        yield number, content if isinstance(content, dict) else "expected an object with the columns' names"


def _pair(row: Mapping[str, Any], rows: TableRows, key: str) -> dict[str, str] | str:
    """The fields of a pair, or what is wrong with them; `key` is its id where no column has one."""
    columns = rows.columns
    given = {name: row.get(name) for name in columns.names()}
    if len(given) < len(columns.names()):
        return f"source.rows.columns names {', '.join(columns.names())}: expected another column for each"
    for name, value in given.items():
        if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
            return f"{name}: found {'nothing' if value in (None, '') else repr(value)}, expected text"
    label, image = (unicodedata.normalize("NFC", str(given[name]).strip()) for name in (columns.label, columns.image))
    known: dict[str, str] = {unicodedata.normalize("NFC", name): value for name, value in rows.labels.items()}
    if not known:
        known = {name: name for name in (*LABELS, "-")}
        label = label.lower()
    if label not in known:
        return f"{columns.label}: found {label!r}, allowed: {', '.join(known)}"
    name = PureWindowsPath(image).name  # which divides at / and at \\
    if (suffix := PureWindowsPath(name).suffix.lower()) in OTHER_IMAGES:
        return f"{columns.image}: found a {suffix}, allowed: {', '.join(SUFFIXES)}: convert it"
    return {
        "pairID": key if columns.id is None else str(given[columns.id]).strip(),
        "Flickr30K_ID": name,
        "path": image,
        "sentence2": str(given[columns.hypothesis]),
        "gold_label": known[label],
    }
