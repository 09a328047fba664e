"""CLSEAVE: teach mBERT to give, for a translation, the vector that CLIP-VE gives for the English sentence.

Reads:  train and dev examples, translations of one language, teacher vectors, mBERT. Never an image.
Writes: the student, a curve, metrics of the best epoch.
Thesis: 3.3 (mean squared error, AdamW, linear schedule with 10 % warm-up, [SEP] pooling).
Cost:   about 2 minutes a language.
"""

from argparse import Namespace
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from clseave import cli, numerics, params
from clseave.batches import draw_batches, in_order
from clseave.records import Translation, distinct_hypotheses, read_rows, read_splits, read_vectors, require, rows_of
from clseave.storage import write_csv, write_json
from clseave.student import Student, load_mbert
from clseave.text import encode, load_tokenizer, pad
from clseave.training import Task, make_optimiser, train

KEYS = ("lr", "sampler", "clseave", "encode_batch")


@dataclass(frozen=True)
class Pairs:
    """Translations of distinct hypotheses as token rows, and the teacher's vectors of the English, (N, D)."""

    tokens: list[list[int]]
    vectors: torch.Tensor

    @property
    def lengths(self) -> np.ndarray:
        """Token counts, (N,)."""
        return np.array([len(row) for row in self.tokens])


def read_pairs(args: Namespace, split: str, tokenizer: PreTrainedTokenizerBase, loss: str) -> Pairs:
    """The distinct hypotheses of one split; for the normalised loss the teacher's vectors have length one."""
    texts = {row.hypothesis_id: row.text for row in read_rows(args.translations, Translation)}
    ids = list(distinct_hypotheses(read_splits(args.examples, [split])))
    index, vectors = read_vectors(args.targets)
    targets = torch.from_numpy(vectors[rows_of(ids, index, "teacher vector")])
    require(ids, texts, f"translation in {args.translations}")
    tokens = encode(tokenizer, [texts[key] for key in ids])
    return Pairs(tokens, functional.normalize(targets, dim=-1) if loss == "normalised" else targets)


def make_task(student: Student, data: Pairs, dev: Pairs, values: SimpleNamespace, seed: int) -> Task:
    """Mean squared error per element, on raw vectors (thesis) or on unit vectors."""
    lengths = data.lengths

    def embed(tokens: list[list[int]]) -> torch.Tensor:
        vectors = student(*pad(tokens, student.tokenizer.pad_token_id))
        return functional.normalize(vectors, dim=-1) if values.clseave.loss == "normalised" else vectors

    def step(rows: np.ndarray) -> torch.Tensor:
        return functional.mse_loss(embed([data.tokens[row] for row in rows]), data.vectors[rows])

    def validate() -> dict[str, float]:
        ours = torch.cat(
            [embed([dev.tokens[row] for row in rows]) for rows in in_order(len(dev.tokens), values.encode_batch)]
        )
        return {
            "dev_mse": functional.mse_loss(ours, dev.vectors).item(),
            "dev_mae": functional.l1_loss(ours, dev.vectors).item(),
            "dev_cosine": functional.cosine_similarity(ours, dev.vectors).mean().item(),
        }

    def batches(epoch: int) -> list[np.ndarray]:
        return draw_batches(lengths, values.clseave.batch_size, values.sampler, [seed, epoch])

    return Task("CLSEAVE", student, batches, step, validate, loss_name="train_mse")


def main(argv: list[str] | None = None) -> None:
    """Train, keep the epoch with the lowest validation error, save."""
    args = cli.parse(
        argv,
        __doc__,
        ["params", "profile", "examples", "translations", "targets", "mbert", "out", "curve", "metrics"],
        numbers=["seed"],
    )
    values = params.load(args.params, args.profile, KEYS)
    settings, rate = values.clseave, values.lr * values.clseave.lr_scale
    numerics.seed_torch(args.seed)
    tokenizer = load_tokenizer(args.mbert)
    data, dev = (read_pairs(args, split, tokenizer, settings.loss) for split in ("train", "dev"))
    student = Student(load_mbert(args.mbert, settings.dropout), tokenizer, data.vectors.shape[1], settings.pooling)
    task = make_task(student, data, dev, values, args.seed)
    steps = settings.epochs * len(task.batches(1))
    optimiser, schedule = make_optimiser(
        [{"params": student.parameters(), "lr": rate}], settings.weight_decay, steps, settings.warmup, settings.schedule
    )
    kept = train(task, optimiser, schedule, settings.epochs, settings.patience)
    student.save(args.out)
    write_csv(args.curve, task.curve)
    resolved = {"seed": args.seed, "lr": float(f"{rate:.6g}"), "loss": settings.loss}
    write_json(args.metrics, {**resolved, "epoch": kept, "epochs_run": len(task.curve), **task.curve[kept - 1]})
