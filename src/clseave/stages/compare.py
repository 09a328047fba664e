"""Put all evaluations side by side: tables, intervals, differences to English, and the thesis's values.

Reads:  the metrics, predictions, alignment scores, training metrics and curves that `params.yaml` names;
        the thesis's values.
Writes: the wide metrics JSON, small tables (CSV and Markdown), the README's results table.
Thesis: Table 4.1, section 4.1, Tables A.2 and A.3.
Cost:   about 5 seconds, 0.3 GiB.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from clseave import cli, params, tables, verdicts
from clseave.errors import UserError
from clseave.records import Prediction, read_rows
from clseave.storage import read_json, write_csv, write_json, write_text
from clseave.verdicts import Outcome

KEYS = ("languages", "seeds", "ve_models", "token_languages", "evaluations")
PATHS = "params metrics predictions training curves expected out-metrics out-tables out-results".split()


def check_files(folders: dict[Path, set[str]]) -> None:
    """UserError lists what is missing from the folders, or what `params.yaml` no longer names (DVC keeps old files)."""
    wanted = {folder / name for folder, names in folders.items() for name in names}
    found = {path for folder in folders for path in folder.rglob("*.*") if not path.name.startswith(".")}
    if missing := sorted(wanted - found):
        raise UserError(f"missing, `dvc repro` makes them: {', '.join(map(str, missing))}")
    if stale := sorted(found - wanted):
        raise UserError(f"params.yaml names no such model or language any more, delete: {' '.join(map(str, stale))}")


def expected_files(paths: argparse.Namespace, values: SimpleNamespace, names: list[str]) -> dict[Path, set[str]]:
    """The files that each folder must hold, no more; only the curves of backbones are optional."""
    seeds = [f"seed{seed}" for seed in values.seeds]
    judged = [f"{seed}/{name}" for seed in seeds for name in names]
    trained = [*values.ve_models, *(f"clseave-{code}" for code in values.languages)]
    tokens = ["autoencoder", *(f"clteave-{code}" for code in values.token_languages)]
    backbones = {path.name for path in paths.curves.glob("backbones-*.csv")}
    return {
        paths.metrics: {f"{name}.json" for name in judged} | {f"align/{code}.json" for code in values.languages},
        paths.predictions: {f"{name}.jsonl" for name in judged},
        paths.training: {f"{name}-{seed}.json" for name in trained for seed in seeds},
        paths.curves: {f"{name}-{seed}.csv" for name in trained + tokens for seed in seeds} | backbones,
    }


def read_curves(folder: Path, languages: Sequence[str], seeds: Sequence[int]) -> dict[Any, float]:
    """Mean over the seeds of every number of the training curves, by (evaluation, metric, epoch)."""
    stems = {verdicts.ENGLISH: "clip_ve", "autoencoder": "autoencoder"} | {
        code: f"clseave-{code}" for code in languages
    }
    collected: dict[Any, list[float]] = {}
    for name, stem in stems.items():
        paths = [folder / f"{stem}-seed{seed}.csv" for seed in seeds]
        for row in (row for path in paths if path.exists() for row in pd.read_csv(path).to_dict("records")):
            for key in row.keys() - {"epoch"}:
                collected.setdefault((name, key, int(row["epoch"])), []).append(row[key])
    return {key: float(np.mean(values)) for key, values in collected.items()}


def read_outcomes(paths: argparse.Namespace, values: SimpleNamespace) -> list[Outcome]:
    """All evaluations, English first, after checking that the folders hold exactly their files."""
    names = list(dict.fromkeys((verdicts.ENGLISH, *values.languages, *(entry.name for entry in values.evaluations))))
    check_files(expected_files(paths, values, names))
    files = {name: [f"seed{seed}/{name}" for seed in values.seeds] for name in names}
    return [
        verdicts.outcome(
            name,
            tables.label_of(name),
            [read_json(paths.metrics / f"{file}.json") for file in group],
            [read_rows(paths.predictions / f"{file}.jsonl", Prediction) for file in group],
        )
        for name, group in files.items()
    ]


def read_alignment(folder: Path, languages: Sequence[str]) -> list[dict[str, Any]]:
    """Alignment scores, one row a language; error rates are None where the true pairs are not known."""
    scores: dict[str, Any] = dict.fromkeys(("aer", "aer_diagonal", "precision", "recall"))
    return [
        {"language": code, "label": tables.language_name(code), **scores, **read_json(folder / f"{code}.json")}
        for code in languages
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Compare what `params.yaml` names; UserError on a missing or a stale file."""
    paths = cli.parse(argv, __doc__, PATHS, names=["profile-name"])
    values = params.load(paths.params, paths.params, KEYS)
    outcomes, alignment = read_outcomes(paths, values), read_alignment(paths.metrics / "align", values.languages)
    own_profile, expected = verdicts.parse(params.read_yaml(paths.expected))
    measured: dict[Any, float | None] = dict(read_curves(paths.curves, values.languages, values.seeds))
    measured |= {(one.name, key, None): one.mean(key) for one in outcomes for key in ("accuracy", "loss")}
    thesis = verdicts.join(expected, measured, comparable=paths.profile_name == own_profile)
    judged = {row["evaluation"]: row for row in thesis if row["metric"] == "accuracy"}
    contents = {
        "results": [verdicts.result_row(one, outcomes[0], judged.get(one.name)) for one in outcomes],
        "kinds": [row for one in outcomes for row in verdicts.kind_rows(one)],
        "classes": [row for one in outcomes for row in verdicts.class_rows(one)],
        "alignment": alignment,
        "thesis": thesis,
    }
    for name, rows in contents.items():
        if rows:
            write_csv(paths.out_tables / f"{name}.csv", rows)
            write_text(paths.out_tables / f"{name}.md", tables.RENDER[name](rows))
    write_json(paths.out_metrics, verdicts.widen(outcomes, alignment))
    write_text(paths.out_tables / "gaps.md", tables.gaps(contents["results"]))
    write_text(paths.out_results, tables.results(contents["results"]))
