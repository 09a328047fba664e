"""Summarise a study: accuracies with intervals, the tests of its questions, and its answer in sentences.

Reads:  the study's settings and the template of its answer, its runs, predictions of the main pipeline, test examples.
Writes: a folder with results.csv, contrasts.csv, answer.md and study.json (what made the runs).
Cost:   seconds.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from clseave.foundation.errors import UserError
from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import read_text, write_csv, write_json, write_text
from clseave.foundation.process import cli
from clseave.foundation.rows.records import Example, examples_with_images, read_splits
from clseave.variants import runs, settings
from clseave.variants.summary import ALL, Judged, Key, Table

NOT_RUN = "(not run)"
Rows = list[dict[str, Any]]


def read_runs(folder: Path, language: str, seeds: Sequence[int], examples: Sequence[Example]) -> list[runs.Run]:
    """A variant's runs in one language, one for each seed. UserError for a run of other rows, or none.

    `folder` is that of the variant, but for the seed.
    """
    found = []
    for seed in seeds:
        path = folder.with_name(f"{folder.name}-seed{seed}") / f"{language}.json"
        joint = path.with_name(f"{runs.JOINT}.json")
        run = runs.read(joint).of_language(language) if joint.exists() else runs.read(path)
        if run.rows != runs.row_key(examples):
            raise UserError(f"{path}: its answers are to other test rows: {runs.REMEDY}")
        found.append(run)
    return found


def read_systems(study: settings.Study, folder: Path, examples: list[Example]) -> tuple[dict[Key, Judged], list[str]]:
    """The systems of all variants, and the fingerprints of the code that ran. UserError for a run of other rows."""
    systems: dict[Key, Judged] = {}
    code: set[str] = set()
    for variant in study.variants:
        found = {
            one: read_runs(folder / variant.name, one, study.seeds, examples) for one in variant.among(study.languages)
        }
        code |= {run.code for of_seeds in found.values() for run in of_seeds}
        for way in dict.fromkeys(way for of_seeds in found.values() for way in of_seeds[0].answers):
            systems[variant.name, way] = judged(variant.title, way, found, folder, len(examples))
    return systems, sorted(code)


def judged(title: str, way: str, found: dict[str, list[runs.Run]], folder: Path, count: int) -> Judged:
    """One way of judging a variant's runs, by the languages that have it."""
    found = {language: of_seeds for language, of_seeds in found.items() if way in of_seeds[0].answers}
    answers = {
        language: np.stack([runs.from_digits(folder, run.answers[way], count) for run in of_seeds])
        for language, of_seeds in found.items()
    }
    measures = {
        language: {
            name: [(run.measures | run.judged_measures[way])[name] for run in of_seeds]
            for name in (of_seeds[0].measures | of_seeds[0].judged_measures[way])
        }
        for language, of_seeds in found.items()
    }
    seeds = [run.seed for run in next(iter(found.values()))]
    return Judged(title, seeds, answers, measures)


def references(study: settings.Study, predictions: Path, examples: list[Example]) -> dict[Key, Judged]:
    """What the main pipeline predicts; each counts as one seed."""
    found = {}
    for one in study.references:
        answers = {
            language: runs.answers_of(predictions / one.predictions.format(language=language), examples)[None]
            for language in study.languages
        }
        found[one.name, "direct"] = Judged(one.title, [0], answers, {})
    return found


def answer(template: Path, results: Rows, contrasts: Rows) -> str:
    """The study's answer, rendered from its tables: `accuracy(variant, way)` and `difference(contrast)` in text,
    `value(variant, way, column)` and `contrast(name)` as numbers, all over all languages unless one is named, and
    `percent(share)` in text. What the settings leave out is said to be not run.
    """

    def value(variant: str, way: str, column: str = "accuracy", language: str = ALL) -> Any:
        wanted = {"variant": variant, "judged": way, "language": language}
        return next((row.get(column, float("nan")) for row in results if wanted.items() <= row.items()), float("nan"))

    def contrast(name: str, language: str = ALL) -> dict[str, Any]:
        found = (row for row in contrasts if row["contrast"] == name and row["language"] == language)
        return next(found, {"significant": False})

    def percent(share: float | None) -> str:
        return f"{100 * share:.1f} %" if share is not None and np.isfinite(share) else NOT_RUN

    def accuracy(variant: str, way: str, language: str = ALL) -> str:
        return percent(value(variant, way, "accuracy", language))

    def difference(name: str, language: str = ALL) -> str:
        row = contrast(name, language)
        if "points" not in row:
            return NOT_RUN
        text = f"{row['points']:+.1f} points"
        if row["low"] is not None:
            text += f" ({row['low']:+.1f} to {row['high']:+.1f})"
        return text.replace("-", "\N{MINUS SIGN}")

    given = {"value": value, "contrast": contrast, "percent": percent, "accuracy": accuracy, "difference": difference}
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    text = environment.from_string(read_text(template)).render(given)
    return text.strip() + "\n"


def main(argv: list[str] | None = None) -> None:
    """Read all runs that the settings name and write the tables; UserError for a missing one."""
    args = cli.parse(argv, __doc__, "study runs references examples images out".split())
    study = settings.read(args.study / "params.yaml")
    examples = examples_with_images(read_splits(args.examples, ["test"]), args.images)
    systems, code = read_systems(study, args.runs, examples)
    table = Table(systems | references(study, args.references, examples), examples)
    results, contrasts = table.results(), table.contrasts(study.contrasts)
    with whole_folder(args.out) as made:
        write_csv(made / "results.csv", results)
        write_csv(made / "contrasts.csv", contrasts)
        write_text(made / "answer.md", answer(args.study / "answer.md.j2", results, contrasts))
        about = {"seeds": study.seeds, "languages": study.languages, "measure": study.measure, "code": code}
        write_json(made / "study.json", about | {"rows": runs.row_key(examples)})
