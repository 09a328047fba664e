"""Tables of differences and their limits: tests, minimal pairs, unseen statements, seeds, budgets."""

from collections.abc import Callable, Sequence

from clseave.report.tables.result_tables import (
    DASH,
    Row,
    Table,
    Text,
    language_name,
    mean_sd,
    number,
    p_value,
    percent,
    signed,
    span,
    span_of,
    table,
    whole,
)
from clseave.statistics.significance import ALPHA

SIGNIFICANT = (
    f"Significant: the corrected p is below {ALPHA}, and the intervals that cluster by image alone and by statement "
    f"alone exclude 0 too."
)
COUNTED = ("rows", "statements")


def significance(rows: Sequence[Row]) -> Table:
    """Difference of each pair of languages, its test, and whether it is significant."""
    columns: dict[str, Text] = {
        "One": lambda row: row["label"],
        "Other": lambda row: row["other_label"],
        "Only one right": lambda row: whole(row["b"]),
        "Only other right": lambda row: whole(row["c"]),
        **_tested("", lambda row: row),
    }
    caption = (
        f"Every two languages on the same {whole(rows[0]['rows'])} rows: difference in accuracy in points with its "
        f"95 % interval, clustered by image and statement, and its p corrected for the number of comparisons, "
        f"{len(rows)} (Holm). {SIGNIFICANT}"
    )
    return table(caption, rows, columns, left=2)


def _tested(suffix: str, find: Callable[[Row], Row | None]) -> dict[str, Text]:
    """Return columns of points, interval, corrected p and verdict from the row that `find` returns; dashes for None."""

    def of(text: Text) -> Text:
        def cell(row: Row) -> str:
            tested = find(row)
            return DASH if tested is None else text(tested)

        return cell

    columns: dict[str, Text] = {
        "Points": lambda row: signed(row["points"]),
        "95 % interval": lambda row: span(row["low"], row["high"]),
        "p, Holm": lambda row: p_value(row["p_holm"]),
        "Significant": lambda row: "yes" if row["significant"] else "no",
    }
    return {name + suffix: of(text) for name, text in columns.items()}


def against_english(rows: Sequence[Row]) -> Table:
    """Differences to English by evaluation (down), on all, seen and unseen rows (across)."""
    by_label = {(row["label"], row["rows_set"]): row for row in rows}
    sizes = {row["rows_set"]: row for row in reversed(rows)}
    sets = list(dict.fromkeys(row["rows_set"] for row in rows))
    columns: dict[str, Text] = {"Text": lambda row: row["label"]}

    def of(name: str) -> Callable[[Row], Row | None]:
        return lambda row: by_label.get((row["label"], name))

    for name in sets:
        columns |= _tested(f", {name}", of(name))
    counts = "; ".join(
        f"{name}: {whole(sizes[name]['rows'])} rows of {whole(sizes[name]['statements'])}" for name in sets
    )
    caption = (
        f"Difference to English in points, with its 95 % interval clustered by image and statement, and p corrected "
        f"for the number of comparisons, {len(rows)} (Holm). {counts} statements. {SIGNIFICANT}"
    )
    labels = [{"label": label} for label in dict.fromkeys(row["label"] for row in rows)]
    return table(caption, labels, columns)


def swap(rows: Sequence[Row]) -> Table:
    """Accuracy on minimal pairs and on their rows."""
    columns: dict[str, Text] = {
        "Text": lambda row: row["label"],
        "Both right": lambda row: percent(row["swap_accuracy"]),
        "95 % interval": lambda row: span_of(row, "swap"),
        "Single rows right": lambda row: percent(row["row_accuracy"]),
    }
    caption = (
        f"Swap accuracy: both rows right, of {whole(rows[0]['pairs'])} minimal pairs: one image, the same words in "
        f"another order or direction, another label. Who cannot tell the order scores {percent(rows[0]['chance'])}, "
        f"whatever the single rows say. Intervals cluster by image and pair of statements."
    )
    return table(caption, rows, columns)


def unseen(rows: Sequence[Row]) -> Table:
    """Numbers of seen and unseen rows and statements by kind, and each language's accuracy on them."""
    columns: dict[str, Text] = {"Kind": lambda row: row["kind"].replace("_", " ")}

    def counted(what: str, part: str) -> Text:
        return lambda row: whole(row[f"{what}_{part}"])

    def share(name: str, part: str) -> Text:
        return lambda row: percent(row[f"{name}_{part}"])

    names = [key.removesuffix("_seen") for key in rows[0] if key.endswith("_seen")]
    for part in ("seen", "unseen"):
        columns |= {f"{what.capitalize()}, {part}": counted(what, part) for what in COUNTED}
    for name in (name for name in names if name not in COUNTED):
        columns |= {f"{language_name(name)}, {part}": share(name, part) for part in ("seen", "unseen")}
    return table("Rows, distinct statements and accuracy on seen and unseen sentences, by kind.", rows, columns)


def seeds(rows: Sequence[Row]) -> Table:
    """Accuracy over training seeds: mean, standard deviation, extremes."""

    def gap(row: Row) -> str:
        return DASH if row["gap_sd"] is None else f"{signed(row['gap_mean'])} ± {row['gap_sd']:.1f}"

    columns: dict[str, Text] = {
        "Text": lambda row: row["label"],
        "Seeds": lambda row: whole(row["seeds"]),
        "Mean ± sd": lambda row: mean_sd(row["mean"], row["sd"]),
        "Lowest": lambda row: percent(row["min"]),
        "Highest": lambda row: percent(row["max"]),
        "vs English, same seed": gap,
        "Unseen": lambda row: mean_sd(row["unseen_mean"], row["unseen_sd"]),
        "Swap": lambda row: mean_sd(row["swap_mean"], row["swap_sd"]),
    }
    caption = (
        "Accuracy over training seeds in percent: mean and standard deviation; difference to English in points, each "
        "seed with its own teacher."
    )
    return table(
        caption, rows, {name: text for name, text in columns.items() if any(text(row) != DASH for row in rows)}
    )


def stopped(rows: Sequence[Row]) -> Table:
    """Epochs that each model kept, ran and had scheduled."""
    columns: dict[str, Text] = {
        "Model": lambda row: row["model"],
        "Epoch kept": lambda row: row["kept"],
        "Epochs run": lambda row: number(row["ran"]),
        "Epochs of the schedule": lambda row: whole(row["schedule"]),
        "Cut by its budget": lambda row: "yes" if row["cut"] else "no",
    }
    caption = "Epochs of every model; one that kept the last epoch of its schedule might be better for more of them."
    return table(caption, rows, columns)


RENDER: dict[str, Callable[[Sequence[Row]], Table]] = {
    "significance": significance,
    "against_english": against_english,
    "swap": swap,
    "unseen": unseen,
    "seeds": seeds,
    "stopped": stopped,
}
