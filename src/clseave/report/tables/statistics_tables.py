"""Tables of statistics that the thesis lacks, from the rows of `diagnostics`, `verdicts` and `distances`."""

from collections.abc import Callable, Sequence

from clseave.foundation.rows.labels import LABELS
from clseave.report.tables import difference_tables, headline_table, result_tables, thesis_tables
from clseave.report.tables.result_tables import (
    DASH,
    Row,
    Table,
    Text,
    fixed,
    language_name,
    number,
    p_value,
    percent,
    signed,
    span,
    span_of,
    table,
    whole,
)

MAKERS = {"published": "thesis", "recomputed": "recomputed"}


def classes(rows: Sequence[Row]) -> Table:
    """Gold and predicted shares, precision, recall and F1 of each class."""
    columns: dict[str, Text] = {
        "Text": lambda row: row["label"],
        "Class": lambda row: row["class"],
        "Gold": lambda row: percent(row["gold"]),
        "Predicted": lambda row: percent(row["predicted"]),
        "Precision": lambda row: percent(row["precision"]),
        "Recall": lambda row: percent(row["recall"]),
        "F1": lambda row: percent(row["f1"]),
    }
    return table("Share of gold and of predicted labels, precision, recall and F1 by class.", rows, columns, left=2)


def confusion(rows: Sequence[Row]) -> Table:
    """Confusion counts: gold labels down, predicted labels across."""
    columns: dict[str, Text] = {"Text": lambda row: row["label"], "Gold": lambda row: row["gold"]}

    def of(label: str) -> Text:
        return lambda row: whole(row[label])

    columns |= {f"Said {label}": of(label) for label in LABELS}
    return table("Rows by gold label (down) and by what the model says (across).", rows, columns, left=2)


def quality(rows: Sequence[Row]) -> Table:
    """Accuracy, macro-F1, loss, calibration and collapse of every evaluation."""
    columns: dict[str, Text] = {
        "Text": lambda row: row["label"],
        "Accuracy": lambda row: percent(row["accuracy"]),
        "Over seeds": lambda row: DASH if row["seeds_sd"] is None else f"± {100 * row['seeds_sd']:.1f}",
        "Macro-F1": lambda row: percent(row["macro_f1"]),
        "Loss": lambda row: fixed(row["loss"], 3),
        "ECE": lambda row: percent(row["ece"]),
        "Most frequent answer": lambda row: f"{row['answer']}, {percent(row['answer_share'])}",
        "One answer to all": lambda row: f"yes: {row['constant']}" if row["constant"] else "no",
    }
    caption = (
        "Every evaluation once more: macro-F1, loss in nats, expected calibration error (ECE, 15 bins), standard "
        "deviation over seeds where there are several, and whether the model collapsed to one answer."
    )
    return table(caption, rows, columns)


def independent(rows: Sequence[Row]) -> Table:
    """Accuracy on independent translations, beside that on the pipeline's translations of the same rows."""
    columns: dict[str, Text] = {
        "Text": lambda row: row["label"],
        "Rows": lambda row: whole(row["rows"]),
        "Images": lambda row: whole(row["images"]),
        "Accuracy": lambda row: percent(row["accuracy"]),
        "95 % interval": span_of,
        "Rows that the test set has": lambda row: whole(row["rows_shared"]),
        "Points to those": lambda row: signed(row["points"]),
        "Interval": lambda row: span(row["low"], row["high"]),
    }
    caption = (
        "Test accuracy on translations that are not the pipeline's, and the difference to the pipeline's own on the "
        "same rows"
    )
    if all(row["rows_shared"] == row["rows"] for row in rows):
        del columns["Rows that the test set has"]
        caption += ", all of which the test set has"
    caption += "."
    return table(caption, rows, columns)


def reliability(rows: Sequence[Row]) -> Table:
    """Confidence and accuracy by bin, of every evaluation; empty bins are left out."""
    columns: dict[str, Text] = {
        "Text": lambda row: row["label"],
        "Confidence from": lambda row: percent(row["low"]),
        "to": lambda row: percent(row["high"]),
        "Rows": lambda row: whole(row["rows"]),
        "Mean confidence": lambda row: percent(row["confidence"]),
        "Accuracy": lambda row: percent(row["accuracy"]),
    }
    return table("Mean confidence and accuracy by bin of confidence.", [row for row in rows if row["rows"]], columns)


def slices(rows: Sequence[Row]) -> Table:
    """Accuracy by evaluation (down) and slice (across)."""
    score = {(row["label"], row["slice"]): row for row in rows}
    columns: dict[str, Text] = {"Text": lambda row: row["label"]}

    def of(name: str) -> Text:
        def text(row: Row) -> str:
            scored = score.get((row["label"], name))
            if scored is None:
                return DASH
            ends = span_of({"accuracy_low": scored["low"], "accuracy_high": scored["high"]})
            return f"{100 * scored['accuracy']:.1f} ({ends})"

        return text

    counts = {row["slice"]: row["rows"] for row in rows}
    columns |= {f"{name} (n = {counts[name]:,})": of(name) for name in counts}
    labels = [{"label": label} for label in dict.fromkeys(row["label"] for row in rows)]
    return table(
        "Accuracy in percent by what the English sentence says; 95 % intervals cluster by image and statement.",
        labels,
        columns,
    )


def consistency(rows: Sequence[Row]) -> Table:
    """Agreement with English on the same rows."""
    columns: dict[str, Text] = {
        "Text": lambda row: row["label"],
        "Same answer": lambda row: percent(row["same"]),
        "95 % interval": lambda row: result_tables.span_of(row, "same"),
        "Same and right": lambda row: percent(row["same_right"]),
        "Images with all answers the same": lambda row: percent(row["images_same"]),
        "Images": lambda row: whole(row["images"]),
    }
    return table("How often a language's answer is the English one, on the same image and sentence.", rows, columns)


def table_1_1(rows: Sequence[Row]) -> Table:
    """Linguistic distances as published and recomputed."""
    languages = list(dict.fromkeys(row["language"] for row in rows))
    value = {(row["distance"], row["language"]): row for row in rows}
    cells = []
    for distance in dict.fromkeys(row["distance"] for row in rows):
        for key, name in MAKERS.items():
            numbers = [value.get((distance, code), {}).get(key) for code in languages]
            texts = [number(entry) if key == "published" else fixed(entry, 4) for entry in numbers]
            cells.append([distance, name, *texts])
    header = ["Distance", "Source", *(language_name(code) for code in languages)]
    return Table(
        "Table 1.1. Linguistic distances to English: as the thesis prints them, and recomputed.", header, cells, 2
    )


def distance_notes(rows: Sequence[Row]) -> Table:
    """Notes on the published distances, by language."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        grouped.setdefault((row["distance"], row["note"]), []).append(language_name(row["language"]))
    cells = [[distance, ", ".join(languages), note] for (distance, note), languages in grouped.items()]
    caption = "What the thesis's distances are: which of several ways to compute them gives the printed number."
    return Table(caption, ["Distance", "Languages", "Note"], cells, left=3)


def fits(rows: Sequence[Row]) -> Table:
    """Regression of accuracy on each distance."""
    columns: dict[str, Text] = {
        "Distance": lambda row: row["distance"],
        "Source": lambda row: MAKERS[row["maker"]],
        "Languages": lambda row: whole(row["points"]),
        "Slope": lambda row: signed(row["slope"]),
        "95 % interval": lambda row: span(row["slope_low"], row["slope_high"]),
        "r": lambda row: fixed(row["r"], 2).replace("-", "−"),
        "95 % interval of r": lambda row: f"{row['r_low']:.2f} to {row['r_high']:.2f}".replace("-", "−"),
        "p": lambda row: p_value(row["p"]),
        "Verdict": lambda row: row["sentence"],
    }
    caption = "Test accuracy of the target languages fitted on each distance: slope in points per unit of distance."
    return table(caption, rows, columns, left=2)


# Tables that show the numbers of another table, by the name of that table and its CSV file.
VIEWS = {
    "quality": "results",
    "distance_notes": "table_1_1",
    **{f"{name}_per_element": name for name in ("table_a_2", "table_a_3")},
}
RENDER: dict[str, Callable[[Sequence[Row]], Table]] = {
    "results": headline_table.results,
    "independent": independent,
    "kinds": result_tables.kinds,
    "alignment": result_tables.alignment,
    "counts": result_tables.counts,
    "settings": result_tables.settings,
    "classes": classes,
    "confusion": confusion,
    "quality": quality,
    "reliability": reliability,
    "slices": slices,
    "consistency": consistency,
    "table_1_1": table_1_1,
    "distance_notes": distance_notes,
    "fits": fits,
    **difference_tables.RENDER,
    **thesis_tables.RENDER,
}
