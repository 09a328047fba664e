"""Rows of the test set with their sentences, pictures and probabilities, for the page; chosen by rules, not by hand."""

import base64
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clseave.comparison.verdicts import ENGLISH
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import Example, Prediction, Translation, iter_rows, read_rows

Answers = Mapping[str, Mapping[str, np.ndarray]]  # probabilities (3,) by language and pair


@dataclass(frozen=True)
class Case:
    """A test row and why it is shown."""

    row: Example
    title: str


@dataclass(frozen=True)
class Corpus:
    """The test rows of a run, in their order, and the folders beside them."""

    rows: Sequence[Example]
    languages: Sequence[str]
    hypotheses: Path
    images: Path
    predictions: Path  # of one seed

    def sentences(self, cases: Sequence[Case]) -> dict[str, dict[str, str]]:
        """The sentences of some rows by language and hypothesis id; languages without a file are left out."""
        wanted, found = {case.row.hypothesis_id for case in cases}, {}
        for code in (ENGLISH, *self.languages):
            path = self.hypotheses / f"{code}.jsonl"
            if path.exists():
                rows = iter_rows(path, Translation)
                found[code] = {row.hypothesis_id: row.text for row in rows if row.hypothesis_id in wanted}
        return found

    def picture(self, row: Example) -> str:
        """A generated picture as base64 PNG; empty for photos, whose licences may forbid to pass them on."""
        archive = self.images / "archive.zip"
        if not archive.exists():
            return ""
        with zipfile.ZipFile(archive) as pictures:
            name = f"{row.image_id}.png"
            return base64.b64encode(pictures.read(name)).decode() if name in pictures.namelist() else ""

    def answers(self) -> Answers:
        """Probabilities of the labels by language and pair id, of the languages that were judged."""
        found = {}
        for code in (ENGLISH, *self.languages):
            path = self.predictions / f"{code}.jsonl"
            if path.exists():
                found[code] = {row.pair_id: softmax(row.logits) for row in iter_rows(path, Prediction)}
        return found


def load(examples: Path, languages: Sequence[str], hypotheses: Path, images: Path, predictions: Path) -> Corpus:
    """The test rows; none where the file is missing."""
    path = examples / "test.jsonl"
    rows = read_rows(path, Example) if path.exists() else []
    return Corpus(rows, languages, hypotheses, images, predictions)


def softmax(logits: Sequence[float]) -> np.ndarray:
    """Probabilities (3,) of logits (3,)."""
    shifted = np.exp(np.asarray(logits) - max(logits))
    return shifted / shifted.sum()


def groups(rows: Sequence[Example]) -> dict[str, list[Example]]:
    """Rows by kind of statement, by label where a row has no kind; in order of appearance."""
    found: dict[str, list[Example]] = {}
    for row in rows:
        found.setdefault(row.kind or row.label, []).append(row)
    return found


def scenes(corpus: Corpus) -> list[Case]:
    """One row of each group and image: the first with a label that is due, the labels in turn, on a new image."""
    used: set[str] = set()
    cases = []
    for place, (name, rows) in enumerate(sorted(groups(corpus.rows).items())):
        due = LABELS[::-1][place % len(LABELS)]
        new = [row for row in rows if row.image_id not in used]
        row = next((one for one in new if one.label == due), next(iter(new), rows[0]))
        used.add(row.image_id)
        cases.append(Case(row, name.replace("_", " ")))
    return cases


def judged(corpus: Corpus, answers: Answers) -> list[Case]:
    """The first row all judge rightly, of each group the first that a language loses, the first all judge wrongly."""
    if ENGLISH not in answers or len(answers) < 2:
        return []

    def right(row: Example) -> dict[str, bool]:
        gold = LABELS.index(row.label)
        return {code: row.pair_id in told and int(told[row.pair_id].argmax()) == gold for code, told in answers.items()}

    def lost(said: dict[str, bool]) -> bool:
        return said[ENGLISH] and not all(said.values())

    cases = _first(corpus.rows, lambda row: all(right(row).values()), "all are right")
    for name, rows in sorted(groups(corpus.rows).items()):
        title = f"English is right, a language is wrong ({name.replace('_', ' ')})"
        cases += _first(rows, lambda row: lost(right(row)), title)
    return cases + _first(corpus.rows, lambda row: not any(right(row).values()), "all are wrong")


def _first(rows: Sequence[Example], holds: Callable[[Example], bool], title: str) -> list[Case]:
    """The first row for which something holds, as a list of one case or none."""
    return [Case(row, title) for row in rows if holds(row)][:1]
