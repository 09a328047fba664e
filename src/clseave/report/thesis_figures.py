"""The thesis's figures redrawn from this run, with the thesis's values; data frames in, figures out.

Dashed lines and stars are the thesis's: on another corpus they show a shape, not a target. Errors are per element of a
vector.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clseave.comparison.thesis_values import OURS, THESIS
from clseave.report.style import BLUE, DASHES, GREY, HALF, INK, bars, canvas, curve, log_axis, look, need, whole_epochs
from clseave.report.tables.result_tables import language_name


def figure_2_1(labels: pd.DataFrame) -> Figure:
    """Rows by label in train and test, of this run and of the thesis's two data sets, in thousands."""
    need(labels, "dataset", "split", "label", "rows")
    figure, panels = canvas(3.2, panels=2)
    classes, datasets = list(dict.fromkeys(labels["label"])), list(dict.fromkeys(labels["dataset"]))
    width = 0.84 / len(datasets)
    size = 7 if labels["rows"].max() < 1e6 else 5
    for axes, split in zip(panels, ("train", "test"), strict=True):
        for number, dataset in enumerate(datasets):
            part = labels[(labels["split"] == split) & (labels["dataset"] == dataset)].set_index("label")["rows"]
            places = [place + (number - (len(datasets) - 1) / 2) * width for place in range(len(classes))]
            name = dataset if split == "train" else "_"  # one legend for both panels
            bars(axes, places, width * 0.94, part.loc[classes] / 1000, number=number, label=name, size=size)
        axes.margins(y=0.1)
        axes.set_xticks(range(len(classes)), [f"{name[:7]}." if len(name) > 8 else name for name in classes], size=9)
        axes.set(title=split, ylabel="rows, thousands" if split == "train" else "")
    figure.legend(loc="outside lower center", ncols=len(datasets))
    return figure


def figure_3_2(table: pd.DataFrame) -> Figure:
    """CLIP-VE's loss and accuracy by epoch; the lowest validation loss is marked. Stars: the thesis's last epoch."""
    ours = need(table[table["source"] == OURS], "epoch", "train_loss", "dev_loss", "train_accuracy", "dev_accuracy")
    thesis = table[table["source"] == THESIS]
    figure, panels = canvas(3.5, panels=2)
    best = ours.loc[ours["dev_loss"].idxmin(), "epoch"]
    splits = {"train": "training", "dev": f"validation (n = {ours['rows'].iloc[0]:,.0f} rows)"}
    for axes, measure, unit, scale in zip(panels, ("loss", "accuracy"), ("nats", "percent"), (1, 100), strict=True):
        names = splits if measure == "loss" else dict.fromkeys(splits)  # one legend for both panels
        for number, (split, label) in enumerate(names.items()):
            column = f"{split}_{measure}"
            curve(axes, ours["epoch"], scale * ours[column], number, label=label)
            star = {"color": look(number)["color"], "marker": "*", "s": 110, "edgecolor": INK, "zorder": 3}
            star["label"] = label and f"thesis, {label.split()[0]}"
            if len(thesis):
                axes.scatter(thesis["epoch"], scale * thesis[column], **star)
        mark = "lowest validation loss" if measure == "loss" else None
        axes.axvline(best, color=GREY, linestyle=DASHES, linewidth=1.2, label=mark)
        axes.set(title=f"CLIP-VE: {measure}", ylabel=f"{measure}, {unit}")
        whole_epochs(axes)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def by_language(table: pd.DataFrame, column: str) -> Iterator[tuple[int, str, pd.DataFrame, pd.DataFrame]]:
    """Yield number, name, our rows and the thesis's rows of each of our languages with values in the column."""
    frame = need(table, column)
    for number, code in enumerate(dict.fromkeys(frame.loc[frame["source"] == OURS, "language"])):
        part = frame[frame["language"] == code]
        yield number, language_name(code), part[part["source"] == OURS], part[part["source"] == THESIS]


def _draw_students(axes: Axes, table: pd.DataFrame, column: str) -> None:
    """Draw a curve for each language, and the thesis's curve of that language dashed in the same colour."""
    dashes: dict[str, Any] = {"linestyle": DASHES, "linewidth": 1.4}
    drawn = False
    for number, name, ours, thesis in by_language(table, column):
        curve(axes, ours["epoch"], ours[column], number, label=name)
        if len(thesis):
            axes.plot(thesis["epoch"], thesis[column], color=look(number)["color"], **dashes)
            drawn = True
    if drawn:
        axes.plot([], [], color=INK, label="thesis", **dashes)


def figure_4_1a(table: pd.DataFrame) -> Figure:
    """The learning rate of the first student, which all of them share."""
    _, name, ours, _ = next(by_language(table, "learning_rate"))
    figure, (axes,) = canvas(3.2, width=HALF)
    axes.plot(ours["epoch"], ours["learning_rate"], color=BLUE, marker="o", markersize=3.5)
    axes.set_ylim(bottom=0)
    axes.set(title=f"(a) Learning rate, {name}", ylabel="rate of the epoch's last step")
    axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    whole_epochs(axes)
    return figure


def figure_4_1b(table: pd.DataFrame) -> Figure:
    """Training error by epoch on a logarithmic axis, with the range in which the thesis's five curves end."""
    figure, (axes,) = canvas(3.8, width=HALF)
    _draw_students(axes, table, "train_mse")
    for row in table.dropna(subset=["train_mse_low"]).to_dict("records"):
        ends = (row["train_mse_low"], row["train_mse_high"])
        axes.axhspan(*ends, color=INK, alpha=0.5, linewidth=0)
        axes.plot([], [], color=INK, alpha=0.5, linewidth=4, label=f"thesis, epoch {row['epoch']:.0f}")
    return _finish(figure, axes, "(b) Training error", "MSE per element, log scale")


def figure_4_1c(table: pd.DataFrame, counts: pd.DataFrame) -> Figure:
    """Validation MSE by epoch on a logarithmic axis."""
    figure, (axes,) = canvas(3.8, width=HALF)
    _draw_students(axes, table, "dev_mse")
    return _finish(figure, axes, f"(c) Validation MSE, {_sentences(counts)}", "MSE per element, log scale")


def figure_4_1d(table: pd.DataFrame, counts: pd.DataFrame) -> Figure:
    """Validation MAE by epoch on a logarithmic axis."""
    figure, (axes,) = canvas(3.8, width=HALF)
    _draw_students(axes, table, "dev_mae")
    return _finish(figure, axes, f"(d) Validation MAE, {_sentences(counts)}", "MAE per element, log scale")


def _sentences(counts: pd.DataFrame) -> str:
    """Return the number of distinct validation sentences of a student."""
    return f"n = {counts.set_index('split')['hypotheses']['dev']:,}"


def _finish(figure: Figure, axes: Axes, title: str, ylabel: str) -> Figure:
    """Finish axes and legend of a panel of Figure 4.1."""
    log_axis(axes)
    whole_epochs(axes)
    axes.set(title=title, ylabel=ylabel)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    return figure


def backbones(steps: pd.DataFrame) -> Figure:
    """Training loss of the two backbones by step; each point is the mean since the previous point."""
    need(steps, "backbone", "step", "loss")
    figure, panels = canvas(2.9, panels=2)
    titles = {"clip": "CLIP: contrastive loss", "mbert": "mBERT: masked words"}
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        part = steps[steps["backbone"] == name]
        axes.plot(part["step"], part["loss"], color=BLUE)
        axes.set(title=title, xlabel="step", ylabel="loss, nats")
        axes.set_ylim(bottom=0)
    return figure
