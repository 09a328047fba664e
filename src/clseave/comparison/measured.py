"""The outputs of the stages that a comparison reads: expected files, their content, and every number by its name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from clseave.comparison import csv_tables
from clseave.comparison.outcomes import Outcome, outcome
from clseave.comparison.verdicts import ENGLISH
from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import RERUN, read_json
from clseave.foundation.rows.records import Example, Prediction, read_rows
from clseave.foundation.settings.references import warn_of_stale
from clseave.foundation.settings.schema import (
    INDEPENDENT,
    SPLITS,
    Baseline,
    Evaluations,
    Languages,
    Seeds,
    VeModels,
    View,
)
from clseave.statistics.metrics import mean, rounded

Key = tuple[str, str, int | None]  # evaluation, metric, epoch
MEAN = "mean_of_languages"
BACKBONES = ("clip", "mbert")
ALIGNMENT = (
    *("aer", "aer_diagonal", "precision", "recall", "sentences"),
    *("source_words_aligned", "target_words_aligned"),
)


class Named(View):
    """The settings that name the trained models and the evaluations."""

    languages: Languages
    seeds: Seeds
    ve_models: VeModels
    baselines: list[Baseline]
    evaluations: Evaluations


@dataclass(frozen=True)
class Training:
    """Training curves and summaries, averaged over the seeds: of CLIP-VE, the autoencoder and the students."""

    clip_ve: list[dict[str, Any]]
    autoencoder: list[dict[str, Any]]
    students: dict[str, list[dict[str, Any]]]  # curve by language
    settled: dict[str, dict[str, Any]]  # summary by model: `clip_ve`, its controls, `clseave-de` ...
    kept: dict[str, list[int]] = field(default_factory=dict)  # the epoch that each seed kept, by model

    def of_students(self) -> dict[str, dict[str, Any]]:
        """Return the training summary of each student, by language."""
        return {code: self.settled[f"clseave-{code}"] for code in self.students}

    def widths(self) -> dict[str, int]:
        """Return the vector width of each student by language, where its summary has one."""
        return {code: row["width"] for code, row in self.of_students().items() if "width" in row}


def check_files(folders: Mapping[Path, set[str]]) -> None:
    """Raise UserError with the files missing from the folders; warn once of files that `params.yaml` does not name."""
    wanted = {folder / name for folder, names in folders.items() for name in names}
    present = {path for folder in folders for path in folder.rglob("*.*") if not path.name.startswith(".")}
    if missing := sorted(wanted - present):
        raise UserError(f"missing, `dvc repro` makes them: {', '.join(map(str, missing))}")
    warn_of_stale(present - wanted)


def evaluation_names(values: Named) -> list[str]:
    """Return all evaluations of `params.yaml`: English, languages, listed evaluations, independent translations."""
    own = [entry.name for entry in values.evaluations]
    return list(dict.fromkeys((ENGLISH, *values.languages, *own, *(INDEPENDENT + code for code in values.languages))))


def trained_models(values: Named) -> list[str]:
    """Return all models that are trained on labels or vectors, each with a curve and metrics."""
    baselines = [entry.name for entry in values.baselines]
    return [*values.ve_models, *baselines, *(f"clseave-{code}" for code in values.languages)]


def expected_files(
    metrics: Path, predictions: Path, training: Path, curves: Path, values: Named
) -> dict[Path, set[str]]:
    """Return the names of the files read from each folder; only the curves of backbones are optional."""
    seeds = [f"seed{seed}" for seed in values.seeds]
    judged = [f"{seed}/{name}" for seed in seeds for name in evaluation_names(values)]
    trained = trained_models(values)
    backbones = {path.name for path in backbone_curves(curves)}
    return {
        metrics: {f"{name}.json" for name in judged} | {f"align/{code}.json" for code in values.languages},
        predictions: {f"{name}.jsonl" for name in judged},
        training: {f"{name}-{seed}.json" for name in trained for seed in seeds},
        curves: {f"{name}-{seed}.csv" for name in [*trained, "autoencoder", "clteave"] for seed in seeds} | backbones,
    }


def full_name(name: str, language: str) -> str:
    """Return the name of an outcome: the word-level variant's has its language, as the thesis has values for German."""
    return name.replace("clteave", f"clteave_{language}", 1)


def read_outcomes(
    metrics: Path,
    predictions: Path,
    seeds: Sequence[int],
    names: Iterable[str],
    sets: Mapping[str, Sequence[Example]],
    *,
    label: Callable[[str, str], str],
) -> list[Outcome]:
    """Read metrics and predictions of every evaluation with rows; `sets` are the examples by the name of their set.

    An evaluation has no rows when the corpus lacks its hypotheses. `label` returns the displayed name.
    """
    examples = {name: {row.pair_id: row for row in rows} for name, rows in sets.items()}
    outcomes = []
    for name in names:
        files = [f"seed{seed}/{name}" for seed in seeds]
        scores = [read_json(metrics / f"{file}.json") for file in files]
        if any(score["rows"] for score in scores):
            judged = [read_rows(predictions / f"{file}.jsonl", Prediction) for file in files]
            language, known = scores[0]["language"], examples[scores[0]["set"]]
            title = full_name(name, language)
            outcomes.append(outcome(title, label(title, language), scores, judged, known))
    return outcomes


def read_alignment(folder: Path, languages: Sequence[str]) -> list[dict[str, Any]]:
    """Read alignment scores, one row per language; error rates are None where gold pairs are not known."""
    return [
        {"language": code, **{key: read_json(folder / f"{code}.json").get(key) for key in ALIGNMENT}}
        for code in languages
    ]


def average(values: Iterable[float]) -> float:
    """Return the mean over the seeds to nine significant digits, as learning rates need more decimals than metrics."""
    return float(f"{np.mean(list(values)):.9g}")


def read_curve(folder: Path, model: str, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Read a training curve as rows by epoch, averaged over the seeds that reached the epoch.

    UserError names a damaged file, or a file whose columns differ from the first seed's.
    """
    paths = [folder / f"{model}-seed{seed}.csv" for seed in seeds]
    parts = [_curve(path) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if set(part) != set(parts[0]):
            columns, wanted = ", ".join(part), ", ".join(parts[0])
            raise UserError(f"{path}: found the columns {columns}, expected {wanted} as in {paths[0].name}: {RERUN}")
    table = pd.concat(parts)
    return [
        {"epoch": int(epoch)} | {key: average(part[key]) for key in table.columns if key != "epoch"}
        for epoch, part in table.groupby("epoch")
    ]


def _curve(path: Path) -> pd.DataFrame:
    """Read the curve of one seed. UserError unless its epochs are integers in increasing order."""
    table = csv_tables.read_numbers(path, ["epoch"])
    if table.empty:
        raise UserError(f"{path}: no row in it: {RERUN}")
    epochs = table["epoch"].to_list()
    if any(epoch != int(epoch) for epoch in epochs) or epochs != sorted(set(epochs)):
        raise UserError(f"{path}: found the epochs {', '.join(map(str, epochs))}, expected 1, 2 ...: {RERUN}")
    return table


def backbone_curves(folder: Path) -> list[Path]:
    """Return the curves of the backbones that have one."""
    return [path for name in BACKBONES if (path := folder / f"backbones-{name}.csv").exists()]


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """Read the backbones' losses by step; no row for downloaded backbones. UserError names a damaged file."""
    return [
        {"backbone": path.stem.removeprefix("backbones-"), **row}
        for path in backbone_curves(folder)
        for row in csv_tables.read_numbers(path, ["step"]).to_dict("records")
    ]


def read_training(folder: Path, model: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Read a model's training summary: its numbers as means over the seeds, and its texts."""
    parts = [read_json(folder / f"{model}-seed{seed}.json") for seed in seeds]
    means = {
        key: value if isinstance(value, str) else average(part[key] for part in parts)
        for key, value in parts[0].items()
        if key != "seed"
    }
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() else value for key, value in means.items()
    }


def read_kept(folder: Path, model: str, seeds: Sequence[int]) -> list[int]:
    """Read the epoch that each seed of a model kept."""
    return [int(read_json(folder / f"{model}-seed{seed}.json")["epoch"]) for seed in seeds]


def settings(trained: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each model's training summary as "key: value" in one text."""
    return [
        {
            "model": model,
            "values": " · ".join(f"{key.replace('_', ' ')}: {value}" for key, value in sorted(row.items())),
        }
        for model, row in trained.items()
    ]


def read_trained(curves: Path, training: Path, values: Named) -> Training:
    """Read the curves and summaries of all training stages."""
    return Training(
        read_curve(curves, "clip_ve", values.seeds),
        read_curve(curves, "autoencoder", values.seeds),
        {code: read_curve(curves, f"clseave-{code}", values.seeds) for code in values.languages},
        {model: read_training(training, model, values.seeds) for model in trained_models(values)},
        {model: read_kept(training, model, values.seeds) for model in trained_models(values)},
    )


def numbers(
    results: Sequence[Mapping[str, Any]],
    counts: Mapping[str, Mapping[str, Any]],
    trained: Training,
    published_languages: Iterable[str],
) -> dict[Key, float | None]:
    """Return every number that the thesis may have a value for, by evaluation, metric and epoch.

    `MEAN` is the mean over the target languages, present only when they are the thesis's languages.
    """
    curves = {ENGLISH: trained.clip_ve, "autoencoder": trained.autoencoder} | trained.students
    values: dict[Key, float | None] = {
        (name, key, int(row["epoch"])): row[key] for name, rows in curves.items() for row in rows for key in row
    }
    for split in SPLITS:
        row = counts[split]
        values |= {(split, key, None): row[key] for key in ("rows", "images")}
        values[split, "rows_per_label", None] = rounded(mean(np.array(list(row["labels"].values()))))
    for name, row in ({ENGLISH: trained.settled["clip_ve"]} | trained.of_students()).items():
        values |= {(name, key, None): row[key] for key in ("epochs_run", "width") if key in row}
    accuracy = {row["evaluation"]: row["accuracy"] for row in results}
    for row in results:
        values |= {(row["evaluation"], key, None): row[key] for key in ("accuracy", "loss", f"points_vs_{ENGLISH}")}
    targets = set(published_languages) - {ENGLISH}
    if targets == set(trained.students):
        values[MEAN, "accuracy", None] = rounded(mean(np.array([accuracy[code] for code in sorted(targets)])))
    return values
