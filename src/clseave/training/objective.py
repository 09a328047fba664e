"""The interface between the training loop and the classes in `objectives`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn


class Objective(ABC):
    """A training objective: the model, its batches, its loss and its validation.

    Attributes:
        name: in the log and in messages.
        model: the module that is trained.
        loss_name: the column of the training loss in the curve.
        max_grad_norm: the gradient is clipped to this norm; None: not clipped.
        generator: the NumPy generator that `loss` draws from, if any; its state is part of a checkpoint.
    """

    name: str
    model: nn.Module
    loss_name: str = "train_loss"
    max_grad_norm: float | None = None
    generator: np.random.Generator | None = None

    @abstractmethod
    def batches(self, epoch: int) -> Sequence[np.ndarray]:
        """Return the batches of an epoch, counted from 1: row numbers, (B,) each."""

    @abstractmethod
    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """Return the loss of a batch of rows, (B,) -> ()."""

    def validate(self) -> dict[str, float]:
        """Return metrics of the validation set; the first one is minimised. Empty: no validation, the last epoch is
        kept.
        """
        return {}

    def train_metrics(self) -> dict[str, float]:
        """Return metrics aggregated by `loss` over the epoch, and reset them."""
        return {}

    def state_dict(self) -> dict[str, float]:
        """Return the aggregated values behind `train_metrics`, for a checkpoint within an epoch."""
        return {}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restore the values that `state_dict` returned."""
        assert not state
