"""The statistics of a run, row by row, from what its models predicted: how sure, how calibrated, where wrong."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from clseave.comparison import results
from clseave.comparison.outcomes import Outcome
from clseave.comparison.verdicts import ENGLISH
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.settings.schema import INDEPENDENT
from clseave.statistics import calibration, significance, slices
from clseave.statistics.metrics import BINS, class_scores, rounded

Row = Mapping[str, Any]
MAKERS = ("published", "recomputed")  # of a linguistic distance


def together(outcomes: Sequence[Outcome], names: Iterable[str]) -> list[Outcome]:
    """The named evaluations that judge the same rows as the first one: only those can be compared row by row."""
    first, chosen = [row.pair_id for row in outcomes[0].rows], set(names)
    return [one for one in outcomes if one.name in chosen and [row.pair_id for row in one.rows] == first]


def pairs(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """`significance.pairwise` of evaluations on the same rows, with labels."""
    labels = {one.name: one.label for one in outcomes}
    known, first = {one.name: one for one in outcomes}, outcomes[0]
    found = significance.pairwise(
        {one.name: one.right for one in outcomes},
        first.images,
        first.statements,
        lambda one, other: 100**2 * known[one].spread("accuracy", known[other]),
    )
    rows = len(first.rows)
    return [
        row | {"label": labels[row["evaluation"]], "other_label": labels[row["other"]], "rows": rows} for row in found
    ]


def reliability(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """`calibration.reliability` of every evaluation, all seeds' rows together."""
    return [
        {"evaluation": one.name, "label": one.label, **row}
        for one in outcomes
        for row in calibration.reliability(
            np.tile(one.gold, len(one.logits)), one.logits.reshape(-1, len(LABELS)), bins=BINS
        )
    ]


def slice_rows(outcomes: Sequence[Outcome], texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """`slices.rows` of evaluations on the same rows; `texts` is the English of each hypothesis id."""
    first, labels = outcomes[0], {one.name: one.label for one in outcomes}
    english = [(texts[row.hypothesis_id], row.kind) for row in first.rows]
    hits = {one.name: one.hits for one in outcomes}
    return slices.rows(hits, english, first.images, first.statements, labels)


def consistency(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """`slices.consistency` of evaluations on the same rows, of the first seed; no row for fewer than two."""
    if len(outcomes) < 2:
        return []
    labels = {one.name: one.label for one in outcomes} | {"all": "all languages"}
    predicted = {one.name: one.predicted[0] for one in outcomes}
    first = outcomes[0]
    found = slices.consistency(predicted, first.images, first.statements, first.gold)
    return [row | {"label": labels[row["evaluation"]]} for row in found]


def confusion(one: Outcome) -> list[dict[str, Any]]:
    """One row a gold label: how many rows of it were called what, as a mean over the seeds."""
    return [
        {"evaluation": one.name, "label": one.label, "gold": gold}
        | {label: rounded(count / len(one.logits)) for label, count in zip(LABELS, counts, strict=True)}
        for gold, counts in zip(LABELS, one.table, strict=True)
    ]


def class_rows(one: Outcome) -> list[dict[str, Any]]:
    """Share of gold and of predicted labels, precision, recall and F1 of each class, over all seeds."""
    scores, total = class_scores(one.table), one.table.sum()
    return [
        {
            "evaluation": one.name,
            "label": one.label,
            "class": name,
            "rows": len(one.rows),
            "gold": rounded(one.table[number].sum() / total),
            "predicted": rounded(one.table[:, number].sum() / total),
            **{key: rounded(values[number]) for key, values in scores.items()},
        }
        for number, name in enumerate(LABELS)
    ]


def fits(distances: Sequence[Row], scores: Sequence[Row]) -> list[dict[str, Any]]:
    """Accuracy in percent of the target languages' scores, fitted on each distance as published and as recomputed.

    A distance that is known for fewer than three of the languages, or that is the same for all, gives no row.
    """
    rows = []
    accuracy = {row["evaluation"]: 100 * row["accuracy"] for row in scores}
    for name in dict.fromkeys(row["distance"] for row in distances):
        for maker in MAKERS:
            points = [
                (row[maker], accuracy[row["language"]])
                for row in distances
                if row["distance"] == name and row[maker] is not None and row["language"] in accuracy
            ]
            if len(points) > 2 and all(len(set(values)) > 1 for values in zip(*points, strict=True)):
                rows.append({"distance": name, "maker": maker, **significance.regression(*zip(*points, strict=True))})
    return rows


def independent(outcomes: Sequence[Outcome], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Results on translations that are not the pipeline's, each beside its namesake on the pipeline's own."""
    known = {one.name: one for one in outcomes}
    found = []
    for row in rows:
        name = row["evaluation"].removeprefix(INDEPENDENT)
        if name != row["evaluation"]:
            gap = results.difference(known[row["evaluation"]], known.get(name)).row()
            found.append({**row, "rows_shared": gap.pop("rows"), **gap})
    return found


def contents(
    outcomes: Sequence[Outcome], languages: Sequence[str], texts: Mapping[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """The rows of every table of statistics, by its name; `texts` is the English of each hypothesis id."""
    judged = together(outcomes, [ENGLISH, *languages])
    shown = [one for one in outcomes if not one.name.startswith(INDEPENDENT)]
    return {
        "kinds": [row for one in shown for row in results.kind_rows(one)],
        "against_english": results.against_english(shown),
        "unseen": results.unseen(judged),
        "swap": [row for one in shown if (row := results.swap_row(one))],
        "seeds": results.seed_rows(shown),
        "classes": [row for one in shown for row in class_rows(one)],
        "confusion": [row for one in shown for row in confusion(one)],
        "significance": pairs(judged),
        "reliability": reliability(judged),
        "slices": slice_rows(together(shown, [one.name for one in shown]), texts),
        "consistency": consistency(judged),
    }
