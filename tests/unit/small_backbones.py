"""The settings of a CLIP and a BERT of one layer, for the tests of pre-training."""

from clseave.foundation.settings.schema import ClipBackbone, MbertBackbone, Tower

TOWER = Tower(layers=1, width=8, heads=2)
CLIP = ClipBackbone(
    text=TOWER,
    vision=TOWER,
    patch=16,
    projection=6,
    vocabulary=560,
    max_tokens=24,
    steps=100,
    batch_size=3,
    lr=1e-3,
    weight_decay=0.0,
    warmup=0.0,
)
MBERT = MbertBackbone(
    tower=TOWER,
    vocabulary=500,
    max_tokens=40,
    steps=100,
    batch_size=5,
    lr=1e-3,
    weight_decay=0.0,
    warmup=0.0,
    mask=0.15,
)
