"""Put all evaluations side by side: tables, intervals, differences to English, and the thesis's values.

Reads:  the metrics, predictions, alignment scores and curves that `evaluations`, `languages` and `seeds` name;
        the thesis's values.
Writes: the wide metrics JSON, small tables (CSV and Markdown), the README's results table.
Thesis: Table 4.1, section 4.1, Tables A.2 and A.3.
Cost:   about 5 seconds, 0.3 GiB.
"""

import argparse
from collections.abc import Iterable, Sequence
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

KEYS = ("languages", "seeds", "evaluations")
PATHS = "params metrics predictions alignment curves expected out-metrics out-tables out-results".split()


def check_files(folder: Path, named: Iterable[str], beside: Path | None = None) -> None:
    """UserError names the first file that is missing from a folder, or that nothing in `params.yaml` names."""
    wanted = {folder / name for name in named}
    found = {path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")}
    found = {path for path in found if beside is None or beside not in path.parents}
    for path in sorted(wanted - found):
        raise UserError(f"{path} is missing: `dvc repro` makes it")
    for path in sorted(found - wanted):
        raise UserError(f"{path} belongs to no entry of evaluations, languages and seeds in params.yaml: delete it")


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
    files = {name: [f"seed{seed}/{name}" for seed in values.seeds] for name in names}
    check_files(paths.metrics, [f"{file}.json" for group in files.values() for file in group], beside=paths.alignment)
    check_files(paths.predictions, [f"{file}.jsonl" for group in files.values() for file in group])
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
    """Alignment scores, one row a language."""
    check_files(folder, [f"{code}.json" for code in languages])
    return [{"language": code, "label": tables.NAMES[code], **read_json(folder / f"{code}.json")} for code in languages]


def main(argv: Sequence[str] | None = None) -> None:
    """Compare what `params.yaml` names; UserError on a missing or a stale file."""
    paths = cli.parse(argv, __doc__, PATHS, names=["profile-name"])
    values = params.load(paths.params, paths.params, KEYS)
    outcomes, alignment = read_outcomes(paths, values), read_alignment(paths.alignment, values.languages)
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
