"""CLSEAVE: teach mBERT to give, for a translation, the vector that CLIP-VE gives for the English sentence.

Reads:  train and dev examples, translations of one language, teacher vectors, mBERT. Never an image.
Writes: the student, a curve, metrics of the best epoch.
Thesis: 3.3 (mean squared error, AdamW, linear schedule with 10 % warm-up, [SEP] pooling).
Cost:   about 2 minutes a language.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from clseave import cli, numerics, params
from clseave.batches import draw_batches, in_order
from clseave.records import Translation, distinct_hypotheses, read_rows, read_splits, read_vectors, rows_of
from clseave.storage import write_csv, write_json
from clseave.student import Student, load_mbert
from clseave.text import encode, load_tokenizer, pad
from clseave.training import Task, make_optimiser, train

KEYS = ("lr", "sampler", "clseave", "encode_batch")


class Pairs:
    """Translations of one split's distinct hypotheses as token rows, with the teacher's vectors, (N, D)."""

    def __init__(self, split: str, examples: Path, translations: dict[str, str], targets: Path, tokenizer, unit: bool):
        """`unit` scales the teacher's vectors to length one."""
        ids = list(distinct_hypotheses(read_splits(examples, [split])))
        index, vectors = read_vectors(targets)
        self.tokens = encode(tokenizer, [translations[key] for key in ids])
        self.lengths = np.array([len(row) for row in self.tokens])
        self.vectors = torch.from_numpy(vectors[rows_of(ids, index, "teacher vector")])
        if unit:
            self.vectors = functional.normalize(self.vectors, dim=-1)


def make_task(student: Student, data: Pairs, dev: Pairs, settings: params.Clseave, sampler: str, seed: int,
              encode_batch: int) -> Task:
    """Mean squared error per element, on raw vectors (thesis) or on unit vectors."""

    def embed(tokens: list[list[int]]) -> torch.Tensor:
        vectors = student(*pad(tokens, student.tokenizer.pad_token_id))
        return functional.normalize(vectors, dim=-1) if settings.loss == "normalised" else vectors

    def step(rows: np.ndarray) -> torch.Tensor:
        return functional.mse_loss(embed([data.tokens[row] for row in rows]), data.vectors[rows])

    def validate() -> dict[str, float]:
        ours = torch.cat([embed([dev.tokens[row] for row in rows]) for rows in in_order(len(dev.tokens), encode_batch)])
        return {"dev_mse": functional.mse_loss(ours, dev.vectors).item(),
                "dev_mae": functional.l1_loss(ours, dev.vectors).item(),
                "dev_cosine": functional.cosine_similarity(ours, dev.vectors).mean().item()}

    def batches(epoch: int) -> list[np.ndarray]:
        return draw_batches(data.lengths, settings.batch_size, sampler, [seed, epoch])

    return Task("CLSEAVE", student, batches, step, validate, loss_name="train_mse")


def main(argv: list[str] | None = None) -> None:
    """Train, keep the epoch with the lowest validation error, save."""
    args = cli.parse(argv, __doc__, ["params", "profile", "examples", "translations", "targets", "mbert", "out", "curve",
                                     "metrics"], numbers=["seed"])
    values = params.load(args.params, args.profile, KEYS)
    settings, rate = values.clseave, values.lr * values.clseave.lr_scale
    numerics.seed_torch(args.seed)
    translations = {row.hypothesis_id: row.text for row in read_rows(args.translations, Translation)}
    tokenizer, unit = load_tokenizer(args.mbert), settings.loss == "normalised"
    data, dev = (Pairs(split, args.examples, translations, args.targets, tokenizer, unit) for split in ("train", "dev"))
    student = Student(load_mbert(args.mbert, settings.dropout), tokenizer, data.vectors.shape[1], settings.pooling)
    task = make_task(student, data, dev, settings, values.sampler, args.seed, values.encode_batch)
    steps = settings.epochs * len(task.batches(1))
    optimiser, schedule = make_optimiser([{"params": student.parameters(), "lr": rate}], settings.weight_decay, steps,
                                         settings.warmup, settings.schedule)
    kept = train(task, optimiser, schedule, settings.epochs, settings.patience)
    student.save(args.out)
    write_csv(args.curve, task.curve)
    write_json(args.metrics, {"seed": args.seed, "lr": float(f"{rate:.6g}"), "loss": settings.loss, "epoch": kept,
                              "epochs_run": len(task.curve), **task.curve[kept - 1]})
