"""Predictions for the rows of a file: read one by one, judged in groups, written in order."""

import csv
import io
import json
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import opened, parse_json, read_lines
from clseave.foundation.rows.labels import LABELS
from clseave.inference.entailment import Entailment, Failure, Prediction, Query, Vector

GROUP = 1000  # rows that are judged at once
KEPT = 20_000  # image vectors that are kept for later rows
TEXT = ("text", "hypothesis", "sentence")  # names of the column of sentences
LABEL = ("gold_label", "label")  # names of the column of true labels, if there is one
SEPARATORS = {".csv": ",", ".tsv": "\t"}
REMEDY = "name a file that is there"


@dataclass(frozen=True)
class Row:
    """A row's number, from 1 without header and blank lines, what it says, and what is asked or why nothing is."""

    number: int
    given: Mapping[str, Any]
    query: Query | Failure


def read(path: Path, images: Path, language: str | None) -> Iterator[Row]:
    """Yield the rows of JSON Lines (`.jsonl`) or of a CSV or TSV file with a header.

    Columns: `image`, a file relative to the folder `images`; `text`, `hypothesis` or `sentence`; `language`, which
    `language` stands in for where it is missing. UserError for another kind of file, or a header without these columns.
    """
    suffix = path.suffix.lower()
    if suffix not in (".jsonl", *SEPARATORS):
        raise UserError(f"{path}: found a file {suffix or 'without a suffix'}, allowed: .jsonl, .csv, .tsv")
    raw = _json_rows(path) if suffix == ".jsonl" else _csv_rows(path, SEPARATORS[suffix])
    for number, content in enumerate(raw, start=1):
        if isinstance(content, Failure):
            yield Row(number, {}, content)
        else:
            yield Row(number, content, _query(content, images, language))


def _json_rows(path: Path) -> Iterator[Mapping[str, Any] | Failure]:
    """The objects of a JSON Lines file; blank lines are left out."""
    for _, line in read_lines(path, REMEDY):
        if not line.strip():
            continue
        try:
            content = parse_json(line.decode("utf-8-sig"))
        except ValueError as error:
            yield Failure(f"not JSON: {error}")
            continue
        yield content if isinstance(content, dict) else Failure("expected an object with image and text")


def _csv_rows(path: Path, separator: str) -> Iterator[Mapping[str, Any] | Failure]:
    """The rows of a table by the names in its first line."""
    with opened(path, REMEDY) as stream, io.TextIOWrapper(stream, "utf-8-sig", newline="") as text:
        reader = csv.DictReader(text, delimiter=separator, restkey="", strict=True)
        try:
            names = reader.fieldnames or []
            if "image" not in names or not set(TEXT) & set(names):
                raise UserError(f"{path}: found columns {', '.join(names) or 'none'}; expected image and text")
            for row in reader:
                yield Failure("more fields than the header names") if "" in row else row
        except csv.Error as error:
            raise UserError(f"{path}: after line {reader.line_num}: {error}: are the quotes in pairs?") from error
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not a table in UTF-8: {error}") from error


def _query(content: Mapping[str, Any], images: Path, language: str | None) -> Query | Failure:
    """What a row asks, or what it lacks."""
    text = next((content[name] for name in TEXT if content.get(name) is not None), None)
    given = {"image": content.get("image"), "text": text, "language": content.get("language") or language}
    for name, value in given.items():
        if not isinstance(value, str) or not value:
            return Failure(f"{name}: found {'nothing' if value in (None, '') else repr(value)}, expected text")
        if set(value) & {"\n", "\r", "\0"}:
            return Failure(f"{name}: {value[:40]!r} holds a line break or a null character")
    return Query(images / str(given["image"]), str(given["text"]), str(given["language"]))


def judge(model: Entailment, rows: Iterable[Row]) -> Iterator[tuple[Row, Prediction | Failure]]:
    """Yield each row with its prediction, in order; memory does not grow with their number."""
    known: dict[Hashable, Vector] = {}
    rows = iter(rows)
    while group := list(islice(rows, GROUP)):
        asked = [row.query for row in group if isinstance(row.query, Query)]
        found = iter(model.judge(asked, known))
        for row in group:
            yield row, next(found) if isinstance(row.query, Query) else row.query
        if len(known) > KEPT:
            known.clear()


def true_label(row: Row) -> str | None:
    """Return the label that a row gives, in small letters, whether or not it is one of `LABELS`; None without one."""
    return next((str(row.given[name]).strip().lower() for name in LABEL if row.given.get(name)), None)


def as_json(row: Row, result: Prediction | Failure) -> str:
    """One line: the row's number, its id, image and true label as given, and the predicted label with probabilities,
    or the reason why there are none.
    """
    content: dict[str, Any] = {"row": row.number}
    content |= {name: row.given[name] for name in ("id", "image") if row.given.get(name) is not None}
    if isinstance(row.query, Query):
        content |= {"text": row.query.text, "language": row.query.language}
    if isinstance(result, Failure):
        content["error"] = result.reason
    else:
        content |= {"gold_label": gold} if (gold := true_label(row)) in LABELS else {}
        content |= {"label": result.label, **result.probabilities}
    return json.dumps(content, ensure_ascii=False) + "\n"
