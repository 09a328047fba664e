"""What the training loop minimises: the interface of the classes in `objectives`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn


class Objective(ABC):
    """What a training minimises: the model, its batches, its loss and its validation. Subclasses: `objectives`.

    `name` is for the log. `loss_name` is the loss's column in the curve. `max_grad_norm` bounds the norm of the
    gradient; None leaves it. `generator` is what batches and loss draw from beside torch's own generator, if anything:
    its state is part of a checkpoint.
    """

    name: str
    model: nn.Module
    loss_name: str = "train_loss"
    max_grad_norm: float | None = None
    generator: np.random.Generator | None = None

    @abstractmethod
    def batches(self, epoch: int) -> Sequence[np.ndarray]:
        """The batches of an epoch, counted from 1: row numbers, (B,) each."""

    @abstractmethod
    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """The loss of a batch of rows, (B,) -> ()."""

    def validate(self) -> dict[str, float]:
        """Metrics of the validation set; the first one is minimised. Empty: no validation, the last epoch counts."""
        return {}

    def train_metrics(self) -> dict[str, float]:
        """What the losses of an epoch collected beside themselves, at its end; the next epoch begins at zero."""
        return {}

    def state_dict(self) -> dict[str, float]:
        """What `train_metrics` has collected so far in this epoch: part of a checkpoint."""
        return {}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take up what `state_dict` gave."""
        assert not state
