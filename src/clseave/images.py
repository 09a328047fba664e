"""Photos by id: one archive or a folder, decoded and prepared exactly as CLIP's own processor does."""

import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import CLIPImageProcessorPil

from clseave.errors import UserError
from clseave.storage import atomic


def write_archive(path: Path | str, images: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write (id, (H, W, 3) uint8) as PNG files of one zip whose bytes depend on the pixels alone."""
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for image_id, pixels in images:
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, format="PNG")
            archive.writestr(zipfile.ZipInfo(f"{image_id}.png"), buffer.getvalue())  # its date is fixed


def _open_archive(path: Path | str) -> zipfile.ZipFile:
    """Open a zip. UserError when it is missing or broken."""
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a readable zip: run the stage that writes it (`dvc repro`): {error}") from error


def read_archive(path: Path | str, wanted: Sequence[str]) -> Iterator[tuple[str, Image.Image]]:
    """Decode the wanted images of a zip, in that order. UserError names those that are missing or broken."""
    with _open_archive(path) as archive:
        members = {Path(name).stem: name for name in archive.namelist()}
        if missing := sorted(set(wanted) - set(members)):
            raise UserError(f"{path}: {len(missing)} images are missing, the first {', '.join(missing[:10])}")
        for image_id in wanted:
            try:
                yield image_id, Image.open(io.BytesIO(archive.read(members[image_id]))).convert("RGB")
            except (OSError, ValueError, zipfile.BadZipFile) as error:
                raise UserError(f"{path}: {members[image_id]} is not a readable image: {error}") from error


def processor(size: int) -> CLIPImageProcessorPil:
    """CLIP's preprocessing for square images of `size` pixels; its PIL backend, whatever else is installed."""
    return CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size})


def load_processor(folder: Path | str) -> CLIPImageProcessorPil:
    """The preprocessing saved with a CLIP."""
    return CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)


def prepare(images: np.ndarray, size: int) -> torch.Tensor:
    """Square images that need no resizing, (N, size, size, 3) uint8 -> (N, 3, size, size) float32, many at once.

    Equal to `processor(size)` but for rounding of the last bit. ValueError when the size is another.
    """
    if images.shape[1:] != (size, size, 3):
        raise ValueError(f"expected images of {size} x {size} x 3, got {' x '.join(map(str, images.shape[1:]))}")
    settings = processor(size)
    mean, spread = (np.array(value, dtype=np.float32) for value in (settings.image_mean, settings.image_std))
    scaled = (images * np.float32(settings.rescale_factor) - mean) / spread
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))
