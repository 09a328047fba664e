"""States of the patches of every image from a frozen image tower, stored once as one row for each image."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPVisionModelWithProjection

from clseave.corpora.images import Pixels
from clseave.foundation.process import progress
from clseave.foundation.rows.records import write_vectors


@torch.no_grad()
def patch_states(
    tower: CLIPVisionModelWithProjection, pixels: Iterator[Pixels], count: int, batch_size: int
) -> np.ndarray:
    """States of the last layer of `count` images, without that of the class token, (N, P, V) float32.

    ValueError for an image that cannot be read.
    """
    found = []
    with progress.bar(desc="patch states", total=count, unit="images") as bar:
        for start in range(0, count, batch_size):
            batch = [next(pixels) for _ in range(min(batch_size, count - start))]
            if broken := [one for one in batch if isinstance(one, str)]:
                raise ValueError(f"image {start}: {broken[0]}")
            inputs = torch.stack([one for one in batch if isinstance(one, torch.Tensor)]).to(tower.device)
            found.append(tower.vision_model(pixel_values=inputs).last_hidden_state[:, 1:].cpu().numpy())
            bar.update(len(batch))
    return np.concatenate(found)


def write_patches(folder: Path, ids: Sequence[str], states: np.ndarray) -> None:
    """Write (N, P, V) states as rows of P * V numbers with their image ids, as image vectors are written."""
    write_vectors(folder, list(ids), states.reshape(len(states), -1))
