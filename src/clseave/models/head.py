"""The visual entailment head: features of the two vectors and three logits (thesis Eq. 3.1-3.3).

Beside it the simplest heads: the majority label, or thresholds on the similarity of image and sentence (CLIPScore).
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from clseave.foundation.rows.labels import LABELS

ORDER = ("contradiction", "neutral", "entailment")  # from the least similar to the most
DECIMALS = 6  # of stored numbers: the last bits of a logarithm differ between machines


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


def cosine(hypothesis: torch.Tensor, premise: torch.Tensor) -> torch.Tensor:
    """Return the cosines of hypothesis and premise, two (B, D) -> (B,): unscaled CLIPScore (Hessel et al. 2021)."""
    return (functional.normalize(hypothesis, dim=-1) * functional.normalize(premise, dim=-1)).sum(dim=-1)


class ThresholdHead(nn.Module):
    """Head whose logits are the log-shares of the labels in the interval of a row's cosine, or in all rows."""

    edges: torch.Tensor
    table: torch.Tensor

    def __init__(self, thresholds: list[float], log_shares: list[list[float]]):
        """Take increasing `thresholds`, and `log_shares` of `LABELS` for each of the intervals between them.

        ValueError unless the thresholds are sorted and there is one more interval than thresholds.
        """
        super().__init__()
        if len(log_shares) != len(thresholds) + 1 or sorted(thresholds) != thresholds:
            raise ValueError(f"{len(log_shares)} intervals for the thresholds {thresholds}: expected one more, rising")
        self.config = {"thresholds": thresholds, "log_shares": log_shares}
        self.register_buffer("edges", torch.tensor(thresholds, dtype=torch.float32))
        self.register_buffer("table", torch.tensor(log_shares, dtype=torch.float32))

    def forward(self, hypothesis: torch.Tensor, premise: torch.Tensor) -> torch.Tensor:
        """Return logits, two (B, D) -> (B, 3), in the order of `labels.LABELS`."""
        return self.judge(cosine(hypothesis, premise))

    def judge(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the logits of cosines, (B,) -> (B, 3)."""
        return self.table[torch.bucketize(scores, self.edges, right=True)]

    @classmethod
    def fit(cls, scores: np.ndarray, labels: np.ndarray) -> "ThresholdHead":
        """Fit the two thresholds with the highest accuracy on (N,) cosines and their (N,) label ids."""
        thresholds = [round(float(edge), DECIMALS) for edge in best_thresholds(scores, labels)]
        interval = np.searchsorted(np.array(thresholds), scores, side="right")
        return cls(thresholds, [log_shares(labels[interval == number]) for number in range(len(thresholds) + 1)])

    @classmethod
    def majority(cls, labels: np.ndarray) -> "ThresholdHead":
        """Return a head with the shares of (N,) label ids for every row."""
        return cls([], [log_shares(labels)])


def best_thresholds(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the thresholds a <= b with the highest accuracy on (N,) cosines and label ids: contradiction below a,
    neutral up to b, entailment above.

    Ties are broken by the lowest b, then the lowest a. Takes N log N time: the best a for each b is a running maximum.
    """
    order = np.argsort(scores, kind="stable")
    ranked, ids = scores[order], labels[order]
    below = {name: np.concatenate([[0], np.cumsum(ids == LABELS.index(name))]) for name in ORDER}
    places = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1], [True]]))  # not between equal scores
    contradiction, neutral, entailment = (below[name][places] for name in ORDER)
    best_low = np.maximum.accumulate(contradiction - neutral)
    high = int(np.argmax(best_low + neutral - entailment))
    low = int(np.argmax(contradiction[: high + 1] - neutral[: high + 1]))
    edges = np.concatenate([[ranked[0] - 1], (ranked[1:] + ranked[:-1]) / 2, [ranked[-1] + 1]])
    return float(edges[places[low]]), float(edges[places[high]])


def log_shares(labels: np.ndarray) -> list[float]:
    """Return the natural logarithm of each label's share of (N,) ids, with add-one smoothing."""
    counts = np.bincount(labels, minlength=len(LABELS)) + 1
    return [round(math.log(count / counts.sum()), DECIMALS) for count in counts.tolist()]
