"""Image retrieval by text and text retrieval by image: recall at K and the median rank, over a whole pool.

The protocol of Karpathy and Fei-Fei 2015, Deep Visual-Semantic Alignments for Generating Image Descriptions: every
image has one or more captions; a text has one right image, an image several right texts, of which the best one counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

AT = (1, 5, 10)  # K of recall at K


@dataclass(frozen=True)
class Ranks:
    """The rank of what is right for each query, from 1: `images` (T,) for each text, `texts` (I,) for each image."""

    images: np.ndarray
    texts: np.ndarray

    def measures(self) -> dict[str, float]:
        """Return recall at K of both directions, their mean, and the median ranks; recalls are shares from 0 to 1."""
        both = {"text_to_image": self.images, "image_to_text": self.texts}
        recalls = {f"{way}_r{k}": float((found <= k).mean()) for way, found in both.items() for k in AT}
        medians = {f"{way}_median_rank": float(np.median(found)) for way, found in both.items()}
        return recalls | {"mean_recall": float(np.mean(list(recalls.values())))} | medians


def ranks(scores: np.ndarray, image_of: Sequence[int] | np.ndarray) -> Ranks:
    """Rank the right images and texts by their scores.

    `scores` (T, I) is higher for a better match of text and image, `image_of` (T,) the column of each text's image. A
    tie counts against the right one, so that a constant score finds nothing. ValueError for other shapes, scores that
    are not finite, and an image without a text.
    """
    image_of = np.asarray(image_of)
    texts, images = scores.shape
    if image_of.shape != (texts,) or not np.isfinite(scores).all():
        raise ValueError(f"{texts} rows of scores for {len(image_of)} texts, expected as many, and finite scores")
    if set(image_of.tolist()) != set(range(images)):
        raise ValueError(f"the texts belong to {len(set(image_of.tolist()))} of {images} images, expected all of them")
    right = scores[np.arange(texts), image_of]  # (T,)
    of_text = (scores >= right[:, None]).sum(1)
    of_image = np.empty(images, dtype=np.int64)
    for column in range(images):
        own = image_of == column
        best = scores[own, column].max()
        of_image[column] = 1 + (scores[~own, column] >= best).sum()
    return Ranks(of_text, of_image)


def in_folds(
    scores: np.ndarray, image_of: Sequence[int] | np.ndarray, folds: Sequence[Sequence[int] | np.ndarray]
) -> dict[str, float]:
    """Return the means over folds of the measures, each fold a pool of its own: MSCOCO's 1K protocol has five.

    `folds` are columns of `scores` (T, I); the texts of a fold are those of its images.
    """
    image_of, found = np.asarray(image_of), []
    for fold in folds:
        place = {int(column): row for row, column in enumerate(fold)}
        rows = np.array([row for row, column in enumerate(image_of) if int(column) in place])
        part = scores[np.ix_(rows, np.array(list(place)))]
        found.append(ranks(part, [place[int(image_of[row])] for row in rows]).measures())
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}
