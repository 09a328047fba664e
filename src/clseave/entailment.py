"""Fine-tuning a text tower and the head on visual entailment: the data as arrays, the loss, the validation."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from clseave.acceleration import Forward, for_training
from clseave.batches import draw_batches, in_order
from clseave.errors import UserError
from clseave.labels import label_id
from clseave.optimisation import make_optimiser
from clseave.records import Example, distinct_hypotheses, examples_with_images, read_splits, require, rows_of
from clseave.resume import Checkpoint
from clseave.schema import ClipVe, Sampler, Training
from clseave.teacher import ClipVE
from clseave.text import encode, pad
from clseave.training import Curve, Task, train
from clseave.vectors import VectorTable
from clseave.word_rows import hold_only, put_back


def read_examples(folder: Path, vectors: Path, validation: str, seed: int) -> tuple[list[Example], list[Example]]:
    """Train and validation examples: the dev split (thesis 3.1.2), or a random fifth of train (its author's code).

    UserError when train has too few rows for a fifth.
    """
    train = examples_with_images(read_splits(folder, ["train"]), vectors)
    if validation == "dev":
        return train, examples_with_images(read_splits(folder, ["dev"]), vectors)
    if len(train) < 5:
        raise UserError(
            f"validation: train_fifth takes a fifth of train, found {len(train)} rows in {folder}, expected 5 or more: "
            "say `validation: dev` in the profile, or give train more rows"
        )
    order = np.random.default_rng([seed, 7]).permutation(len(train))
    fifth = len(train) // 5
    return [train[row] for row in order[fifth:]], [train[row] for row in order[:fifth]]


class Split:
    """Examples as arrays: hypothesis texts once each, rows pointing at them and at image vectors."""

    def __init__(
        self,
        examples: list[Example],
        images: VectorTable,
        tokenizer: PreTrainedTokenizerBase,
        texts: Mapping[str, str] | None = None,
    ):
        """Tokenise. `images` are shared by the splits; `texts` are translations by hypothesis id, None for English."""
        english = distinct_hypotheses(examples)
        texts = english if texts is None else texts
        require(english, texts, "translation")
        self.images = images
        self.tokens = encode(tokenizer, [texts[key] for key in english])
        self.hypothesis = rows_of(
            (row.hypothesis_id for row in examples), {key: n for n, key in enumerate(english)}, "text"
        )
        self.premise = rows_of((row.image_id for row in examples), images.rows, "image vector")
        self.labels = torch.tensor([label_id(row.label) for row in examples], device=images.device)
        self.lengths = self.tokens.lengths[self.hypothesis]


def embed(model: ClipVE, data: Split, rows: np.ndarray, forward: Forward | None = None) -> torch.Tensor:
    """Vectors of the distinct hypotheses of given numbers, (N, D); `forward` runs the tower in its own way."""
    tokens = [data.tokens[row] for row in rows]
    return model.encode(*pad(tokens, model.tower.tokenizer, data.images.device), forward)


def make_task(
    model: ClipVE,
    data: Split,
    dev: Split,
    settings: ClipVe,
    *,
    sampler: Sampler,
    encode_batch: int,
    seed: int,
    forward: Forward | None = None,
) -> Task:
    """Cross-entropy; within a batch every distinct hypothesis is encoded once."""

    def step(rows: np.ndarray) -> torch.Tensor:
        distinct, place = np.unique(data.hypothesis[rows], return_inverse=True)
        vectors = embed(model, data, distinct, forward)[torch.from_numpy(place)]
        logits, labels = model.judge(vectors, data.images[data.premise[rows]]), data.labels[torch.from_numpy(rows)]
        right.append((logits.argmax(dim=1) == labels).sum())
        return functional.cross_entropy(logits, labels)

    def validate() -> dict[str, float]:
        vectors = torch.cat([embed(model, dev, rows) for rows in in_order(len(dev.tokens), encode_batch)])
        logits = model.judge(vectors[torch.from_numpy(dev.hypothesis)], dev.images[dev.premise])
        return {
            "dev_loss": functional.cross_entropy(logits, dev.labels).item(),
            "dev_accuracy": (logits.argmax(dim=1) == dev.labels).float().mean().item(),
        }

    def train_figures() -> dict[str, float]:
        accuracy = round(sum(int(one) for one in right) / len(data.premise), 6)
        right.clear()
        return {"train_accuracy": accuracy}

    def batches(epoch: int) -> list[np.ndarray]:
        size, together = settings.batch_size, settings.rows_per_hypothesis
        return draw_batches(data.lengths, size, sampler, [seed, epoch], groups=data.hypothesis, rows_per_group=together)

    right: list[torch.Tensor] = []
    return Task(model.inputs, model, batches, step, validate, train_figures=train_figures, tally=right)


def make_steps(
    model: ClipVE, task: Task, settings: ClipVe
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """Optimiser and schedule over all epochs: one learning rate for the text tower, one for the head."""
    groups = [
        {"params": model.tower.parameters(), "lr": settings.text_lr},
        {"params": model.head.parameters(), "lr": settings.head_lr},
    ]
    steps = settings.epochs * len(task.batches(1))
    return make_optimiser(groups, settings.weight_decay, steps, settings.warmup, settings.schedule)


def prepare(
    model: ClipVE, data: Split, dev: Split, settings: ClipVe, values: Training, *, seed: int
) -> tuple[Task, torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """What trains text tower and head, with only the word-embedding rows that occur in the tower."""
    tower, device = model.tower, data.images.device
    words = hold_only(tower, [data.tokens, dev.tokens], tower.tokenizer.pad_token_id)
    rows = settings.batch_size + 1  # batches differ by one
    forward = for_training(tower, device, precision=values.precision, compiled=values.compile, rows=rows)
    sampler, size = values.sampler, values.encode_batch
    task = make_task(model, data, dev, settings, sampler=sampler, encode_batch=size, seed=seed, forward=forward)
    optimiser, schedule = make_steps(model, task, settings)
    words.follow(optimiser)
    return task, optimiser, schedule


def fine_tune(
    model: ClipVE,
    data: Split,
    dev: Split,
    settings: ClipVe,
    values: Training,
    *,
    seed: int,
    checkpoint: Checkpoint,
) -> tuple[Curve, int]:
    """Train text tower and head, of which the best epoch's are left. Returns the curve and that epoch, from 1."""
    task, optimiser, schedule = prepare(model, data, dev, settings, values, seed=seed)
    epochs, patience = settings.epochs, settings.patience
    kept = train(task, optimiser, schedule, epochs, patience, keep=settings.keep, checkpoint=checkpoint)
    put_back(model.tower)
    return task.curve, kept
