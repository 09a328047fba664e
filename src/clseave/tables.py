"""Rows of numbers as Markdown tables for people: percent, signed points, dashes where nothing was measured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clseave.labels import LABELS
from clseave.records import SPLITS

Row = Mapping[str, Any]
Text = Callable[[Row], str]
DASH = "–"
NAMES = {
    "en": "English", "de": "German", "nl": "Dutch", "ja": "Japanese", "ko": "Korean", "zh": "Chinese",
    "ar": "Arabic", "es": "Spanish", "fr": "French", "ru": "Russian",
}  # fmt: skip


def language_name(code: str) -> str:
    """The English name of a language, or its code."""
    return NAMES.get(code, code)




def label_of(name: str) -> str:
    """What a reader sees: "German (CLSEAVE)" for `de`, "German (CLTEAVE, padded)" for `clteave_de_padded`."""
    if name in NAMES:
        return f"{NAMES[name]} ({'CLIP-VE' if name == 'en' else 'CLSEAVE'})"
    method, *parts = name.split("_")
    if method == "clteave" and parts and parts[0] in NAMES:
        return f"{NAMES[parts[0]]} ({', '.join(['CLTEAVE', *parts[1:]])})"
    return name.replace("_", " ")


def percent(share: float | None) -> str:
    """A share of 1: 0.9438 -> "94.4 %"."""
    return DASH if share is None else f"{100 * share:.1f} %"


def signed(points: float | None) -> str:
    """A difference in points: -1.82 -> "−1.8"; zero has no sign."""
    if points is None:
        return DASH
    text = f"{points:+.1f}".replace("-", "−")
    return "0.0" if text in ("+0.0", "−0.0") else text


def span(low: float | None, high: float | None) -> str:
    """An interval of points: "−2.5 to −1.1"."""
    return DASH if low is None or high is None else f"{signed(low)} to {signed(high)}"


def number(value: float | None, digits: int = 4) -> str:
    """A number with significant digits."""
    return DASH if value is None else f"{value:.{digits}g}"


def markdown(rows: Sequence[Row], columns: Mapping[str, Text], left: int = 1) -> str:
    """A Markdown table with padded cells; `columns` maps headers to texts of a row, the first `left` flush left."""
    cells = [list(columns), *([text(row) for text in columns.values()] for row in rows)]
    widths = [max(3, *(len(line[column]) for line in cells)) for column in range(len(columns))]
    rule = ["-" * width if column < left else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    padded = [
        [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in (cells[0], rule, *cells[1:])
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in padded)


def results(rows: Sequence[Row]) -> str:
    """Accuracy of every evaluation; differences are to the first row, on the same test rows."""
    first = rows[0]["evaluation"]

    def gap(row: Row, suffix: str) -> str:
        return DASH if row["evaluation"] == first else signed(row[f"points_vs_{first}{suffix}"])

    columns: dict[str, Text] = {
        "Text": lambda row: row["label"],
        "Accuracy": lambda row: percent(row["accuracy"]),
        "95 % interval": lambda row: f"{100 * row['accuracy_low']:.1f}–{100 * row['accuracy_high']:.1f}",
        "Seen": lambda row: percent(row["accuracy_seen"]),
        "Unseen": lambda row: percent(row["accuracy_unseen"]),
        "vs English": lambda row: gap(row, ""),
        "vs English, unseen": lambda row: gap(row, "_unseen"),
        "Loss": lambda row: f"{row['loss']:.3f}",
        "Thesis": lambda row: DASH if row["thesis"] is None else f"{row['thesis']:.2f} %",
        "Verdict": lambda row: row["verdict"] or DASH,
    }
    return markdown(rows, columns)


def gaps(rows: Sequence[Row]) -> str:
    """Differences to the first evaluation in points with their intervals, on all rows and on unseen sentences."""
    first = rows[0]["evaluation"]

    def three(what: str, key: str) -> dict[str, Text]:
        return {
            f"Rows, {what}": lambda row: f"{row[f'rows_vs_{key}']:,}",
            f"Points, {what}": lambda row: signed(row[f"points_vs_{key}"]),
            f"Interval, {what}": lambda row: span(row[f"low_vs_{key}"], row[f"high_vs_{key}"]),
        }

    columns: dict[str, Text] = {"Text": lambda row: row["label"]}
    return markdown(rows[1:], columns | three("all", first) | three("unseen", f"{first}_unseen"))


def kinds(rows: Sequence[Row]) -> str:
    """Accuracy by evaluation (down) and kind of statement (across)."""
    score = {(row["label"], row["kind"]): row["accuracy"] for row in rows}
    columns: dict[str, Text] = {"Text": lambda row: row["label"]}

    def of(kind: str) -> Text:
        return lambda row: percent(score.get((row["label"], kind)))

    columns |= {kind.replace("_", " "): of(kind) for kind in dict.fromkeys(row["kind"] for row in rows)}
    return markdown([{"label": label} for label in dict.fromkeys(row["label"] for row in rows)], columns)


def classes(rows: Sequence[Row]) -> str:
    """Gold and predicted shares, precision and recall of each class."""
    return markdown(
        rows,
        {
            "Text": lambda row: row["label"],
            "Class": lambda row: row["class"],
            "Gold": lambda row: percent(row["gold"]),
            "Predicted": lambda row: percent(row["predicted"]),
            "Precision": lambda row: percent(row["precision"]),
            "Recall": lambda row: percent(row["recall"]),
        },
        left=2,
    )


def alignment(rows: Sequence[Row]) -> str:
    """Alignment error rates beside the diagonal's."""
    return markdown(
        rows,
        {
            "Language": lambda row: row["label"],
            "AER": lambda row: percent(row["aer"]),
            "AER of the diagonal": lambda row: percent(row["aer_diagonal"]),
            "Precision": lambda row: percent(row["precision"]),
            "Recall": lambda row: percent(row["recall"]),
            "Sentences": lambda row: f"{row['sentences']:,}",
        },
    )


def thesis(rows: Sequence[Row]) -> str:
    """The thesis's values beside ours, with the verdict."""
    return markdown(
        rows,
        {
            "Evaluation": lambda row: row["evaluation"],
            "Measure": lambda row: (
                row["metric"].replace("_", " ") + (f", epoch {row['epoch']}" if row["epoch"] else "")
            ),
            "Source": lambda row: row["source"],
            "Unit": lambda row: row["unit"],
            "Thesis": lambda row: number(row["thesis"]),
            "Ours": lambda row: number(row["ours"]),
            "Tolerance": lambda row: number(row["tolerance"]),
            "Verdict": lambda row: row["verdict"],
        },
        left=4,
    )


def counts(splits: Mapping[str, Row]) -> str:
    """Rows, images, distinct sentences and labels of every split, of `counts.json`."""
    return markdown(
        [{"split": name, **splits[name]} for name in SPLITS if name in splits],
        {
            "Split": lambda row: row["split"],
            "Rows": lambda row: f"{row['rows']:,}",
            "Images": lambda row: f"{row['images']:,}",
            "Sentences": lambda row: f"{row['hypotheses']:,}",
            "Rows, unseen sentence": lambda row: f"{row['unseen_rows']:,}",
            "Contradiction": lambda row: f"{row['labels'].get(LABELS[0], 0):,}",
            "Neutral": lambda row: f"{row['labels'].get(LABELS[1], 0):,}",
            "Entailment": lambda row: f"{row['labels'].get(LABELS[2], 0):,}",
        },
    )


def settings(stages: Mapping[str, Row]) -> str:
    """What each training stage resolved: numbers and names only, "key: value" in a cell."""

    def text(row: Row) -> str:
        plain = {key: value for key, value in row.items() if isinstance(value, (int, float, str))}
        return " · ".join(f"{key.replace('_', ' ')}: {value}" for key, value in sorted(plain.items()))

    columns: dict[str, Text] = {"Stage": lambda row: row["name"], "Values": lambda row: text(row["values"])}
    return markdown([{"name": name, "values": row} for name, row in stages.items()], columns, left=2)


RENDER: dict[str, Callable[[Sequence[Row]], str]] = {
    "results": results,
    "kinds": kinds,
    "classes": classes,
    "alignment": alignment,
    "thesis": thesis,
}
