"""Linear probes by ridge regression."""

import numpy as np

from clseave.statistics.probes import probe


def test_what_a_linear_map_can_read_is_read():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 6))
    classes = [("left", "right", "above")[row] for row in (vectors[:, :3]).argmax(1)]
    assert probe(vectors, classes, np.eye(6)[:3] * 3).tolist() == ["left", "right", "above"]


def test_a_product_of_two_elements_cannot_be_read():
    corners = np.array([[1.0, 1], [-1, -1], [1, -1], [-1, 1]])
    read = probe(np.tile(corners, (10, 1)), 10 * ["same", "same", "other", "other"], corners)
    assert len(set(read)) == 1  # the same answer to all


def test_ridge_by_hand():
    """One number, -1 and 1, of two classes: both are read, and a vector between the two goes to the more frequent."""
    found = probe(np.array([[-1.0], [1], [1]]), ["a", "b", "b"], np.array([[-1.0], [1], [1 / 3]]))
    assert found.tolist() == ["a", "b", "b"]
