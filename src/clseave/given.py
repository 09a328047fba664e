"""Translations that someone already has: the user's own, and corrections of a translator's.

A file has one sentence a line, in one of two forms:

- JSON Lines: `{"source": ..., "text": ...}`, or rows of `records.Translation`, as an earlier run has written them;
- tab-separated: English, translation. Nothing is quoted, so that a sentence with a tab or line break needs the other.

A file of corrections is for several languages: its rows have `"target": "de"` too, or a first column `de`.
"""

import hashlib
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from clseave.answers import tidy
from clseave.errors import UserError
from clseave.records import Translation, hypothesis_id
from clseave.storage import iter_jsonl, read_lines

log = logging.getLogger(__name__)

FIELDS = frozenset(field.name for field in fields(Translation))


class Given(NamedTuple):
    """A translation in a user's file, and its line number."""

    text: str
    number: int


def file_hash(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def read_given(path: Path, language: str, texts: Iterable[str], *, shared: bool) -> dict[str, Given]:
    """A user's translations of `texts`, by hypothesis id; other sentences of the file are passed over, with a log line.

    `shared`: rows name their language; others are passed over. UserError names a malformed line, or two that disagree.
    """
    wanted = {hypothesis_id(text) for text in texts}
    given: dict[str, Given] = {}
    others = 0
    for number, (target, source, text) in _rows(path):
        if not re.fullmatch(r"[a-z]{2,3}", target or ("" if shared else language)):
            raise UserError(f"{path}:{number}: found language {target!r}, expected code, English, translation")
        if target not in (None, language):
            if shared:
                continue
            raise UserError(f"{path}:{number}: found target {target!r}, expected {language!r}")
        key, line = hypothesis_id(source), Given(tidy(text), number)
        if key not in wanted:
            others += 1
        elif given.setdefault(key, line).text != line.text:
            raise UserError(f"{path}: lines {given[key].number} and {number} translate {source!r} differently")
    if others:
        log.info("%s: %d lines are for sentences that are no hypotheses", path, others)
    return given


def _rows(path: Path) -> Iterator[tuple[int, tuple[str | None, str, str]]]:
    """Line number and (target language or None, English, translation) of each row."""
    if not path.is_file():
        raise UserError(f"{path} does not exist: expected a file of translations")
    if path.suffix == ".jsonl":
        for number, row in enumerate(iter_jsonl(path), start=1):
            odd = row.keys() - FIELDS
            target, source, text = row.get("target"), row.get("source"), row.get("text")
            if odd or not (isinstance(source, str) and isinstance(text, str) and isinstance(target, str | None)):
                raise UserError(f"{path}:{number}: found {row}, expected source, text and perhaps target, all strings")
            yield number, (target, source, text)
    elif path.suffix == ".tsv":
        for number, line in read_lines(path):
            yield number, _columns(path, number, line)
    else:
        raise UserError(f"{path}: found {path.suffix or 'no suffix'}, expected .jsonl or .tsv")


def _columns(path: Path, number: int, line: bytes) -> tuple[str | None, str, str]:
    """One tab-separated line."""
    try:
        columns = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n").split("\t")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}:{number}: not UTF-8: {error}") from error
    match columns:
        case [source, text]:
            return None, source, text
        case [target, source, text]:
            return target, source, text
    raise UserError(f"{path}:{number}: found {len(columns)} columns, expected English and translation, parted by a tab")
