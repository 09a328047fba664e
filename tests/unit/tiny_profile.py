"""`models/<profile>` with random models: CLIP's image tower, CLIP-VE of two seeds, German and Japanese students."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tiny_models import PROJECTED, bert, bert_text, tower
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from clseave.corpora.images import processor
from clseave.foundation.rows.training_record import TrainingRecord
from clseave.models.clip_ve import save_head
from clseave.models.head import Head
from clseave.models.student import Student


def save_profile(folder: Path) -> Path:
    """Write the models; each text encoder names its language, as a stage does."""
    torch.manual_seed(3)
    head = Head(PROJECTED, 4, 0.0)
    for number, seed in enumerate(("seed0", "seed1")):
        tower(number).save(folder / "clip_ve" / seed)
        save_head(folder / "clip_ve" / seed, head, "clip_ve")
        record(folder / "clip_ve" / seed, "en")
        for language in ("de", "ja"):
            Student(bert(number), bert_text(), PROJECTED, "sep").save(folder / "clseave" / language / seed)
            record(folder / "clseave" / language / seed, language)
    shape = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPVisionConfig(**shape, image_size=32, patch_size=16, projection_dim=PROJECTED)
    CLIPVisionModelWithProjection(config).save_pretrained(folder / "clip")
    processor(32).save_pretrained(folder / "clip")
    (folder / "autoencoder/seed0").mkdir(parents=True)
    (folder / "autoencoder/seed0/autoencoder.json").write_text("{}")  # a part of a student, no text encoder
    return folder


def record(folder: Path, language: str) -> None:
    """Write the language of a model as its stage does."""
    TrainingRecord(
        name="a model", stage="clseave", profile="tiny", seed=0, languages=[language], parameters={}, inputs={},
        metrics={}, bases=[],
    ).write(folder)  # fmt: skip


def save_photos(folder: Path, count: int) -> list[Path]:
    """Write photos of noise, `0.png` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(count)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    return paths
