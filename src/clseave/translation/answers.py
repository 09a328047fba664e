"""Append-only cache of a translator's answers.

There is one file for each backend, version and target language. Its first line is that key; each other line is one
answer, written as it arrives, so an interrupted run, even by SIGKILL, loses no answer. Dates are kept in a second file
rather than in the key: a cached answer is never requested again.
"""

import json
import logging
import os
import re
import statistics
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

from filelock import FileLock, Timeout

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import drop_torn_line, parse_line, read_lines, write_text
from clseave.foundation.files.hashing import of_text
from clseave.foundation.process.shards import Shard
from clseave.translation.checks import NO_ANSWER, REPEATED

log = logging.getLogger(__name__)

SOURCE = "en"
UNFINISHED = "?? "  # prefix of a reason in a list of failures, which must not be mistaken for a translation
CHECKED_LINES, LEAST_CORRELATION = 32, 0.55  # see `scrambled`


class Answer(NamedTuple):
    """A translator's answer to one English text: its translation, or the reason why there is none."""

    source: str
    text: str | None
    reason: str | None = None


class ServiceError(Exception):
    """A translator cannot go on for now; answers received so far are kept."""


def tidy(text: str) -> str:
    """Return a text NFC-normalised, stripped, and on one line: later stages write one sentence per line."""
    lines = unicodedata.normalize("NFC", text).splitlines()
    return " ".join(line.strip() for line in lines if line.strip())


def scrambled(sources: Sequence[str], lines: Sequence[str | None]) -> bool:
    """Return whether the lines of an answer were merged into one, or are in another order than their sources.

    The order is checked by length, as long sentences have long translations. In translations of captions and hypotheses
    into eight languages (by Google and by people; 1,000 samples each) the correlation of lengths was at least 0.54 in
    batches of 32 and 0.74 in batches of 80. After shuffling, 99 % of the batches of 32 were below 0.5, all of 80 below
    0.58. Swaps of a few lines, and batches of fewer lines, are not detected.
    """
    if len(lines) != len(sources):
        return len(lines) == 1 and len(sources) > 3
    if len(sources) < CHECKED_LINES:
        return False
    try:
        lengths = [len(line or "") for line in lines]
        return statistics.correlation([len(text) for text in sources], lengths) < LEAST_CORRELATION
    except statistics.StatisticsError:  # all lengths are equal
        return False


class Answers:
    """The answers of one translator in one language: `texts` by source, and `reasons` of failures by source.

    Use it in a `with` block, during which no other process can use the same file.
    """

    def __init__(
        self,
        folder: Path,
        backend: str,
        version: str,
        target: str,
        *,
        origin: str = SOURCE,
        kept: bool = True,
        shard: Shard | None = None,
    ):
        """Prepare the cache; `version` is part of its key. Without `kept`, answers are not written, as they cost
        nothing.
        """
        self.key = {"backend": backend, "version": version, "source": origin, "target": target}
        direction = target if origin == SOURCE else f"{origin}-{target}"
        self.texts: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self._repeated: set[tuple[str, str | None]] = set()
        self._stem = f"{backend}-{_slug(version)}.{direction}"
        self.path = folder / f"{self._stem}{f'.{shard.name}' if shard else ''}.jsonl"
        self.kept, self._shared = kept, shard is not None
        self._held = ExitStack()  # the lock and the file
        self._file: IO[str] | None = None
        self._lines = 0
        self._day = ""

    def __enter__(self) -> "Answers":
        """Read the cached answers. UserError when another process uses the file, or it has another key.

        A run that is not a shard reads and locks the shards' files too.
        """
        if self.kept:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as stack:
                names = (f"{self._stem}{end}" for end in (".jsonl", ".shard-*.jsonl"))
                paths = {path for name in names for path in self.path.parent.glob(name)}
                for path in sorted(paths - {self.path}):
                    if not self._shared:
                        stack.enter_context(_locked(path))
                    self._read(path)
                stack.enter_context(_locked(self.path))
                self._file = stack.enter_context(self._opened(self.path))
                self._held = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the file and release the lock, even when the block failed."""
        self._file = None
        self._held.close()

    def add(self, answer: Answer) -> None:
        """Store one answer. A later answer for the same source replaces a failure."""
        self._remember(answer)
        if self._file is not None:
            if not self._lines:
                self._write(self.key)
            self._date()
            self._write({name: value for name, value in answer._asdict().items() if name != "reason" or value})

    def _remember(self, answer: Answer) -> None:
        """Update `texts` and `reasons` with one answer, a translation or a failure.

        A failure with the text of an earlier answer withdraws that answer. The reason REPEATED withdraws it
        permanently, in whatever order files are read.
        """
        if answer.reason == REPEATED:
            self._repeated.add((answer.source, answer.text))
        repeated = (answer.source, answer.text) in self._repeated
        if answer.reason is None and answer.text is not None and not repeated:
            self.texts[answer.source] = answer.text
            self.reasons.pop(answer.source, None)
        elif self.texts.get(answer.source, answer.text) == answer.text:
            self.texts.pop(answer.source, None)
            self.reasons[answer.source] = answer.reason or (REPEATED if repeated else NO_ANSWER)

    def withdraw(self, source: str, reason: str) -> None:
        """Drop an answer that is not a translation by appending a failure to the file."""
        self.add(Answer(source, self.texts[source], reason))

    @contextmanager
    def _opened(self, path: Path) -> Iterator[IO[str]]:
        """Read the answers of earlier runs, and yield the file opened for appending."""
        drop_torn_line(path)
        self._lines = self._read(path) if path.exists() else 0
        with open(path, "a", encoding="utf-8", newline="\n") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())

    def _read(self, path: Path) -> int:
        """Read the answers of a file and return the number of its lines. Another process may still be writing the last
        one.
        """
        read = 0
        for number, line in read_lines(path):
            if not line.endswith(b"\n"):
                break
            read = number
            if (row := parse_line(path, number, line)) != self.key and number == 1:
                raise UserError(f"{path}:1: found {row}, expected {self.key}: move the file away")
            if number > 1:
                self._remember(_answer(path, number, row))
        return read

    def _write(self, row: dict[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
        self._file.flush()  # to the operating system, so that the answer survives a kill of this process
        self._lines += 1

    def _date(self) -> None:
        """Record the date from which on the following answers came."""
        day = datetime.now(UTC).strftime("%Y-%m-%d")
        if day != self._day:
            with open(self.path.with_suffix(".dates.tsv"), "a", encoding="utf-8", newline="\n") as dates:
                dates.write(f"{self._lines + 1}\t{day}\n")
            self._day = day

    def list_failures(self, failures: Mapping[str, str]) -> Path:
        """Write failures (reason by source) beside the answers and return the path; without any, remove an old list.

        The columns are target language, source and reason: with a translation in place of each reason, it becomes a
        file of corrections.
        """
        path = self.path.with_suffix(".failures.tsv")
        if failures:
            rows = [(self.key["target"], re.sub(r"[\t\r\n]", " ", source), why) for source, why in failures.items()]
            write_text(path, "".join(f"{target}\t{source}\t{UNFINISHED}{why}\n" for target, source, why in rows))
        else:
            path.unlink(missing_ok=True)
        return path


def _slug(version: str) -> str:
    """Return a file name that is unique to the version."""
    return re.sub(r"[^A-Za-z0-9.]+", "_", version)[:80] + "-" + of_text(version)[:8]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file of `path`; the operating system releases it when this process ends. UserError when it is
    taken.
    """
    try:
        with FileLock(f"{path}.lock", timeout=0):
            yield
    except Timeout as error:
        raise UserError(f"{path}: another run is using it: wait for that one, or stop it") from error


def _answer(path: Path, number: int, row: dict[str, Any]) -> Answer:
    """Return the answer in one line of the cache. UserError for a line of another shape."""
    source, text, reason = row.get("source"), row.get("text"), row.get("reason")
    if (
        isinstance(source, str)
        and isinstance(text, str | None)
        and isinstance(reason, str | None)
        and row.keys() <= set(Answer._fields)
    ):
        return Answer(source, text, reason)
    raise UserError(f"{path}:{number}: found {row}, expected an answer: source, text and, of a failure, its reason")
