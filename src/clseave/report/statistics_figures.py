"""Figures of the statistics that the thesis lacks: data frames in, matplotlib figures out."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from clseave.comparison.diagnostics import MAKERS
from clseave.comparison.verdicts import ENGLISH
from clseave.foundation.rows.labels import LABELS
from clseave.report.result_figures import main_evaluations
from clseave.report.style import (
    BLUE,
    DASHES,
    GREY,
    HALF,
    INK,
    MARKERS,
    ORANGE,
    WIDTH,
    NothingToDrawError,
    canvas,
    heat_map,
    look,
    name_axis,
    need,
    pin,
    short,
)


def significance(pairs: pd.DataFrame) -> Figure:
    """Difference of each pair of languages with its two-way clustered interval; filled where it is significant."""
    need(pairs, "label", "other_label", "points", "low", "high", "p_holm")
    figure, (axes,) = canvas(1.3 + 0.26 * len(pairs))
    axes.axvline(0, color=GREY, linestyle=DASHES, linewidth=1.2)
    for place, row in enumerate(pairs.to_dict("records")):
        fill = BLUE if row["significant"] else "white"
        axes.plot([row["low"], row["high"]], [place, place], color=BLUE, linewidth=2)
        axes.plot(row["points"], place, "o", color=BLUE, markerfacecolor=fill, markersize=6)
    names = [f"{short(row.label)} − {short(row.other_label)}" for row in pairs.itertuples()]
    axes.set_yticks(range(len(pairs)), names, size=9)
    axes.set_ylim(len(pairs) - 0.4, -0.6)
    name_axis(axes)
    axes.set(title="Languages beside each other", xlabel="difference in accuracy, points; filled: significant")
    return figure


def reliability(bins: pd.DataFrame) -> Figure:
    """Accuracy against mean confidence by bin, one panel per model; a calibrated model is on the diagonal."""
    frame = need(bins, "label", "confidence", "accuracy", "rows")
    labels = list(dict.fromkeys(frame["label"]))
    figure, panels = _panels(len(labels), 1.9)
    for axes, label in zip(panels, labels, strict=True):
        part = frame[frame["label"] == label]
        axes.plot([33, 100], [33, 100], color=GREY, linestyle=DASHES, linewidth=1.2)
        axes.plot(100 * part["confidence"], 100 * part["accuracy"], color=BLUE, linewidth=1.2)
        sizes = 8 + 60 * part["rows"] / frame["rows"].max()
        axes.scatter(100 * part["confidence"], 100 * part["accuracy"], color=BLUE, s=sizes)
        axes.set(title=label, ylabel="accuracy, percent")
        axes.label_outer()
    figure.supxlabel("mean confidence of a bin, percent", size=10)
    return figure


def swap(table: pd.DataFrame) -> Figure:
    """Accuracy on minimal pairs (both sentences correct) with its interval, and on their rows.

    It shows English, the languages, and two models for comparison: hypothesis-only and translate-train.
    """
    frame = need(table, "label", "swap_accuracy", "swap_low", "swap_high", "row_accuracy", "pairs")
    frame = main_evaluations(frame, "translate_train", "hypothesis_only")
    figure, (axes,) = canvas(1.7 + 0.34 * len(frame), width=HALF)
    places = range(len(frame))
    axes.hlines(places, 100 * frame["swap_low"], 100 * frame["swap_high"], color=BLUE, linewidth=4, alpha=0.35)
    for number, (column, label) in enumerate(
        (("swap_accuracy", "both of a pair"), ("row_accuracy", "single sentences"))
    ):
        axes.plot(100 * frame[column], places, linestyle="", markersize=6, label=label, **look(number))
    axes.set_yticks(list(places), [short(label).replace(" (", "\n(") for label in frame["label"]])
    axes.set_ylim(len(frame) - 0.4, -0.6)
    name_axis(axes)
    axes.set_xlim(-3, 103)
    axes.set(title="Minimal pairs judged rightly", xlabel=f"percent of n = {frame['pairs'].max():,} pairs")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _panels(count: int, height: float, width: float = WIDTH) -> tuple[Figure, list[Axes]]:
    """Return `count` visible panels with shared axes, two per line of `height` inches."""
    pin()
    lines = -(-count // 2)
    figure = Figure(figsize=(width, 0.7 + height * lines), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(lines, 2, squeeze=False, sharex=True, sharey=True).flat)
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, panels[:count]


def confusion(table: pd.DataFrame) -> Figure:
    """Confusion matrices of English and each language: gold labels down, predicted labels across, in percent."""
    need(table, "label", "gold", *LABELS)
    names = list(
        dict.fromkeys(table.loc[(table["evaluation"] == ENGLISH) | table["label"].str.endswith("(CLSEAVE)"), "label"])
    )
    if not names:
        raise NothingToDrawError("nothing to draw: neither English nor a language")
    figure, panels = _panels(len(names), 1.3, HALF)
    classes = [name if len(name) < 8 else f"{name[:7]}." for name in LABELS]
    for axes, name in zip(panels, names, strict=True):
        grid = table[table["label"] == name].set_index("gold").loc[list(LABELS), list(LABELS)]
        shares = 100 * grid.div(grid.sum(axis=1), axis=0)
        sns.heatmap(shares, ax=axes, cmap="Blues", vmin=0, vmax=100, annot=True, fmt=".0f", cbar=False, linewidths=1)
        axes.set(title=short(name), xlabel="", ylabel="")
        axes.set_xticks([0.5, 1.5, 2.5], classes, rotation=0, size=8)
        axes.set_yticks([0.5, 1.5, 2.5], classes, rotation=0, size=8)
    figure.supxlabel("what the model says", size=9)
    figure.supylabel("gold label, percent of its rows", size=9)
    return figure


def slices(table: pd.DataFrame) -> Figure:
    """Accuracy by slice (across) and evaluation (down)."""
    need(table, "label", "slice", "accuracy", "rows")
    order, labels = list(dict.fromkeys(table["slice"])), list(dict.fromkeys(table["label"]))
    grid = 100 * table.pivot(index="label", columns="slice", values="accuracy").loc[labels, order]
    rows = table.groupby("slice")["rows"].max()
    return heat_map(grid, [f"{name}\nn = {rows[name]:,}" for name in order], "Accuracy by kind of sentence, percent")


def consistency(table: pd.DataFrame) -> Figure:
    """Share of rows with the same prediction as English, and of rows where both are correct."""
    need(table, "label", "same", "same_right", "rows")
    figure, (axes,) = canvas(1.7 + 0.34 * len(table))
    places = range(len(table))
    for number, (column, label) in enumerate((("same", "the same answer"), ("same_right", "the same, and right"))):
        ends = [100 * table[f"{column}_{end}"] for end in ("low", "high")]
        axes.hlines(places, *ends, color=look(number)["color"], linewidth=4, alpha=0.35)
        axes.plot(100 * table[column], places, linestyle="", markersize=6, label=label, **look(number))
    axes.set_yticks(list(places), table["label"])
    axes.set_ylim(len(table) - 0.4, -0.6)
    name_axis(axes)
    axes.set(title="Agreement with English", xlabel=f"percent of n = {table['rows'].max():,} rows")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def fits(table: pd.DataFrame) -> Figure:
    """Correlation of accuracy with each linguistic distance, as published and as recomputed, with its interval."""
    frame = need(table, "distance", "maker", "r", "r_low", "r_high")
    names = list(dict.fromkeys(frame["distance"]))
    figure, (axes,) = canvas(1.7 + 0.42 * len(names))
    axes.axvline(0, color=GREY, linestyle=DASHES, linewidth=1.2)
    looks = zip(MAKERS, ("thesis's distance", "recomputed"), (ORANGE, BLUE), MARKERS[:2], strict=True)
    for number, (maker, label, colour, marker) in enumerate(looks):
        part = frame[frame["maker"] == maker]
        places = [names.index(name) + (number - 0.5) * 0.36 for name in part["distance"]]
        axes.hlines(places, part["r_low"], part["r_high"], color=colour, linewidth=4, alpha=0.35)
        axes.plot(part["r"], places, marker, color=colour, markeredgecolor=INK, markeredgewidth=0.4, label=label)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(-1.05, 1.05)
    name_axis(axes)
    languages = f"{frame['points'].max():.0f} languages"
    axes.set(title="Accuracy and linguistic distance", xlabel=f"r with 95 % interval; n = {languages}")
    figure.legend(loc="outside lower center", ncols=2)
    return figure
