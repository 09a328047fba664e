"""Rows of the thesis's tables and figures, from `reports/published`, beside the values of a run.

Errors are per element of a vector. The thesis prints its validation errors summed over the elements, so every row of
errors has both; our sums are over the width of our vectors, which may differ from the thesis's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clseave.comparison import csv_tables
from clseave.comparison.verdicts import ENGLISH, Expectations, Expected, judge
from clseave.foundation.errors import UserError
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.settings.schema import SPLITS, Photos, Scenes, TableRows
from clseave.statistics.metrics import rounded

Row = Mapping[str, Any]
OURS, THESIS = "this run", "thesis"
# Tables that only compare with the thesis, or explain its order of languages, without rows.
NO_COMPARISONS: dict[str, list[dict[str, Any]]] = {
    name: [] for name in "thesis table_1_1 fits table_2_1 table_4_1 table_a_1 table_a_2 table_a_3 figure_2_1".split()
}
ERRORS = {"dev_mse": "table_a_2", "dev_mae": "table_a_3"}  # the thesis's table of each error
FILES = {
    "table_2_1": ["split", "snli", "snli_ve"],
    "table_4_1": ["language", "loss", "accuracy"],
    "table_a_1": ["hyperparameter", "clip_ve", "clseave", "autoencoder"],
    "table_a_2": ["language"],
    "table_a_3": ["language"],
    "figure_2_1": ["dataset", "split", "label", "rows", "source"],
    "figure_3_2": ["epoch", "train_loss", "train_accuracy", "dev_loss", "dev_accuracy"],
    "figure_4_1": ["measure", "epoch", "low", "high"],
}  # the required columns of each file


@dataclass(frozen=True)
class Published:
    """The rows of each published table by the name of its file, and the expected values."""

    tables: dict[str, list[dict[str, Any]]]
    expected: Expectations
    comparable: bool  # whether the run uses the thesis's corpus

    def without_values(self) -> "Published":
        """Return what is published of other data than the thesis's: nothing."""
        return Published({name: [] for name in self.tables}, replace(self.expected, values=[]), comparable=False)

    def scores(self) -> dict[str, dict[str, Any]]:
        """Return Table 4.1 by language."""
        return {row["language"]: row for row in self.tables["table_4_1"]}

    def series(self, metric: str) -> dict[str, dict[int, float]]:
        """Return Table A.2 or A.3, summed over the elements, by language and epoch."""
        rows = self.tables[ERRORS[metric]]
        return {
            row["language"]: {int(key): float(value) for key, value in row.items() if key.isdigit()} for row in rows
        }

    def languages(self, ours: Iterable[str]) -> list[str]:
        """Return our languages in our order, then the languages that only the thesis has."""
        return list(dict.fromkeys([*ours, *(code for code in self.scores() if code != ENGLISH)]))


def read(folder: Path, expected: Expectations, *, profile: str, counts: Mapping[str, Any]) -> Published:
    """Read `reports/published`. UserError names a missing file, column or split."""
    tables = {}
    for name, columns in FILES.items():
        path = folder / f"{name}.csv"
        if not path.is_file():
            raise UserError(f"{path} does not exist: it holds values of the thesis; `git restore {path}`")
        frame = csv_tables.read(path, f"`git restore {path}`", str if name == "table_a_1" else None)
        if missing := [column for column in columns if column not in frame]:
            raise UserError(f"{path}: no column {missing[0]!r}, expected {', '.join(columns)}")
        tables[name] = frame.to_dict("records")
    sizes = {row["split"]: row["snli_ve"] for row in tables["table_2_1"]}
    if lacking := [split for split in SPLITS if split not in sizes]:
        raise UserError(f"{folder / 'table_2_1.csv'}: no row {lacking[0]!r}; `git restore` it")
    same = all(counts[split]["rows"] == sizes[split] for split in SPLITS)
    return Published(tables, expected, same and profile == expected.profile)


def is_own(source: Scenes | Photos) -> bool:
    """Return whether a corpus is rows of the user's, to which nothing of the thesis compares."""
    return isinstance(source, Photos) and isinstance(source.rows, TableRows)


def corpus(published: Published, counts: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table and figure of the corpus, by its name."""
    splits = [{"split": split, **counts[split], **counts[split]["labels"]} for split in SPLITS]
    keys = ("split", "rows", "images", "hypotheses", "unseen_rows", *LABELS)
    return {
        "counts": [{key: row.get(key, 0) for key in keys} for row in splits],
        "table_2_1": sizes(published, counts),
        "figure_2_1": labels(published, counts),
    }


def sizes(published: Published, counts: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Return Table 2.1: the number of rows of every split, ours beside SNLI's and SNLI-VE's."""
    ours = {split: counts[split]["rows"] for split in SPLITS}
    ours["total"] = sum(ours.values())
    return [{"split": row["split"], "ours": ours[row["split"]], **row} for row in published.tables["table_2_1"]]


def labels(published: Published, counts: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Return Figure 2.1: the number of rows of train and test by label, of our corpus and the thesis's two."""
    ours = [
        {
            "dataset": OURS,
            "split": split,
            "label": label,
            "rows": counts[split]["labels"].get(label, 0),
            "source": "counts.json",
        }
        for split in ("train", "test")
        for label in LABELS
    ]
    return ours + published.tables["figure_2_1"]


def scores(
    published: Published, results: Sequence[Row], joined: Sequence[Row], languages: Sequence[str]
) -> list[dict[str, Any]]:
    """Return Table 4.1: loss and accuracy on test, English first. `results` are ours, `joined` has the verdicts."""
    ours = {row["evaluation"]: row for row in results}
    verdict = {(row["evaluation"], row["metric"]): row["verdict"] for row in joined}
    theirs = published.scores()
    rows = []
    for code in (ENGLISH, *published.languages(languages)):
        own, thesis = ours.get(code, {}), theirs.get(code, {})
        rows.append(
            {
                "language": code,
                "rows": own.get("rows"),
                "loss": own.get("loss"),
                "accuracy": own.get("accuracy"),
                "accuracy_low": own.get("accuracy_low"),
                "accuracy_high": own.get("accuracy_high"),
                "thesis_loss": thesis.get("loss"),
                "thesis_accuracy": thesis.get("accuracy"),
                "verdict_loss": verdict.get((code, "loss")),
                "verdict_accuracy": verdict.get((code, "accuracy")),
            }
        )
    return rows


def errors(
    published: Published, metric: str, curves: Mapping[str, Sequence[Row]], widths: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Return Table A.2 or A.3: a validation error of every student by epoch, per element and summed, with verdicts.

    `curves` are ours by language; `widths` are the numbers of elements of our vectors.
    """
    theirs, width, tolerance = published.series(metric), published.expected.width, published.expected.series[metric]
    rows = []
    for code in published.languages(curves):
        ours = {int(row["epoch"]): row[metric] for row in curves.get(code, [])}
        for epoch in sorted(ours.keys() | theirs.get(code, {}).keys()):
            own, thesis = ours.get(epoch), theirs.get(code, {}).get(epoch)
            each = None if thesis is None else thesis / width
            entry = each and Expected(code, metric, each, "per element", tolerance * each, "", "", epoch)
            rows.append(
                {
                    "language": code,
                    "epoch": epoch,
                    "ours": own,
                    "thesis": rounded(each),
                    "width": widths.get(code),
                    "thesis_width": width,
                    "ours_sum": summed(own, widths.get(code)),
                    "thesis_sum": thesis,
                    "verdict": judge(entry, own, comparable=published.comparable) if entry else None,
                }
            )
    return rows


def summed(value: float | None, width: int | None) -> float | None:
    """Convert an error per element to the thesis's unit, the sum over the elements of a vector."""
    return None if value is None or width is None else rounded(value * width)


def clip_ve(published: Published, curve: Sequence[Row]) -> list[dict[str, Any]]:
    """Return Figure 3.2: CLIP-VE's loss in nats and accuracy as a share of 1, by epoch; the thesis prints its last."""
    keys = ("train_loss", "train_accuracy", "dev_loss", "dev_accuracy")
    theirs = [
        {key: row[key] / (100 if key.endswith("accuracy") else 1) for key in keys} | {"epoch": row["epoch"]}
        for row in published.tables["figure_3_2"]
    ]
    return [
        {"source": source, "epoch": int(row["epoch"]), **{key: rounded(row[key]) for key in keys}}
        for source, rows in ((OURS, curve), (THESIS, theirs))
        for row in rows
    ]


def students(published: Published, curves: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    """Return Figure 4.1: learning rate and errors per element of every student by epoch, and the thesis's values."""
    keys = ("learning_rate", "train_mse", "dev_mse", "dev_mae", "dev_cosine")
    empty = dict.fromkeys((*keys, "train_mse_low", "train_mse_high"))
    rows = [
        {"source": OURS, "language": code, "epoch": int(row["epoch"])} | empty | {key: row[key] for key in keys}
        for code, curve in curves.items()
        for row in curve
    ]
    width, (mse, mae) = published.expected.width, (published.series(metric) for metric in ERRORS)
    for code in mse:
        for epoch in mse[code]:
            both = {"dev_mse": rounded(mse[code][epoch] / width), "dev_mae": rounded(mae[code][epoch] / width)}
            rows.append({"source": THESIS, "language": code, "epoch": epoch} | empty | both)
    for row in published.tables["figure_4_1"]:
        ends = {f"{row['measure']}_low": row["low"], f"{row['measure']}_high": row["high"]}
        rows.append({"source": THESIS, "language": None, "epoch": int(row["epoch"])} | empty | ends)
    return rows


def kept_errors(published: Published, trained: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Return the errors of every student at its kept epoch, in both units, beside the last epoch of Tables A.2 and A.3.

    `trained` are the training summaries by language, as means over the seeds.
    """
    theirs = {metric: published.series(metric) for metric in ERRORS}
    rows = []
    for code in published.languages(trained):
        ours, width = trained.get(code, {}), trained.get(code, {}).get("width")
        row = {"language": code, "epoch": ours.get("epoch"), "width": width}
        row["thesis_width"] = published.expected.width
        row |= {key: ours.get(key) for key in ("train_mse", "dev_mse", "dev_mae", "dev_cosine")}
        for metric, series in theirs.items():
            last = max(series.get(code, {}).items(), default=(None, None))
            row |= {f"{metric}_sum": summed(ours.get(metric), width), f"thesis_{metric}_sum": last[1]}
            row[f"thesis_{metric}"] = last[1] and rounded(last[1] / published.expected.width)
            row["thesis_epoch"] = last[0]
        rows.append(row)
    return rows
