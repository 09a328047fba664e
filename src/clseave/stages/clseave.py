"""CLSEAVE: teach mBERT to give, for a translation, the vector that CLIP-VE gives for the English sentence.

Reads:  train and dev examples, translations of one language, teacher vectors, mBERT. Never an image.
Writes: the student, a curve, metrics of the best epoch.
Thesis: 3.3 (mean squared error, AdamW, linear schedule with 10 % warm-up, [SEP] pooling).
Cost:   about 2 minutes a language.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import write_csv, write_json
from clseave.foundation.process import cli, distributed, numerics, ranks
from clseave.foundation.process.resume import begin
from clseave.foundation.rows.training_record import TrainingRecord, digests, named, plain
from clseave.foundation.rows.vectors import VectorTable
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import SentenceTransfer
from clseave.models.loading import load_text_encoder
from clseave.models.student import Student
from clseave.models.tokens import load_tokenizer
from clseave.objectives.distillation import LOSSES, Distillation, Pairs, fit
from clseave.training.adapters import add_adapters


def prepare(
    examples: Path,
    translations: Path,
    targets: Path,
    mbert: Path,
    values: SentenceTransfer,
    *,
    seed: int,
    device: torch.device,
    also: Mapping[str, Sequence[tuple[str, str]]] | None = None,
) -> Distillation:
    """The objective of translations and the teacher's vectors, with a student that starts as mBERT.

    `also` are more texts by split, each with the id of its hypothesis.
    """
    settings = values.clseave
    tokenizer, teacher = load_tokenizer(mbert), VectorTable(targets, device, values.max_resident_gb)
    pairs = {split: Pairs.read(examples, translations, split, tokenizer, teacher) for split in ("train", "dev")}
    for split, texts in (also or {}).items():
        pairs[split] = pairs[split].joined(Pairs.of(texts, tokenizer, teacher))
    encoder = load_text_encoder(mbert, settings.dropout)
    if settings.lora:
        add_adapters(encoder, settings.lora)
    student = Student(encoder, tokenizer, teacher.width, settings.pooling).to(device)
    return LOSSES[settings.loss](
        student, pairs["train"], pairs["dev"], settings, sampler=values.sampler, encode_batch=values.encode_batch,
        precision=values.precision, compiled=values.compile, seed=seed,
    )  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Train, keep the epoch with the lowest validation error, save."""
    paths = "params profile examples translations targets mbert checkpoints out curve metrics".split()
    args = cli.parse(argv, __doc__, paths, numbers=["seed"])
    values = params.load(args.params, args.profile, SentenceTransfer)
    settings = values.clseave
    device = distributed.start(numerics.start_torch(args.seed, values.device, values.kernels))
    sources = (args.examples, args.translations, args.targets, args.mbert)
    objective = prepare(*sources, values, seed=args.seed, device=device)
    inputs = {name: getattr(args, name) for name in "examples translations targets mbert".split()}
    checkpoint = begin(args.checkpoints, __name__, inputs, values, device, seed=args.seed)
    curve, kept = fit(objective, values.lr, checkpoint)
    distributed.stop()
    if not ranks.first():
        return
    rate = float(f"{values.lr * settings.lr_scale:.6g}")
    about = {
        "lr": rate,
        "loss": settings.loss,
        "width": objective.data.teacher.width,
        **numerics.summary(device, values.precision),
    }
    metrics = {**about, "epoch": kept, "epochs_run": len(curve), **curve[kept - 1]}
    with whole_folder(args.out) as folder:
        objective.student.save(folder)
        TrainingRecord(
            name="clseave", stage="clseave", profile=args.profile.stem, seed=args.seed,
            languages=[args.translations.stem], parameters=plain(values), metrics=metrics,
            inputs=digests(inputs), bases=[named(args.mbert)],
        ).write(folder)  # fmt: skip
    write_csv(args.curve, curve)
    write_json(args.metrics, {"seed": args.seed, **metrics})
    checkpoint.remove()
