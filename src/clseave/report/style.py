"""The style of all figures, and drawing functions that several figures share.

Colours are seaborn's colour-blind palette, and marks differ in shape too. `pin` makes the style independent of the
machine: matplotlib's defaults, its own DejaVu Sans, a fixed salt for the ids in SVG files. Figures are narrow enough
for a telephone.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

NARROW = 4  # columns of a heat map that fit beside another figure
CHANCE = 100 / 3  # percent, three balanced classes
WIDTH, HALF = 5.2, 4.4  # inches of a figure, and of a figure that may be placed beside another
METADATA = {"Date": None, "Creator": None}  # excluded from SVG files
COLOURS = sns.color_palette("colorblind").as_hex()
BLUE, ORANGE = COLOURS[:2]
INK, GREY = "#333333", "#8a8a8a"
DASHES = (0, (2, 2))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")
HATCHES = ("", "//", "..", "xx")
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
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


class NothingToDrawError(ValueError):
    """A frame has no row with values to draw."""


def pin() -> None:
    """Set matplotlib to its defaults and this style, overriding the user's settings."""
    mpl.rcdefaults()
    sns.set_theme(style="whitegrid", palette="colorblind", rc=STYLE)


def canvas(height: float, *, width: float = WIDTH, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """Return an empty figure with panels side by side, in the pinned style; sizes in inches."""
    pin()
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def need(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return the rows with a value in all of the columns.

    NothingToDrawError when there is no such row; ValueError names a missing column.
    """
    if missing := [column for column in columns if column not in frame.columns]:
        raise ValueError(f"nothing to draw: no column {missing[0]}")
    complete = frame.dropna(subset=list(columns))
    if complete.empty:
        raise NothingToDrawError("nothing to draw: no row")
    return complete


def count(frame: pd.DataFrame) -> str:
    """Return the numbers of test rows and images of a results table: "n = 13,500 rows of 1,500 images"."""
    return f"n = {frame['rows'].max():,.0f} rows of {frame['images'].max():,.0f} images"


def percent_axis(axes: Axes, low: float, high: float = 101) -> None:
    """Format axes with percent across and names down."""
    axes.set_xlim(low, high)
    name_axis(axes)


def name_axis(axes: Axes) -> None:
    """Format the vertical axis for names, without grid and ticks."""
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def marked_line(
    axes: Axes, place: float, top: float, text: str, colour: str, *, left: bool = False, **look: Any
) -> None:
    """Draw a vertical line with its name at the top, right or left of it.

    To keep the names of two lines apart, write that of the left line on its left.
    """
    axes.axvline(place, color=colour, **look)
    side, shift = ("right", -4) if left else ("left", 4)
    axes.annotate(text, (place, top), (shift, -2), textcoords="offset points", va="top", ha=side, color=INK, size=9)


def look(number: int) -> dict[str, Any]:
    """Return colour and marker of the curve with this number."""
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}


def curve(axes: Axes, x: pd.Series, y: pd.Series, number: int, *, label: str | None = None) -> None:
    """Draw a line with about a dozen marks."""
    axes.plot(x, y, label=label, markersize=4.5, markevery=max(1, len(x) // 12), **look(number))


def bars(
    axes: Axes, places: Sequence[float], width: float, values: pd.Series, *, number: int, label: str, size: int = 9
) -> None:
    """Draw bars with their values on top, distinguished by colour and hatch."""
    form = "{:.0f}" if values.max() >= 10 else "{:.1f}" if values.max() >= 1 else "{:.2g}"
    shape = {"color": COLOURS[number % 10], "hatch": HATCHES[number % 4], "edgecolor": "white", "linewidth": 0}
    axes.bar_label(axes.bar(places, values, width, label=label, **shape), fmt=form, padding=2, size=size)
    axes.grid(axis="x", visible=False)


def whole_epochs(axes: Axes) -> None:
    """Format the horizontal axis for epochs, with ticks at integers."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, nbins=9))


def log_axis(axes: Axes) -> None:
    """Make the vertical axis logarithmic, with plain numbers; call it after drawing."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    steps = (1, 2, 5) if high > 5 * low else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=steps))
    axes.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())


def short(label: str) -> str:
    """The label of English or of a student without its model: each language has one of these."""
    return label.removesuffix(" (CLIP-VE)").removesuffix(" (CLSEAVE)")


def heat_map(grid: pd.DataFrame, names: Sequence[str], title: str) -> Figure:
    """Draw percent by evaluation (down) and part of the rows (across), from chance to 100; with few parts narrow."""
    narrow = len(names) <= NARROW
    figure, (axes,) = canvas(1.5 + 0.33 * len(grid), width=HALF if narrow else WIDTH + 0.4)
    shape = {"annot": True, "fmt": ".0f", "annot_kws": {"size": 9}, "linewidths": 1.5, "cbar": False}
    sns.heatmap(grid, ax=axes, cmap="cividis", vmin=CHANCE, vmax=100, **shape)
    values = grid.stack().dropna()  # seaborn writes nothing in empty cells
    for text, value in zip(axes.texts, values, strict=True):
        text.set_color("black" if value > 65 else "white")  # for contrast on cividis
    size = (9 if narrow else 8) if max(len(line) for name in names for line in name.split("\n")) <= 12 else 6
    axes.set_xticks([place + 0.5 for place in range(len(names))], names, rotation=0, size=size)
    axes.set(title=title, xlabel="", ylabel="")
    axes.tick_params(length=0)
    return figure
