"""Outcomes of evaluations beside English on the same rows, and beside the thesis's values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from clseave.foundation.errors import UserError
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import Example, Prediction, require
from clseave.foundation.settings.schema import INDEPENDENT
from clseave.statistics import metrics

OTHER_CORPUS, NOT_RUN = "other corpus", "not run"
ENGLISH = "en"  # the evaluation that the others are compared with


@dataclass(frozen=True)
class Outcome:
    """One evaluation of N rows by S seeds: metrics of each seed, examples, logits (S, N, 3), gold ids (N,)."""

    name: str
    label: str
    scores: list[dict[str, Any]]
    rows: list[Example]
    logits: np.ndarray
    gold: np.ndarray

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

    def mean(self, key: str) -> float | None:
        """Mean over the seeds of one number of the metrics; None where no seed has it."""
        return metrics.rounded(metrics.mean(np.array([one[key] for one in self.scores if one[key] is not None])))


@dataclass(frozen=True)
class Expected:
    """One value of the thesis: `metric` and `evaluation` name ours, `epoch` picks a row of a training curve."""

    evaluation: str
    metric: str
    value: float
    unit: str
    tolerance: float
    source: str
    why: str
    epoch: int | None = None


@dataclass(frozen=True)
class Expectations:
    """`expected.yaml`: the profile that works on the thesis's corpus, the width of the thesis's vectors, its values.

    `series` gives, for each error that a published table lists epoch by epoch, the tolerance as a share of the value.
    """

    profile: str
    width: int
    series: dict[str, float]
    values: list[Expected]


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
    return Outcome(name, label, scores, rows, np.stack(logits), metrics.gold_ids([row.label for row in rows]))


def difference(one: Outcome, other: Outcome | None, *, unseen: bool) -> dict[str, float | int | None]:
    """`one` minus `other` in points on the rows that both judge (unseen sentences only, if asked), with interval."""
    position = {row.pair_id: number for number, row in enumerate(other.rows)} if other else {}
    shared = [
        number
        for number, row in enumerate(one.rows)
        if row.pair_id in position and not (unseen and row.seen is not False)
    ]
    if other is None or not shared:
        return {"rows": 0, "points": None, "low": None, "high": None}
    matches = [position[one.rows[number].pair_id] for number in shared]
    points = 100 * (one.hits[shared] - other.hits[matches])
    low, high = metrics.interval(points, [one.rows[number].image_id for number in shared])
    return {
        "rows": len(shared),
        "points": metrics.rounded(metrics.mean(points)),
        "low": metrics.rounded(low),
        "high": metrics.rounded(high),
    }


def result_row(one: Outcome, english: Outcome) -> dict[str, Any]:
    """One row of the results table: shares of 1, differences in points, loss in nats."""
    low, high = metrics.interval(one.hits, one.images)
    accuracies = np.array([score["accuracy"] for score in one.scores])
    row = {
        "evaluation": one.name,
        "label": one.label,
        "rows": len(one.rows),
        "seeds": len(one.scores),
        "images": len(set(one.images)),
        "accuracy": one.mean("accuracy"),
        "accuracy_low": metrics.rounded(low),
        "accuracy_high": metrics.rounded(high),
        "accuracy_sd": metrics.rounded(float(accuracies.std(ddof=1))) if len(accuracies) > 1 else None,
    }
    row |= {key: one.mean(key) for key in ("accuracy_seen", "accuracy_unseen", "macro_f1", "loss", "ece")}
    row |= {key: one.scores[0][key] for key in ("rows_seen", "rows_unseen")}
    answer = int(one.table.sum(0).argmax())
    row |= {"answer": LABELS[answer], "answer_share": metrics.rounded(one.table[:, answer].sum() / one.table.sum())}
    row["constant"] = one.constant
    for suffix, unseen in (("", False), ("_unseen", True)):
        gap = difference(one, english, unseen=unseen)
        row |= {f"{key}_vs_{english.name}{suffix}": value for key, value in gap.items()}
    return row


def with_thesis(results: Sequence[dict[str, Any]], joined: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Results with the thesis's accuracy in percent and the verdict on ours, where the thesis has one."""
    theirs = {row["evaluation"]: row for row in joined if row["metric"] == "accuracy"}
    return [row | {key: theirs.get(row["evaluation"], {}).get(key) for key in ("thesis", "verdict")} for row in results]


def kind_rows(one: Outcome) -> list[dict[str, Any]]:
    """Accuracy (share of 1) by kind of statement; no row where the corpus has no kinds."""
    scores = metrics.by_group(one.hits, [row.kind for row in one.rows])
    return [
        {"evaluation": one.name, "label": one.label, "kind": kind, "rows": count, "accuracy": metrics.rounded(score)}
        for kind, (score, count) in scores.items()
    ]


def widen(outcomes: Sequence[Outcome], alignment: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The metrics that DVC's commands show: one group a measure, one number an evaluation, the mean over the seeds.

    Few, so that a person reads all of them: the accuracy of every evaluation on the test set; what says more of it, for
    English and the languages. All other numbers stand in the tables and in the metrics of each evaluation.
    """
    own = [one for one in outcomes if not one.name.startswith(INDEPENDENT)]
    main = {ENGLISH, *(row["language"] for row in alignment)}
    wide: dict[str, dict[str, Any]] = {"accuracy": {one.name: one.mean("accuracy") for one in own}}
    wide |= {key: {one.name: one.mean(key) for one in own if one.name in main} for key in ("accuracy_unseen", "loss")}
    wide["aer"] = {row["language"]: row["aer"] for row in alignment}
    return {group: {key: value for key, value in values.items() if value is not None} for group, values in wide.items()}


def parse(content: Mapping[str, Any]) -> Expectations:
    """Read `expected.yaml`. UserError names an entry that does not fit."""
    try:
        series = {entry["metric"]: entry["tolerance_percent"] / 100 for entry in content["series"]}
        return Expectations(
            content["profile"], content["width"], series, [Expected(**entry) for entry in content["values"]]
        )
    except (KeyError, TypeError) as error:
        fields = ", ".join(Expected.__annotations__)
        raise UserError(
            f"expected values: need `profile`, `width`, `series` with metric, tolerance_percent, "
            f"and `values` with {fields}: {error}"
        ) from error


def judge(expected: Expected, measured: float | None, *, comparable: bool) -> str:
    """OK within the tolerance, near within twice of it, else off; "not run" without a number.

    Without the thesis's corpus a number is never judged: "other corpus".
    """
    if not comparable:
        return OTHER_CORPUS
    if measured is None:
        return NOT_RUN
    distance = metrics.rounded(abs(measured - expected.value)) or 0.0
    return "OK" if distance <= expected.tolerance else "near" if distance <= 2 * expected.tolerance else "off"


def join(
    values: Sequence[Expected], measured: Mapping[tuple[str, str, int | None], float | None], *, comparable: bool
) -> list[dict[str, Any]]:
    """Thesis values beside ours; `measured` is keyed by (evaluation, metric, epoch), accuracies as shares of 1."""
    rows = []
    for entry in values:
        ours = measured.get((entry.evaluation, entry.metric, entry.epoch))
        if ours is not None and entry.unit == "percent":
            ours = 100 * ours
        rows.append(
            {
                "evaluation": entry.evaluation,
                "metric": entry.metric,
                "epoch": entry.epoch,
                "unit": entry.unit,
                "thesis": entry.value,
                "ours": metrics.rounded(ours),
                "tolerance": entry.tolerance,
                "verdict": judge(entry, ours, comparable=comparable),
                "source": entry.source,
                "why": entry.why,
            }
        )
    return rows
