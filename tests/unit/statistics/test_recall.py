"""Recall at K of both directions, by hand and against a plain sort."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clseave.statistics.recall import in_folds, ranks

# Texts 0 and 1 are of image 0, text 2 of image 1, text 3 of image 2.
IMAGE_OF = [0, 0, 1, 2]
SCORES = np.array([[9, 1, 2], [3, 5, 4], [8, 7, 1], [0, 2, 6]], dtype=float)


def test_ranks_by_hand():
    found = ranks(SCORES, IMAGE_OF)
    assert found.images.tolist() == [1, 3, 2, 1]
    # Image 0: its best text has 9, others 8 and 0. Image 1: 7, others 1, 5, 2. Image 2: 6, others 2, 4, 1.
    assert found.texts.tolist() == [1, 1, 1]
    measures = found.measures()
    assert (measures["text_to_image_r1"], measures["text_to_image_r5"]) == (0.5, 1.0)
    assert (measures["text_to_image_median_rank"], measures["image_to_text_r1"]) == (1.5, 1.0)
    assert measures["mean_recall"] == pytest.approx((0.5 + 1 + 1 + 1 + 1 + 1) / 6)


def test_a_tie_counts_against_the_right_one():
    found = ranks(np.zeros((4, 3)), IMAGE_OF)
    assert found.images.tolist() == [3, 3, 3, 3] and found.texts.tolist() == [3, 4, 4]


def test_folds_are_pools_of_their_own():
    # Fold (0, 1): text 1 has 3 for its image and 5 for the other. Fold (2,): one text, one image.
    found = in_folds(SCORES, IMAGE_OF, [[1, 0], [2]])
    assert found["text_to_image_r1"] == pytest.approx((1 / 3 + 1) / 2)  # texts 1 and 2 miss
    assert in_folds(SCORES, IMAGE_OF, [[0, 1, 2]]) == ranks(SCORES, IMAGE_OF).measures()


@given(st.integers(1, 8), st.integers(1, 3), st.integers(0, 1000))
def test_ranks_are_those_of_a_sort(images, captions, seed):
    rng = np.random.default_rng(seed)
    image_of = rng.permutation(np.repeat(np.arange(images), captions))
    scores = rng.permutation(len(image_of) * images).reshape(len(image_of), images).astype(float)
    found = ranks(scores, image_of)
    for text, image in enumerate(image_of):
        assert found.images[text] == 1 + list(np.argsort(-scores[text])).index(image)
    for image in range(images):
        order = np.argsort(-scores[:, image])
        assert found.texts[image] == 1 + next(place for place, text in enumerate(order) if image_of[text] == image)


@pytest.mark.parametrize(
    ("scores", "image_of", "message"),
    [
        (SCORES, [0, 0, 1], "4 rows of scores for 3 texts"),
        (SCORES * np.nan, IMAGE_OF, "finite scores"),
        (SCORES, [0, 0, 1, 1], "belong to 2 of 3 images"),
    ],
)
def test_what_does_not_belong_together_is_refused(scores, image_of, message):
    with pytest.raises(ValueError, match=message):
        ranks(scores, image_of)
