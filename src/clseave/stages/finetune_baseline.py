"""Train one baseline: the majority label, thresholds on CLIPScore, or mBERT and a head on visual entailment.

Reads:  examples, hypotheses in English or in the first target language, image vectors, CLIP, mBERT.
Writes: a text encoder (none for the majority) and a head; curve (a single row without iterations); metrics.
Thesis: none. CLIPScore: Hessel et al. 2021; translate-train and zero-shot transfer: Conneau et al. 2018.
Cost:   seconds; for mBERT 3 minutes.
"""

from pathlib import Path

import torch

from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import write_csv, write_json
from clseave.foundation.process import cli, numerics
from clseave.foundation.process.resume import Checkpoint, begin, clear
from clseave.foundation.rows.records import Translation, iter_rows
from clseave.foundation.rows.training_record import TrainingRecord, digests, named, plain
from clseave.foundation.rows.vectors import VectorTable
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import ClipVe, Training
from clseave.models.clip_ve import ClipVE, VEHead, save_head
from clseave.models.head import Head
from clseave.models.loading import load_text_encoder
from clseave.models.student import Student
from clseave.models.tokens import load_tokenizer
from clseave.models.towers import AnyTextTower, load_text_tower
from clseave.objectives.baselines import Parts, fit_clip_score, fit_majority
from clseave.objectives.entailment import Entailment, Split, fine_tune, read_examples
from clseave.training.loop import Curve

INPUTS = ("examples", "english", "translated", "images", "clip", "mbert")


class Values(Training):
    """The settings that the stage reads."""

    mbert_ve: ClipVe


def train_mbert(
    parts: Parts,
    mbert: Path,
    hypotheses: Path,
    *,
    images: VectorTable,
    values: Values,
    seed: int,
    checkpoint: Checkpoint,
) -> tuple[Curve, int, Head, Student]:
    """Train mBERT with CLSEAVE's projection, in place of CLIP's text tower, and a head on labels alone."""
    settings = values.mbert_ve
    student = Student(load_text_encoder(mbert), load_tokenizer(mbert), images.width, "sep")
    head = Head(images.width, settings.hidden, settings.dropout)
    model = ClipVE(student, head, "clip_ve").to(images.device)
    texts = {row.hypothesis_id: row.text for row in iter_rows(hypotheses, Translation)}
    data, dev = (Split.of(examples, images, student.tokenizer, texts) for examples in parts)
    objective = Entailment(
        model, data, dev, settings, sampler=values.sampler, encode_batch=values.encode_batch,
        precision=values.precision, compiled=values.compile, seed=seed,
    )  # fmt: skip
    curve, kept = fine_tune(objective, checkpoint)
    return curve, kept, head, student


def main(argv: list[str] | None = None) -> None:
    """Train the baseline `--kind` on the hypotheses `--hypotheses`."""
    paths = "params profile examples english translated images clip mbert checkpoints out curve metrics".split()
    args = cli.parse(argv, __doc__, paths, names=["kind", "hypotheses"], numbers=["seed"])
    values = params.load(args.params, args.profile, Values)
    device = numerics.start_torch(args.seed, values.device, values.kernels)
    parts = read_examples(args.examples, args.images, values.mbert_ve.validation, args.seed)
    kind, text, seed = args.kind, args.hypotheses, args.seed
    hypotheses = args.english if text == "english" else args.translated
    head: VEHead
    encoder: AnyTextTower | Student | None = None
    if kind == "majority":
        curve, kept, head = fit_majority(parts)
    elif kind == "clip_score":
        encoder = tower = load_text_tower(args.clip).to(device).eval()
        images = VectorTable(args.images, torch.device("cpu"), values.max_resident_gb)
        curve, kept, head = fit_clip_score(parts, tower, images, values.encode_batch)
    elif kind == "mbert":
        inputs = {"examples": args.examples, "hypotheses": hypotheses, "images": args.images, "mbert": args.mbert}
        checkpoint = begin(args.checkpoints, __name__, inputs, values, device, kind=kind, hypotheses=text, seed=seed)
        images = VectorTable(args.images, device, values.max_resident_gb)
        curve, kept, head, encoder = train_mbert(
            parts, args.mbert, hypotheses, images=images, values=values, seed=seed, checkpoint=checkpoint
        )
    else:
        raise ValueError(f"no baseline {kind!r}: majority, clip_score or mbert")
    metrics = {**numerics.summary(device, values.precision), "epoch": kept, "epochs_run": len(curve), **curve[kept - 1]}
    with whole_folder(args.out) as folder:
        if encoder:
            encoder.save(folder)
        save_head(folder, head, "clip_ve")
        TrainingRecord(
            name="finetune_baseline", stage="finetune_baseline", profile=args.profile.stem, seed=seed,
            languages=[hypotheses.stem], bases=[named(args.clip), named(args.mbert)],
            parameters=plain(values, kind=kind, hypotheses=text), validation=values.mbert_ve.validation,
            inputs=digests({name: getattr(args, name) for name in INPUTS}), metrics=metrics,
        ).write(folder)  # fmt: skip
    write_csv(args.curve, curve)
    write_json(args.metrics, {"seed": seed, **metrics})
    clear(args.checkpoints)
