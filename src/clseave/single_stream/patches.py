"""Regions of an image from the patch states of a frozen image tower, in place of a detector's."""

from collections.abc import Iterator, Sequence

import numpy as np

from clseave.foundation.errors import UserError
from clseave.miniature.scenes import HIDDEN
from clseave.single_stream.regions import Regions

KINDS = HIDDEN + 1  # contents of a cell of the miniature: each object, empty, hidden


def grid_boxes(side: int) -> np.ndarray:
    """Return the boxes of a grid of `side` x `side` cells in reading order, (side * side, 4)."""
    lines, columns = np.divmod(np.arange(side * side), side)
    return np.stack([columns, lines, columns + 1, lines + 1], axis=1).astype(np.float32) / np.float32(side)


def pooled(states: np.ndarray, side: int) -> np.ndarray:
    """Average patch states over a coarser grid, (N, P, V) -> (N, side * side, V).

    UserError when the P patches are no square grid, or `side` does not divide its side.
    """
    count, patches, width = states.shape
    fine = round(patches**0.5)
    if fine * fine != patches or fine % side:
        allowed = f"allowed with {patches} patches of an image: a divisor of their side {fine}"
        raise UserError(f"regions: found {side} x {side}, {allowed}")
    step = fine // side
    cells = states.reshape(count, side, step, side, step, width)
    return cells.mean(axis=(2, 4), dtype=np.float64).reshape(count, side * side, width).astype(np.float32)


def of_states(states: np.ndarray, side: int) -> Iterator[Regions]:
    """Yield the regions of each image, pooled patch states (N, P, V) on a grid of `side` x `side`.

    What they show is not known: all have one class, from which nothing can be learnt.
    """
    boxes = grid_boxes(side)
    for features in pooled(states, side):
        yield Regions(features, boxes, np.ones((len(boxes), 1), dtype=np.float32))


def of_scenes(states: np.ndarray, scenes: np.ndarray) -> Iterator[Regions]:
    """Yield the regions of the miniature's images, one for each cell, whose classes are known.

    `states` (N, P, V) are patch states, `scenes` (N, 4) the codes of the cells.
    """
    side = round(scenes.shape[1] ** 0.5)
    boxes, kinds = grid_boxes(side), np.eye(KINDS, dtype=np.float32)
    for features, scene in zip(pooled(states, side), scenes, strict=True):
        yield Regions(features, boxes, kinds[scene.astype(np.int64)])


def standardised(regions: Sequence[Regions]) -> list[Regions]:
    """Scale features to mean 0 and variance 1 in each dimension, over all regions of these images."""
    features = np.concatenate([one.features for one in regions]).astype(np.float64)
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    return [Regions(((one.features - mean) / spread).astype(np.float32), one.boxes, one.classes) for one in regions]
