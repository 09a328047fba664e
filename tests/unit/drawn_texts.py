"""What is written on a figure, and which of it is printed over something else."""

from itertools import combinations

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

TOUCH = 1.0  # pixels by which boxes may overlap: they are a little larger than the letters


def visible(figure: Figure) -> dict[Text, Bbox]:
    """Every text that is drawn, with its box in pixels; ticks outside of their axis are not drawn."""
    figure.canvas.draw()
    ticks, drawn = set(), set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            ticks |= {text for tick in [*axis.majorTicks, *axis.minorTicks] for text in (tick.label1, tick.label2)}
            low, high = sorted(axis.get_view_interval())
            inside = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            drawn |= {tick.label1 for tick in inside if tick.label1.get_visible()}
    found = {text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()}
    renderer = figure.canvas.get_renderer()
    return {text: text.get_window_extent(renderer) for text in found - (ticks - drawn)}


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts that are printed over each other."""
    return sorted(
        tuple(sorted((one.get_text(), other.get_text())))
        for (one, first), (other, second) in combinations(visible(figure).items(), 2)
        if (common := Bbox.intersection(first, second)) and min(common.width, common.height) > TOUCH
    )


def outside(figure: Figure) -> list[str]:
    """Texts that the figure cuts off."""
    page = figure.bbox
    return sorted(
        text.get_text()
        for text, box in visible(figure).items()
        if min(box.x0 - page.x0, box.y0 - page.y0, page.x1 - box.x1, page.y1 - box.y1) < -TOUCH
    )
