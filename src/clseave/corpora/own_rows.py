"""The user's own rows: a CSV, TSV or JSON Lines file for each split, with columns of any names."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from clseave.foundation.errors import UserError
from clseave.foundation.files import delimited
from clseave.foundation.files.formats import parse_json, read_lines
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.settings.schema import Columns, TableRows

JSON_LINES = ".jsonl"
REMEDY = "place the file (or a link to it) there"

Found = tuple[int, dict[str, str] | str]  # line number from 1; the fields of a pair under SNLI-VE's names, or a fault


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
    for name, value in given.items():
        if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
            return f"{name}: found {'nothing' if value in (None, '') else repr(value)}, expected text"
    label = str(given[columns.label]).strip()
    known: dict[str, str] = dict(rows.labels) or {name: name for name in (*LABELS, "-")}
    if label not in known:
        return f"{columns.label}: found {label!r}, allowed: {', '.join(known)}"
    return {
        "pairID": key if columns.id is None else str(given[columns.id]).strip(),
        "Flickr30K_ID": PurePosixPath(str(given[columns.image]).strip()).name,
        "sentence2": str(given[columns.hypothesis]),
        "gold_label": known[label],
    }
