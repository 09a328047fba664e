"""Outcomes of evaluations: metrics and predictions of every seed, joined with the examples that were judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import Example, Prediction, require
from clseave.statistics import metrics, swaps
from clseave.statistics.clustered import codes, of_seeds

PARTS = {"all": "accuracy", "seen": "seen", "unseen": "unseen"}  # of the rows; and the measure that is accuracy there
MEASURES = (*PARTS.values(), "swap_accuracy")


@dataclass(frozen=True)
class Outcome:
    """One evaluation of N rows by S seeds: metrics of each seed, examples, logits (S, N, 3), gold ids (N,)."""

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
        """Which rows each seed judges rightly, (S, N) bool."""
        return self.predicted == self.gold

    @cached_property
    def hits(self) -> np.ndarray:
        """The share of the seeds that judge a row rightly, (N,)."""
        return self.right.mean(0)

    @cached_property
    def table(self) -> np.ndarray:
        """Confusion counts (3, 3), summed over the seeds: gold down, predicted across."""
        return metrics.confusion(np.tile(self.gold, len(self.logits)), self.predicted.ravel())

    @cached_property
    def constant(self) -> str | None:
        """The one label that (almost) every row gets, from every seed; None for a model that tells rows apart."""
        return metrics.constant_label(self.predicted.ravel())

    @cached_property
    def images(self) -> list[str]:
        """The image of each row."""
        return [row.image_id for row in self.rows]

    @cached_property
    def statements(self) -> list[str]:
        """What each row's hypothesis says: its statement, or the hypothesis itself where the corpus does not know."""
        return [row.statement or row.hypothesis_id for row in self.rows]

    @cached_property
    def clusters(self) -> np.ndarray:
        """Numbers of each row's image and statement, (2, N)."""
        return np.stack([codes(self.images), codes(self.statements)])

    def part(self, which: str) -> np.ndarray:
        """Which rows are of one of `PARTS`, (N,) bool."""
        return np.array([which == "all" or row.seen is (which == "seen") for row in self.rows], dtype=bool)

    def measured(self) -> dict[str, dict[int, float]]:
        """`MEASURES` of this run's own seeds by number, those that the rows allow; shares of 1."""
        found: dict[str, dict[int, float]] = {name: {} for name in MEASURES}
        pairs = [row.pair for row in self.rows]
        for score, hits in zip(self.scores, self.right, strict=True):
            values = {name: metrics.mean(hits[self.part(which)]) for which, name in PARTS.items()}
            values["swap_accuracy"] = swaps.summary(hits, pairs)["swap_accuracy"]
            for name, value in values.items():
                if value is not None:
                    found[name][score["seed"]] = value
        return found

    def spread(self, measure: str, other: "Outcome | None" = None) -> float:
        """What the choice of training seeds adds to the variance of a measure, or of what it is more than another's."""
        return of_seeds(list(gaps(self, other, measure).values()), len(self.logits))

    def mean(self, key: str) -> float | None:
        """Mean over the seeds of one number of the metrics; None where no seed has it."""
        return metrics.rounded(metrics.mean(np.array([one[key] for one in self.scores if one[key] is not None])))


def gaps(one: Outcome, other: Outcome | None, measure: str) -> dict[int, float]:
    """A measure of every known seed, or what it is more than another outcome's at the same seed; shares of 1."""
    own = one.by_seed.get(measure, {})
    if other is None:
        return dict(own)
    theirs = other.by_seed.get(measure, {})
    return {seed: own[seed] - theirs[seed] for seed in own if seed in theirs}


def outcome(
    name: str,
    label: str,
    scores: list[dict[str, Any]],
    predictions: list[list[Prediction]],
    examples: Mapping[str, Example],
) -> Outcome:
    """Join metrics and predictions of one evaluation, one of each a seed, with the examples by pair id.

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
    found = Outcome(name, label, scores, rows, np.stack(logits), metrics.gold_ids([row.label for row in rows]))
    return replace(found, by_seed=found.measured())
