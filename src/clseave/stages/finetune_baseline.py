"""Train one baseline: the majority label, thresholds on CLIPScore, or mBERT and the head on visual entailment.

Reads:  examples, hypotheses in English or in the first target language, image vectors, CLIP, mBERT.
Writes: a text encoder (none for the majority) and a head; curve (one row where nothing is iterated); metrics.
Thesis: none of these. CLIPScore: Hessel et al. 2021; translate-train and zero-shot transfer: Conneau et al. 2018.
Cost:   seconds; for mBERT 3 minutes.
"""

from pathlib import Path

import torch

from clseave import cards, cli, numerics, params
from clseave.baselines import Parts, fit_clip_score, fit_majority
from clseave.disk import whole_folder
from clseave.entailment import Split, fine_tune, read_examples
from clseave.fusion import Head
from clseave.records import Translation, iter_rows
from clseave.resume import Checkpoint, begin, clear
from clseave.schema import ClipVe, Training
from clseave.storage import write_csv, write_json
from clseave.student import Student, load_mbert
from clseave.teacher import ClipVE, TextTower, VEHead, save_head
from clseave.text import load_tokenizer
from clseave.training import Curve
from clseave.vectors import VectorTable


class Values(Training):
    """What the stage reads of the settings."""

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
    """Take mBERT with CLSEAVE's projection in the place of CLIP's text tower, and the head, on labels alone."""
    settings = values.mbert_ve
    student = Student(load_mbert(mbert), load_tokenizer(mbert), images.width, "sep")
    head = Head(images.width, settings.hidden, settings.dropout)
    model = ClipVE(student, head, "clip_ve").to(images.device)
    texts = {row.hypothesis_id: row.text for row in iter_rows(hypotheses, Translation)}
    data, dev = (Split(examples, images, student.tokenizer, texts) for examples in parts)
    curve, kept = fine_tune(model, data, dev, settings, values, seed=seed, checkpoint=checkpoint)
    return curve, kept, head, student


def main(argv: list[str] | None = None) -> None:
    """Train what `--kind` says, on the hypotheses that `--hypotheses` says."""
    paths = "params profile examples english translated images clip mbert checkpoints out curve metrics".split()
    args = cli.parse(argv, __doc__, paths, names=["kind", "hypotheses"], numbers=["seed"])
    values = params.load(args.params, args.profile, Values)
    device = numerics.start_torch(args.seed, values.device, values.kernels)
    parts = read_examples(args.examples, args.images, values.mbert_ve.validation, args.seed)
    hypotheses = args.english if args.hypotheses == "english" else args.translated
    head: VEHead
    encoder: TextTower | Student | None = None
    kind = args.kind
    if kind == "majority":
        curve, kept, head = fit_majority(parts)
    elif kind == "clip_score":
        encoder = TextTower.load(args.clip).to(device).eval()
        images = VectorTable(args.images, torch.device("cpu"), values.max_resident_gb)
        curve, kept, head = fit_clip_score(parts, encoder, images, values.encode_batch)
    elif kind == "mbert":
        inputs = {"examples": args.examples, "hypotheses": hypotheses, "images": args.images, "mbert": args.mbert}
        checkpoint = begin(
            args.checkpoints, __name__, inputs, values, device, kind=kind, hypotheses=args.hypotheses, seed=args.seed
        )
        images = VectorTable(args.images, device, values.max_resident_gb)
        curve, kept, head, encoder = train_mbert(
            parts, args.mbert, hypotheses, images=images, values=values, seed=args.seed, checkpoint=checkpoint
        )
    else:
        raise ValueError(f"no baseline {kind!r}: majority, clip_score or mbert")
    about = {"seed": args.seed, **numerics.used(device, values.precision), "epoch": kept, "epochs_run": len(curve)}
    figures = {**about, **curve[kept - 1]}
    with whole_folder(args.out) as args.out:
        if encoder:
            encoder.save(args.out)
        save_head(args.out, head, "clip_ve")
        cards.write(args, __name__, values, figures, hypotheses.stem)
    write_csv(args.curve, curve)
    write_json(args.metrics, figures)
    clear(args.checkpoints)
