"""Test rows for the page, with sentences, pictures and probabilities; chosen by rules, not by hand."""

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
    """A test row and the reason to show it."""

    row: Example
    title: str


@dataclass(frozen=True)
class Corpus:
    """The test rows of a run, in order, and the folders of their data."""

    rows: Sequence[Example]
    languages: Sequence[str]
    hypotheses: Path
    images: Path
    predictions: Path  # of one seed

    def sentences(self, cases: Sequence[Case]) -> dict[str, dict[str, str]]:
        """Read the sentences of some rows by language and hypothesis id; languages without a file are left out."""
        wanted, sentences = {case.row.hypothesis_id for case in cases}, {}
        for code in (ENGLISH, *self.languages):
            path = self.hypotheses / f"{code}.jsonl"
            if path.exists():
                rows = iter_rows(path, Translation)
                sentences[code] = {row.hypothesis_id: row.text for row in rows if row.hypothesis_id in wanted}
        return sentences

    def picture(self, row: Example) -> str:
        """Return a generated picture as base64 PNG; empty for photos, whose licences may forbid distribution."""
        archive = self.images / "archive.zip"
        if not archive.exists():
            return ""
        with zipfile.ZipFile(archive) as pictures:
            name = f"{row.image_id}.png"
            return base64.b64encode(pictures.read(name)).decode() if name in pictures.namelist() else ""

    def answers(self) -> Answers:
        """Read the probabilities of the labels by language and pair id, of languages with predictions."""
        answers = {}
        for code in (ENGLISH, *self.languages):
            path = self.predictions / f"{code}.jsonl"
            if path.exists():
                answers[code] = {row.pair_id: softmax(row.logits) for row in iter_rows(path, Prediction)}
        return answers


def load(examples: Path, languages: Sequence[str], hypotheses: Path, images: Path, predictions: Path) -> Corpus:
    """Read the test rows; none where the file is missing."""
    path = examples / "test.jsonl"
    rows = read_rows(path, Example) if path.exists() else []
    return Corpus(rows, languages, hypotheses, images, predictions)


def softmax(logits: Sequence[float]) -> np.ndarray:
    """Return the probabilities (3,) of logits (3,)."""
    shifted = np.exp(np.asarray(logits) - max(logits))
    return shifted / shifted.sum()


def groups(rows: Sequence[Example]) -> dict[str, list[Example]]:
    """Group rows by kind of statement, or by label where a row has no kind, in order of appearance."""
    by_kind: dict[str, list[Example]] = {}
    for row in rows:
        by_kind.setdefault(row.kind or row.label, []).append(row)
    return by_kind


def scenes(corpus: Corpus) -> list[Case]:
    """Choose a row of each group, on a new image if there is one: the first with the next label, labels in turn."""
    used: set[str] = set()
    cases = []
    for number, (name, rows) in enumerate(sorted(groups(corpus.rows).items())):
        label = LABELS[::-1][number % len(LABELS)]
        new = [row for row in rows if row.image_id not in used]
        row = next((row for row in new if row.label == label), next(iter(new), rows[0]))
        used.add(row.image_id)
        cases.append(Case(row, name.replace("_", " ")))
    return cases


def choose_examples(corpus: Corpus, answers: Answers) -> list[Case]:
    """Choose the first row that all languages have right, the first of each group that English has right and another
    language wrong, and the first that all have wrong.
    """
    if ENGLISH not in answers or len(answers) < 2:
        return []

    def correct(row: Example) -> dict[str, bool]:
        gold = LABELS.index(row.label)
        return {
            code: row.pair_id in by_pair and int(by_pair[row.pair_id].argmax()) == gold
            for code, by_pair in answers.items()
        }

    def lost(by_language: dict[str, bool]) -> bool:
        return by_language[ENGLISH] and not all(by_language.values())

    cases = _first(corpus.rows, lambda row: all(correct(row).values()), "all are right")
    for name, rows in sorted(groups(corpus.rows).items()):
        title = f"English is right, a language is wrong ({name.replace('_', ' ')})"
        cases += _first(rows, lambda row: lost(correct(row)), title)
    return cases + _first(corpus.rows, lambda row: not any(correct(row).values()), "all are wrong")


def _first(rows: Sequence[Example], condition: Callable[[Example], bool], title: str) -> list[Case]:
    """Return the first row that meets a condition, as a list of at most one case."""
    return [Case(row, title) for row in rows if condition(row)][:1]
