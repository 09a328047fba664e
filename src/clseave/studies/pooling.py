"""CLSEAVE with another token's state as the sentence's: train as `clseave` does, judge the test rows.

Reads:  examples, translations of one language, image vectors, teacher vectors, CLIP-VE's head, mBERT.
Writes: one `Run`: answers with the pooling of the training (`trained`) and with that of the published evaluation
        (`highest`), and the development error.
Thesis: 3.3.1: [SEP] is better than [CLS]; its text has no number for it.
Cost:   about a minute.
"""

import torch

from clseave.foundation.process import cli, numerics
from clseave.foundation.process.fingerprint import code_files, fingerprint
from clseave.foundation.process.resume import begin
from clseave.foundation.rows.records import Translation, examples_with_images, iter_rows, read_splits
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import SentenceTransfer
from clseave.objectives.distillation import fit
from clseave.stages import clseave
from clseave.variants.judging import answers
from clseave.variants.runs import Run, row_key


def main(argv: list[str] | None = None) -> None:
    """Train one variant and write its run; the model is not kept."""
    paths = "params profile examples translations targets images head mbert checkpoints out".split()
    args = cli.parse(argv, __doc__, paths, names=["variant"], numbers=["seed"], changes=True)
    values = params.load(args.params, args.profile, SentenceTransfer, args.set)
    device = numerics.start_torch(args.seed, values.device, values.kernels)
    sources = (args.examples, args.translations, args.targets, args.mbert)
    objective = clseave.prepare(*sources, values, seed=args.seed, device=device)
    inputs = {name: getattr(args, name) for name in paths[2:] if name not in ("checkpoints", "out")}
    checkpoint = begin(args.checkpoints, __name__, inputs, values, device, seed=args.seed)
    curve, kept = fit(objective, values.lr, checkpoint)
    examples = examples_with_images(read_splits(args.examples, ["test"]), args.images)
    texts = {row.hypothesis_id: row.text for row in iter_rows(args.translations, Translation)}
    found = {}
    with torch.no_grad():
        for way, pooling in (("trained", values.clseave.pooling), ("highest", "highest")):
            objective.student.pooling = pooling
            found[way], _ = answers(objective.student, examples, texts, args.images, args.head)
    measures = {"dev_mse": curve[kept - 1]["dev_mse"], "epoch": float(kept)}
    code = fingerprint(code_files(__name__))
    ways: dict[str, dict[str, float]] = {way: {} for way in found}
    Run(args.variant, args.translations.stem, args.seed, code, row_key(examples), measures, ways, found).write(args.out)
    checkpoint.remove()
