"""Outcomes of evaluations: metrics and predictions of every seed, joined with the examples."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import Example, Prediction, require
from clseave.statistics import metrics, swaps
from clseave.statistics.clustered import codes, of_seeds

PARTS = {"all": "accuracy", "seen": "seen", "unseen": "unseen"}  # parts of the rows, and the name of the accuracy there
MEASURES = (*PARTS.values(), "swap_accuracy")


@dataclass(frozen=True)
class Outcome:
    """One evaluation of N rows with S seeds: metrics of each seed, examples, logits (S, N, 3), gold ids (N,)."""

    name: str
    label: str
    scores: list[dict[str, Any]]
    rows: list[Example]
    logits: np.ndarray
    gold: np.ndarray
    by_seed: Mapping[str, Mapping[int, float]] = field(default_factory=dict)  # `MEASURES` of every known seed

    @cached_property
    def predicted(self) -> np.ndarray:
        """Label ids (S, N)."""
        return self.logits.argmax(2)

    @cached_property
    def right(self) -> np.ndarray:
        """Correct predictions, (S, N) bool."""
        return self.predicted == self.gold

    @cached_property
    def hits(self) -> np.ndarray:
        """Mean correctness over the seeds, (N,)."""
        return self.right.mean(0)

    @cached_property
    def table(self) -> np.ndarray:
        """Confusion counts (3, 3), summed over the seeds: row = gold id, column = predicted id."""
        return metrics.confusion(np.tile(self.gold, len(self.logits)), self.predicted.ravel())

    @cached_property
    def constant(self) -> str | None:
        """The label that (almost) all rows of all seeds get (`metrics.constant_label`); None without such a label."""
        return metrics.constant_label(self.predicted.ravel())

    @cached_property
    def images(self) -> list[str]:
        """The image of each row."""
        return [row.image_id for row in self.rows]

    @cached_property
    def statements(self) -> list[str]:
        """The statement of each row's hypothesis; the hypothesis id where the corpus has no statements."""
        return [row.statement or row.hypothesis_id for row in self.rows]

    @cached_property
    def clusters(self) -> np.ndarray:
        """Integer codes of each row's image and statement, (2, N)."""
        return np.stack([codes(self.images), codes(self.statements)])

    def part(self, which: str) -> np.ndarray:
        """Return which rows belong to a part of `PARTS`, (N,) bool."""
        return np.array([which == "all" or row.seen is (which == "seen") for row in self.rows], dtype=bool)

    def measured(self) -> dict[str, dict[int, float]]:
        """Return `MEASURES` by this run's seeds, as shares of 1; a measure without rows has no seed."""
        measures: dict[str, dict[int, float]] = {name: {} for name in MEASURES}
        pairs = [row.pair for row in self.rows]
        for score, hits in zip(self.scores, self.right, strict=True):
            values = {name: metrics.mean(hits[self.part(which)]) for which, name in PARTS.items()}
            values["swap_accuracy"] = swaps.summary(hits, pairs)["swap_accuracy"]
            for name, value in values.items():
                if value is not None:
                    measures[name][score["seed"]] = value
        return measures

    def spread(self, measure: str, other: "Outcome | None" = None) -> float:
        """Return the variance that the choice of seeds adds to a measure, or to its difference to another outcome."""
        return of_seeds(list(gaps(self, other, measure).values()), len(self.logits))

    def mean(self, key: str) -> float | None:
        """Return the mean over the seeds of one number of the metrics; None where no seed has it."""
        return metrics.rounded(metrics.mean(np.array([row[key] for row in self.scores if row[key] is not None])))


def gaps(first: Outcome, second: Outcome | None, measure: str) -> dict[int, float]:
    """Return a measure of `first` by known seed, or its difference to `second` at the same seed; shares of 1."""
    values = first.by_seed.get(measure, {})
    if second is None:
        return dict(values)
    reference = second.by_seed.get(measure, {})
    return {seed: values[seed] - reference[seed] for seed in values if seed in reference}


def outcome(
    name: str,
    label: str,
    scores: list[dict[str, Any]],
    predictions: list[list[Prediction]],
    examples: Mapping[str, Example],
) -> Outcome:
    """Join metrics and predictions of one evaluation, in the order of the seeds, with the examples by pair id.

    UserError when they disagree.
    """
    ids, logits = [row.pair_id for row in predictions[0]], []
    require(ids, examples, f"example of {name}")
    rows = [examples[key] for key in ids]
    for score, seed_rows in zip(scores, predictions, strict=True):
        if score["rows"] != len(seed_rows) or [row.pair_id for row in seed_rows] != ids:
            raise UserError(
                f"{name}: metrics count {score['rows']} rows, predictions hold {len(seed_rows)}, and every "
                f"seed must judge the same pairs: run `dvc repro` for its `evaluate` stages again"
            )
        logits.append(metrics.check_logits(np.array([row.logits for row in seed_rows]), len(rows)))
    joined = Outcome(name, label, scores, rows, np.stack(logits), metrics.gold_ids([row.label for row in rows]))
    return replace(joined, by_seed=joined.measured())
