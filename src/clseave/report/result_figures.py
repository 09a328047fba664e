"""Figures of the results: data frames in, matplotlib figures out, no file access.

Frames are the CSV tables that `compare` writes. Every figure states its unit and its number of rows.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clseave.comparison.verdicts import ENGLISH
from clseave.report.style import (
    BLUE,
    CHANCE,
    DASHES,
    GREY,
    HALF,
    ORANGE,
    NothingToDrawError,
    bars,
    canvas,
    count,
    heat_map,
    marked_line,
    need,
    percent_axis,
    short,
)
from clseave.report.tables.result_tables import language_name

GOLD = 7  # the palette's grey
WORD_LEVEL = "clteave"  # prefix of the names of evaluations of word-level transfer


def accuracy(results: pd.DataFrame) -> Figure:
    """Accuracy of every evaluation with its 95 % interval; the first row (English) and chance as lines."""
    need(results, "label", "accuracy", "accuracy_low", "accuracy_high")
    figure, (axes,) = canvas(1.3 + 0.36 * len(results))
    english = 100 * results["accuracy"].iloc[0]
    marked_line(axes, CHANCE, -0.9, "chance", GREY, left=english >= CHANCE, linestyle=DASHES, linewidth=1.2)
    marked_line(axes, english, -0.9, "English", ORANGE, left=english < CHANCE, linewidth=1.4)
    for place, row in enumerate(results.to_dict("records")):
        value, low, high = (100 * row[key] for key in ("accuracy", "accuracy_low", "accuracy_high"))
        axes.barh(place, high - low, 0.6, low, color=BLUE, alpha=0.35, linewidth=0)  # taller than the mark
        axes.plot(value, place, "o" if place else "D", color=BLUE if place else ORANGE, markersize=3.5)
        axes.annotate(f"{value:.1f}", (1, place), xycoords=("axes fraction", "data"), va="center", ha="right", size=9)
    axes.set_yticks(range(len(results)), results["label"])
    axes.set_ylim(len(results) - 0.4, -0.9)
    percent_axis(axes, min(25.0, 100 * results["accuracy_low"].min() - 2), 112)
    axes.set_xticks(range(40, 101, 20))
    axes.set(title="Test accuracy with 95 % interval", xlabel=f"accuracy, percent\n{count(results)}")
    return figure


def main_evaluations(frame: pd.DataFrame, *also: str) -> pd.DataFrame:
    """Return the rows of English, of each language's student, and of the evaluations named in `also`."""
    if "evaluation" not in frame:
        return frame
    language = frame["label"].str.endswith("(CLSEAVE)")
    return frame[(frame["evaluation"] == ENGLISH) | language | frame["evaluation"].isin(also)]


def languages(results: pd.DataFrame) -> Figure:
    """Accuracy of English and of each language of a student with its 95 % interval, on an axis that fits them."""
    frame = need(results, "label", "accuracy", "accuracy_low", "accuracy_high")
    frame = main_evaluations(frame)
    if frame.empty:
        raise NothingToDrawError("nothing to draw: neither English nor a language")
    figure, (axes,) = canvas(1.3 + 0.3 * len(frame), width=HALF)
    values = 100 * frame[["accuracy", "accuracy_low", "accuracy_high"]]
    for place, (value, low, high) in enumerate(values.itertuples(index=False)):
        colour = BLUE if place else ORANGE
        error = [[value - low], [high - value]]
        axes.errorbar(value, place, xerr=error, fmt="o" if place else "D", color=colour, markersize=5, capsize=5)
        axes.annotate(f"{value:.1f}", (1, place), xycoords=("axes fraction", "data"), va="center", ha="right", size=9)
    low, high = values["accuracy_low"].min(), values["accuracy_high"].max()
    room = max(1.0, high - low)
    axes.set_yticks(range(len(frame)), frame["label"].map(short))
    axes.set_ylim(len(frame) - 0.4, -0.6)
    percent_axis(axes, low - 0.1 * room, high + 0.3 * room)
    axes.set(title="Test accuracy with 95 % interval", xlabel=f"accuracy, percent\n{count(frame)}")
    return figure


def _part_intervals(axes: Axes, frame: pd.DataFrame) -> list[pd.Series]:
    """Draw the intervals of both parts, if known, slightly above and below the marks; return their ends."""
    ends = []
    for part, colour, shift in (("seen", BLUE, -0.2), ("unseen", ORANGE, 0.2)):
        names = [f"accuracy_{part}_{end}" for end in ("low", "high")]
        if all(name in frame for name in names):
            low, high = (100 * frame[name] for name in names)
            places = [place + shift for place in range(len(frame))]
            axes.hlines(places, low, high, color=colour, linewidth=2)
            ends += [low, high]
    return ends


def seen_unseen(results: pd.DataFrame) -> Figure:
    """Accuracy on sentences that occurred in training, and on sentences that did not."""
    frame = need(main_evaluations(results), "accuracy_seen", "accuracy_unseen")
    figure, (axes,) = canvas(1.7 + 0.34 * len(frame), width=HALF)
    places = range(len(frame))
    seen, unseen = 100 * frame["accuracy_seen"], 100 * frame["accuracy_unseen"]
    axes.hlines(places, seen, unseen, color="#cccccc", linewidth=3, zorder=1)
    rows = frame.iloc[0]
    axes.scatter(seen, places, color=BLUE, marker="o", s=44, label=f"seen ({rows['rows_seen']:,.0f} rows)")
    axes.scatter(unseen, places, color=ORANGE, marker="D", s=38, label=f"not seen ({rows['rows_unseen']:,.0f} rows)")
    ends = pd.concat([seen, unseen, *_part_intervals(axes, frame)])
    axes.set_yticks(list(places), frame["label"].map(short))
    axes.set_ylim(len(frame) - 0.4, -0.8)
    percent_axis(axes, ends.min() - 2, min(101.0, ends.max() + 2))
    axes.set(title="Sentences seen in training, or not", xlabel="accuracy, percent")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def kinds(table: pd.DataFrame) -> Figure:
    """Accuracy by kind of statement (across) and evaluation (down)."""
    table = need(main_evaluations(table, "hypothesis_only"), "label", "kind", "accuracy", "rows")
    order, labels = list(dict.fromkeys(table["kind"])), list(dict.fromkeys(table["label"]))
    grid = 100 * table.pivot(index="label", columns="kind", values="accuracy").loc[labels, order].rename(index=short)
    rows = table.groupby("kind")["rows"].max()
    names = [kind.replace("_", " ", 1).replace("_", "\n") for kind in order]
    names = [f"{name}\nn = {rows[kind]:,}" for name, kind in zip(names, order, strict=True)]
    return heat_map(grid, names, "Accuracy by kind, percent")


def predicted_classes(table: pd.DataFrame) -> Figure:
    """Share of each predicted label, of English and the word-level models; a collapsed model has a single bar."""
    first = table["evaluation"].iloc[0]
    words = table["evaluation"].str.startswith(WORD_LEVEL)
    need(table[words], "class", "predicted", "gold")
    frame = table[words | (table["evaluation"] == first)]
    figure, (axes,) = canvas(3.5)
    classes = list(dict.fromkeys(frame["class"]))
    series = {"gold labels": frame.groupby("class")["gold"].first()}
    series |= {label: part.set_index("class")["predicted"] for label, part in frame.groupby("label", sort=False)}
    width = 0.84 / len(series)
    for number, (label, shares) in enumerate(series.items()):
        places = _around(len(classes), number, len(series), width)
        look = number - 1 if number else GOLD
        bars(axes, places, width * 0.94, 100 * shares.loc[classes], number=look, label=label)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_ylim(0, 109)
    axes.set(title="Which class is predicted how often", ylabel=f"percent of n = {frame['rows'].max():,} rows")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _around(groups: int, number: int, members: int, width: float) -> Sequence[float]:
    """Return the positions of a member's bars in all groups."""
    return [place + (number - (members - 1) / 2) * width for place in range(groups)]


def alignment(table: pd.DataFrame) -> Figure:
    """Alignment error rate of the word aligner and of the diagonal, by language; lower is better."""
    frame = need(table, "language", "aer", "aer_diagonal", "sentences")
    figure, (axes,) = canvas(3.3)
    sentences = "–".join(f"{size:,.0f}" for size in sorted({frame["sentences"].min(), frame["sentences"].max()}))
    columns = {"aer": "mBERT's states (awesome-align's rule)", "aer_diagonal": "diagonal"}
    for number, (column, label) in enumerate(columns.items()):
        bars(axes, _around(len(frame), number, 2, 0.4), 0.37, 100 * frame[column], number=number, label=label)
    names = [language_name(code) for code in frame["language"]]
    axes.set_xticks(range(len(frame)), names, rotation=90 if len(frame) > 6 else 0)
    axes.set_ylim(0, 1.12 * 100 * float(frame[["aer", "aer_diagonal"]].to_numpy().max()) + 1)
    axes.set(
        title="Word alignment error; lower is better",
        xlabel=f"n = {sentences} sentences a language",
        ylabel="AER, percent",
    )
    figure.legend(loc="outside lower center", ncols=2)
    return figure
