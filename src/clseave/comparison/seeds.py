"""Results of further seeds, from a table that `tools/seeds.py` writes; used if it agrees with this run's seeds."""

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
    """Read the table, empty cells as None; no row without a file. UserError when a column is missing."""
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
    """Return the reason why the table is stale, such as the first seed with other values; None when it is not."""
    known = {name for name, _ in rows}
    judged = [outcome for outcome in outcomes if outcome.name in known]
    if not judged:
        return "it names no evaluation of this run"
    for outcome in judged:
        for score in outcome.scores:
            seed = score["seed"]
            wanted = {"rows": float(len(outcome.rows))} | {name: outcome.by_seed[name].get(seed) for name in MEASURES}
            row = rows.get((outcome.name, seed), {})
            if any(rounded(row.get(key)) != rounded(value) for key, value in wanted.items()):
                return f"seed {seed} of {outcome.name} differs"
    return None


def joined(outcomes: Sequence[Outcome], path: Path, first: str) -> list[Outcome]:
    """Return the outcomes with the table's measures of all seeds; unchanged, after a warning, if the table is stale.

    `first` is the first target language, which is part of the names of word-level outcomes but not of the settings'.
    """
    rows = {(_title(name, first, outcomes), seed): row for (name, seed), row in read(path).items()}
    if not rows:
        return list(outcomes)
    if reason := stale(rows, outcomes):
        log.warning("%s is left out, it is not of these results: %s; %s", path, reason, REMEDY)
        return list(outcomes)
    return [
        replace(outcome, by_seed=_all_seeds(outcome.name, rows))
        if any(name == outcome.name for name, _ in rows)
        else outcome
        for outcome in outcomes
    ]


def _title(name: str, first: str, outcomes: Sequence[Outcome]) -> str:
    """Return the outcome's name for a name in the table: unchanged, or with the language in it."""
    known, full = {outcome.name for outcome in outcomes}, name.replace("clteave", f"clteave_{first}", 1)
    return full if name not in known and full in known else name


def _all_seeds(name: str, rows: Rows) -> dict[str, dict[int, float]]:
    """Return `MEASURES` of one evaluation by seed."""
    own = {seed: row for (evaluation, seed), row in sorted(rows.items()) if evaluation == name}
    return {
        measure: {seed: row[measure] for seed, row in own.items() if row[measure] is not None} for measure in MEASURES
    }
