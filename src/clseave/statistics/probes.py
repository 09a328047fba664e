"""Linear probes: what a vector holds that a linear map can read (Alain and Bengio 2016, arXiv 1610.01644)."""

from collections.abc import Sequence

import numpy as np

PENALTY = 1.0  # of ridge regression on standardised vectors


def probe(vectors: np.ndarray, classes: Sequence[str] | np.ndarray, test_vectors: np.ndarray) -> np.ndarray:
    """The class of each test vector, (M,), read by ridge regression on N train vectors and their classes.

    Vectors (N, D) and (M, D); each class is a number that is 1 or 0, and the largest prediction decides.
    """
    names = sorted(set(classes))
    wanted = (np.array(classes)[:, None] == np.array(names)).astype(np.float64)  # (N, C)
    centre, scale = vectors.mean(0, dtype=np.float64), vectors.std(0, dtype=np.float64) + 1e-12
    train, test = ((one - centre) / scale for one in (vectors, test_vectors))
    inner = train.T @ train + PENALTY * np.eye(train.shape[1])
    weights = np.linalg.solve(inner, train.T @ (wanted - wanted.mean(0)))
    best = (test @ weights + wanted.mean(0)).argmax(1)
    return np.array(names)[best]
