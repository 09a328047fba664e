"""CLSEAVE with another token's state as the sentence's: train as `clseave` does, judge the test rows.

Reads:  examples, translations, image vectors, teacher vectors, CLIP-VE's head, mBERT; the study's languages.
Writes: one `Run` for each language: answers with the pooling of the training (`trained`) and with that of the published
        evaluation (`highest`), and the development error.
Thesis: 3.3.1: [SEP] is better than [CLS]; its text has no number for it.
Cost:   half a minute for each language.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.process import cli, numerics
from clseave.foundation.process.fingerprint import code_files, fingerprint
from clseave.foundation.process.resume import begin
from clseave.foundation.rows.records import Translation, examples_with_images, iter_rows, read_splits
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import Pooling, SentenceTransfer
from clseave.objectives.distillation import fit
from clseave.stages import clseave
from clseave.variants import settings
from clseave.variants.judging import answers
from clseave.variants.runs import Run, row_key


@dataclass(frozen=True)
class Training:
    """One variant and seed: what its runs read, and on what they run."""

    examples: Path
    hypotheses: Path
    targets: Path
    images: Path
    head: Path
    mbert: Path
    variant: str
    seed: int
    values: SentenceTransfer
    device: torch.device

    def run(self, language: str, checkpoints: Path) -> Run:
        """Train and judge in one language."""
        torch.manual_seed(self.seed)
        translations = self.hypotheses / f"{language}.jsonl"
        sources = (self.examples, translations, self.targets, self.mbert)
        inputs = dict(zip(("examples", "translations", "targets", "mbert"), sources, strict=True))
        objective = clseave.prepare(*sources, self.values, seed=self.seed, device=self.device)
        checkpoint = begin(checkpoints / language, __name__, inputs, self.values, self.device, seed=self.seed)
        curve, kept = fit(objective, self.values.lr, checkpoint)
        checkpoint.remove()
        examples = examples_with_images(read_splits(self.examples, ["test"]), self.images)
        texts = {row.hypothesis_id: row.text for row in iter_rows(translations, Translation)}
        poolings: dict[str, Pooling] = {"trained": self.values.clseave.pooling, "highest": "highest"}
        found = {}
        for way, pooling in poolings.items():
            objective.student.pooling = pooling
            found[way], _ = answers(objective.student, examples, texts, self.images, self.head)
        measures = {"dev_mse": curve[kept - 1]["dev_mse"], "epoch": float(kept)}
        code, key = fingerprint(code_files(__name__)), row_key(examples)
        return Run(self.variant, language, self.seed, code, key, measures, {way: {} for way in found}, found)


def main(argv: list[str] | None = None) -> None:
    """Train one variant in each of the study's languages and write its runs; no model is kept."""
    reads = ("examples", "hypotheses", "targets", "images", "head", "mbert")
    paths = ["study", "params", "profile", *reads, "checkpoints", "out"]
    args = cli.parse(argv, __doc__, paths, names=["variant"], numbers=["seed"], changes=True)
    values = params.load(args.params, args.profile, SentenceTransfer, args.set)
    device = numerics.start_torch(args.seed, values.device, values.kernels)
    inputs = {name: getattr(args, name) for name in reads}
    training = Training(**inputs, variant=args.variant, seed=args.seed, values=values, device=device)
    with whole_folder(args.out) as folder:
        for language in settings.read(args.study / "params.yaml").languages:
            training.run(language, args.checkpoints).write(folder / f"{language}.json")
