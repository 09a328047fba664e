"""Word-level transfer in one variant: train as `clteave` does, judge the test rows by each assembly, and measure why.

Reads:  examples, translations and word pairs, image vectors, CLIP-VE, mBERT, the autoencoder; the study's languages.
Writes: one `Run` for each language: answers by assembly, and measures of the trained student.
Thesis: 3.2, 4.1: its word-level variant scored 33.3 %. The measures are not in it.
Cost:   a quarter of a minute for each language.
"""

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch.nn import functional

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
    read_splits,
)
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import Assembly
from clseave.miniature import gold
from clseave.models.tokens import in_order
from clseave.objectives.token_distillation import TokenDistillation, fit
from clseave.stages import clteave
from clseave.variants import settings
from clseave.variants.judging import answers
from clseave.variants.runs import Run, row_key
from clseave.word_alignment.retrieval import retrieval_accuracy
from clseave.word_alignment.token_pairs import read_aligned, token_pairs

PAIRS = 2000  # word pairs of test sentences among which words are retrieved
Aligned = list[tuple[Translation, Alignment]]


def aligned_sentences(translations: Path, alignments: Path, wanted: Collection[str], pairs: str) -> Aligned:
    """Sentences with the word pairs found for them (`pairs` "found") or with the grammar's own ("gold").

    UserError for gold pairs of a sentence that the grammar never says.
    """
    rows = read_aligned(translations, alignments, wanted, unpaired=True)
    return rows if pairs == "found" else [(row, gold_alignment(row)) for row, _ in rows]


def gold_alignment(row: Translation) -> Alignment:
    """Words and word pairs of a generated sentence and its translation."""
    source, target = (list(gold.sentence(row.source, language).words) for language in ("en", row.target))
    return Alignment(row.hypothesis_id, source, target, gold.word_pairs(row.source, row.target))


@torch.no_grad()
def negative_half(objective: TokenDistillation) -> float:
    """Mean over all training targets of min(t, 0)^2: the loss below which an output without negative numbers cannot
    fall.
    """
    total, count = 0.0, 0
    for batch in objective.batches(1):
        teacher = objective.teacher_states(batch)
        total += float(teacher.clamp(max=0).double().square().sum())
        count += teacher.numel()
    return total / count


@torch.no_grad()
def pair_states(objective: TokenDistillation, rows: Aligned, *, words: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Encoded states and the teacher's of the word pairs, or of the terminal pairs, of some sentences, 2 x (P, W)."""
    tokenizers = objective.teacher.tokenizer, objective.student.tokenizer
    data = token_pairs(rows, *tokenizers, words=words, terminal=not words)
    objective = copy(objective)
    objective.data = data
    parts = [np.arange(len(data))[part] for part in in_order(len(data), 256)]
    student = torch.cat([objective.student_states(part) for part in parts])
    teacher = torch.cat([objective.teacher_states(part) for part in parts])
    return student, teacher


def measure(objective: TokenDistillation, test: Aligned) -> dict[str, float]:
    """How near the student's states of test sentences are to the teacher's: terminal tokens and words."""
    student, teacher = pair_states(objective, test, words=False)
    found = {"terminal_cosine": float(functional.cosine_similarity(student, teacher).mean())}
    tokenizers = objective.teacher.tokenizer, objective.student.tokenizer
    sizes = token_pairs(test, *tokenizers).source_positions.lengths
    # Sentences with a word that a tokenizer drops, whose states are one fewer, are left out.
    some = [row for row, size in zip(test, sizes, strict=True) if 0 < size == len(row[1].pairs)]
    student, teacher = pair_states(objective, some, words=True)
    words = [link.source_words[i] for _, link in some for i, _ in link.pairs]
    return found | retrieval_accuracy(student[:PAIRS], teacher[:PAIRS], words[:PAIRS])


def judge_all(
    objective: TokenDistillation,
    examples: Sequence[Example],
    texts: Mapping[str, Translation],
    images: Path,
    head: Path,
) -> tuple[dict[str, str], dict[str, dict[str, float]]]:
    """Answers to the test rows by each assembly as digits, and the cosine of its vectors with the teacher's."""
    rows = (examples, {key: row.source for key, row in texts.items()}, images, head)
    _, teacher = answers(objective.teacher, *rows)
    translated = {key: row.text for key, row in texts.items()}
    found, judged = {}, {}
    for assembly in get_args(Assembly):
        student = objective.student.assemble(assembly, objective.teacher)
        found[assembly], vectors = answers(student, examples, translated, images, head)
        judged[assembly] = {"vector_cosine": float(functional.cosine_similarity(vectors, teacher).mean())}
    return found, judged


@dataclass(frozen=True)
class Training:
    """One variant and seed: what its runs read, which word pairs they take (`found`, `gold`), and on what they run."""

    examples: Path
    hypotheses: Path
    alignments: Path
    images: Path
    teacher: Path
    mbert: Path
    autoencoder: Path
    variant: str
    pairs: str
    seed: int
    values: clteave.Values
    device: torch.device

    def run(self, language: str, checkpoints: Path) -> Run:
        """Train and judge in one language."""
        torch.manual_seed(self.seed)
        translations, alignments = (folder / f"{language}.jsonl" for folder in (self.hypotheses, self.alignments))
        wanted = [distinct_hypotheses(read_splits(self.examples, [split])) for split in ("train", "test")]
        train, test = (aligned_sentences(translations, alignments, ids, self.pairs) for ids in wanted)
        if not self.values.clteave.terminal_pair:
            train = [(row, link) for row, link in train if link.pairs]
        models = (self.teacher, self.mbert, self.autoencoder)
        objective = clteave.prepare(*models, train, self.values, seed=self.seed, device=self.device)
        floor = negative_half(objective)
        inputs = {"examples": self.examples, "translations": translations, "alignments": alignments}
        inputs |= {"teacher": self.teacher, "mbert": self.mbert, "autoencoder": self.autoencoder}
        chosen: dict[str, str | int] = {"seed": self.seed, "pairs": self.pairs}
        checkpoint = begin(checkpoints / language, __name__, inputs, self.values, self.device, **chosen)
        curve = fit(objective, checkpoint)
        checkpoint.remove()
        measures = {"final_loss": curve[-1]["train_loss"], "negative_half": floor} | measure(objective, test)
        examples = examples_with_images(read_splits(self.examples, ["test"]), self.images)
        texts = {row.hypothesis_id: row for row, _ in test}
        found, judged = judge_all(objective, examples, texts, self.images, self.teacher)
        code, key = fingerprint(code_files(__name__)), row_key(examples)
        return Run(self.variant, language, self.seed, code, key, measures, judged, found)


def main(argv: list[str] | None = None) -> None:
    """Train one variant in each of the study's languages and write its runs; no model is kept."""
    reads = ("examples", "hypotheses", "alignments", "images", "teacher", "mbert", "autoencoder")
    paths = ["study", "params", "profile", *reads, "checkpoints", "out"]
    args = cli.parse(argv, __doc__, paths, names=["variant", "pairs"], numbers=["seed"], changes=True)
    values = params.load(args.params, args.profile, clteave.Values, args.set)
    device = numerics.start_torch(args.seed, values.device, values.kernels)
    inputs = {name: getattr(args, name) for name in reads}
    training = Training(**inputs, variant=args.variant, pairs=args.pairs, seed=args.seed, values=values, device=device)
    with whole_folder(args.out) as folder:
        for language in settings.read(args.study / "params.yaml").languages:
            training.run(language, args.checkpoints).write(folder / f"{language}.json")
