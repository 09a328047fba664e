"""Outcomes of evaluations beside English on the same rows, and beside the thesis's values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clseave import metrics
from clseave.errors import UserError
from clseave.labels import LABELS
from clseave.records import Prediction

OTHER_CORPUS = "other corpus"
ENGLISH = "en"  # the evaluation that the others are compared with


@dataclass(frozen=True)
class Outcome:
    """One evaluation: its metrics for each seed, its rows, and their hits (N,), averaged over the seeds."""

    name: str
    label: str
    scores: list[dict[str, Any]]
    rows: list[Prediction]
    hits: np.ndarray
    table: np.ndarray  # (3, 3) confusion counts, summed over the seeds

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


def outcome(name: str, label: str, scores: list[dict[str, Any]], predictions: list[list[Prediction]]) -> Outcome:
    """Join metrics and predictions of one evaluation, one of each a seed. UserError when they disagree."""
    rows = predictions[0]
    ids = [row.pair_id for row in rows]
    hits, table = np.zeros(len(rows)), np.zeros((len(LABELS), len(LABELS)), dtype=np.int64)
    for score, seed_rows in zip(scores, predictions, strict=True):
        if score["rows"] != len(seed_rows) or [row.pair_id for row in seed_rows] != ids:
            raise UserError(
                f"{name}: metrics count {score['rows']} rows, predictions hold {len(seed_rows)}, and every "
                f"seed must judge the same pairs: run `dvc repro` for its `evaluate` stages again"
            )
        gold = metrics.gold_ids([row.gold for row in seed_rows])
        predicted = metrics.check_logits(np.array([row.logits for row in seed_rows]), len(rows)).argmax(1)
        hits += (predicted == gold) / len(scores)
        table += metrics.confusion(gold, predicted)
    return Outcome(name, label, scores, rows, hits, table)


def difference(one: Outcome, other: Outcome, *, unseen: bool) -> dict[str, float | int | None]:
    """`one` minus `other` in points on the rows that both judge (unseen sentences only, if asked), with interval."""
    position = {row.pair_id: number for number, row in enumerate(other.rows)}
    shared = [
        number
        for number, row in enumerate(one.rows)
        if row.pair_id in position and not (unseen and row.seen is not False)
    ]
    if not shared:
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


def result_row(one: Outcome, english: Outcome, thesis: Mapping[str, Any] | None) -> dict[str, Any]:
    """One row of the results table: shares of 1, differences in points, loss in nats."""
    low, high = metrics.interval(one.hits, [row.image_id for row in one.rows])
    accuracies = np.array([score["accuracy"] for score in one.scores])
    row = {
        "evaluation": one.name,
        "label": one.label,
        "rows": len(one.rows),
        "seeds": len(one.scores),
        "images": len({row.image_id for row in one.rows}),
        "accuracy": one.mean("accuracy"),
        "accuracy_low": metrics.rounded(low),
        "accuracy_high": metrics.rounded(high),
        "accuracy_sd": metrics.rounded(float(accuracies.std(ddof=1))) if len(accuracies) > 1 else None,
    }
    row |= {key: one.mean(key) for key in ("accuracy_seen", "accuracy_unseen", "macro_f1", "loss")}
    row |= {key: one.scores[0][key] for key in ("rows_seen", "rows_unseen")}
    for suffix, unseen in (("", False), ("_unseen", True)):
        gap = difference(one, english, unseen=unseen)
        row |= {f"{key}_vs_{english.name}{suffix}": value for key, value in gap.items()}
    thesis = thesis or {}
    return row | {"thesis": thesis.get("thesis"), "verdict": thesis.get("verdict")}


def kind_rows(one: Outcome) -> list[dict[str, Any]]:
    """Accuracy (share of 1) by kind of statement; no row where the corpus has no kinds."""
    scores = metrics.by_group(one.hits, [row.kind for row in one.rows])
    return [
        {"evaluation": one.name, "label": one.label, "kind": kind, "rows": count, "accuracy": metrics.rounded(score)}
        for kind, (score, count) in scores.items()
    ]


def class_rows(one: Outcome) -> list[dict[str, Any]]:
    """Share of gold and of predicted labels, precision, recall and F1 of each class, over all seeds."""
    scores, total = metrics.class_scores(one.table), one.table.sum()
    return [
        {
            "evaluation": one.name,
            "label": one.label,
            "class": name,
            "rows": len(one.rows),
            "gold": metrics.rounded(one.table[number].sum() / total),
            "predicted": metrics.rounded(one.table[:, number].sum() / total),
            **{key: metrics.rounded(values[number]) for key, values in scores.items()},
        }
        for number, name in enumerate(LABELS)
    ]


def widen(outcomes: Sequence[Outcome], alignment: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The metrics that `dvc metrics diff` compares: one group a measure, one number an evaluation."""
    keys = ("accuracy", "accuracy_seen", "accuracy_unseen")
    wide: dict[str, dict[str, Any]] = {key: {one.name: one.mean(key) for one in outcomes} for key in keys}
    wide["aer"] = {row["language"]: row["aer"] for row in alignment if row["aer"] is not None}
    wide[f"accuracy_kind_{ENGLISH}"] = {row["kind"]: row["accuracy"] for row in kind_rows(outcomes[0])}
    return {group: {key: value for key, value in values.items() if value is not None} for group, values in wide.items()}


def parse(content: Mapping[str, Any]) -> tuple[str, list[Expected]]:
    """The thesis's profile name and values from `expected.yaml`. UserError names an entry that does not fit."""
    try:
        return content["profile"], [Expected(**entry) for entry in content["values"]]
    except (KeyError, TypeError) as error:
        fields = ", ".join(Expected.__annotations__)
        raise UserError(f"expected values: need `profile`, and `values` with {fields}: {error}") from error


def judge(expected: Expected, measured: float | None, *, comparable: bool) -> str:
    """OK within the tolerance, near within twice of it, else off; "not run" without a number.

    Without the thesis's corpus a number is never judged: "other corpus".
    """
    if not comparable:
        return OTHER_CORPUS
    if measured is None:
        return "not run"
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
