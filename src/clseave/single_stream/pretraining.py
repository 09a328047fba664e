"""Pre-training: every step takes a batch of captions, of texts alone and of parallel texts, and all tasks together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from clseave.foundation.process import distributed
from clseave.models.tokens import Ragged, in_order
from clseave.single_stream.encoder import SingleStream, Texts
from clseave.single_stream.regions import RegionTable
from clseave.single_stream.tasks import Step, Task
from clseave.training.objective import Objective


@dataclass(frozen=True)
class Corpus:
    """What is trained on: captions with the rows of their images, texts alone, and parallel texts, as token ids."""

    captions: Ragged  # (N,) texts
    images: np.ndarray  # (N,) rows in `regions`
    regions: RegionTable
    alone: Ragged
    first: Ragged  # (P,) texts
    second: Ragged  # (P,) their translations

    def step(
        self, captions: np.ndarray, alone: np.ndarray, pairs: np.ndarray, tokenizer: PreTrainedTokenizerBase
    ) -> Step:
        """Return the batch of these rows."""
        device = self.regions.features.device

        def texts(tokens: Ragged, rows: np.ndarray) -> list[np.ndarray]:
            return [tokens[row] for row in rows]

        first, second = texts(self.first, pairs), texts(self.second, pairs)
        return Step(
            captions=Texts.of(texts(self.captions, captions), tokenizer, device),
            regions=self.regions[self.images[captions]],
            alone=Texts.of(texts(self.alone, alone), tokenizer, device),
            first=Texts.of(first, tokenizer, device),
            second=Texts.of(second, tokenizer, device),
            joined=Texts.joined(first, second, tokenizer, device),
        )


@dataclass(frozen=True)
class Sizes:
    """Rows of each source in a step: captions, texts alone, parallel pairs."""

    captions: int
    alone: int
    pairs: int

    @property
    def total(self) -> int:
        """Rows of a step."""
        return self.captions + self.alone + self.pairs


class Model(nn.Module):
    """The encoder with the layers of its tasks; of these only the encoder is kept."""

    def __init__(self, encoder: SingleStream, tasks: Mapping[str, Task]):
        super().__init__()
        self.encoder = encoder
        self.tasks = nn.ModuleDict(dict(tasks))


class Pretraining(Objective):
    """The weighted sum of the losses of the tasks.

        loss = sum_t w_t loss_t(batch)

    Shapes:
        batch: (B,), ignored: `sizes` rows of each source are drawn with replacement -> loss ().

    Args:
        model: encoder and tasks, trained.
        data: training corpus.
        dev: validation corpus.
        weights: w_t by task.
        sizes: rows of each source in a step.
        steps: of an epoch, a row of the curve.
        seed: decides rows and masks.

    Returns:
        `validate`: `dev_loss`, the weighted sum over the validation corpus, with masks that are the same each time;
        and the loss of each task. `train_metrics`: the mean training loss of each task.

    Source:
        Fei et al. 2021, 3.2. Weights and mixing are not stated there.
    """

    model: Model
    generator: np.random.Generator
    name = "single stream"
    max_grad_norm = 1.0

    def __init__(
        self,
        model: Model,
        data: Corpus,
        dev: Corpus,
        weights: Mapping[str, float],
        sizes: Sizes,
        *,
        steps: int,
        seed: int,
    ):
        self.model, self.data, self.dev, self.weights, self.sizes = model, data, dev, weights, sizes
        self.steps, self.seed, self.generator = steps, seed, np.random.default_rng([seed, 11])
        self.tasks: Any = model.tasks
        self.sums = dict.fromkeys(self.tasks, 0.0)

    def batches(self, epoch: int) -> Sequence[np.ndarray]:
        """Return `steps` batches, which make one row of the curve."""
        return [np.arange(self.sizes.total)] * self.steps

    def draw(self) -> Step:
        """Draw the rows of a step."""
        sizes, data = self.sizes, self.data
        rows = [
            self.generator.integers(0, len(tokens), size=size)
            for tokens, size in ((data.captions, sizes.captions), (data.alone, sizes.alone), (data.first, sizes.pairs))
        ]
        return data.step(rows[0], rows[1], rows[2], self.model.encoder.tokenizer)

    def losses(self, step: Step, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """Return the loss of each task, without its weight."""
        return {name: task.loss(self.model.encoder, step, rng) for name, task in self.tasks.items()}

    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """Draw rows and return the weighted sum of the tasks' losses, ()."""
        found = self.losses(self.draw(), self.generator)
        for name, value in found.items():
            self.sums[name] += float(value.detach())
        return torch.stack([self.weights[name] * value for name, value in found.items()]).sum()

    def validate(self) -> dict[str, float]:
        """Return the weighted loss over the validation corpus, and each task's."""
        rng, dev, size = np.random.default_rng([self.seed, 12]), self.dev, self.sizes.captions
        found = []
        for rows in in_order(len(dev.captions), size):
            alone, pairs = (rows % len(tokens) for tokens in (dev.alone, dev.first))
            step = dev.step(rows, alone, pairs, self.model.encoder.tokenizer)
            found.append({name: float(value) / distributed.size() for name, value in self.losses(step, rng).items()})
        means = {name: float(np.mean([one[name] for one in found])) for name in self.tasks}
        total = sum(self.weights[name] * value for name, value in means.items())
        return {"dev_loss": total} | {f"dev_{name}": value for name, value in means.items()}

    def train_metrics(self) -> dict[str, float]:
        """Return each task's mean training loss."""
        found = {f"train_{name}": round(value / self.steps, 6) for name, value in self.sums.items()}
        self.sums = dict.fromkeys(self.sums, 0.0)
        return found

    def state_dict(self) -> dict[str, float]:
        """Return the sums of `train_metrics`."""
        return dict(self.sums)

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restore the sums."""
        self.sums = dict(state)
