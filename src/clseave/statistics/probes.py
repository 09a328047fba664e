"""Linear probes: what a vector holds that a linear map can read (Alain and Bengio 2016, arXiv 1610.01644)."""

from collections.abc import Sequence

import numpy as np

PENALTY = 1.0  # of ridge regression on standardised vectors


def probe(
    vectors: np.ndarray, classes: Sequence[str], test_vectors: np.ndarray, test_classes: Sequence[str]
) -> np.ndarray:
    """Whether the class of each test vector is read rightly, (M,) bool, by ridge regression on the N train vectors.

    Vectors (N, D) and (M, D); each class is a number that is 1 or 0, and the largest prediction decides. A class that
    train lacks is never read rightly.
    """
    names = sorted(set(classes))
    wanted = (np.array(classes)[:, None] == np.array(names)).astype(np.float64)  # (N, C)
    centre, scale = vectors.mean(0, dtype=np.float64), vectors.std(0, dtype=np.float64) + 1e-12
    train, test = ((one - centre) / scale for one in (vectors, test_vectors))
    inner = train.T @ train + PENALTY * np.eye(train.shape[1])
    weights = np.linalg.solve(inner, train.T @ (wanted - wanted.mean(0)))
    best = (test @ weights + wanted.mean(0)).argmax(1)
    return np.array([names[one] for one in best]) == np.array(test_classes)
