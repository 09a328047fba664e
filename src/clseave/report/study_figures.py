"""The figures of a study: accuracy of each variant by the way of judging, and by how many pairs it is trained on."""

import textwrap

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullFormatter

from clseave.report.style import CHANCE, DASHES, GREY, HALF, INK, canvas, curve, look, marked_line, need, percent_axis

ALL = "all"
LABEL = 22  # characters of a line of a variant's title
MOST = 3  # ways of judging that a line of the legend holds
INTERVALS = "bars are 95 % intervals, clustered by image and statement, with the variance of the seeds."
CAPTIONS = {
    "accuracy": f"Accuracy of each variant over all languages, means of the seeds, by the way of judging; {INTERVALS}",
    "swap_accuracy": "Minimal pairs of which each variant is right on both rows, over all languages, means of the "
    f"seeds, by the way of judging; {INTERVALS}",
}
TITLES = {"accuracy": "Accuracy over all languages", "swap_accuracy": "Swap accuracy over all languages"}
SHOWN = {  # first and last percent of the axis, what chance is, the columns of the interval
    "accuracy": ((25, 101), CHANCE, ("low", "high")),
    "swap_accuracy": ((0, 101), None, ("swap_low", "swap_high")),
}

OWN = "own"  # judged in the language of the run
NEED_CAPTION = (
    "Accuracy in the student's own language against the percentage of the training pairs that it sees, on a "
    "logarithmic axis: means of the seeds, over the languages that all these variants have. The dashed line is chance."
)


def systems(results: pd.DataFrame, measure: str = "accuracy") -> Figure:
    """A measure over all languages: variants down, a mark with its 95 % interval for each way of judging.

    The last row, of the main pipeline, is an upright line.
    """
    (first, last), chance, ends = SHOWN[measure]
    frame = need(results[results["language"] == ALL], "title", "judged", measure, *ends)
    reference, frame = frame.iloc[-1], frame.iloc[:-1]
    titles, ways = list(dict.fromkeys(frame["title"])), list(dict.fromkeys(frame["judged"]))
    names = [textwrap.fill(title, LABEL) for title in titles]
    row = max(0.52, 0.06 + 0.16 * max(name.count("\n") + 1 for name in names))  # inches
    figure, (axes,) = canvas(1.9 + row * len(titles), width=HALF)
    if chance is not None:
        marked_line(axes, chance, -0.9, "chance", GREY, left=True, linestyle=DASHES, linewidth=1.2)
    marked_line(axes, 100 * reference[measure], -0.9, reference["title"], INK, linewidth=1.2)
    for number, way in enumerate(ways):
        rows = frame[frame["judged"] == way]
        places = [titles.index(title) + 0.16 * (number - (len(ways) - 1) / 2) for title in rows["title"]]
        value, low, high = (100 * rows[key] for key in (measure, *ends))
        error = [value - low, high - value]
        axes.errorbar(value, places, xerr=error, fmt="none", ecolor=look(number)["color"], elinewidth=2, alpha=0.5)
        axes.plot(value, places, linestyle="none", markersize=5, label=way, **look(number))
    axes.set_yticks(range(len(titles)), names, size=9)
    axes.set_ylim(len(titles) - 0.4, -0.9)
    percent_axis(axes, first, last)
    figure.legend(title="judged", loc="outside lower center", ncols=len(ways) if len(ways) <= MOST else 2)
    count = f"{reference['rows']:,.0f} rows" if measure == "accuracy" else f"{reference['pairs']:,.0f} pairs"
    axes.set(
        title=TITLES[measure],
        xlabel=f"{measure.replace('_', ' ')}, percent\nn = {count}",
    )
    return figure


def data_need(results: pd.DataFrame) -> Figure:
    """Accuracy against the share of the pairs, a line for each model that is trained on several shares.

    Variants of one model have titles with the same words before the first comma.
    """
    own = need(results[(results["language"] != ALL) & (results["judged"] == OWN)], "title", "share", "accuracy")
    own = own.assign(model=own["title"].str.partition(",")[0])
    own = own[own["title"].eq(own["model"]) | own["title"].str.contains("%")]  # not those of one language alone
    several = own.groupby("model")["share"].transform("nunique") > 1
    own = need(own[several], "share")
    shared = set.intersection(*(set(rows["language"]) for _, rows in own.groupby("title")))
    means = own[own["language"].isin(shared)].groupby(["model", "share"], sort=False)["accuracy"].mean()
    figure, (axes,) = canvas(3.6, width=HALF)
    for number, model in enumerate(dict.fromkeys(own["model"])):
        line = 100 * means[model].sort_index()
        curve(axes, line.index.to_series(), line, number, label=model)
    axes.axhline(CHANCE, color=GREY, linestyle=DASHES, linewidth=1.2)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sorted(set(own["share"]))))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(title="Accuracy and data need", xlabel="percent of the training pairs", ylabel="accuracy, percent")
    axes.legend()
    return figure
