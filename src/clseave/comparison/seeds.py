"""Results of more seeds than a run has: a table that another program writes, taken where it is of the same results."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from clseave.comparison import csv_tables
from clseave.comparison.outcomes import MEASURES, Outcome
from clseave.foundation.errors import UserError
from clseave.statistics.metrics import rounded

log = logging.getLogger(__name__)

REMEDY = "`make seeds` writes it again"
COLUMNS = ("seed", "evaluation", "rows", *MEASURES)
Rows = Mapping[tuple[str, int], Mapping[str, Any]]  # by evaluation and seed


def read(path: Path) -> Rows:
    """The table's rows, empty cells as None; nothing where there is no file. UserError for one that lacks a column."""
    if not path.is_file():
        return {}
    frame = csv_tables.read(path, REMEDY)
    if missing := [name for name in COLUMNS if name not in frame]:
        raise UserError(f"{path}: no column {missing[0]!r}, expected {', '.join(COLUMNS)}: {REMEDY}")
    for name in ("seed", "rows", *MEASURES):
        csv_tables.require_numbers(path, name, frame[name].dropna() if name in MEASURES else frame[name], REMEDY)
    return {
        (str(row["evaluation"]), int(row["seed"])): {
            key: None if pd.isna(row[key]) else float(row[key]) for key in ("rows", *MEASURES)
        }
        for row in frame.to_dict("records")
    }


def stale(rows: Rows, outcomes: Sequence[Outcome]) -> str | None:
    """The first of a run's own seeds that the table lacks or has other values for; None where all are the same."""
    known = {name for name, _ in rows}
    judged = [one for one in outcomes if one.name in known]
    if not judged:
        return "it names no evaluation of this run"
    for one in judged:
        for score in one.scores:
            seed = score["seed"]
            wanted = {"rows": float(len(one.rows))} | {name: one.by_seed[name].get(seed) for name in MEASURES}
            found = rows.get((one.name, seed), {})
            if any(rounded(found.get(key)) != rounded(value) for key, value in wanted.items()):
                return f"seed {seed} of {one.name} differs"
    return None


def joined(outcomes: Sequence[Outcome], path: Path, first: str) -> list[Outcome]:
    """The outcomes with what the table knows of all seeds, or as they are after one warning, where it is stale.

    `first` is the first target language, which the names of word-level outcomes hold and those of the settings do not.
    """
    rows = {(_title(name, first, outcomes), seed): row for (name, seed), row in read(path).items()}
    if not rows:
        return list(outcomes)
    if reason := stale(rows, outcomes):
        log.warning("%s is left out, it is not of these results: %s; %s", path, reason, REMEDY)
        return list(outcomes)
    return [
        replace(one, by_seed=_all_seeds(one.name, rows)) if any(name == one.name for name, _ in rows) else one
        for one in outcomes
    ]


def _title(name: str, first: str, outcomes: Sequence[Outcome]) -> str:
    """The name of the outcome that is meant: that of the settings, or with the language in it."""
    known, full = {one.name for one in outcomes}, name.replace("clteave", f"clteave_{first}", 1)
    return full if name not in known and full in known else name


def _all_seeds(name: str, rows: Rows) -> dict[str, dict[int, float]]:
    """`MEASURES` of one evaluation by seed."""
    own = {seed: row for (other, seed), row in sorted(rows.items()) if other == name}
    return {
        measure: {seed: row[measure] for seed, row in own.items() if row[measure] is not None} for measure in MEASURES
    }
