"""The thesis's tables with our numbers beside the published ones, from the rows of `thesis_values`."""

from collections.abc import Callable, Mapping, Sequence

from clseave.comparison.verdicts import NOT_RUN, OTHER_CORPUS
from clseave.report.tables.result_tables import (
    DASH,
    Row,
    Table,
    Text,
    fixed,
    label_of,
    language_name,
    span_of,
    table,
    whole,
)

MEASURES = {
    "dev_mse": "validation MSE", "dev_mae": "validation MAE", "train_mse": "training MSE",
    "train_loss": "training loss", "dev_loss": "validation loss",
    "train_accuracy": "training accuracy", "dev_accuracy": "validation accuracy",
    "accuracy": "test accuracy", "loss": "test loss", "points_vs_en": "test accuracy minus English",
    "epochs_run": "epochs run", "rows_per_label": "rows per label", "width": "width of a sentence vector",
}  # fmt: skip
DECIMALS = {"percent": 2, "points": 2, "nats": 4, "MSE per element": 4, "MAE per element": 4}  # by unit


def table_2_1(rows: Sequence[Row]) -> Table:
    """Number of rows of every split."""
    columns: dict[str, Text] = {
        "Split": lambda row: row["split"],
        "This run": lambda row: whole(row["ours"]),
        "SNLI": lambda row: whole(row["snli"]),
        "SNLI-VE": lambda row: whole(row["snli_ve"]),
    }
    return table(
        "Table 2.1. Pairs of an image (SNLI: a text) and a sentence: this run's corpus and the published.",
        rows,
        columns,
    )


def shown_columns(rows: Sequence[Row], columns: Mapping[str, Text]) -> dict[str, Text]:
    """Drop the columns of verdict and tolerance when the run has another corpus, where no row has a verdict."""
    if any(
        text(row) not in (OTHER_CORPUS, DASH) for row in rows for name, text in columns.items() if name == "Verdict"
    ):
        return dict(columns)
    return {name: text for name, text in columns.items() if name not in ("Verdict", "Tolerance")}


def verdict(*verdicts: str | None) -> str:
    """Join verdicts, without duplicates."""
    return " / ".join(dict.fromkeys(text for text in verdicts if text)) or DASH


def table_4_1(rows: Sequence[Row]) -> Table:
    """Loss and accuracy on test."""
    columns: dict[str, Text] = {
        "Language": lambda row: language_name(row["language"]),
        "Loss": lambda row: fixed(row["loss"], 4),
        "Loss, thesis": lambda row: fixed(row["thesis_loss"], 4),
        "Accuracy": lambda row: DASH if row["accuracy"] is None else f"{100 * row['accuracy']:.2f} %",
        "95 % interval": span_of,
        "Accuracy, thesis": lambda row: DASH if row["thesis_accuracy"] is None else f"{row['thesis_accuracy']:.2f} %",
        "Verdict": lambda row: verdict(row["verdict_loss"], row["verdict_accuracy"]),
    }
    caption = "Table 4.1. Loss (nats) and accuracy on test: English by CLIP-VE, the others by CLSEAVE."
    return table(caption, rows, shown_columns(rows, columns))


def table_a_1(rows: Sequence[Row]) -> Table:
    """Hyper-parameters of this run and of the thesis."""
    columns: dict[str, Text] = {"Hyper-parameter": lambda row: row["hyperparameter"]}

    def of(key: str) -> Text:
        return lambda row: row[key] or DASH

    for name, key in (("CLIP-VE", "clip_ve"), ("CLSEAVE", "clseave"), ("Autoencoder", "autoencoder")):
        columns |= {name: of(key), f"{name}, thesis": of(f"{key}_thesis")}
    return table("Table A.1. Hyper-parameters: this run's beside the thesis's.", rows, columns)


def by_epoch(caption: str, key: str, digits: int) -> Callable[[Sequence[Row]], Table]:
    """Return the renderer of a table of errors: languages and sources down, the thesis's epochs and the last across."""

    def make(rows: Sequence[Row]) -> Table:
        suffix = "_sum" if key == "sum" else ""
        languages = list(dict.fromkeys(row["language"] for row in rows))
        epochs = (
            sorted({row["epoch"] for row in rows if row["thesis"] is not None}) or [row["epoch"] for row in rows][:9]
        )
        lines = []
        for code in languages:
            for source, name in (("ours", "this run"), ("thesis", "thesis")):
                values = {row["epoch"]: row[source + suffix] for row in rows if row["language"] == code}
                values = {epoch: value for epoch, value in values.items() if value is not None}
                last = max(values, default=None)
                ends = DASH if last is None else f"{fixed(values[last], digits)} ({last})"
                if values or source == "ours":
                    cells = [fixed(values.get(epoch), digits) for epoch in epochs]
                    cells = cells if values else [NOT_RUN, *cells[1:]]
                    lines.append([language_name(code), name, *cells, ends])
        widths = {row["width"] for row in rows if row["width"]} | {rows[0]["thesis_width"]}
        text = caption.format(widths=" or ".join(str(width) for width in sorted(widths)))
        return Table(text, ["Language", "Source", *(f"{epoch}" for epoch in epochs), "Last (epoch)"], lines, left=2)

    return make


def errors(rows: Sequence[Row]) -> Table:
    """Errors of every student at its kept epoch."""
    columns: dict[str, Text] = {
        "Language": lambda row: language_name(row["language"]),
        "Epoch": lambda row: whole(row["epoch"]) if row["epoch"] else NOT_RUN,
        "Train MSE": lambda row: fixed(row["train_mse"], 4),
        "MSE": lambda row: fixed(row["dev_mse"], 4),
        "MAE": lambda row: fixed(row["dev_mae"], 4),
        "Cosine": lambda row: fixed(row["dev_cosine"], 4),
        "MSE, summed": lambda row: fixed(row["dev_mse_sum"], 2),
        "MAE, summed": lambda row: fixed(row["dev_mae_sum"], 2),
        "Thesis: MSE": lambda row: fixed(row["thesis_dev_mse"], 4),
        "Thesis: MSE, summed": lambda row: fixed(row["thesis_dev_mse_sum"], 2),
        "Thesis: MAE, summed": lambda row: fixed(row["thesis_dev_mae_sum"], 2),
    }
    widths = " or ".join(sorted({str(row["width"]) for row in rows if row["width"]})) or "?"
    compared = any(row["thesis_epoch"] for row in rows)
    theirs = f" here, {rows[0]['thesis_width']} in the thesis, whose values are those of its last epoch"
    caption = (
        f"Errors of every student on validation sentences at the epoch that it kept: per element of a vector, and "
        f"summed over its elements ({widths}{theirs * compared})."
    )
    columns = {name: text for name, text in columns.items() if compared or not name.startswith("Thesis")}
    return table(caption, rows, columns)


def expected(rows: Sequence[Row]) -> Table:
    """Single values of the thesis beside ours, with verdicts."""

    def value(row: Row, key: str) -> str:
        if row[key] is None:
            return NOT_RUN if key == "ours" else DASH
        return (
            fixed(row[key], DECIMALS.get(row["unit"], 0)).replace("-", "−")
            if row["unit"] in DECIMALS
            else whole(row[key])
        )

    def measure(row: Row) -> str:
        return MEASURES.get(row["metric"], str(row["metric"])) + (f", epoch {row['epoch']}" if row["epoch"] else "")

    columns: dict[str, Text] = {
        "Of": lambda row: label_of(row["evaluation"]),
        "Measure": measure,
        "Where": lambda row: row["source"],
        "Unit": lambda row: row["unit"],
        "Thesis": lambda row: value(row, "thesis"),
        "Ours": lambda row: value(row, "ours"),
        "Tolerance": lambda row: f"± {row['tolerance']:g}",
        "Verdict": lambda row: row["verdict"],
    }
    kept = shown_columns(rows, columns)
    other = "" if "Verdict" in kept else " They are of another corpus and not judged."
    return table(f"Values of the thesis beside ours.{other}", rows, kept, left=4)


SUMMED = "summed over the elements of a vector ({widths}), as the thesis prints it"
EACH = "per element of a vector ({widths} of them)"
A_2 = "Validation MSE of every student by epoch, "
A_3 = "Validation MAE of every student by epoch, "
RENDER: dict[str, Callable[[Sequence[Row]], Table]] = {
    "table_2_1": table_2_1,
    "table_4_1": table_4_1,
    "table_a_1": table_a_1,
    "table_a_2": by_epoch(f"Table A.2. {A_2}{SUMMED}.", "sum", 2),
    "table_a_2_per_element": by_epoch(f"{A_2}{EACH}.", "each", 4),
    "table_a_3": by_epoch(f"Table A.3. {A_3}{SUMMED}.", "sum", 2),
    "table_a_3_per_element": by_epoch(f"{A_3}{EACH}.", "each", 4),
    "errors": errors,
    "thesis": expected,
}
