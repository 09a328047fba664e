"""CLSEAVE's training: translations and the teacher's vectors as arrays, the loss, the validation (thesis 3.3)."""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from clseave import distributed
from clseave.acceleration import Forward, for_training
from clseave.batches import draw_batches, in_order
from clseave.optimisation import make_optimiser
from clseave.records import Translation, distinct_hypotheses, iter_rows, read_splits, require, rows_of
from clseave.schema import SentenceTransfer
from clseave.student import Student
from clseave.text import encode, pad
from clseave.training import Task
from clseave.vectors import VectorTable
from clseave.word_rows import hold_only


class Pairs:
    """Translations of the distinct hypotheses of a split as token rows, and the teacher's vectors of the English."""

    def __init__(
        self, examples: Path, translations: Path, split: str, tokenizer: PreTrainedTokenizerBase, teacher: VectorTable
    ):
        """Read and tokenise. `teacher` is shared by the splits."""
        ids = list(distinct_hypotheses(read_splits(examples, [split])))
        wanted = set(ids)
        texts = {
            row.hypothesis_id: row.text for row in iter_rows(translations, Translation) if row.hypothesis_id in wanted
        }
        require(ids, texts, f"translation in {translations}")
        self.tokens = encode(tokenizer, [texts[key] for key in ids])
        self.teacher, self.rows = teacher, rows_of(ids, teacher.rows, "teacher vector")

    def targets(self, rows: np.ndarray, loss: str) -> torch.Tensor:
        """Teacher vectors of pairs, (B, D); for the normalised loss of length one."""
        vectors = self.teacher[self.rows[rows]]
        return functional.normalize(vectors, dim=-1) if loss == "normalised" else vectors


def make_task(student: Student, data: Pairs, dev: Pairs, values: SentenceTransfer, seed: int) -> Task:
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


def prepare(
    student: Student, data: Pairs, dev: Pairs, values: SentenceTransfer, seed: int
) -> tuple[Task, torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """What trains a student, with only the word-embedding rows that occur in it."""
    settings = values.clseave
    words = hold_only(student, [data.tokens, dev.tokens], student.tokenizer.pad_token_id)
    task = make_task(student, data, dev, values, seed)
    steps = settings.epochs * len(task.batches(1))
    groups = [{"params": student.parameters(), "lr": values.lr * settings.lr_scale}]
    optimiser, schedule = make_optimiser(groups, settings.weight_decay, steps, settings.warmup, settings.schedule)
    words.follow(optimiser)
    return task, optimiser, schedule
