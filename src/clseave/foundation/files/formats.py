"""Reading and writing text, JSON, JSON Lines and CSV: atomic writes, and the same bytes for the same content."""

import csv
import errno
import gzip
import io
import json
import logging
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from clseave.foundation.errors import UserError
from clseave.foundation.files.atomic import atomic
from clseave.foundation.files.remedies import restore_command

log = logging.getLogger(__name__)

LONGEST_LINE = 1 << 20  # bytes: a row of this project has some hundred
LARGEST_TEXT = 1 << 28  # bytes of a file that is read into memory at once
RERUN = "run the stage that writes it (`dvc repro`)"
POINTER = b"version https://git-lfs"  # start of the pointer that Git LFS leaves for a file that was not fetched
FETCH = "a pointer of Git LFS, not the file itself: run `git lfs pull` where it was cloned, then again"


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text with Unix line ends, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path | str, content: Any) -> None:
    """Write JSON with sorted keys, two spaces and a final newline."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n")


def read_json(path: Path | str) -> Any:
    """Read JSON, UTF-8 with or without a byte-order mark. UserError when the file cannot be read or is not JSON."""
    try:
        return parse_json(read_text(path))
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from error


def write_jsonl(path: Path | str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object per line, with keys in the given order."""
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as lines:
        for row in rows:
            lines.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def iter_jsonl(path: Path | str) -> Iterator[dict[str, Any]]:
    """Yield one JSON object per line. UserError when a line is not a JSON object; it names the file and the line."""
    for number, line in read_lines(path):
        yield parse_line(path, number, line)


def parse_line(path: Path | str, number: int, line: bytes) -> dict[str, Any]:
    """Return the JSON object of one line. UserError when there is none; it names the file and the line."""
    try:
        row = parse_json(line.decode("utf-8"))
    except ValueError as error:  # neither UTF-8 nor JSON
        raise UserError(f"{path}:{number}: not a JSON object: {error}{hint(line)}") from error
    if not isinstance(row, dict):
        raise UserError(f"{path}:{number}: expected a JSON object, found {type(row).__name__}")
    return row


def drop_torn_line(path: Path) -> None:
    """Truncate a file after its last complete line: a killed run may leave a partial one."""
    if not path.exists():
        return
    with open(path, "r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        keep = size
        while keep:
            start = max(0, keep - 65536)
            stream.seek(start)
            if (end := stream.read(keep - start).rfind(b"\n")) >= 0:
                keep = start + end + 1
                break
            keep = start
        if keep < size:
            log.warning("%s: dropped the last %d bytes, a line that was cut short", path, size - keep)
            stream.truncate(keep)


def write_csv(path: Path | str, rows: list[dict[str, Any]]) -> None:
    """Write rows with the keys of the first row as header. ValueError when there are no rows."""
    if not rows:
        raise ValueError(f"no row to write to {path}")
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


# Readers of files from outside: a byte-order mark at the start is skipped, and lines may end with CRLF.


def cannot_read(path: Path | str, error: OSError, remedy: str = RERUN) -> UserError:
    """Return a UserError with the reason and what to do; `remedy` is the advice for a missing file."""
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path} does not exist: {restore_command(path, RERUN) if remedy == RERUN else remedy}")
    if isinstance(error, IsADirectoryError):
        return UserError(f"{path} is a folder, expected a file: move it away, then {remedy}")
    if isinstance(error, NotADirectoryError):
        return UserError(f"{path} cannot exist: one of its folders is a file: move that away, then {remedy}")
    if isinstance(error, PermissionError):
        return UserError(f"{path} may not be read: give yourself the right to (`chmod u+r`), or ask its owner")
    if error.errno == errno.ELOOP:
        return UserError(f"{path} is a link that leads back to itself: remove it, then {remedy}")
    return UserError(f"{path} cannot be read: {error.strerror or error}")


def read_bytes(path: Path | str, largest: int = LARGEST_TEXT, remedy: str = RERUN) -> bytes:
    """Return a file's content. UserError when it cannot be read, is not a regular file, or exceeds `largest` bytes."""
    try:
        if Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir():
            raise UserError(f"{path} is a device or a pipe, expected a file")
        with open(path, "rb") as stream:
            content = stream.read(largest + 1)
    except OSError as error:
        raise cannot_read(path, error, remedy) from error
    if len(content) > largest:
        raise UserError(
            f"{path} holds more than {largest:,} bytes, which no file of its kind does: is it the right one?"
        )
    return content


def read_text(path: Path | str, largest: int = LARGEST_TEXT, remedy: str = RERUN) -> str:
    """Return the text of a UTF-8 file. UserError when it cannot be read or is not UTF-8."""
    content = read_bytes(path, largest, remedy)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}: save it as UTF-8{hint(content)}") from error


def read_lines(path: Path | str, remedy: str = RERUN) -> Iterator[tuple[int, bytes]]:
    """Yield the number (from 1) and the bytes of each line, line end included.

    UserError when the file cannot be read.
    """
    with opened(path, remedy) as stream:
        yield from bounded_lines(stream, path)


@contextmanager
def opened(path: Path | str, remedy: str = RERUN) -> Iterator[io.BufferedReader]:
    """Yield a file open for reading bytes; a .gz is decompressed on the fly. UserError when it cannot be read to the
    end.
    """
    try:
        with open(path, "rb") as stream:
            yield unpacked(stream, path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is no whole gzip file ({error}): copy or fetch it again") from error
    except OSError as error:
        raise cannot_read(path, error, remedy) from error


def unpacked(stream: Any, name: object) -> Any:
    """Return an open binary file, decompressed when its name ends with .gz."""
    return gzip.GzipFile(fileobj=stream) if str(name).lower().endswith(".gz") else stream


def bounded_lines(stream: IO[bytes], name: object) -> Iterator[tuple[int, bytes]]:
    """Yield the number (from 1) and the bytes of each line of an open file.

    UserError when a line has more than `LONGEST_LINE` bytes; the rest of the line is not read.
    """
    number, line = 1, stream.readline(LONGEST_LINE + 1).removeprefix(b"\xef\xbb\xbf")
    while line:
        if len(line) > LONGEST_LINE:
            raise UserError(f"{name}:{number}: a line of more than {LONGEST_LINE:,} bytes, expected a row on each line")
        yield number, line
        number, line = number + 1, stream.readline(LONGEST_LINE + 1)


def parse_json(text: str) -> Any:
    """Parse strict JSON. ValueError for NaN, infinities, duplicate keys and lone surrogates.

    ValueError also for nesting and numbers beyond Python's limits.
    """
    try:
        content = _DECODER.decode(text)
        if "\\u" in text:  # only an escape can hold a lone surrogate
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        if "set_int_max_str_digits" in str(error):
            raise ValueError("a whole number of thousands of digits") from error
        raise


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large for a floating-point number")
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not allowed in JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {next(key for key in keys if keys.count(key) > 1)!r}")
    return found


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse, object_pairs_hook=_distinct)


def hint(content: bytes) -> str:
    """Return an addition to an error message when the content shows the cause; else an empty text."""
    if content.startswith(POINTER):
        return f" ({FETCH})"
    if content.startswith(b"\x1f\x8b"):
        return " (it looks like gzip: let its name end with .gz)"
    return " (it looks like UTF-16)" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""


def require_no_pointer(path: Path) -> None:
    """Raise UserError when a file is the pointer that Git LFS leaves for a file that was not fetched."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(len(POINTER))
    except OSError:  # the reader of the file reports why it cannot be read
        return
    if start == POINTER:
        raise UserError(f"{path} is {FETCH}")
