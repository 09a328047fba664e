"""The figure of a study: accuracy of each variant, by the way of judging."""

import textwrap

import pandas as pd
from matplotlib.figure import Figure

from clseave.report.style import CHANCE, DASHES, GREY, ORANGE, canvas, look, marked_line, need, percent_axis

ALL = "all"
LABEL = 26  # characters of a line of a variant's title
CAPTION = (
    "Accuracy of each variant over all languages, means of the seeds, by the way of judging; bars are 95 % intervals, "
    "clustered by image and statement, with the variance of the seeds."
)


def systems(results: pd.DataFrame) -> Figure:
    """Accuracy over all languages: variants down, a mark with its 95 % interval for each way of judging.

    The last row, of the main pipeline, is an upright line.
    """
    frame = need(results[results["language"] == ALL], "title", "judged", "accuracy", "low", "high")
    reference, frame = frame.iloc[-1], frame.iloc[:-1]
    titles, ways = list(dict.fromkeys(frame["title"])), list(dict.fromkeys(frame["judged"]))
    figure, (axes,) = canvas(1.9 + 0.52 * len(titles))
    marked_line(axes, CHANCE, -0.9, "chance", GREY, left=True, linestyle=DASHES, linewidth=1.2)
    marked_line(axes, 100 * reference["accuracy"], -0.9, reference["title"], ORANGE, linewidth=1.4)
    for number, way in enumerate(ways):
        rows = frame[frame["judged"] == way]
        places = [titles.index(title) + 0.16 * (number - (len(ways) - 1) / 2) for title in rows["title"]]
        value, low, high = (100 * rows[key] for key in ("accuracy", "low", "high"))
        error = [value - low, high - value]
        axes.errorbar(value, places, xerr=error, fmt="none", ecolor=look(number)["color"], elinewidth=2, alpha=0.5)
        axes.plot(value, places, linestyle="none", markersize=5, label=way, **look(number))
    axes.set_yticks(range(len(titles)), [textwrap.fill(title, LABEL) for title in titles], size=9)
    axes.set_ylim(len(titles) - 0.4, -0.9)
    percent_axis(axes, 25, 101)
    figure.legend(title="judged", loc="outside lower center", ncols=len(ways))
    axes.set(
        title="Accuracy over all languages",
        xlabel=f"accuracy, percent\nn = {reference['rows']:,.0f} rows",
    )
    return figure
