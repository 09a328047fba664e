"""Tables of outcomes: accuracies with intervals, differences, minimal pairs, seen and unseen statements, headlines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from clseave.comparison.outcomes import PARTS, Outcome, gaps
from clseave.comparison.verdicts import ENGLISH
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.settings.schema import INDEPENDENT
from clseave.statistics import swaps
from clseave.statistics.clustered import Estimate, estimate
from clseave.statistics.metrics import by_group, mean, rounded
from clseave.statistics.significance import judged

CHANCE_OF_SWAPS = 0.0  # who cannot tell the order answers both rows of a pair alike, and their labels differ


@dataclass(frozen=True)
class Gap:
    """The difference of two outcomes in points on the rows that both judge, and how many of them there are."""

    rows: int
    statements: int
    points: Estimate | None

    def row(self) -> dict[str, float | int | None]:
        """As part of a table's row; None where the outcomes share no row."""
        ends = (self.points.value, self.points.low, self.points.high) if self.points else (None, None, None)
        return {"rows": self.rows} | dict(zip(("points", "low", "high"), map(rounded, ends), strict=True))


def difference(one: Outcome, other: Outcome | None, *, part: str = "all") -> Gap:
    """`one` minus `other` on the shared rows of one of `PARTS`, clustered by image and statement."""
    position = {row.pair_id: number for number, row in enumerate(other.rows)} if other else {}
    shared = [row for row in np.flatnonzero(one.part(part)).tolist() if one.rows[row].pair_id in position]
    if other is None or not shared:
        return Gap(0, 0, None)
    matches = [position[one.rows[row].pair_id] for row in shared]
    points = 100 * (one.hits[shared] - other.hits[matches])
    images, statements = one.clusters[:, shared]
    seeds = 100**2 * one.spread(PARTS[part], other)
    return Gap(len(shared), len(np.unique(statements)), estimate(points, images, statements, seeds=seeds))


def accuracy(one: Outcome, part: str = "all") -> dict[str, float | None]:
    """Ends of the interval of accuracy on one of `PARTS`, and how many rows and statements that has."""
    chosen, suffix = one.part(part), "" if part == "all" else f"_{part}"
    images, statements = one.clusters[:, chosen]
    low = high = None
    if chosen.any():
        found = estimate(one.hits[chosen], images, statements, seeds=one.spread(PARTS[part]))
        low, high = found.within(0, 1)
    ends = {f"accuracy{suffix}_low": rounded(low), f"accuracy{suffix}_high": rounded(high)}
    return ends | {f"rows{suffix}": int(chosen.sum()), f"statements{suffix}": len(np.unique(statements))}


def result_row(one: Outcome, english: Outcome) -> dict[str, Any]:
    """One row of the results table: shares of 1, differences in points, loss in nats."""
    row = {"evaluation": one.name, "label": one.label, "seeds": len(one.scores), "images": len(set(one.images))}
    row |= {key: one.mean(key) for key in ("accuracy", "accuracy_seen", "accuracy_unseen", "macro_f1", "loss", "ece")}
    for part in PARTS:
        row |= accuracy(one, part)
    swap = swap_row(one)
    row |= {f"swap_{key}": swap.get(name) for key, name in (("accuracy", "swap_accuracy"), ("pairs", "pairs"))}
    values = list(gaps(one, None, "accuracy").values())
    several = len(values) > 1
    row |= {"all_seeds": len(values), "seeds_mean": rounded(mean(np.array(values))) if several else None}
    row["seeds_sd"] = rounded(float(np.std(values, ddof=1))) if several else None
    answer = int(one.table.sum(0).argmax())
    row |= {"answer": LABELS[answer], "answer_share": rounded(one.table[:, answer].sum() / one.table.sum())}
    row["constant"] = one.constant
    for suffix, part in (("", "all"), ("_unseen", "unseen")):
        gap = difference(one, english, part=part).row()
        row |= {f"{key}_vs_{english.name}{suffix}": value for key, value in gap.items()}
    return row


def against_english(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Differences of every evaluation to the first (English), on all, seen and unseen rows.

    Holm's correction is over all rows.
    """
    rows, found = [], []
    for part, one in product(PARTS, outcomes[1:]):
        gap = difference(one, outcomes[0], part=part)
        if gap.points:
            sizes = {"rows": gap.rows, "statements": gap.statements}
            rows.append({"evaluation": one.name, "label": one.label, "rows_set": part} | sizes)
            found.append(gap.points)
    return judged(rows, found)


def swap_row(one: Outcome) -> dict[str, Any]:
    """Minimal pairs of which both rows are right, with interval, and their single rows; empty where there is none.

    A pair's clusters are its image and its two statements together.
    """
    pairs = swaps.complete([row.pair for row in one.rows])
    if not len(pairs):
        return {}
    hits = one.right[:, pairs]  # seeds, pairs, the two rows of each
    images, statements = swaps.clusters(pairs, one.clusters[0], one.statements)
    found = estimate(hits.all(2).mean(0), images, statements, seeds=one.spread("swap_accuracy"))
    low, high = found.within(0, 1)
    row = {"evaluation": one.name, "label": one.label, "pairs": len(pairs), "swap_accuracy": rounded(found.value)}
    row |= {"swap_low": rounded(low), "swap_high": rounded(high)}
    return row | {"row_accuracy": rounded(float(hits.mean())), "chance": CHANCE_OF_SWAPS}


def kind_rows(one: Outcome) -> list[dict[str, Any]]:
    """Accuracy (share of 1) by kind of statement; no row where the corpus has no kinds."""
    scores = by_group(one.hits, [row.kind for row in one.rows])
    return [
        {"evaluation": one.name, "label": one.label, "kind": kind, "rows": count, "accuracy": rounded(score)}
        for kind, (score, count) in scores.items()
    ]


def unseen(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Rows, statements and each outcome's accuracy on seen and unseen rows, of all kinds and of each.

    The outcomes judge the same rows. No row where it is not known which were seen.
    """
    first = outcomes[0]
    kinds = np.array([row.kind for row in first.rows], dtype=object)
    parts = {part: first.part(part) for part in PARTS if part != "all"}
    if not any(chosen.any() for chosen in parts.values()):
        return []
    rows = []
    for kind in ("all", *sorted({kind for kind in kinds if kind is not None})):
        members = {part: chosen & ((kinds == kind) | (kind == "all")) for part, chosen in parts.items()}
        row: dict[str, Any] = {"kind": kind}
        for part, chosen in members.items():
            row |= {f"rows_{part}": int(chosen.sum()), f"statements_{part}": len(np.unique(first.clusters[1][chosen]))}
        for one in outcomes:
            row |= {f"{one.name}_{part}": rounded(mean(one.hits[chosen])) for part, chosen in members.items()}
        rows.append(row)
    return rows


def seed_rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Mean, spread and ends of accuracy over the seeds of every evaluation that has several, and of its gap to English.

    Accuracies are shares of 1, gaps are points, from the same seed of both.
    """
    rows = []
    for one in outcomes:
        values = np.array(list(gaps(one, None, "accuracy").values()))
        if len(values) < 2:
            continue
        row = {"evaluation": one.name, "label": one.label, "seeds": len(values)} | _spread(values, "")
        row |= {"min": rounded(values.min()), "max": rounded(values.max())}
        apart = 100 * np.array(list(gaps(one, outcomes[0], "accuracy").values()))
        row |= _spread(apart if one is not outcomes[0] else apart[:0], "gap_")
        for measure in ("unseen", "swap_accuracy"):
            found = np.array(list(gaps(one, None, measure).values()))
            row |= _spread(found, f"{measure.partition('_')[0]}_")
        rows.append(row)
    return rows


def _spread(values: np.ndarray, prefix: str) -> dict[str, float | None]:
    """Mean and standard deviation over the seeds; None where there are not enough."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {f"{prefix}mean": rounded(mean(values)), f"{prefix}sd": rounded(sd)}


def widen(
    outcomes: Sequence[Outcome], alignment: Sequence[dict[str, Any]], results: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The metrics that DVC's commands show: one group a measure, one number an evaluation, the mean over the seeds.

    Few, so that a person reads all of them: the accuracy of every evaluation on the test set; what says more of it, for
    English and the languages. All other numbers stand in the tables and in the metrics of each evaluation.
    """
    own = [one for one in outcomes if not one.name.startswith(INDEPENDENT)]
    main = {ENGLISH, *(row["language"] for row in alignment)}
    wide: dict[str, dict[str, Any]] = {"accuracy": {one.name: one.mean("accuracy") for one in own}}
    wide |= {key: {one.name: one.mean(key) for one in own if one.name in main} for key in ("accuracy_unseen", "loss")}
    wide["swap_accuracy"] = {row["evaluation"]: row["swap_accuracy"] for row in results if row["evaluation"] in main}
    wide["aer"] = {row["language"]: row["aer"] for row in alignment}
    return {group: {key: value for key, value in values.items() if value is not None} for group, values in wide.items()}
