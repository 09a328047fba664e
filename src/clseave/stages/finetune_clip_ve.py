"""Fine-tune CLIP's text tower and the head on English visual entailment, or one of the two blind controls.

Reads:  examples, image vectors, CLIP.
Writes: text tower in Hugging Face layout (none for image_only) and head; curve; metrics of the best epoch.
Thesis: 3.1.2, Eq. 3.1-3.3; the head's details are those of its author's code.
Cost:   about 3 minutes, 1 GiB.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from clseave import cli, numerics, params
from clseave.batches import draw_batches, in_order
from clseave.fusion import Head
from clseave.labels import label_id
from clseave.records import distinct_hypotheses, read_splits, read_vectors, rows_of
from clseave.storage import write_csv, write_json
from clseave.teacher import ClipVE, TextTower, save_head
from clseave.text import encode, pad
from clseave.training import Task, make_optimiser, train

KEYS = ("sampler", "clip_ve", "encode_batch")


class Split:
    """Examples of one split as arrays: hypothesis texts once each, rows pointing at them and at image vectors."""

    def __init__(self, examples_folder: Path, split: str, images_folder: Path, tokenizer: PreTrainedTokenizerBase):
        """Read and tokenise."""
        examples = read_splits(examples_folder, [split])
        texts = distinct_hypotheses(examples)
        image_rows, vectors = read_vectors(images_folder)
        self.tokens = encode(tokenizer, list(texts.values()))
        self.hypothesis = rows_of(
            (row.hypothesis_id for row in examples), {key: n for n, key in enumerate(texts)}, "text"
        )
        self.premise = torch.from_numpy(
            vectors[rows_of((row.image_id for row in examples), image_rows, "image vector")]
        )
        self.labels = torch.tensor([label_id(row.label) for row in examples])
        self.lengths = np.array([len(self.tokens[row]) for row in self.hypothesis])


def embed(model: ClipVE, tokens: list[list[int]]) -> torch.Tensor:
    """Hypothesis vectors of token rows, (N, D)."""
    return model.encode(*pad(tokens, model.tower.tokenizer.pad_token_id))


def make_task(model: ClipVE, data: Split, dev: Split, values: SimpleNamespace, seed: int) -> Task:
    """Cross-entropy; within a batch every distinct hypothesis is encoded once."""

    def step(rows: np.ndarray) -> torch.Tensor:
        distinct, place = np.unique(data.hypothesis[rows], return_inverse=True)
        vectors = embed(model, [data.tokens[row] for row in distinct])[torch.from_numpy(place)]
        logits = model.judge(vectors, data.premise[rows])
        right.append(float((logits.argmax(dim=1) == data.labels[rows]).float().mean()))
        return functional.cross_entropy(logits, data.labels[rows])

    def validate() -> dict[str, float]:
        vectors = torch.cat(
            [embed(model, [dev.tokens[row] for row in rows]) for rows in in_order(len(dev.tokens), values.encode_batch)]
        )
        logits = model.judge(vectors[torch.from_numpy(dev.hypothesis)], dev.premise)
        return {
            "dev_loss": functional.cross_entropy(logits, dev.labels).item(),
            "dev_accuracy": (logits.argmax(dim=1) == dev.labels).float().mean().item(),
        }

    def train_figures() -> dict[str, float]:
        accuracy = round(sum(right) / len(right), 6)
        right.clear()
        return {"train_accuracy": accuracy}

    def batches(epoch: int) -> list[np.ndarray]:
        size, together = values.clip_ve.batch_size, values.clip_ve.rows_per_hypothesis
        return draw_batches(
            data.lengths, size, values.sampler, [seed, epoch], groups=data.hypothesis, rows_per_group=together
        )

    right: list[float] = []
    return Task(model.inputs, model, batches, step, validate, train_figures=train_figures)


def main(argv: list[str] | None = None) -> None:
    """Train, keep the epoch with the lowest validation loss, save."""
    args = cli.parse(
        argv,
        __doc__,
        ["params", "profile", "examples", "images", "clip", "out", "curve", "metrics"],
        names=["model"],
        numbers=["seed"],
    )
    values = params.load(args.params, args.profile, KEYS)
    settings = values.clip_ve
    numerics.seed_torch(args.seed)
    tower = TextTower.load(args.clip)
    model = ClipVE(tower, Head(tower.width, settings.hidden, settings.dropout), args.model)
    data, dev = (Split(args.examples, split, args.images, tower.tokenizer) for split in ("train", "dev"))
    task = make_task(model, data, dev, values, args.seed)
    steps = settings.epochs * len(task.batches(1))
    groups = [
        {"params": tower.parameters(), "lr": settings.text_lr},
        {"params": model.head.parameters(), "lr": settings.head_lr},
    ]
    optimiser, schedule = make_optimiser(groups, settings.weight_decay, steps, settings.warmup, settings.schedule)
    kept = train(task, optimiser, schedule, settings.epochs, settings.patience)
    if args.model != "image_only":  # its tower never ran
        tower.save(args.out)
    save_head(args.out, model.head, model.inputs)
    write_csv(args.curve, task.curve)
    write_json(args.metrics, {"seed": args.seed, "epoch": kept, "epochs_run": len(task.curve), **task.curve[kept - 1]})
