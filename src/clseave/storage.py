"""Reading and writing files: whole or not at all, and with the same bytes for the same content."""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clseave.errors import UserError


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it when the block ends well, remove it when it does not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text with Unix line ends."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path | str, content: Any) -> None:
    """Write JSON with sorted keys, two spaces and a final newline."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n")


def read_json(path: Path | str) -> Any:
    """Read JSON. UserError names a file that is missing or does not parse."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run the stage that writes it (`dvc repro`)") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not JSON: {error}") from error


def write_jsonl(path: Path | str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, keys in the order given."""
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as lines:
        for row in rows:
            lines.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def iter_jsonl(path: Path | str) -> Iterator[dict[str, Any]]:
    """Yield one JSON object a line. UserError names the file and the line that does not parse."""
    try:
        with open(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                yield _parse_line(path, number, line)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run the stage that writes it (`dvc repro`)") from error


def _parse_line(path: Path | str, number: int, line: bytes) -> dict[str, Any]:
    """The object of one line."""
    try:
        row = json.loads(line.decode("utf-8"))
    except ValueError as error:  # neither UTF-8 nor JSON
        raise UserError(f"{path}:{number}: not a JSON object: {error}") from error
    if not isinstance(row, dict):
        raise UserError(f"{path}:{number}: expected a JSON object, found {type(row).__name__}")
    return row


def read_jsonl(path: Path | str) -> list[dict[str, Any]]:
    """All rows of `iter_jsonl`."""
    return list(iter_jsonl(path))


def write_csv(path: Path | str, rows: list[dict[str, Any]]) -> None:
    """Write rows with the keys of the first one as header. ValueError when there is no row."""
    if not rows:
        raise ValueError(f"no row to write to {path}")
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())
