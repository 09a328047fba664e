"""Image vectors of one batch, stored in a file each until all batches are encoded."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import PIL
import torch
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from clseave.corpora import images
from clseave.corpora.images import Pixels
from clseave.corpora.photos import Photo
from clseave.foundation.files.formats import atomic
from clseave.foundation.files.hashing import of_file, of_text
from clseave.foundation.process import numerics


class Tower(Protocol):
    """An image tower: preprocessed images (B, 3, H, W) -> vectors (B, D)."""

    width: int

    @property
    def device(self) -> torch.device:
        """Where it runs."""

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Vectors, not normalised."""


def kind(device: torch.device) -> str:
    """Return the processor type, as vectors computed on two types of GPU must not be mixed."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def name_parts(
    batches: Iterable[Sequence[Photo]], clip: Path, device: torch.device, folder: Path, *, code: Path
) -> list[Path]:
    """Return a file path for each batch, named by a hash of all that its vectors depend on, with the tower's `code`."""
    model = [[path.name, of_file(path)] for path in sorted(clip.iterdir()) if path.is_file()]
    versions = [PIL.__version__, torch.__version__, transformers.__version__, kind(device), numerics.kernels_used()]
    versions += [of_file(Path(path)) for path in (__file__, images.__file__, code)]
    keys = (json.dumps([model, versions, [[photo.image_id, photo.sha256] for photo in batch]]) for batch in batches)
    return [folder / f"{of_text(key)}.safetensors" for key in keys]


@torch.no_grad()
def encode(tower: Tower, ids: Sequence[str], pixels: Sequence[Pixels], part: Path) -> None:
    """Write the vectors of a batch, (B, D) for its readable images, and the reasons why the others are broken."""
    sound = [one for one in pixels if isinstance(one, torch.Tensor)]
    vectors = np.zeros((0, tower.width), dtype=np.float32)
    if sound:
        vectors = tower(torch.stack(sound).to(tower.device)).cpu().numpy()
    broken = {key: one for key, one in zip(ids, pixels, strict=True) if isinstance(one, str)}
    with atomic(part) as temporary:
        # `save_file` would write a temporary file of its own first, which a kill leaves behind.
        temporary.write_bytes(save({"vectors": vectors}, {"broken": json.dumps(broken)}))


def read_part(part: Path) -> tuple[np.ndarray, dict[str, str]]:
    """Return the vectors (B, D) and the reasons by image id that `encode` wrote."""
    with safe_open(part, "numpy") as content:
        return content.get_tensor("vectors"), json.loads(content.metadata()["broken"])


def is_whole(part: Path) -> bool:
    """Return whether this part exists and can be read."""
    try:
        return part.exists() and bool(read_part(part))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return False
