"""Regions of images: what is written is read, padded, and checked."""

import numpy as np
import pytest
import torch
from small_streams import CLASSES, VISUAL, image, table

from clseave.foundation.errors import UserError
from clseave.single_stream.regions import Regions, RegionTable, write


def test_regions_are_padded_to_the_image_with_most(tmp_path):
    found = table(tmp_path / "regions")
    assert (found.rows, len(found), found.width, found.kinds) == ({"a": 0, "b": 1, "c": 2}, 3, VISUAL, CLASSES)
    batch = found[np.array([2, 0, 2])]
    assert batch.mask.tolist() == [[1, 1, 0], [1, 1, 1], [1, 1, 0]]
    made = image(2, 2)
    for name in ("features", "boxes", "classes"):
        part = getattr(batch, name)
        assert torch.equal(part[0, :2], torch.from_numpy(getattr(made, name))) and torch.equal(part[0], part[2])
        assert not part[0, 2:].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": np.zeros((2, 4))}, r"shapes \(3, 5\), \(2, 4\), \(3, 3\)"),
        ({"features": np.full((3, VISUAL), np.nan)}, "not finite"),
        ({"boxes": np.tile([0.5, 0, 0.4, 1], (3, 1))}, "not within the image"),
        ({"boxes": np.tile([0, 0, 1, 1.5], (3, 1))}, "not within the image"),
        ({"classes": np.ones((3, CLASSES))}, "sum to 1"),
    ],
)
def test_regions_that_mean_nothing_are_refused(changes, message):
    good = image(3, 0)
    parts = {name: getattr(good, name) for name in ("features", "boxes", "classes")} | changes
    with pytest.raises(ValueError, match=message):
        Regions(**parts)


def test_an_image_comes_once(tmp_path):
    with pytest.raises(ValueError, match="2 images with 1 distinct ids"):
        write(tmp_path / "regions", [("a", image(1, 0)), ("a", image(1, 1))])


def test_a_damaged_folder_is_named(tmp_path):
    table(tmp_path / "regions")
    (tmp_path / "regions/regions.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="holds no regions"):
        RegionTable(tmp_path / "regions")
    table(tmp_path / "others")
    (tmp_path / "others/ids.json").write_text('["a"]')
    with pytest.raises(UserError, match="do not belong together"):
        RegionTable(tmp_path / "others")
