"""The results table of the README: every evaluation of the test set."""

from collections.abc import Sequence
from dataclasses import replace

from clseave.report.tables.result_tables import DASH, Row, Table, Text, mean_sd, percent, signed, span_of, table, whole

CUT = "†"  # marks evaluations whose model was cut short by its budget


def results(rows: Sequence[Row]) -> Table:
    """Accuracy of every evaluation; differences are to the first row, on the same test rows.

    Columns for several seeds, minimal pairs or the thesis's corpus are present only if a row has such values.
    """
    first, seeds = rows[0]["evaluation"], max(row["all_seeds"] for row in rows)

    def gap(row: Row, suffix: str) -> str:
        return DASH if row["evaluation"] == first else signed(row[f"points_vs_{first}{suffix}"])

    columns: dict[str, Text] = {
        "Text": lambda row: f"{row['label']} {CUT}" if row["cut"] else row["label"],
        "Accuracy": lambda row: percent(row["accuracy"]),
        "95 % interval": span_of,
    }
    if seeds > 1:
        columns[f"Mean ± sd of {seeds} seeds"] = lambda row: mean_sd(row["seeds_mean"], row["seeds_sd"])
    columns |= {
        "Seen": lambda row: percent(row["accuracy_seen"]),
        "Unseen": lambda row: percent(row["accuracy_unseen"]),
    }
    if any(row["swap_pairs"] for row in rows):
        columns["Swap"] = lambda row: percent(row["swap_accuracy"])
    columns |= {"vs English": lambda row: gap(row, ""), "vs English, unseen": lambda row: gap(row, "_unseen")}
    columns["Loss"] = lambda row: f"{row['loss']:.3f}"
    if any(row.get("verdict") for row in rows):
        columns["Thesis"] = lambda row: DASH if row["thesis"] is None else f"{row['thesis']:.2f} %"
        columns["Verdict"] = lambda row: row["verdict"] or DASH
    caption = "Test accuracy of every evaluation; differences in points on the same rows; loss in nats."
    made = table(caption, rows, columns)
    return replace(made, notes=tuple(notes(rows, seeds)))


def notes(rows: Sequence[Row], seeds: int) -> list[str]:
    """Return notes on the columns of `results`, with their numbers of rows and statements."""
    first = rows[0]
    texts = [
        f"Intervals cluster the {whole(first['rows'])} rows by image ({whole(first['images'])}) and by statement "
        f"({whole(first['statements'])}); {DASH} where every image has the same share."
    ]
    if first["rows_seen"] or first["rows_unseen"]:
        parts = [
            f"{part}: {whole(first[f'rows_{part}'])} rows of {whole(first[f'statements_{part}'])} statements"
            for part in ("seen", "unseen")
        ]
        texts.append(f"{parts[0].capitalize()}; {parts[1]}.")
    if first["swap_pairs"]:
        texts.append(
            f"Swap: both rows right, of {whole(first['swap_pairs'])} minimal pairs (the same words in another order, "
            f"another label); who cannot tell the order has 0."
        )
    if seeds > 1:
        own = "all of them" if first["seeds"] == seeds else f"{first['seeds']} of them"
        texts.append(
            f"Mean ± standard deviation over up to {seeds} training seeds; the other columns are of {own}, and their "
            f"intervals allow for the choice of seed."
        )
    if any(row["cut"] for row in rows):
        texts.append(f"{CUT} Cut by its budget: its model kept the last epoch of its schedule.")
    return texts
