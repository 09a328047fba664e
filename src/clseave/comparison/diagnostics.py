"""The tables of statistics of a run, from its predictions: significance, calibration, slices, confusion."""

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


def on_same_rows(outcomes: Sequence[Outcome], names: Iterable[str]) -> list[Outcome]:
    """Return the named evaluations on the same rows as the first outcome, which can be compared row by row."""
    first, chosen = [row.pair_id for row in outcomes[0].rows], set(names)
    return [
        outcome for outcome in outcomes if outcome.name in chosen and [row.pair_id for row in outcome.rows] == first
    ]


def pairs(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return `significance.pairwise` of evaluations on the same rows, with labels."""
    labels = {outcome.name: outcome.label for outcome in outcomes}
    by_name, first = {outcome.name: outcome for outcome in outcomes}, outcomes[0]
    tests = significance.pairwise(
        {outcome.name: outcome.right for outcome in outcomes},
        first.images,
        first.statements,
        lambda name, second: 100**2 * by_name[name].spread("accuracy", by_name[second]),
    )
    rows = len(first.rows)
    return [
        row | {"label": labels[row["evaluation"]], "other_label": labels[row["other"]], "rows": rows} for row in tests
    ]


def reliability(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Return `calibration.reliability` of every evaluation, over the rows of all seeds."""
    return [
        {"evaluation": outcome.name, "label": outcome.label, **row}
        for outcome in outcomes
        for row in calibration.reliability(
            np.tile(outcome.gold, len(outcome.logits)), outcome.logits.reshape(-1, len(LABELS)), bins=BINS
        )
    ]


def slice_rows(outcomes: Sequence[Outcome], texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return `slices.rows` of evaluations on the same rows; `texts` are the English hypotheses by id."""
    first, labels = outcomes[0], {outcome.name: outcome.label for outcome in outcomes}
    english = [(texts[row.hypothesis_id], row.kind) for row in first.rows]
    hits = {outcome.name: outcome.hits for outcome in outcomes}
    return slices.rows(hits, english, first.images, first.statements, labels)


def consistency(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return `slices.consistency` of the first seed of evaluations on the same rows; no row for fewer than two."""
    if len(outcomes) < 2:
        return []
    labels = {outcome.name: outcome.label for outcome in outcomes} | {"all": "all languages"}
    predicted = {outcome.name: outcome.predicted[0] for outcome in outcomes}
    first = outcomes[0]
    rows = slices.consistency(predicted, first.images, first.statements, first.gold)
    return [row | {"label": labels[row["evaluation"]]} for row in rows]


def confusion(outcome: Outcome) -> list[dict[str, Any]]:
    """Return the confusion counts, one row per gold label, as means over the seeds."""
    return [
        {"evaluation": outcome.name, "label": outcome.label, "gold": gold}
        | {label: rounded(count / len(outcome.logits)) for label, count in zip(LABELS, counts, strict=True)}
        for gold, counts in zip(LABELS, outcome.table, strict=True)
    ]


def class_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """Return the share of gold and of predicted labels, precision, recall and F1 of each class, over all seeds."""
    scores, total = class_scores(outcome.table), outcome.table.sum()
    return [
        {
            "evaluation": outcome.name,
            "label": outcome.label,
            "class": name,
            "rows": len(outcome.rows),
            "gold": rounded(outcome.table[number].sum() / total),
            "predicted": rounded(outcome.table[:, number].sum() / total),
            **{key: rounded(values[number]) for key, values in scores.items()},
        }
        for number, name in enumerate(LABELS)
    ]


def fits(distances: Sequence[Row], scores: Sequence[Row]) -> list[dict[str, Any]]:
    """Regress the target languages' accuracies in percent on each distance, as published and as recomputed.

    A distance known for fewer than three of the languages, or equal for all, gives no row.
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
    """Return the results on independent translations, with the difference to the same language's own translations."""
    by_name = {outcome.name: outcome for outcome in outcomes}
    table = []
    for row in rows:
        name = row["evaluation"].removeprefix(INDEPENDENT)
        if name != row["evaluation"]:
            gap = results.difference(by_name[row["evaluation"]], by_name.get(name)).row()
            table.append({**row, "rows_shared": gap.pop("rows"), **gap})
    return table


def contents(
    outcomes: Sequence[Outcome], languages: Sequence[str], texts: Mapping[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table of statistics by its name; `texts` are the English hypotheses by id."""
    judged = on_same_rows(outcomes, [ENGLISH, *languages])
    shown = [outcome for outcome in outcomes if not outcome.name.startswith(INDEPENDENT)]
    return {
        "kinds": [row for outcome in shown for row in results.kind_rows(outcome)],
        "against_english": results.against_english(shown),
        "unseen": results.unseen(judged),
        "swap": [row for outcome in shown if (row := results.swap_row(outcome))],
        "seeds": results.seed_rows(shown),
        "classes": [row for outcome in shown for row in class_rows(outcome)],
        "confusion": [row for outcome in shown for row in confusion(outcome)],
        "significance": pairs(judged),
        "reliability": reliability(judged),
        "slices": slice_rows(on_same_rows(shown, [outcome.name for outcome in shown]), texts),
        "consistency": consistency(judged),
    }
