"""What is fine-tuned on the encoder's [CLS] state of a text and an image: retrieval by a score, and visual entailment.

A cross-encoder runs once for each pair, so that the cost of retrieval grows with texts times images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from clseave.foundation.process import progress
from clseave.models.tokens import Ragged, in_order
from clseave.single_stream.encoder import SingleStream, Texts
from clseave.single_stream.regions import RegionTable
from clseave.statistics.recall import ranks
from clseave.training.batching import draw_batches
from clseave.training.objective import Objective


class PairModel(nn.Module):
    """The encoder and a head on its [CLS] state."""

    def __init__(self, encoder: SingleStream, head: nn.Module):
        super().__init__()
        self.encoder, self.head = encoder, head

    @classmethod
    def scorer(cls, encoder: SingleStream) -> "PairModel":
        """A score u'[CLS] + b of each pair, (B, 1)."""
        return cls(encoder, nn.Linear(encoder.width, 1))

    @classmethod
    def classifier(cls, encoder: SingleStream, hidden: int, classes: int, dropout: float) -> "PairModel":
        """Logits of each pair, (B, classes)."""
        layers = nn.Linear(encoder.width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes)
        return cls(encoder, nn.Sequential(*layers))

    def forward(self, tokens: Ragged, texts: np.ndarray, regions: RegionTable, images: np.ndarray) -> torch.Tensor:
        """Judge pairs: row numbers of texts and of images, (B,) each -> (B, outputs of the head)."""
        rows = [tokens[row] for row in texts]
        batch = Texts.of(rows, self.encoder.tokenizer, regions.features.device)
        return self.head(self.encoder(batch, regions[images])[:, 0])

    @torch.no_grad()
    def judge(
        self, tokens: Ragged, texts: np.ndarray, regions: RegionTable, images: np.ndarray, batch: int
    ) -> torch.Tensor:
        """Judge N pairs, those of similar length together, (N,) and (N,) -> (N, outputs of the head) on the CPU."""
        order = np.argsort(tokens.lengths[texts], kind="stable")
        made: torch.Tensor | None = None
        with progress.bar(desc="pairs", total=len(order), unit="pairs", leave=False) as bar:
            for rows in (order[part] for part in in_order(len(order), batch)):
                found = self(tokens, texts[rows], regions, images[rows]).cpu()
                made = torch.empty(len(order), found.shape[1]) if made is None else made
                made[torch.from_numpy(rows)] = found
                bar.update(len(rows))
        assert made is not None, "no pairs"
        return made


@dataclass(frozen=True)
class Pool:
    """T texts and the images they describe: `tokens`, the row in `regions` of each text's image (T,)."""

    tokens: Ragged
    images: np.ndarray
    regions: RegionTable

    def scores(self, model: PairModel, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Score every text with every image of the pool: (T, I), and each text's column (T,)."""
        images, column = np.unique(self.images, return_inverse=True)
        texts, count = len(self.tokens), len(images)
        pairs = np.repeat(np.arange(texts), count), np.tile(images, texts)
        found = model.judge(self.tokens, pairs[0], self.regions, pairs[1], batch)
        return found[:, 0].numpy().reshape(texts, count), column


def hinge(scores: torch.Tensor, images: torch.Tensor, margin: float) -> torch.Tensor:
    """Hinge loss of the hardest negatives, both ways (VSE++; Fei et al. 2021, 3.3).

    With S_ij the score of text i and image j, j's own text being j, over the K pairs of a batch:

        loss = 1/K sum_i max_{j != i} [S_ij - S_ii + m]_+ + max_{j != i} [S_ji - S_ii + m]_+

    Shapes: scores (K, K); `images` (K,) numbers of the images: texts of one image are no negatives of each other.
    """
    right = scores.diagonal()
    same = images.unsqueeze(0) == images.unsqueeze(1)
    wrong = scores.masked_fill(same, float("-inf"))
    of_text = functional.relu(wrong.max(dim=1).values - right + margin)
    of_image = functional.relu(wrong.max(dim=0).values - right + margin)
    return (of_text + of_image).mean()


class Retrieval(Objective):
    """`hinge` over the texts and images of a batch, which all are scored with each other.

    Shapes:
        batch: rows of `data`, (K,) -> K x K pairs -> ().

    Args:
        model: encoder and score, trained.
        data: training texts.
        dev: validation texts; all their images are the pool.
        margin: m, 0.2 in the paper.
        size: K.
        encode_batch: pairs that validation scores at once.
        seed: decides the batches, with the epoch.

    Returns:
        `validate`: `dev_miss`, 1 minus the mean of R@1, R@5 and R@10 of both directions, which is minimised.

    Source:
        Fei et al. 2021, 3.3; Faghri et al. 2018, VSE++.
    """

    model: PairModel
    name = "retrieval"
    max_grad_norm = 1.0

    def __init__(
        self, model: PairModel, data: Pool, dev: Pool, *, margin: float, size: int, encode_batch: int, seed: int
    ):
        self.model, self.data, self.dev, self.margin = model, data, dev, margin
        self.size, self.encode_batch, self.seed = size, encode_batch, seed

    def batches(self, epoch: int) -> Sequence[np.ndarray]:
        """Every text once an epoch."""
        return draw_batches(self.data.tokens.lengths, self.size, "random", [self.seed, epoch])

    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """Score all texts of a batch with all its images, and return the hinge loss."""
        count, images = len(batch), self.data.images[batch]
        texts = np.repeat(batch, count)
        found = self.model(self.data.tokens, texts, self.data.regions, np.tile(images, count))
        return hinge(found.view(count, count), torch.from_numpy(images).to(found.device), self.margin)

    def validate(self) -> dict[str, float]:
        """Retrieve in the validation pool."""
        measures = ranks(*self.dev.scores(self.model, self.encode_batch)).measures()
        recalls = {f"dev_{name}": measures[name] for name in ("text_to_image_r1", "image_to_text_r1")}
        return {"dev_miss": 1 - measures["mean_recall"]} | recalls


@dataclass(frozen=True)
class Labelled:
    """N labelled pairs: `texts` (N,) rows of `tokens`, `images` (N,) rows of `regions`, `labels` (N,) class numbers."""

    tokens: Ragged
    texts: np.ndarray
    regions: RegionTable
    images: np.ndarray
    labels: torch.Tensor


class PairEntailment(Objective):
    """Cross-entropy of the three labels from the [CLS] state of hypothesis and image.

        loss = -1/B sum_i log softmax(z_i)[y_i]

    Shapes:
        batch: rows of `data`, (B,) -> logits z (B, 3) -> ().

    Args:
        model: encoder and head, trained.
        data: training pairs.
        dev: validation pairs.
        size: B.
        encode_batch: pairs that validation judges at once.
        seed: decides the batches, with the epoch.

    Returns:
        `validate`: `dev_loss`, which is minimised, and `dev_accuracy`.

    Source:
        Chen et al. 2020, UNITER, fine-tunes so for SNLI-VE; no work does with this paper's encoder.
    """

    model: PairModel
    name = "single stream VE"
    max_grad_norm = 1.0

    def __init__(self, model: PairModel, data: Labelled, dev: Labelled, *, size: int, encode_batch: int, seed: int):
        self.model, self.data, self.dev = model, data, dev
        self.size, self.encode_batch, self.seed = size, encode_batch, seed

    def batches(self, epoch: int) -> Sequence[np.ndarray]:
        """Every pair once an epoch, bucketed by length."""
        return draw_batches(self.data.tokens.lengths[self.data.texts], self.size, "bucket", [self.seed, epoch])

    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """Mean cross-entropy of a batch, (B,) -> ()."""
        data = self.data
        logits = self.model(data.tokens, data.texts[batch], data.regions, data.images[batch])
        return functional.cross_entropy(logits, data.labels[torch.from_numpy(batch)].to(logits.device))

    def validate(self) -> dict[str, float]:
        """Cross-entropy and accuracy of all validation pairs."""
        dev = self.dev
        logits = self.model.judge(dev.tokens, dev.texts, dev.regions, dev.images, self.encode_batch)
        labels = dev.labels.cpu()
        return {
            "dev_loss": functional.cross_entropy(logits, labels).item(),
            "dev_accuracy": (logits.argmax(dim=1) == labels).float().mean().item(),
        }
