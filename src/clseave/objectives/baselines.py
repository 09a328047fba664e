"""Baselines fitted in closed form to a score of each example: the most frequent label, and CLIPScore."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from clseave.foundation.rows.labels import label_id
from clseave.foundation.rows.records import Example, distinct_hypotheses, rows_of
from clseave.foundation.rows.vectors import VectorTable
from clseave.models.encoders import embed_texts
from clseave.models.head import ThresholdHead, cosine
from clseave.models.towers import AnyTextTower
from clseave.training.loop import Curve

Parts = tuple[list[Example], list[Example]]  # train and dev
Fitted = tuple[Curve, int, ThresholdHead]  # a training curve of one row, its epoch, the head
Scores = Callable[[list[Example]], torch.Tensor]  # (N,) on the CPU


def fit(parts: Parts, scores: Scores, fitter: Callable[..., ThresholdHead]) -> Fitted:
    """Fit a head to the scores and labels of train, and measure it on train and dev."""
    data = [(scores(rows), torch.tensor([label_id(row.label) for row in rows])) for rows in parts]
    head = fitter(*(tensor.numpy() for tensor in data[0]))
    metrics: dict[str, float] = {"epoch": 1}
    for name, (part_scores, labels) in zip(("train", "dev"), data, strict=True):
        logits = head.judge(part_scores)
        metrics[f"{name}_loss"] = round(functional.cross_entropy(logits, labels).item(), 6)
        metrics[f"{name}_accuracy"] = round((logits.argmax(dim=1) == labels).float().mean().item(), 6)
    return [metrics], 1, head


def fit_majority(parts: Parts) -> Fitted:
    """Fit the shares of the labels; the examples are ignored."""
    return fit(parts, lambda rows: torch.zeros(len(rows)), lambda _, labels: ThresholdHead.majority(labels))


def fit_clip_score(parts: Parts, tower: AnyTextTower, images: VectorTable, batch: int) -> Fitted:
    """Fit two thresholds on the cosine of CLIP's vectors before fine-tuning, computed in batches of `batch` rows."""

    def scores(rows: list[Example]) -> torch.Tensor:
        texts = distinct_hypotheses(rows)
        vectors = embed_texts(tower, list(texts.values()), batch)
        positions = {key: row for row, key in enumerate(texts)}
        hypothesis = rows_of((row.hypothesis_id for row in rows), positions, "hypothesis vector")
        premise = rows_of((row.image_id for row in rows), images.rows, "image vector")
        pieces = np.array_split(np.arange(len(rows)), -(-len(rows) // batch))
        return torch.cat([cosine(vectors[hypothesis[piece]], images[premise[piece]]) for piece in pieces])

    return fit(parts, scores, ThresholdHead.fit)
