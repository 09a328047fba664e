"""The miniature's images: a 2x2 grid of coloured shapes, some cells behind an opaque panel.

A scene is a row of four cell codes (int8, order `PLACES`): `colour * len(SHAPES) + shape` for an object,
`EMPTY` or `HIDDEN`. The content of a hidden cell is undefined, so a statement about it is neutral.
"""

import hashlib

import numpy as np

COLOURS = ("red", "green", "blue", "yellow")
SHAPES = ("circle", "square", "triangle", "diamond")
PLACES = ("top_left", "top_right", "bottom_left", "bottom_right")
HALVES = {"top": (0, 1), "bottom": (2, 3), "left": (0, 2), "right": (1, 3)}
OBJECTS = len(COLOURS) * len(SHAPES)
EMPTY, HIDDEN = OBJECTS, OBJECTS + 1

CELL = 16  # pixels; an image is 2 * CELL square
SPECKLE = 4  # pixels; coarse noise keeps the compressed images small
_RGB = np.array([(214, 48, 42), (52, 160, 68), (46, 92, 210), (236, 200, 40)], dtype=np.int16)
_GROUND, _PANEL = 235, 110


def sample_scenes(count: int, rng: np.random.Generator, *, empty: float, two_panels: float) -> np.ndarray:
    """Draw scenes, (count, 4) int8: each cell empty with probability `empty`, then one panel, or two."""
    cells = rng.integers(0, OBJECTS, size=(count, 4)).astype(np.int8)
    cells[rng.random((count, 4)) < empty] = EMPTY
    order = np.argsort(rng.random((count, 4)), axis=1, kind="stable")
    rows = np.arange(count)
    cells[rows, order[:, 0]] = HIDDEN
    second = rng.random(count) < two_panels
    cells[rows[second], order[second, 1]] = HIDDEN
    return cells


def split_of(scene: np.ndarray, shares: dict[str, float]) -> str:
    """Return the split of a scene, which a hash of its cells decides, so that equal scenes are in the same split."""
    digest = hashlib.sha256(bytes(int(code) for code in scene)).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    edge = 0.0
    for name, share in shares.items():
        edge += share
        if position < edge:
            return name
    return name


def render(scenes: np.ndarray, rng: np.random.Generator, *, noise: int) -> np.ndarray:
    """Draw scenes, (N, 4) codes -> (N, 32, 32, 3) uint8, with jittered size and position and pixel noise.

    Integer arithmetic and comparisons only, so that the pixels are the same on every processor. `noise` is the
    largest change of brightness, in grey levels of 255, the same over `SPECKLE` x `SPECKLE` pixels.
    """
    count = len(scenes)
    x = np.arange(CELL) - (CELL - 1) / 2
    right = x[None, None, None, :] - rng.integers(-1, 2, size=(count, 4, 1, 1))  # (N, 4, 1, 16)
    down = x[None, None, :, None] - rng.integers(-1, 2, size=(count, 4, 1, 1))  # (N, 4, 16, 1)
    radius = rng.integers(11, 14, size=(count, 4, 1, 1)) / 2  # 5.5 to 6.5 pixels
    masks = np.stack(
        [
            right**2 + down**2 <= radius**2,
            np.maximum(abs(right), abs(down)) <= radius - 1,
            (abs(right) * 2 <= down + radius) & (down <= radius - 0.5),
            abs(right) + abs(down) <= radius + 0.5,
        ]
    )  # (4 shapes, N, 4, 16, 16)
    codes = np.minimum(scenes, OBJECTS - 1)
    mask = masks[codes % len(SHAPES), np.arange(count)[:, None], np.arange(4)[None, :]]
    mask &= (scenes < OBJECTS)[:, :, None, None]
    tiles = np.where(mask[..., None], _RGB[codes // len(SHAPES)][:, :, None, None, :], _GROUND)
    tiles[scenes == HIDDEN] = _PANEL
    speckle = rng.integers(-noise, noise + 1, size=(count, 4, CELL // SPECKLE, CELL // SPECKLE, 1))
    tiles = tiles + speckle.repeat(SPECKLE, axis=2).repeat(SPECKLE, axis=3)
    tiles = np.clip(tiles, 0, 255).astype(np.uint8).reshape(count, 2, 2, CELL, CELL, 3)
    return tiles.transpose(0, 1, 3, 2, 4, 5).reshape(count, 2 * CELL, 2 * CELL, 3)
