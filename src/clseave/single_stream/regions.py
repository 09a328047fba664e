"""Regions of images: features, boxes and classes of each, whoever made them, stored once for all images of a corpus."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from clseave.foundation.errors import UserError
from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import RERUN, read_json, write_json

BOX = 4  # left, top, right, bottom, each as a share of the image's width or height
TENSORS = {"features", "boxes", "classes", "counts"}


@dataclass(frozen=True)
class Regions:
    """The R regions of one image.

    Shapes: `features` (R, V) float32; `boxes` (R, 4) float32, left, top, right and bottom as shares of the image's
    width and height; `classes` (R, C) float32, a distribution over the C classes of the detector in each row.
    """

    features: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.features)
        if count == 0 or self.boxes.shape != (count, BOX) or self.classes.ndim != 2 or len(self.classes) != count:
            shapes = ", ".join(str(part.shape) for part in (self.features, self.boxes, self.classes))
            raise ValueError(f"regions of shapes {shapes}, expected (R, V), (R, {BOX}) and (R, C) with R of 1 or more")
        if not all(np.isfinite(part).all() for part in (self.features, self.boxes, self.classes)):
            raise ValueError("a feature, a box or a class is not finite")
        if (self.boxes < 0).any() or (self.boxes > 1).any() or (self.boxes[:, :2] > self.boxes[:, 2:]).any():
            raise ValueError("a box is not within the image: expected left, top, right, bottom from 0 to 1")
        if (self.classes < 0).any() or np.abs(self.classes.sum(1) - 1).max() > 1e-3:
            raise ValueError("the classes of a region are no distribution: expected shares that sum to 1")


@dataclass(frozen=True)
class Batch:
    """Regions of B images: `features` (B, R, V), `boxes` (B, R, 4), `classes` (B, R, C), and `mask` (B, R), 1 where
    there is a region.
    """

    features: torch.Tensor
    boxes: torch.Tensor
    classes: torch.Tensor
    mask: torch.Tensor

    def __len__(self) -> int:
        return len(self.features)

    def with_features(self, features: torch.Tensor) -> "Batch":
        """The same regions with other features, (B, R, V)."""
        return Batch(features, self.boxes, self.classes, self.mask)

    def __getitem__(self, rows: torch.Tensor) -> "Batch":
        """Some images, or one of them several times: row numbers (N,)."""
        return Batch(self.features[rows], self.boxes[rows], self.classes[rows], self.mask[rows])


class RegionTable:
    """Regions of N images by image id, in memory; images with fewer regions than others are padded with zeros."""

    def __init__(self, folder: Path | str, device: torch.device | str = "cpu"):
        """Read what `write` wrote. UserError when the folder holds something else."""
        folder = Path(folder)
        ids = read_json(folder / "ids.json")
        try:
            content = load_file(folder / "regions.safetensors")
        except Exception as error:  # of a damaged file the library raises several kinds
            raise UserError(f"{folder} holds no regions: delete the folder and run its stage again") from error
        if content.keys() != TENSORS or any(len(part) != len(ids) for part in content.values()):
            raise UserError(f"{folder}: ids and regions do not belong together: {RERUN}")
        self.rows = {str(key): row for row, key in enumerate(ids)}
        self.features, self.boxes, self.classes, counts = (
            torch.from_numpy(content[name]).to(device) for name in ("features", "boxes", "classes", "counts")
        )
        places = torch.arange(self.features.shape[1], device=device)
        self.mask = (places < counts.unsqueeze(1)).to(torch.int64)  # (N, R)

    @property
    def width(self) -> int:
        """Size V of a region's feature."""
        return self.features.shape[2]

    @property
    def kinds(self) -> int:
        """Number C of classes."""
        return self.classes.shape[2]

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: np.ndarray) -> Batch:
        """Regions of the images of these row numbers, (B,)."""
        chosen = torch.from_numpy(np.asarray(rows)).to(self.features.device)
        return Batch(self.features[chosen], self.boxes[chosen], self.classes[chosen], self.mask[chosen])


def write(folder: Path | str, regions: Iterable[tuple[str, Regions]]) -> None:
    """Write the regions of images by id: one file of tensors and one of ids. ValueError for two images of one id."""
    found = list(regions)
    ids = [key for key, _ in found]
    if not found or len(set(ids)) != len(ids):
        raise ValueError(f"{len(ids)} images with {len(set(ids))} distinct ids: expected one or more, each once")
    longest = max(len(one.features) for _, one in found)

    def padded(name: str) -> np.ndarray:
        parts = [getattr(one, name) for _, one in found]
        made = np.zeros((len(parts), longest, parts[0].shape[1]), dtype=np.float32)
        for row, part in enumerate(parts):
            made[row, : len(part)] = part
        return made

    content = {name: padded(name) for name in ("features", "boxes", "classes")}
    content["counts"] = np.array([len(one.features) for _, one in found], dtype=np.int64)
    with whole_folder(folder) as temporary:
        temporary.mkdir()
        save_file(content, temporary / "regions.safetensors")
        write_json(temporary / "ids.json", ids)
