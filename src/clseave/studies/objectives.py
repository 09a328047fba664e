"""CLSEAVE with another objective or other texts: train, and judge the test rows in every language.

Reads:  examples, hypotheses in all languages, word pairs, image vectors, teacher vectors, CLIP-VE's head, mBERT; the
        study's languages.
Writes: one `Run` for each language, or one for all: answers in the student's own language (`own`), in English and in
        each other language.
Thesis: 3.3 has the mean squared error on translations alone; none of the others.
Cost:   half a minute or a minute for each language; three minutes for a student of all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from clseave.foundation.errors import UserError
from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.process import cli, numerics
from clseave.foundation.process.fingerprint import code_files, fingerprint
from clseave.foundation.process.resume import begin
from clseave.foundation.rows.records import (
    Alignment,
    Example,
    Translation,
    distinct_hypotheses,
    examples_with_images,
    iter_rows,
    read_splits,
    require,
)
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import Languages, SentenceTransfer
from clseave.models.student import Student
from clseave.objectives.distillation import fit
from clseave.stages import clseave
from clseave.variants import settings
from clseave.variants.judging import answers
from clseave.variants.runs import JOINT, Run, row_key
from clseave.word_alignment.code_switching import code_switched

ALL = "all"  # the pairs of a student of all languages
SWITCHED = 0.5  # of the aligned words of a code-switched sentence
Row = tuple[str, str]  # hypothesis id, text


class Values(SentenceTransfer):
    """What the study reads of the settings."""

    languages: Languages


def texts_of(path: Path, wanted: Mapping[str, str]) -> list[Row]:
    """The wanted hypotheses in one language, in the order in which they are wanted. UserError for a missing one."""
    found = {row.hypothesis_id: row.text for row in iter_rows(path, Translation) if row.hypothesis_id in wanted}
    require(wanted, found, f"translation in {path}")
    return [(key, found[key]) for key in wanted]


def switched(alignments: Path, wanted: Mapping[str, str], seed: int) -> list[Row]:
    """The wanted hypotheses in English, half of their aligned words replaced by the other language's, drawn once."""
    generator = np.random.default_rng(seed)
    found = {row.hypothesis_id: row for row in iter_rows(alignments, Alignment) if row.hypothesis_id in wanted}
    require(wanted, found, f"alignment in {alignments}")
    return [(key, code_switched(found[key], SWITCHED, generator)) for key in wanted]


@dataclass(frozen=True)
class Texts:
    """Where the examples, the hypotheses of each language and the word pairs of each language are."""

    examples: Path
    hypotheses: Path
    alignments: Path

    def also(self, pairs: str, languages: Sequence[str], seed: int) -> dict[str, list[Row]]:
        """The texts that are trained on beside the translations of the first language, by split.

        `pairs` names them, joined by +: `own` none, `english` the English sentences, `switched` code-switched ones,
        `all` the translations in the other languages, which are validated on too. UserError for another name.
        """
        wanted = {split: distinct_hypotheses(read_splits(self.examples, [split])) for split in ("train", "dev")}
        found: dict[str, list[Row]] = {split: [] for split in wanted}
        for name in pairs.split("+"):
            if name == "english":
                found["train"] += wanted["train"].items()
            elif name == "switched":
                found["train"] += switched(self.alignments / f"{languages[0]}.jsonl", wanted["train"], seed)
            elif name == ALL:
                for language in languages[1:]:
                    for split, keys in wanted.items():
                        found[split] += texts_of(self.hypotheses / f"{language}.jsonl", keys)
            elif name != "own":
                raise UserError(f"--pairs {pairs}: found {name!r}, allowed: own, english, switched, all, joined by +")
        return {split: texts for split, texts in found.items() if texts}

    def answers(
        self, student: Student, languages: Sequence[str], examples: Sequence[Example], images: Path, head: Path
    ) -> dict[str, str]:
        """Digits of the student's answers to the examples in English and in each language."""
        wanted = distinct_hypotheses(examples)
        found = {"en": answers(student, examples, wanted, images, head)[0]}
        for language in languages:
            texts = dict(texts_of(self.hypotheses / f"{language}.jsonl", wanted))
            found[language], _ = answers(student, examples, texts, images, head)
        return found


@dataclass(frozen=True)
class Training:
    """One variant and seed: what its runs read, which texts they are trained on, and on what they run."""

    texts: Texts
    targets: Path
    images: Path
    head: Path
    mbert: Path
    variant: str
    pairs: str
    seed: int
    values: Values
    device: torch.device

    def run(self, own: Sequence[str], checkpoints: Path) -> Run:
        """Train a student of some languages, the first one's translations and what `pairs` adds, and judge it."""
        torch.manual_seed(self.seed)
        who, texts = own[0] if len(own) == 1 else JOINT, self.texts
        sources = (texts.examples, texts.hypotheses / f"{own[0]}.jsonl", self.targets, self.mbert)
        inputs = dict(zip(("examples", "translations", "targets", "mbert"), sources, strict=True))
        more = texts.also(self.pairs, own, self.seed)
        objective = clseave.prepare(*sources, self.values, seed=self.seed, device=self.device, also=more)
        chosen: dict[str, str | int] = {"seed": self.seed, "pairs": self.pairs, "languages": ",".join(own)}
        checkpoint = begin(checkpoints / who, __name__, inputs, self.values, self.device, **chosen)
        curve, kept = fit(objective, self.values.lr, checkpoint)
        checkpoint.remove()
        examples = examples_with_images(read_splits(texts.examples, ["test"]), self.images)
        found = texts.answers(objective.student, self.values.languages, examples, self.images, self.head)
        measures = {"dev_cosine": curve[kept - 1]["dev_cosine"], "epoch": float(kept)}
        code, key = fingerprint(code_files(__name__)), row_key(examples)
        run = Run(self.variant, who, self.seed, code, key, measures, {way: {} for way in found}, found)
        return run if who == JOINT else run.of_language(who)


def main(argv: list[str] | None = None) -> None:
    """Train one variant, a student for each of the study's languages or one for all, and write its runs."""
    paths = "study params profile examples hypotheses alignments targets images head mbert checkpoints out".split()
    args = cli.parse(argv, __doc__, paths, names=["variant", "pairs"], numbers=["seed"], changes=True)
    values = params.load(args.params, args.profile, Values, args.set)
    device = numerics.start_torch(args.seed, values.device, values.kernels)
    inputs = {name: getattr(args, name) for name in ("targets", "images", "head", "mbert", "variant", "pairs", "seed")}
    texts = Texts(args.examples, args.hypotheses, args.alignments)
    training = Training(texts, **inputs, values=values, device=device)
    languages = settings.read(args.study / "params.yaml").languages
    students = [languages] if ALL in args.pairs.split("+") else [[language] for language in languages]
    with whole_folder(args.out) as folder:
        for own in students:
            run = training.run(own, args.checkpoints)
            run.write(folder / f"{run.language}.json")
