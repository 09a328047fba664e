"""The figures of the report: data frames in, matplotlib figures out, no file access.

Frames are the CSV tables that `compare` writes and the training curves. Every figure states its unit and the number
of rows behind it. Colours are seaborn's colour-blind palette, and marks differ in shape too. `pin` makes the look
independent of the machine: matplotlib's defaults, its own DejaVu Sans, a fixed salt for the ids in SVG files.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

CHANCE = 100 / 3  # percent, three balanced classes
METADATA = {"Date": None, "Creator": None}  # what an SVG file must not hold
COLOURS = sns.color_palette("colorblind").as_hex()
BLUE, ORANGE = COLOURS[:2]
INK, GREY = "#333333", "#8a8a8a"
DASHES = (0, (2, 2))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#bbbbbb",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": "#e8e8e8",
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "figure.dpi": 144,
    "svg.hashsalt": "clseave",
}


def pin() -> None:
    """Set matplotlib to its defaults and this style, whatever the user's own settings are."""
    mpl.rcdefaults()
    sns.set_theme(style="whitegrid", palette="colorblind", rc=STYLE)


def canvas(width: float, height: float, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure of inches with panels side by side, in the pinned style."""
    pin()
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08))
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def need(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The frame, not empty and with these columns; ValueError names what is missing."""
    missing = [column for column in columns if column not in frame.columns]
    if missing or frame.empty:
        raise ValueError(f"nothing to draw: {f'no column {missing[0]}' if missing else 'no row'}")
    return frame


def count(frame: pd.DataFrame) -> str:
    """How many test rows and images stand behind a results table: "n = 13,500 rows of 1,500 images"."""
    return f"n = {frame['rows'].max():,} rows of {frame['images'].max():,} images"


def _percent_axis(axes: Axes, low: float, high: float = 101) -> None:
    axes.set_xlim(low, high)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _marked_line(axes: Axes, place: float, top: float, text: str, colour: str, **look: Any) -> None:
    axes.axvline(place, color=colour, **look)
    side, shift = ("right", -4) if place > 50 else ("left", 4)
    axes.annotate(text, (place, top), (shift, -2), textcoords="offset points", va="top", ha=side, color=INK, size=9)


def _curve(axes: Axes, x: pd.Series, y: pd.Series, number: int, *, label: str | None, every: int = 1) -> None:
    axes.plot(x, y, MARKERS[number] + "-", color=COLOURS[number], label=label, markersize=4.5, markevery=every)


def _bars(axes: Axes, places: Sequence[float], width: float, values: pd.Series, *, number: int, label: str) -> None:
    look = {"color": COLOURS[number], "hatch": ("", "//", "..", "xx")[number % 4], "edgecolor": "white", "linewidth": 0}
    axes.bar_label(axes.bar(places, values, width, label=label, **look), fmt="%.0f", padding=2, size=9)
    axes.grid(axis="x", visible=False)


def accuracy(results: pd.DataFrame) -> Figure:
    """Accuracy of every evaluation with its 95 % interval; the first row (English) and chance as lines."""
    need(results, "label", "accuracy", "accuracy_low", "accuracy_high")
    figure, (axes,) = canvas(6.6, 1.3 + 0.38 * len(results))
    english = 100 * results["accuracy"].iloc[0]
    _marked_line(axes, CHANCE, -0.9, "chance", GREY, linestyle=DASHES, linewidth=1.2)
    _marked_line(axes, english, -0.9, "English", ORANGE, linewidth=1.4)
    for place, row in enumerate(results.to_dict("records")):
        value, low, high = (100 * row[key] for key in ("accuracy", "accuracy_low", "accuracy_high"))
        axes.plot([low, high], [place, place], color=BLUE, linewidth=5, alpha=0.35, solid_capstyle="butt")
        axes.plot(value, place, "o" if place else "D", color=BLUE if place else ORANGE, markersize=6)
        axes.annotate(f"{value:.1f}", (1, place), xycoords=("axes fraction", "data"), va="center", ha="right", size=9)
    axes.set_yticks(range(len(results)), results["label"])
    axes.set_ylim(len(results) - 0.4, -0.9)
    _percent_axis(axes, min(25.0, 100 * results["accuracy_low"].min() - 2), 108)
    axes.set_xticks(range(30, 101, 10))
    axes.set(title="Test accuracy with 95 % interval over images", xlabel=f"accuracy, percent; {count(results)}")
    return figure


def seen_unseen(results: pd.DataFrame) -> Figure:
    """Accuracy on sentences that occurred in training beside that on sentences that did not."""
    frame = need(need(results, "accuracy_seen", "accuracy_unseen").dropna(subset=["accuracy_seen", "accuracy_unseen"]))
    figure, (axes,) = canvas(6.6, 1.6 + 0.36 * len(frame))
    _marked_line(axes, CHANCE, -0.8, "chance", GREY, linestyle=DASHES, linewidth=1.2)
    places = range(len(frame))
    seen, unseen = 100 * frame["accuracy_seen"], 100 * frame["accuracy_unseen"]
    axes.hlines(places, seen, unseen, color="#cccccc", linewidth=3, zorder=1)
    rows = frame.iloc[0]
    axes.scatter(seen, places, color=BLUE, marker="o", s=44, label=f"seen in training ({rows['rows_seen']:,} rows)")
    axes.scatter(unseen, places, color=ORANGE, marker="D", s=38, label=f"not seen ({rows['rows_unseen']:,} rows)")
    axes.set_yticks(list(places), frame["label"])
    axes.set_ylim(len(frame) - 0.4, -0.8)
    _percent_axis(axes, min(25.0, unseen.min() - 3, seen.min() - 3))
    axes.set(title="Sentences seen and not seen in training", xlabel="accuracy, percent")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def kinds(table: pd.DataFrame) -> Figure:
    """Accuracy by kind of statement (across) and evaluation (down)."""
    need(table, "label", "kind", "accuracy", "rows")
    order, labels = list(dict.fromkeys(table["kind"])), list(dict.fromkeys(table["label"]))
    grid = 100 * table.pivot(index="label", columns="kind", values="accuracy").loc[labels, order]
    rows = table.groupby("kind")["rows"].max()
    figure, (axes,) = canvas(6.8, 1.4 + 0.34 * len(grid))
    look = {"annot": True, "fmt": ".0f", "annot_kws": {"size": 9}, "linewidths": 1.5, "cbar": False}
    sns.heatmap(grid, ax=axes, cmap="cividis", vmin=CHANCE, vmax=100, **look)
    for text, value in zip(axes.texts, grid.to_numpy().ravel(), strict=True):
        text.set_color("black" if value > 65 else "white")  # the more legible on cividis
    names = [kind.replace("_", " ", 1).replace("_", "\n") for kind in order]
    names = [f"{name}\nn = {rows[kind]:,}" for name, kind in zip(names, order, strict=True)]
    axes.set_xticks([place + 0.5 for place in range(len(order))], names, rotation=0, size=9)
    axes.set(title="Accuracy by kind of statement, percent", xlabel="", ylabel="")
    axes.tick_params(length=0)
    return figure


def clip_ve_curves(curve: pd.DataFrame, rows: int, name: str = "CLIP-VE") -> Figure:
    """Loss and accuracy of training and of `rows` validation rows by epoch; the lowest validation loss is marked."""
    need(curve, "epoch", "train_loss", "dev_loss", "train_accuracy", "dev_accuracy")
    figure, panels = canvas(6.6, 3.3, panels=2)
    best = curve.loc[curve["dev_loss"].idxmin(), "epoch"]
    for axes, measure, unit, scale in zip(panels, ("loss", "accuracy"), ("nats", "percent"), (1, 100), strict=True):
        first = measure == "loss"  # one legend for both panels
        for number, (split, label) in enumerate((("train", "training"), ("dev", f"validation (n = {rows:,} rows)"))):
            _curve(axes, curve["epoch"], scale * curve[f"{split}_{measure}"], number, label=label if first else None)
        mark = "lowest validation loss" if first else None
        axes.axvline(best, color=GREY, linestyle=DASHES, linewidth=1.2, label=mark)
        axes.set(title=f"{name}: {measure}", xlabel="epoch", ylabel=f"{measure}, {unit}")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, nbins=8))
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def student_curves(curves: Mapping[str, pd.DataFrame], sentences: int) -> Figure:
    """Validation MSE of every CLSEAVE student by epoch, curves by label, each over `sentences` sentences."""
    if not curves:
        raise ValueError("nothing to draw: no student")
    figure, (axes,) = canvas(6.6, 3.8)
    for number, (label, curve) in enumerate(curves.items()):
        need(curve, "epoch", "dev_mse")
        _curve(axes, curve["epoch"], curve["dev_mse"], number, label=label, every=max(1, len(curve) // 12))
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 3, 5)))
    axes.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, nbins=12))
    axes.set(
        title="CLSEAVE: distance of student and teacher vectors",
        ylabel="validation MSE per element, log scale",
        xlabel=f"epoch; n = {sentences:,} validation sentences a language",
    )
    axes.legend(loc="upper right", ncols=2)
    return figure


def predicted_classes(table: pd.DataFrame, evaluations: Sequence[str]) -> Figure:
    """What share of the test rows each model calls what, beside the gold share; a collapse shows as one bar."""
    frame = need(table[table["evaluation"].isin(evaluations)], "class", "predicted", "gold")
    figure, (axes,) = canvas(6.6, 3.4)
    classes, models = list(dict.fromkeys(frame["class"])), list(dict.fromkeys(frame["label"]))
    width = 0.8 / len(models)
    for number, (label, part) in enumerate((label, frame[frame["label"] == label]) for label in models):
        shares = 100 * part.set_index("class")["predicted"].loc[classes]
        places = [place + (number - (len(models) - 1) / 2) * width for place in range(len(classes))]
        _bars(axes, places, width * 0.94, shares, number=number, label=label)
    gold = 100 * frame.groupby("class")["gold"].first().loc[classes]
    left, right = ([place + side for place in range(len(classes))] for side in (-0.45, 0.45))
    axes.hlines(gold, left, right, color=INK, linewidth=1.5, linestyle=(0, (4, 2)), label="gold labels")
    axes.set_xticks(range(len(classes)), classes)
    axes.set_ylim(0, 109)
    axes.set(title="Which class is predicted how often", ylabel=f"percent of n = {frame['rows'].max():,} rows")
    figure.legend(loc="outside lower center", ncols=3 if len(models) < 3 else 2)
    return figure


def alignment(table: pd.DataFrame) -> Figure:
    """Alignment error rate of the word aligner by language, beside that of the diagonal; lower is better."""
    need(table, "label", "aer", "aer_diagonal", "sentences")
    figure, (axes,) = canvas(6.6, 3.2)
    columns = {"aer": "mBERT states (awesome-align's rule)", "aer_diagonal": "diagonal"}
    for number, (column, label) in enumerate(columns.items()):
        places = [place + 0.4 * number - 0.2 for place in range(len(table))]
        _bars(axes, places, 0.37, 100 * table[column], number=number, label=label)
    axes.set_xticks(range(len(table)), table["label"])
    axes.set_ylim(0, 1.12 * 100 * float(table[["aer", "aer_diagonal"]].to_numpy().max()) + 1)
    axes.set(
        title=f"Word alignment error (n = {table['sentences'].max():,} sentences a language)",
        xlabel="",
        ylabel="AER, percent (lower is better)",
    )
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def backbone_curves(clip: pd.DataFrame, mbert: pd.DataFrame) -> Figure:
    """Training loss of the two backbones by step, each point the mean since the one before."""
    figure, panels = canvas(6.6, 2.9, panels=2)
    names = ("CLIP: contrastive loss", "multilingual BERT: masked words")
    for axes, curve, name in zip(panels, (clip, mbert), names, strict=True):
        need(curve, "step", "loss")
        axes.plot(curve["step"], curve["loss"], color=BLUE)
        axes.set(title=name, xlabel="step", ylabel="training loss, nats")
        axes.set_ylim(bottom=0)
    return figure
