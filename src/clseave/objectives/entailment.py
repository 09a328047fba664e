"""CLIP-VE's objective: cross-entropy of the three labels; also that of the baselines with mBERT for a text tower."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from clseave.foundation.errors import UserError
from clseave.foundation.process.resume import Checkpoint
from clseave.foundation.rows.labels import label_id
from clseave.foundation.rows.records import (
    Example,
    distinct_hypotheses,
    examples_with_images,
    read_splits,
    require,
    rows_of,
)
from clseave.foundation.rows.vectors import VectorTable
from clseave.foundation.settings.schema import ClipVe, Precision, Sampler
from clseave.models.clip_ve import ClipVE
from clseave.models.tokens import Ragged, encode, in_order, pad
from clseave.training.acceleration import Forward, for_training
from clseave.training.batching import draw_batches
from clseave.training.loop import Curve, train
from clseave.training.objective import Objective
from clseave.training.optimiser import make_optimiser
from clseave.training.used_embeddings import keep_used_rows, restore_embedding


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


@dataclass(frozen=True)
class Split:
    """N examples as arrays: each distinct hypothesis once, M in all, and for each example where its parts are."""

    tokens: Ragged  # token ids of the M distinct hypotheses
    hypothesis: np.ndarray  # (N,) row in `tokens`
    images: VectorTable  # of all splits
    premise: np.ndarray  # (N,) row in `images`
    labels: torch.Tensor  # (N,) ids of `labels.LABELS`, on the device of `images`

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example's hypothesis, (N,)."""
        return self.tokens.lengths[self.hypothesis]

    @classmethod
    def of(
        cls,
        examples: list[Example],
        images: VectorTable,
        tokenizer: PreTrainedTokenizerBase,
        texts: Mapping[str, str] | None = None,
    ) -> "Split":
        """Tokenise. `texts` are translations by hypothesis id, None for English."""
        english = distinct_hypotheses(examples)
        texts = english if texts is None else texts
        require(english, texts, "translation")
        places = {key: row for row, key in enumerate(english)}
        return cls(
            tokens=encode(tokenizer, [texts[key] for key in english]),
            hypothesis=rows_of((row.hypothesis_id for row in examples), places, "text"),
            images=images,
            premise=rows_of((row.image_id for row in examples), images.rows, "image vector"),
            labels=torch.tensor([label_id(row.label) for row in examples], device=images.device),
        )


class Entailment(Objective):
    """Cross-entropy between the head's logits and the labels of image and sentence pairs.

    With z_i the three logits of pair i and y_i its label, over the B pairs of a batch:

        loss = -1/B sum_i log softmax(z_i)[y_i],   z_i = head(h_i, p_i)

    h_i is the text tower's vector of the hypothesis and p_i the frozen image tower's stored vector of the premise. Each
    distinct hypothesis of a batch is encoded once.

    Shapes:
        batch: row numbers of `data`, (B,) -> hypotheses h (B, D), premises p (B, D), logits z (B, 3), loss ().

    Args:
        model: text tower and head; both are trained. In a blind control one of the two vectors is zero.
        data: training examples.
        dev: validation examples.
        settings: `batch_size`, and `rows_per_hypothesis`: how many pairs of one hypothesis share a batch.
        sampler: how batches are drawn.
        encode_batch: hypotheses that validation encodes at once.
        precision: of the text tower's passes in the steps, on a GPU.
        compiled: whether those passes are compiled, on a GPU.
        seed: decides the batches, with the epoch.

    Returns:
        `validate`: `dev_loss`, which is minimised, and `dev_accuracy`. `train_metrics`: `train_accuracy`.

    Source:
        Thesis 3.1.2, Eq. 3.1 to 3.3. Xie et al. 2019, Visual Entailment: A Novel Task for Fine-Grained Image
        Understanding.
    """

    model: ClipVE

    def __init__(
        self,
        model: ClipVE,
        data: Split,
        dev: Split,
        settings: ClipVe,
        *,
        sampler: Sampler,
        encode_batch: int,
        precision: Precision,
        compiled: bool,
        seed: int,
    ):
        self.name, self.model, self.data, self.dev, self.settings = model.inputs, model, data, dev, settings
        self.sampler, self.encode_batch, self.seed = sampler, encode_batch, seed
        device, rows = data.labels.device, settings.batch_size + 1  # batches differ by one
        self.forward = for_training(model.tower, device, precision=precision, compiled=compiled, rows=rows)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)  # training pairs in this epoch

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Every pair once an epoch, pairs of one hypothesis together."""
        return draw_batches(
            self.data.lengths,
            self.settings.batch_size,
            self.sampler,
            [self.seed, epoch],
            groups=self.data.hypothesis,
            rows_per_group=self.settings.rows_per_hypothesis,
        )

    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """Mean cross-entropy of a batch, (B,) -> ()."""
        distinct, place = np.unique(self.data.hypothesis[batch], return_inverse=True)
        vectors = self.encode(self.data, distinct, self.forward)[torch.from_numpy(place)]  # (B, D)
        logits = self.model.judge(vectors, self.data.images[self.data.premise[batch]])  # (B, 3)
        labels = self.data.labels[torch.from_numpy(batch)]
        self.correct += (logits.argmax(dim=1) == labels).sum()
        return functional.cross_entropy(logits, labels)

    def validate(self) -> dict[str, float]:
        """Cross-entropy and accuracy of all validation pairs."""
        dev, parts = self.dev, in_order(len(self.dev.tokens), self.encode_batch)
        vectors = torch.cat([self.encode(dev, rows) for rows in parts])  # (M, D)
        logits = self.model.judge(vectors[torch.from_numpy(dev.hypothesis)], dev.images[dev.premise])  # (N, 3)
        return {
            "dev_loss": functional.cross_entropy(logits, dev.labels).item(),
            "dev_accuracy": (logits.argmax(dim=1) == dev.labels).float().mean().item(),
        }

    def encode(self, data: Split, rows: np.ndarray, forward: Forward | None = None) -> torch.Tensor:
        """Vectors of the distinct hypotheses of these numbers, (M,) -> (M, D)."""
        tokens = [data.tokens[row] for row in rows]
        return self.model.encode(*pad(tokens, self.model.tower.tokenizer, data.images.device), forward)

    def train_metrics(self) -> dict[str, float]:
        """The share of training pairs whose label was predicted, each in its own step."""
        accuracy = round(int(self.correct) / len(self.data.premise), 6)
        self.correct.zero_()
        return {"train_accuracy": accuracy}

    def state_dict(self) -> dict[str, float]:
        """The count of `train_metrics`: part of a checkpoint."""
        return {"correct": int(self.correct)}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restore the count."""
        self.correct.fill_(state["correct"])


def optimiser_for(objective: Entailment) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """Optimiser and schedule over all epochs: one learning rate for the text tower, one for the head.

    From here on the tower holds only the word-embedding rows that occur; `used_embeddings.restore_embedding` undoes it.
    """
    model, settings = objective.model, objective.settings
    texts = [objective.data.tokens, objective.dev.tokens]
    words = keep_used_rows(model.tower, texts, model.tower.tokenizer.pad_token_id)
    groups = [
        {"params": model.tower.parameters(), "lr": settings.text_lr},
        {"params": model.head.parameters(), "lr": settings.head_lr},
    ]
    steps = settings.epochs * len(objective.batches(1))
    optimiser, schedule = make_optimiser(groups, settings.weight_decay, steps, settings.warmup, settings.schedule)
    words.track_weight_decay(optimiser)
    return optimiser, schedule


def fine_tune(objective: Entailment, checkpoint: Checkpoint) -> tuple[Curve, int]:
    """Train text tower and head, of which the best epoch's are left. Returns the curve and that epoch, from 1."""
    settings, (optimiser, schedule) = objective.settings, optimiser_for(objective)
    epochs, patience = settings.epochs, settings.patience
    curve, kept = train(objective, optimiser, schedule, epochs, patience, keep=settings.keep, checkpoint=checkpoint)
    restore_embedding(objective.model.tower)
    return curve, kept
