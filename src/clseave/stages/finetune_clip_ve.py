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
from clseave.records import Example, distinct_hypotheses, examples_with_images, read_splits, rows_of
from clseave.storage import write_csv, write_json
from clseave.teacher import ClipVE, TextTower, save_head
from clseave.text import encode, pad
from clseave.training import Task, make_optimiser, train
from clseave.vectors import VectorTable

KEYS = ("sampler", "clip_ve", "encode_batch", "device", "max_resident_gb")


def read_examples(folder: Path, vectors: Path, validation: str, seed: int) -> tuple[list[Example], list[Example]]:
    """Train and validation examples: the dev split (thesis 3.1.2), or a random fifth of train (its author's code)."""
    train = examples_with_images(read_splits(folder, ["train"]), vectors)
    if validation == "dev":
        return train, examples_with_images(read_splits(folder, ["dev"]), vectors)
    order = np.random.default_rng([seed, 7]).permutation(len(train))
    fifth = len(train) // 5
    return [train[row] for row in order[fifth:]], [train[row] for row in order[:fifth]]


class Split:
    """Examples as arrays: hypothesis texts once each, rows pointing at them and at image vectors."""

    def __init__(self, examples: list[Example], images: VectorTable, tokenizer: PreTrainedTokenizerBase):
        """Tokenise. `images` are shared by the splits."""
        texts = distinct_hypotheses(examples)
        self.images = images
        self.tokens = encode(tokenizer, list(texts.values()))
        self.hypothesis = rows_of(
            (row.hypothesis_id for row in examples), {key: n for n, key in enumerate(texts)}, "text"
        )
        self.premise = rows_of((row.image_id for row in examples), images.rows, "image vector")
        self.labels = torch.tensor([label_id(row.label) for row in examples], device=images.device)
        self.lengths = self.tokens.lengths[self.hypothesis]


def embed(model: ClipVE, data: Split, rows: np.ndarray) -> torch.Tensor:
    """Vectors of the distinct hypotheses of given numbers, (N, D)."""
    tokens = [data.tokens[row] for row in rows]
    return model.encode(*pad(tokens, model.tower.tokenizer.pad_token_id, data.images.device))


def make_task(model: ClipVE, data: Split, dev: Split, values: SimpleNamespace, seed: int) -> Task:
    """Cross-entropy; within a batch every distinct hypothesis is encoded once."""

    def step(rows: np.ndarray) -> torch.Tensor:
        distinct, place = np.unique(data.hypothesis[rows], return_inverse=True)
        vectors = embed(model, data, distinct)[torch.from_numpy(place)]
        logits, labels = model.judge(vectors, data.images[data.premise[rows]]), data.labels[torch.from_numpy(rows)]
        right.append((logits.argmax(dim=1) == labels).sum())
        return functional.cross_entropy(logits, labels)

    def validate() -> dict[str, float]:
        vectors = torch.cat([embed(model, dev, rows) for rows in in_order(len(dev.tokens), values.encode_batch)])
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
        size, together = values.clip_ve.batch_size, values.clip_ve.rows_per_hypothesis
        return draw_batches(
            data.lengths, size, values.sampler, [seed, epoch], groups=data.hypothesis, rows_per_group=together
        )

    right: list[torch.Tensor] = []
    return Task(model.inputs, model, batches, step, validate, train_figures=train_figures)


def main(argv: list[str] | None = None) -> None:
    """Train, keep the epoch with the lowest validation loss, save."""
    paths = "params profile examples images clip out curve metrics".split()
    args = cli.parse(argv, __doc__, paths, names=["model"], numbers=["seed"])
    values = params.load(args.params, args.profile, KEYS)
    settings = values.clip_ve
    device = numerics.start_torch(args.seed, values.device)
    tower = TextTower.load(args.clip)
    model = ClipVE(tower, Head(tower.width, settings.hidden, settings.dropout), args.model).to(device)
    images = VectorTable(args.images, device, values.max_resident_gb)
    splits = read_examples(args.examples, args.images, settings.validation, args.seed)
    data, dev = (Split(examples, images, tower.tokenizer) for examples in splits)
    task = make_task(model, data, dev, values, args.seed)
    steps = settings.epochs * len(task.batches(1))
    groups = [
        {"params": tower.parameters(), "lr": settings.text_lr},
        {"params": model.head.parameters(), "lr": settings.head_lr},
    ]
    optimiser, schedule = make_optimiser(groups, settings.weight_decay, steps, settings.warmup, settings.schedule)
    kept = train(task, optimiser, schedule, settings.epochs, settings.patience, keep=settings.keep)
    if args.model != "image_only":  # its tower never ran
        tower.save(args.out)
    save_head(args.out, model.head, model.inputs)
    write_csv(args.curve, task.curve)
    write_json(args.metrics, {"seed": args.seed, "epoch": kept, "epochs_run": len(task.curve), **task.curve[kept - 1]})
