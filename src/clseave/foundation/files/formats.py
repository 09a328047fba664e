"""Reading and writing files: whole or not at all, and with the same bytes for the same content."""

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
from clseave.foundation.files.remedies import have_again

log = logging.getLogger(__name__)

LONGEST_LINE = 1 << 20  # bytes: a row of ours has some hundred
LARGEST_TEXT = 1 << 28  # bytes of a file that is read whole
RERUN = "run the stage that writes it (`dvc repro`)"
POINTER = b"version https://git-lfs"  # what Git LFS leaves in place of a file that was not fetched
FETCH = "a pointer of Git LFS, not the file itself: run `git lfs pull` where it was cloned, then again"


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text with Unix line ends."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path | str, content: Any) -> None:
    """Write JSON with sorted keys, two spaces and a final newline."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n")


def read_json(path: Path | str) -> Any:
    """Read JSON, UTF-8 with or without a byte-order mark. UserError names a file that is none, or may not be read."""
    try:
        return parse_json(read_text(path))
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from error


def write_jsonl(path: Path | str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, keys in the order given."""
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as lines:
        for row in rows:
            lines.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def iter_jsonl(path: Path | str) -> Iterator[dict[str, Any]]:
    """Yield one JSON object a line. UserError names the file and the line that does not parse."""
    for number, line in read_lines(path):
        yield parse_line(path, number, line)


def parse_line(path: Path | str, number: int, line: bytes) -> dict[str, Any]:
    """The JSON object of one line. UserError names the file and the line that holds none."""
    try:
        row = parse_json(line.decode("utf-8"))
    except ValueError as error:  # neither UTF-8 nor JSON
        raise UserError(f"{path}:{number}: not a JSON object: {error}{hint(line)}") from error
    if not isinstance(row, dict):
        raise UserError(f"{path}:{number}: expected a JSON object, found {type(row).__name__}")
    return row


def drop_torn_line(path: Path) -> None:
    """Cut a last line without its end off a file, as a killed run leaves it."""
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
    """Write rows with the keys of the first one as header. ValueError when there is no row."""
    if not rows:
        raise ValueError(f"no row to write to {path}")
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


# What comes from outside. A byte-order mark at the start of a file is passed over, and lines may end with CRLF.


def cannot_read(path: Path | str, error: OSError, remedy: str = RERUN) -> UserError:
    """What the system said of a file, and what to do; `remedy` is for one that is not there."""
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path} does not exist: {have_again(path, RERUN) if remedy == RERUN else remedy}")
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
    """A whole file. UserError when it may not be read, is no plain file, or holds more than `largest` bytes."""
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
    """A whole file of UTF-8. UserError when it cannot be read, or is something else."""
    content = read_bytes(path, largest, remedy)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}: save it as UTF-8{hint(content)}") from error


def read_lines(path: Path | str, remedy: str = RERUN) -> Iterator[tuple[int, bytes]]:
    """Number (from 1) and bytes of each line, its end included. UserError when the file cannot be read."""
    with opened(path, remedy) as stream:
        yield from bounded_lines(stream, path)


@contextmanager
def opened(path: Path | str, remedy: str = RERUN) -> Iterator[io.BufferedReader]:
    """A file's bytes, those of a .gz unpacked while they are read. UserError when it cannot be read to its end."""
    try:
        with open(path, "rb") as stream:
            yield unpacked(stream, path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is no whole gzip file ({error}): copy or fetch it again") from error
    except OSError as error:
        raise cannot_read(path, error, remedy) from error


def unpacked(stream: Any, name: object) -> Any:
    """An open file of bytes, decompressed where its name ends with .gz."""
    return gzip.GzipFile(fileobj=stream) if str(name).lower().endswith(".gz") else stream


def bounded_lines(stream: IO[bytes], name: object) -> Iterator[tuple[int, bytes]]:
    """The same of an open file. UserError names a line of more than `LONGEST_LINE` bytes: it is not read on."""
    number, line = 1, stream.readline(LONGEST_LINE + 1).removeprefix(b"\xef\xbb\xbf")
    while line:
        if len(line) > LONGEST_LINE:
            raise UserError(f"{name}:{number}: a line of more than {LONGEST_LINE:,} bytes, expected a row on each line")
        yield number, line
        number, line = number + 1, stream.readline(LONGEST_LINE + 1)


def parse_json(text: str) -> Any:
    """JSON as every program reads it. ValueError for NaN, infinities, duplicate keys and lone surrogates.

    Also for nesting and numbers beyond what Python takes.
    """
    try:
        content = _DECODER.decode(text)
        if "\\u" in text:  # the one way to write half a character
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
        raise ValueError(f"{text} is beyond the numbers of a computer")
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {next(key for key in keys if keys.count(key) > 1)!r}")
    return found


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse, object_pairs_hook=_distinct)


def hint(content: bytes) -> str:
    """More words, when the content shows what happened."""
    if content.startswith(POINTER):
        return f" ({FETCH})"
    if content.startswith(b"\x1f\x8b"):
        return " (it looks like gzip: let its name end with .gz)"
    return " (it looks like UTF-16)" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""


def require_no_pointer(path: Path) -> None:
    """UserError when a file is what Git LFS leaves in place of one that was not fetched."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(len(POINTER))
    except OSError:  # whoever reads it says why it cannot be read
        return
    if start == POINTER:
        raise UserError(f"{path} is {FETCH}")
