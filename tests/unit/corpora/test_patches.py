"""States of image patches."""

import numpy as np
import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from clseave.corpora.patches import patch_states, write_patches
from clseave.foundation.rows.records import read_vectors


@pytest.fixture
def tower():
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPVisionConfig(**shape, image_size=32, patch_size=16, projection_dim=6)
    return CLIPVisionModelWithProjection(config).eval()


def test_each_image_has_its_patches_without_the_class_token(tower, tmp_path):
    pixels = torch.randn(5, 3, 32, 32)
    states = patch_states(tower, iter(pixels), 5, 2)
    assert states.shape == (5, 4, 8)
    with torch.no_grad():
        alone = tower.vision_model(pixel_values=pixels[3:4]).last_hidden_state[0, 1:].numpy()
    np.testing.assert_allclose(states[3], alone, atol=1e-6)
    write_patches(tmp_path / "patches", list("abcde"), states)
    rows, table = read_vectors(tmp_path / "patches")
    assert table.shape == (5, 32) and np.array_equal(table[rows["d"]].reshape(4, 8), states[3])


def test_an_image_that_cannot_be_read_is_named(tower):
    with pytest.raises(ValueError, match="image 2: the file is empty"):
        patch_states(tower, iter([*torch.randn(3, 3, 32, 32), "the file is empty"]), 4, 2)
