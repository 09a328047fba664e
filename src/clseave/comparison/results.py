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
from clseave.statistics.significance import with_tests

CHANCE_OF_SWAPS = 0.0  # a model that ignores word order predicts the same label twice, and the gold labels differ


@dataclass(frozen=True)
class Gap:
    """The difference of two outcomes in points on their shared rows, and the number of these rows."""

    rows: int
    statements: int
    points: Estimate | None

    def row(self) -> dict[str, float | int | None]:
        """Return the entries of a table's row; None where the outcomes share no row."""
        ends = (self.points.value, self.points.low, self.points.high) if self.points else (None, None, None)
        return {"rows": self.rows} | dict(zip(("points", "low", "high"), map(rounded, ends), strict=True))


def difference(outcome: Outcome, other: Outcome | None, *, part: str = "all") -> Gap:
    """Estimate `outcome` minus `other` on the shared rows of a part of `PARTS`, clustered by image and statement."""
    position = {row.pair_id: number for number, row in enumerate(other.rows)} if other else {}
    shared = [row for row in np.flatnonzero(outcome.part(part)).tolist() if outcome.rows[row].pair_id in position]
    if other is None or not shared:
        return Gap(0, 0, None)
    matches = [position[outcome.rows[row].pair_id] for row in shared]
    points = 100 * (outcome.hits[shared] - other.hits[matches])
    images, statements = outcome.clusters[:, shared]
    seeds = 100**2 * outcome.spread(PARTS[part], other)
    return Gap(len(shared), len(np.unique(statements)), estimate(points, images, statements, seeds=seeds))


def accuracy(outcome: Outcome, part: str = "all") -> dict[str, float | None]:
    """Return the interval of the accuracy on a part of `PARTS`, and its numbers of rows and statements."""
    chosen, suffix = outcome.part(part), "" if part == "all" else f"_{part}"
    images, statements = outcome.clusters[:, chosen]
    low = high = None
    if chosen.any():
        low, high = estimate(outcome.hits[chosen], images, statements, seeds=outcome.spread(PARTS[part])).within(0, 1)
    ends = {f"accuracy{suffix}_low": rounded(low), f"accuracy{suffix}_high": rounded(high)}
    return ends | {f"rows{suffix}": int(chosen.sum()), f"statements{suffix}": len(np.unique(statements))}


def result_row(outcome: Outcome, english: Outcome) -> dict[str, Any]:
    """Return one row of the results table: shares of 1, differences in points, loss in nats."""
    row: dict[str, Any] = {"evaluation": outcome.name, "label": outcome.label}
    row |= {"seeds": len(outcome.scores), "images": len(set(outcome.images))}
    row |= {
        key: outcome.mean(key) for key in ("accuracy", "accuracy_seen", "accuracy_unseen", "macro_f1", "loss", "ece")
    }
    for part in PARTS:
        row |= accuracy(outcome, part)
    swap = swap_row(outcome)
    row |= {f"swap_{key}": swap.get(name) for key, name in (("accuracy", "swap_accuracy"), ("pairs", "pairs"))}
    values = list(gaps(outcome, None, "accuracy").values())
    several = len(values) > 1
    row |= {"all_seeds": len(values), "seeds_mean": rounded(mean(np.array(values))) if several else None}
    row["seeds_sd"] = rounded(float(np.std(values, ddof=1))) if several else None
    answer = int(outcome.table.sum(0).argmax())
    row |= {"answer": LABELS[answer], "answer_share": rounded(outcome.table[:, answer].sum() / outcome.table.sum())}
    row["constant"] = outcome.constant
    for suffix, part in (("", "all"), ("_unseen", "unseen")):
        gap = difference(outcome, english, part=part).row()
        row |= {f"{key}_vs_{english.name}{suffix}": value for key, value in gap.items()}
    return row


def against_english(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return the differences of every evaluation to the first (English), on all, seen and unseen rows.

    Holm's correction is over all rows of the table.
    """
    rows, estimates = [], []
    for part, outcome in product(PARTS, outcomes[1:]):
        gap = difference(outcome, outcomes[0], part=part)
        if gap.points:
            sizes = {"rows": gap.rows, "statements": gap.statements}
            rows.append({"evaluation": outcome.name, "label": outcome.label, "rows_set": part} | sizes)
            estimates.append(gap.points)
    return with_tests(rows, estimates)


def swap_row(outcome: Outcome) -> dict[str, Any]:
    """Return the accuracy on minimal pairs with its interval, and on their single rows; empty without pairs.

    A pair is clustered by its image and by its two statements together.
    """
    pairs = swaps.complete([row.pair for row in outcome.rows])
    if not len(pairs):
        return {}
    hits = outcome.right[:, pairs]  # seeds, pairs, the two rows of each
    images, statements = swaps.clusters(pairs, outcome.clusters[0], outcome.statements)
    share = estimate(hits.all(2).mean(0), images, statements, seeds=outcome.spread("swap_accuracy"))
    low, high = share.within(0, 1)
    row = {"evaluation": outcome.name, "label": outcome.label, "pairs": len(pairs)}
    row |= {"swap_accuracy": rounded(share.value), "swap_low": rounded(low), "swap_high": rounded(high)}
    return row | {"row_accuracy": rounded(float(hits.mean())), "chance": CHANCE_OF_SWAPS}


def kind_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """Return the accuracy (share of 1) by kind of statement; no row where the corpus has no kinds."""
    scores = by_group(outcome.hits, [row.kind for row in outcome.rows])
    return [
        {"evaluation": outcome.name, "label": outcome.label, "kind": kind, "rows": count, "accuracy": rounded(score)}
        for kind, (score, count) in scores.items()
    ]


def unseen(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return rows, statements and each outcome's accuracy on seen and unseen rows, over all kinds and by kind.

    The outcomes have the same rows. No row where the corpus does not mark seen statements.
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
        for outcome in outcomes:
            row |= {f"{outcome.name}_{part}": rounded(mean(outcome.hits[chosen])) for part, chosen in members.items()}
        rows.append(row)
    return rows


def seed_rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return mean, spread, minimum and maximum over the seeds of every evaluation with several, and its gap to English.

    Accuracies are shares of 1; gaps are in points, between the same seeds.
    """
    rows = []
    for outcome in outcomes:
        values = np.array(list(gaps(outcome, None, "accuracy").values()))
        if len(values) < 2:
            continue
        row = {"evaluation": outcome.name, "label": outcome.label, "seeds": len(values)} | _spread(values, "")
        row |= {"min": rounded(values.min()), "max": rounded(values.max())}
        points = 100 * np.array(list(gaps(outcome, outcomes[0], "accuracy").values()))
        row |= _spread(points if outcome is not outcomes[0] else points[:0], "gap_")
        for measure in ("unseen", "swap_accuracy"):
            by_seed = np.array(list(gaps(outcome, None, measure).values()))
            row |= _spread(by_seed, f"{measure.partition('_')[0]}_")
        rows.append(row)
    return rows


def _spread(values: np.ndarray, prefix: str) -> dict[str, float | None]:
    """Return mean and standard deviation over the seeds; None where there are too few."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {f"{prefix}mean": rounded(mean(values)), f"{prefix}sd": rounded(sd)}


def headline_metrics(
    outcomes: Sequence[Outcome], alignment: Sequence[dict[str, Any]], results: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the metrics that DVC's commands show, by measure and evaluation, as means over the seeds.

    They are few enough to read: the accuracy of every evaluation on the test set, and four more measures of English and
    the languages. All other numbers are in the tables and in the metrics of each evaluation.
    """
    own = [outcome for outcome in outcomes if not outcome.name.startswith(INDEPENDENT)]
    main = {ENGLISH, *(row["language"] for row in alignment)}
    wide: dict[str, dict[str, Any]] = {"accuracy": {outcome.name: outcome.mean("accuracy") for outcome in own}}
    for key in ("accuracy_unseen", "loss"):
        wide[key] = {outcome.name: outcome.mean(key) for outcome in own if outcome.name in main}
    wide["swap_accuracy"] = {row["evaluation"]: row["swap_accuracy"] for row in results if row["evaluation"] in main}
    wide["aer"] = {row["language"]: row["aer"] for row in alignment}
    return {group: {key: value for key, value in values.items() if value is not None} for group, values in wide.items()}
