"""Compare all evaluations, with statistics, and our results with the thesis's tables and figures.

Reads:  the metrics, predictions, alignment scores, training metrics and curves that `params.yaml` names; the corpus's
        counts and test examples; the thesis's values; vectors of languages; results of further seeds, if any.
Writes: the headline metrics (JSON), which DVC's commands show; tables (CSV, Markdown, LaTeX), including the data of the
        figures; the README's results table.
Thesis: Tables 1.1, 2.1, 4.1, A.1, A.2, A.3; Figures 2.1, 3.2, 4.1; the numbers of its text.
Cost:   about 20 seconds, 0.5 GiB.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clseave.comparison import (
    budgets,
    diagnostics,
    distances,
    hyperparameters,
    measured,
    results,
    thesis_values,
    verdicts,
)
from clseave.comparison import seeds as more_seeds
from clseave.comparison.outcomes import Outcome
from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import read_json, write_csv, write_json, write_text
from clseave.foundation.process import cli
from clseave.foundation.rows.records import Example, distinct_hypotheses, read_rows, read_splits
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import INDEPENDENT, AnySource
from clseave.report.tables import headline_table, result_tables, statistics_tables

PATHS = (
    "params profile metrics predictions training curves counts examples independent expected published typology "
    "seeds-folder out-metrics out-tables out-results"
).split()
Rows = list[dict[str, Any]]


class Values(budgets.Budgets):
    """The settings that the stage reads."""

    source: AnySource


def write(folder: Path, contents: Mapping[str, Rows]) -> None:
    """Write each table with rows as CSV, and as Markdown and LaTeX too unless it is only the data of a figure."""
    with whole_folder(folder) as made:
        for name, rows in contents.items():
            if rows:
                write_csv(made / f"{name}.csv", rows)
        for name, render in statistics_tables.RENDER.items():
            if rows := contents[statistics_tables.VIEWS.get(name, name)]:
                shown = render(rows)
                write_text(made / f"{name}.md", f"{shown.caption}\n\n{shown.noted()}")
                write_text(made / f"{name}.tex", shown.latex(name))


def read_outcomes(
    metrics: Path, predictions: Path, sets: Mapping[str, list[Example]], more: Path, values: Values
) -> list[Outcome]:
    """Read every evaluation with rows, with further seeds where the table `more` has them."""
    outcomes = measured.read_outcomes(
        *(metrics, predictions, values.seeds, measured.evaluation_names(values), sets), label=result_tables.label_of
    )
    return more_seeds.joined(outcomes, more, values.languages[0])


def main(argv: Sequence[str] | None = None) -> None:
    """Compare what `params.yaml` names; UserError on a missing file."""
    args = cli.parse(argv, __doc__, PATHS)
    values = params.load(args.params, args.profile, Values)
    measured.check_files(measured.expected_files(args.metrics, args.predictions, args.training, args.curves, values))
    expected = verdicts.parse(params.read_yaml(args.expected))
    counts, trained = read_json(args.counts), measured.read_trained(args.curves, args.training, values)
    thesis = thesis_values.read(args.published, expected, profile=args.profile.stem, counts=counts)
    thesis = thesis.without_values() if thesis_values.is_own(values.source) else thesis
    test = read_splits(args.examples, ["test"])
    sets = {"test": test, "independent": read_rows(args.independent / "examples.jsonl", Example)}
    more = args.seeds_folder / f"{args.profile.stem}.csv"
    outcomes = read_outcomes(args.metrics, args.predictions, sets, more, values)
    alignment = measured.read_alignment(args.metrics / "align", values.languages)
    everything = [results.result_row(outcome, outcomes[0]) for outcome in outcomes]
    independent = diagnostics.independent(outcomes, everything)
    stopped = budgets.stopped(trained, values)
    rows = [row for row in everything if not row["evaluation"].startswith(INDEPENDENT)]
    numbers = measured.numbers(rows, counts, trained, thesis.scores())
    joined = verdicts.join(thesis.expected.values, numbers, comparable=thesis.comparable)
    rows = budgets.marked(verdicts.with_thesis(rows, joined), stopped, values)
    table_1_1 = distances.table(distances.read(args.typology), thesis.languages(values.languages))
    contents = thesis_values.corpus(thesis, counts) | hyperparameters.contents(thesis, trained, values, counts)
    contents |= diagnostics.contents(outcomes, values.languages, distinct_hypotheses(test))
    contents |= {
        "results": rows,
        "stopped": stopped,
        "independent": independent,
        "thesis": joined,
        "alignment": alignment,
        "backbones": measured.read_steps(args.curves),
        "table_1_1": table_1_1,
        "table_4_1": thesis_values.scores(thesis, rows, joined, values.languages),
        "fits": diagnostics.fits(table_1_1, [row for row in rows if row["evaluation"] in values.languages]),
    }
    write(args.out_tables, contents | ({} if joined else thesis_values.NO_COMPARISONS))
    seeds = ", ".join(map(str, values.seeds))
    write_json(args.out_metrics, {"seeds": seeds, **results.headline_metrics(outcomes, alignment, rows)})
    write_text(args.out_results, headline_table.results(rows).noted())
