"""Cells of scenes by their words."""

from clseave.miniature.scenes import COLOURS, SHAPES


def object_code(colour: str, shape: str) -> int:
    """The cell code of one coloured shape."""
    return COLOURS.index(colour) * len(SHAPES) + SHAPES.index(shape)
