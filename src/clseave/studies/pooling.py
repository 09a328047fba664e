"""CLSEAVE with another token's state as the sentence's: train as `clseave` does, judge the test rows.

Reads:  examples, translations, image vectors, teacher vectors, CLIP-VE's head, mBERT; the study's languages.
Writes: one `Run` for each language: answers with the pooling of the training (`trained`) and with that of the published
        evaluation (`highest`), and the development error.
Thesis: 3.3.1: [SEP] is better than [CLS]; its text has no number for it.
Cost:   half a minute for each language.
"""

from argparse import Namespace

import torch

from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.process import cli, numerics
from clseave.foundation.process.fingerprint import code_files, fingerprint
from clseave.foundation.process.resume import begin
from clseave.foundation.rows.records import Translation, examples_with_images, iter_rows, read_splits
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import SentenceTransfer
from clseave.objectives.distillation import fit
from clseave.stages import clseave
from clseave.variants import settings
from clseave.variants.judging import answers
from clseave.variants.runs import Run, row_key


def run_language(args: Namespace, values: SentenceTransfer, language: str, device: torch.device) -> Run:
    """Train and judge in one language."""
    torch.manual_seed(args.seed)
    translations = args.hypotheses / f"{language}.jsonl"
    sources = (args.examples, translations, args.targets, args.mbert)
    inputs = dict(zip(("examples", "translations", "targets", "mbert"), sources, strict=True))
    objective = clseave.prepare(*sources, values, seed=args.seed, device=device)
    checkpoint = begin(args.checkpoints / language, __name__, inputs, values, device, seed=args.seed)
    curve, kept = fit(objective, values.lr, checkpoint)
    checkpoint.remove()
    examples = examples_with_images(read_splits(args.examples, ["test"]), args.images)
    texts = {row.hypothesis_id: row.text for row in iter_rows(translations, Translation)}
    found = {}
    for way, pooling in (("trained", values.clseave.pooling), ("highest", "highest")):
        objective.student.pooling = pooling
        found[way], _ = answers(objective.student, examples, texts, args.images, args.head)
    measures = {"dev_mse": curve[kept - 1]["dev_mse"], "epoch": float(kept)}
    code, key = fingerprint(code_files(__name__)), row_key(examples)
    return Run(args.variant, language, args.seed, code, key, measures, {way: {} for way in found}, found)


def main(argv: list[str] | None = None) -> None:
    """Train one variant in each of the study's languages and write its runs; no model is kept."""
    paths = "study params profile examples hypotheses targets images head mbert checkpoints out".split()
    args = cli.parse(argv, __doc__, paths, names=["variant"], numbers=["seed"], changes=True)
    values = params.load(args.params, args.profile, SentenceTransfer, args.set)
    device = numerics.start_torch(args.seed, values.device, values.kernels)
    with whole_folder(args.out) as folder:
        for language in settings.read(args.study / "params.yaml").languages:
            run_language(args, values, language, device).write(folder / f"{language}.json")
