"""Train one baseline: the majority label, thresholds on CLIPScore, or mBERT and the head on visual entailment.

Reads:  examples, hypotheses in English or in the first target language, image vectors, CLIP, mBERT.
Writes: a text encoder (none for the majority) and a head; curve (one row where nothing is iterated); metrics.
Thesis: none of these. CLIPScore: Hessel et al. 2021; translate-train and zero-shot transfer: Conneau et al. 2018.
Cost:   seconds; for mBERT 3 minutes.
"""

from argparse import Namespace
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn import functional

from clseave import cli, numerics, params
from clseave.disk import whole_folder
from clseave.encoders import embed_texts
from clseave.fusion import Head
from clseave.labels import label_id
from clseave.objectives.entailment import Entailment, Split, fine_tune, read_examples
from clseave.records import Example, Translation, distinct_hypotheses, iter_rows, rows_of
from clseave.resume import begin, clear
from clseave.storage import write_csv, write_json
from clseave.student import Student, load_mbert
from clseave.teacher import ClipVE, TextTower, VEHead, save_head
from clseave.text import load_tokenizer
from clseave.thresholds import ThresholdHead, cosine
from clseave.training import Curve
from clseave.training_record import TrainingRecord, digests, named, plain
from clseave.vectors import VectorTable

KEYS = ("sampler", "mbert_ve", "encode_batch", "device", "kernels", "max_resident_gb", "precision", "compile")
Scores = Callable[[list[Example]], torch.Tensor]  # (N,) on the CPU
# The curve, a row an epoch; the epoch that was kept, from 1; and what is saved.
Trained = tuple[Curve, int, VEHead, TextTower | Student | None]


def fit(args: Namespace, values: SimpleNamespace, scores: Scores, fitter: Callable[..., ThresholdHead]) -> Trained:
    """A head from the scores and labels of train; one row of figures as a training has them."""
    parts = read_examples(args.examples, args.images, values.mbert_ve.validation, args.seed)
    known = [(scores(rows), torch.tensor([label_id(row.label) for row in rows])) for rows in parts]
    head = fitter(*(one.numpy() for one in known[0]))
    figures: dict[str, float] = {"epoch": 1}
    for name, (one, labels) in zip(("train", "dev"), known, strict=True):
        logits = head.judge(one)
        figures[f"{name}_loss"] = round(functional.cross_entropy(logits, labels).item(), 6)
        figures[f"{name}_accuracy"] = round((logits.argmax(dim=1) == labels).float().mean().item(), 6)
    return [figures], 1, head, None


def fit_majority(args: Namespace, values: SimpleNamespace, device: torch.device) -> Trained:
    """The shares of the labels; nothing is looked at."""
    return fit(args, values, lambda rows: torch.zeros(len(rows)), lambda _, labels: ThresholdHead.majority(labels))


def fit_clip_score(args: Namespace, values: SimpleNamespace, device: torch.device) -> Trained:
    """Two thresholds on the cosine of CLIP's vectors, as they are before any fine-tuning."""
    tower = TextTower.load(args.clip).to(device).eval()
    images = VectorTable(args.images, torch.device("cpu"), values.max_resident_gb)

    def scores(rows: list[Example]) -> torch.Tensor:
        texts = distinct_hypotheses(rows)
        vectors = embed_texts(tower, list(texts.values()), values.encode_batch)
        place = {key: row for row, key in enumerate(texts)}
        hypothesis = rows_of((row.hypothesis_id for row in rows), place, "hypothesis vector")
        premise = rows_of((row.image_id for row in rows), images.rows, "image vector")
        parts = np.array_split(np.arange(len(rows)), -(-len(rows) // values.encode_batch))
        return torch.cat([cosine(vectors[hypothesis[part]], images[premise[part]]) for part in parts])

    curve, kept, head, _ = fit(args, values, scores, ThresholdHead.fit)
    return curve, kept, head, tower


def train_mbert(args: Namespace, values: SimpleNamespace, device: torch.device) -> Trained:
    """Take mBERT with CLSEAVE's projection in the place of CLIP's text tower, and the head, on labels alone."""
    settings = values.mbert_ve
    images = VectorTable(args.images, device, values.max_resident_gb)
    student = Student(load_mbert(args.mbert), load_tokenizer(args.mbert), images.width, "sep")
    model = ClipVE(student, Head(images.width, settings.hidden, settings.dropout), "clip_ve").to(device)
    texts = {row.hypothesis_id: row.text for row in iter_rows(getattr(args, args.hypotheses), Translation)}
    parts = read_examples(args.examples, args.images, settings.validation, args.seed)
    data, dev = (Split.of(examples, images, student.tokenizer, texts) for examples in parts)
    objective = Entailment(
        model,
        data,
        dev,
        settings,
        sampler=values.sampler,
        encode_batch=values.encode_batch,
        precision=values.precision,
        compiled=values.compile,
        seed=args.seed,
    )
    checkpoint = begin(args, __name__, ["examples", args.hypotheses, "images", "mbert"], values, device)
    curve, kept = fine_tune(objective, checkpoint)
    return curve, kept, model.head, student


KINDS = {"majority": fit_majority, "clip_score": fit_clip_score, "mbert": train_mbert}


def main(argv: list[str] | None = None) -> None:
    """Train what `--kind` says, on the hypotheses that `--hypotheses` says."""
    paths = "params profile examples english translated images clip mbert checkpoints out curve metrics".split()
    args = cli.parse(argv, __doc__, paths, names=["kind", "hypotheses"], numbers=["seed"])
    values = params.load(args.params, args.profile, KEYS)
    device = numerics.start_torch(args.seed, values.device, values.kernels)
    curve, kept, head, encoder = KINDS[args.kind](args, values, device)
    metrics = {**numerics.used(device, values.precision), "epoch": kept, "epochs_run": len(curve), **curve[kept - 1]}
    with whole_folder(args.out) as folder:
        if encoder:
            encoder.save(folder)
        save_head(folder, head, "clip_ve")
        TrainingRecord(
            name="finetune_baseline", stage="finetune_baseline", profile=args.profile.stem, seed=args.seed,
            languages=[getattr(args, args.hypotheses).stem], bases=[named(args.clip), named(args.mbert)],
            parameters=plain(values, kind=args.kind, hypotheses=args.hypotheses), validation=values.mbert_ve.validation,
            inputs=digests(args, "examples english translated images clip mbert".split()), metrics=metrics,
        ).write(folder)  # fmt: skip
    write_csv(args.curve, curve)
    write_json(args.metrics, {"seed": args.seed, **metrics})
    clear(args.checkpoints)
