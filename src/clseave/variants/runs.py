"""What a run of a variant leaves: its answers to the test rows and its measures, small enough for git."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from pydantic.dataclasses import dataclass

from clseave.foundation.errors import UserError
from clseave.foundation.files import hashing
from clseave.foundation.files.formats import read_json, write_json
from clseave.foundation.rows.records import Example, Prediction, read_rows, require
from clseave.foundation.settings.messages import STRICT, one_fault

OWN, JOINT = "own", "joint"  # the way of judging in the run's own language; the language of a run of all languages
REMEDY = "run the study again: `make study NAME=...`"


@dataclass(frozen=True, config=STRICT)
class Run:
    """One variant, language and seed. `answers` holds a digit for each test row (its label's id) by way of judging.

    `rows` identifies the test rows and their order; `measures` are numbers of the run, by name, and `judged_measures`
    of each way of judging.
    """

    variant: str
    language: str
    seed: int
    code: str  # fingerprint of the code that ran
    rows: str
    measures: dict[str, float]
    judged_measures: dict[str, dict[str, float]]
    answers: dict[str, str]

    def of_language(self, language: str) -> "Run":
        """A joint run as that of one language: its answers in that language are its `own`."""
        others = {way: found for way, found in self.answers.items() if way != language}
        answers = {OWN: self.answers[language], **others}
        return replace(self, language=language, answers=answers, judged_measures={way: {} for way in answers})

    def write(self, path: Path) -> None:
        """Write as JSON."""
        write_json(path, {name: getattr(self, name) for name in self.__dataclass_fields__})


def read(path: Path) -> Run:
    """Read a run. UserError when the file is missing or is none."""
    try:
        return Run(**read_json(path))
    except (TypeError, ValidationError) as error:
        reason = one_fault(error) if isinstance(error, ValidationError) else str(error)
        raise UserError(f"{path}: {reason}: {REMEDY}") from error


def row_key(examples: Sequence[Example]) -> str:
    """What identifies rows and their order: 16 hexadecimal digits."""
    return hashing.of_text("\n".join(row.pair_id for row in examples))[:16]


def to_digits(labels: np.ndarray) -> str:
    """Label ids (N,) as N digits."""
    return "".join(map(str, labels.tolist()))


def from_digits(path: Path, digits: str, count: int) -> np.ndarray:
    """N digits as label ids (N,). UserError when they are not `count` digits from 0 to 2."""
    if len(digits) != count or set(digits) - set("012"):
        raise UserError(f"{path}: expected {count} answers from 0 to 2, found {len(digits)}: {REMEDY}")
    return np.frombuffer(digits.encode(), dtype=np.uint8) - ord("0")


def answers_of(predictions: Path, examples: Sequence[Example]) -> np.ndarray:
    """Label ids (N,) that predictions of the main pipeline give to the examples. UserError when one is missing."""
    found: dict[str, Any] = {row.pair_id: row.logits for row in read_rows(predictions, Prediction)}
    require((row.pair_id for row in examples), found, f"prediction in {predictions}")
    return np.array([found[row.pair_id] for row in examples]).argmax(1)
