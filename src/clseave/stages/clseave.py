"""CLSEAVE: teach mBERT to give, for a translation, the vector that CLIP-VE gives for the English sentence.

Reads:  train and dev examples, translations of one language, teacher vectors, mBERT. Never an image.
Writes: the student, a curve, metrics of the best epoch.
Thesis: 3.3 (mean squared error, AdamW, linear schedule with 10 % warm-up, [SEP] pooling).
Cost:   about 2 minutes a language.
"""

from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from clseave import cards, cli, distributed, numerics, params, ranks
from clseave.acceleration import Forward, for_training
from clseave.batches import draw_batches, in_order
from clseave.disk import whole_folder
from clseave.optimisation import make_optimiser
from clseave.records import Translation, distinct_hypotheses, iter_rows, read_splits, require, rows_of
from clseave.resume import begin
from clseave.storage import write_csv, write_json
from clseave.student import Student, load_mbert
from clseave.text import encode, load_tokenizer, pad
from clseave.training import Task, train
from clseave.vectors import VectorTable
from clseave.word_rows import hold_only, put_back

KEYS = ("lr", "sampler", "clseave", "encode_batch", "device", "kernels", "max_resident_gb", "precision", "compile")


class Pairs:
    """Translations of the distinct hypotheses of a split as token rows, and the teacher's vectors of the English."""

    def __init__(self, args: Namespace, split: str, tokenizer: PreTrainedTokenizerBase, teacher: VectorTable):
        """Read and tokenise. `teacher` is shared by the splits."""
        ids = list(distinct_hypotheses(read_splits(args.examples, [split])))
        wanted = set(ids)
        texts = {
            row.hypothesis_id: row.text
            for row in iter_rows(args.translations, Translation)
            if row.hypothesis_id in wanted
        }
        require(ids, texts, f"translation in {args.translations}")
        self.tokens = encode(tokenizer, [texts[key] for key in ids])
        self.teacher, self.rows = teacher, rows_of(ids, teacher.rows, "teacher vector")

    def targets(self, rows: np.ndarray, loss: str) -> torch.Tensor:
        """Teacher vectors of pairs, (B, D); for the normalised loss of length one."""
        vectors = self.teacher[self.rows[rows]]
        return functional.normalize(vectors, dim=-1) if loss == "normalised" else vectors


def make_task(student: Student, data: Pairs, dev: Pairs, values: SimpleNamespace, seed: int) -> Task:
    """Mean squared error per element, on raw vectors (thesis) or on unit vectors."""
    loss, device, size = values.clseave.loss, data.teacher.device, values.clseave.batch_size + 1  # they differ by one
    forward = for_training(student, device, precision=values.precision, compiled=values.compile, rows=size)

    def embed(run: Forward, pairs: Pairs, rows: np.ndarray) -> torch.Tensor:
        vectors = run(*pad([pairs.tokens[row] for row in rows], student.tokenizer, device))
        return functional.normalize(vectors, dim=-1) if loss == "normalised" else vectors

    def step(rows: np.ndarray) -> torch.Tensor:
        mine = distributed.share(rows)
        return distributed.squared_error(embed(forward, data, mine), data.targets(mine, loss), len(rows))

    def validate() -> dict[str, float]:
        ours = torch.cat([embed(student, dev, rows) for rows in in_order(len(dev.tokens), values.encode_batch)])
        theirs = dev.targets(np.arange(len(dev.tokens)), loss)
        return {
            "dev_mse": functional.mse_loss(ours, theirs).item(),
            "dev_mae": functional.l1_loss(ours, theirs).item(),
            "dev_cosine": functional.cosine_similarity(ours, theirs).mean().item(),
        }

    def batches(epoch: int) -> list[np.ndarray]:
        return draw_batches(data.tokens.lengths, values.clseave.batch_size, values.sampler, [seed, epoch])

    return Task("CLSEAVE", student, batches, step, validate, loss_name="train_mse")


def main(argv: list[str] | None = None) -> None:
    """Train, keep the epoch with the lowest validation error, save."""
    args = cli.parse(
        argv,
        __doc__,
        "params profile examples translations targets mbert checkpoints out curve metrics".split(),
        numbers=["seed"],
    )
    values = params.load(args.params, args.profile, KEYS)
    settings, rate = values.clseave, values.lr * values.clseave.lr_scale
    device = distributed.start(numerics.start_torch(args.seed, values.device, values.kernels))
    tokenizer, teacher = load_tokenizer(args.mbert), VectorTable(args.targets, device, values.max_resident_gb)
    data, dev = (Pairs(args, split, tokenizer, teacher) for split in ("train", "dev"))
    student = Student(load_mbert(args.mbert, settings.dropout), tokenizer, teacher.width, settings.pooling).to(device)
    words = hold_only(student, [data.tokens, dev.tokens], tokenizer.pad_token_id)
    task = make_task(student, data, dev, values, args.seed)
    steps = settings.epochs * len(task.batches(1))
    optimiser, schedule = make_optimiser(
        [{"params": student.parameters(), "lr": rate}], settings.weight_decay, steps, settings.warmup, settings.schedule
    )
    words.follow(optimiser)
    stops = {"patience": settings.patience, "keep": settings.keep, "stop_after": settings.stop_after}
    checkpoint = begin(args, __name__, ["examples", "translations", "targets", "mbert"], values, device)
    kept = train(task, optimiser, schedule, settings.epochs, **stops, checkpoint=checkpoint)
    distributed.stop()
    if not ranks.first():
        return
    put_back(student)
    about = {"seed": args.seed, "lr": float(f"{rate:.6g}"), "loss": settings.loss, "width": teacher.width}
    about |= numerics.used(device, values.precision)
    figures = {**about, "epoch": kept, "epochs_run": len(task.curve), **task.curve[kept - 1]}
    with whole_folder(args.out) as args.out:
        student.save(args.out)
        cards.write(args, __name__, values, figures, args.translations.stem)
    write_csv(args.curve, task.curve)
    write_json(args.metrics, figures)
    checkpoint.remove()
