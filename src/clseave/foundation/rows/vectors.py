"""Stored vectors as tensors: on the device when they fit in memory, else read from their file batch by batch."""

from pathlib import Path

import numpy as np
import torch

from clseave.foundation.rows.records import read_vectors


class VectorTable:
    """Vectors by row number, `table[rows]` -> (B, D) on the device; `rows` gives the row number of an id."""

    def __init__(self, folder: Path | str, device: torch.device, resident_gb: float):
        """Read the folder's ids; vectors above `resident_gb` (1e9 bytes) stay in their file."""
        self.rows, vectors = read_vectors(folder, resident_gb)
        self.device, self.width = device, vectors.shape[1]
        self._mapped = vectors if isinstance(vectors, np.memmap) else None
        self._resident = None if self._mapped is not None else torch.from_numpy(vectors).to(device)

    def __getitem__(self, rows: np.ndarray) -> torch.Tensor:
        if self._resident is not None:
            return self._resident[torch.from_numpy(rows)]
        assert self._mapped is not None
        return torch.from_numpy(self._mapped[rows]).to(self.device)
