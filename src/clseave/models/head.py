"""The visual entailment head: features of the two vectors and three logits (thesis Eq. 3.1-3.3)."""

import torch
from torch import nn
from torch.nn import functional

from clseave.foundation.rows.labels import LABELS


def fuse(hypothesis: torch.Tensor, premise: torch.Tensor) -> torch.Tensor:
    """Features [h, p, |h - p|, h * p] of hypothesis and premise vectors, two (B, D) -> (B, 4D) (thesis Eq. 3.3)."""
    return torch.cat([hypothesis, premise, (hypothesis - premise).abs(), hypothesis * premise], dim=-1)


class Head(nn.Module):
    """Both vectors normalised, dropout, features, batch norm, then 4D -> hidden -> hidden -> 3 raw logits.

    The order of normalisation and dropout is that of the thesis author's code (its text names the parts only).
    """

    def __init__(self, width: int, hidden: int, dropout: float):
        """`width` is D, the size of each vector."""
        super().__init__()
        self.config = {"width": width, "hidden": hidden, "dropout": dropout}
        self.input_dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(
            nn.BatchNorm1d(4 * width),
            nn.Dropout(dropout),
            nn.Linear(4 * width, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.BatchNorm1d(hidden),
            nn.Dropout(dropout),
            nn.Linear(hidden, len(LABELS)),
        )

    def forward(self, hypothesis: torch.Tensor, premise: torch.Tensor) -> torch.Tensor:
        """Logits, two (B, D) -> (B, 3), in the order of `labels.LABELS`."""
        hypothesis = self.input_dropout(functional.normalize(hypothesis, dim=-1))
        premise = self.input_dropout(functional.normalize(premise, dim=-1))
        return self.layers(fuse(hypothesis, premise))
