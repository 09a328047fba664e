"""Scenes of the miniature: codes, sampling, the split by content, and pixels."""

import hashlib

import numpy as np
import pytest
from made_scenes import object_code

from clseave.miniature.scenes import EMPTY, HIDDEN, render, sample_scenes, split_of

SHARES = {"train": 0.7, "dev": 0.1, "test": 0.2}
RED, GREEN, BLUE, YELLOW = (214, 48, 42), (52, 160, 68), (46, 92, 210), (236, 200, 40)
GROUND, PANEL = [235] * 3, [110] * 3


def draw(scene, noise=0, seed=0):
    return render(np.array([scene], dtype=np.int8), np.random.default_rng(seed), noise=noise)[0].astype(int)


@pytest.mark.parametrize(("two_panels", "panels"), [(0.0, {1}), (1.0, {2}), (0.5, {1, 2})])
def test_every_scene_has_one_panel_or_two(two_panels, panels):
    scenes = sample_scenes(200, np.random.default_rng(1), empty=0.2, two_panels=two_panels)
    assert scenes.shape == (200, 4) and scenes.dtype == np.int8
    assert set((scenes == HIDDEN).sum(1)) == panels
    assert scenes.min() >= 0 and scenes.max() <= HIDDEN


@pytest.mark.parametrize(("empty", "low", "high"), [(0.0, 0, 0), (1.0, 1, 1), (0.25, 0.2, 0.3)])
def test_empty_is_the_share_of_empty_cells_among_those_without_a_panel(empty, low, high):
    scenes = sample_scenes(1000, np.random.default_rng(1), empty=empty, two_panels=0.5)
    assert low <= (scenes == EMPTY).sum() / (scenes != HIDDEN).sum() <= high


def test_panels_and_objects_are_spread_evenly():
    scenes = sample_scenes(4000, np.random.default_rng(2), empty=0.0, two_panels=0.0)
    assert np.all(abs((scenes == HIDDEN).mean(0) - 0.25) < 0.03)
    codes = np.bincount(scenes[scenes != HIDDEN], minlength=16)
    assert np.all(abs(codes / codes.sum() - 1 / 16) < 0.01)


def test_the_same_seed_draws_the_same_scenes():
    one, again, other = (
        sample_scenes(20, np.random.default_rng(seed), empty=0.2, two_panels=0.4) for seed in (3, 3, 4)
    )
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_a_split_follows_from_the_hash_of_the_cells_alone():
    scene = [0, 5, EMPTY, HIDDEN]
    position = int.from_bytes(hashlib.sha256(bytes([0, 5, 16, 17])).digest()[:8], "big") / 2**64
    wanted = "train" if position < 0.7 else "dev" if position < 0.8 else "test"
    assert {split_of(np.array(scene, dtype=kind), SHARES) for kind in (np.int8, np.int64)} == {wanted}


def test_contents_are_shared_out_as_asked():
    scenes = np.unique(sample_scenes(4000, np.random.default_rng(5), empty=0.2, two_panels=0.4), axis=0)
    owners = [split_of(scene, SHARES) for scene in scenes]
    for split, share in SHARES.items():
        assert owners.count(split) / len(owners) == pytest.approx(share, abs=0.03)


def test_a_larger_training_share_moves_no_content_out_of_training():
    scenes = sample_scenes(300, np.random.default_rng(5), empty=0.2, two_panels=0.4)
    larger = {"train": 0.8, "dev": 0.1, "test": 0.1}
    kept = [split_of(scene, larger) for scene in scenes if split_of(scene, SHARES) == "train"]
    assert set(kept) == {"train"}


def test_each_cell_is_drawn_at_its_place_in_its_colour():
    pixels = draw([object_code("red", "circle"), object_code("blue", "square"), EMPTY, HIDDEN])
    assert pixels.shape == (32, 32, 3)
    assert pixels[8, 8].tolist() == list(RED) and pixels[8, 24].tolist() == list(BLUE)
    assert np.all(pixels[16:, :16] == GROUND) and np.all(pixels[16:, 16:] == PANEL)
    for row, column in ((0, 0), (0, 15), (15, 0), (0, 31)):
        assert pixels[row, column].tolist() == GROUND
    assert draw([EMPTY, object_code("yellow", "circle"), object_code("green", "circle"), EMPTY])[
        24, 8
    ].tolist() == list(GREEN)
    assert draw([object_code("yellow", "triangle")] * 4)[24, 24].tolist() == list(YELLOW)


def outline(shape, seed):
    """(height, width) bool of the smallest box around an object."""
    cell = (draw([object_code("red", shape), EMPTY, EMPTY, EMPTY], seed=seed)[:16, :16] == RED).all(-1)
    rows, columns = np.flatnonzero(cell.any(1)), np.flatnonzero(cell.any(0))
    return cell[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@pytest.mark.parametrize("seed", range(4))
def test_the_four_shapes_look_like_what_they_are_called(seed):
    square, circle, triangle, diamond = (outline(shape, seed) for shape in ("square", "circle", "triangle", "diamond"))
    assert square.all() and square.shape[0] == square.shape[1]
    assert not circle[0, 0] and circle.mean() > 0.7  # a disc fills pi/4 of its box
    assert not diamond[0, 0] and diamond.mean() < 0.68  # a diamond fills half
    widths = triangle.sum(1)
    assert np.all(np.diff(widths) >= 0) and widths[-1] > 2 * widths[0]  # its base is at the bottom
    for symmetric in (circle, diamond):
        assert np.array_equal(symmetric, symmetric[::-1]) and np.array_equal(symmetric, symmetric[:, ::-1])


def test_noise_is_grey_and_bounded():
    scene = [0, 9, EMPTY, HIDDEN]
    change = draw(scene, noise=5) - draw(scene)
    assert change.min() == -5 and change.max() == 5
    assert np.all(change == change[..., :1])


def test_position_and_size_vary_with_the_seed_alone():
    looks = {draw([0, 5, 10, 15], seed=seed).tobytes() for seed in range(6)}
    assert len(looks) > 3
    assert draw([0, 5, 10, 15], noise=3, seed=1).tobytes() == draw([0, 5, 10, 15], noise=3, seed=1).tobytes()
