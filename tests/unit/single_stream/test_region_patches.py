"""Regions from patch states: boxes, pooling and classes by hand."""

import numpy as np
import pytest

from clseave.foundation.errors import UserError
from clseave.miniature.scenes import EMPTY, HIDDEN
from clseave.single_stream.patches import KINDS, grid_boxes, of_scenes, of_states, pooled, standardised


def test_boxes_of_a_grid():
    assert grid_boxes(2).tolist() == [[0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]]


def test_patches_are_averaged_over_cells():
    states = np.arange(16, dtype=np.float32).reshape(1, 16, 1)  # rows 0 to 3, 4 to 7, 8 to 11, 12 to 15
    assert pooled(states, 2)[0, :, 0].tolist() == [2.5, 4.5, 10.5, 12.5]
    assert np.array_equal(pooled(states, 4), states)


@pytest.mark.parametrize(("patches", "side"), [(16, 3), (15, 3), (16, 5)])
def test_a_grid_that_does_not_fit_is_refused(patches, side):
    with pytest.raises(UserError, match=f"found {side} x {side}, allowed with {patches} patches"):
        pooled(np.zeros((1, patches, 2)), side)


def test_regions_of_photos_have_no_classes():
    (found,) = of_states(np.ones((1, 4, 3), np.float32), 2)
    assert found.classes.tolist() == [[1], [1], [1], [1]] and found.features.shape == (4, 3)


def test_regions_of_scenes_have_the_contents_of_cells():
    (found,) = of_scenes(np.zeros((1, 4, 3), np.float32), np.array([[5, EMPTY, HIDDEN, 0]], np.int8))
    assert found.classes.shape == (4, KINDS) and found.classes.argmax(1).tolist() == [5, EMPTY, HIDDEN, 0]


def test_features_are_standardised_over_all_images():
    regions = list(of_states(np.random.default_rng(0).normal(3, 2, (5, 4, 3)).astype(np.float32), 2))
    features = np.concatenate([one.features for one in standardised(regions)])
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(features.std(0), 1, atol=1e-5)
