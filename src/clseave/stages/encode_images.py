"""Encode every image once with CLIP's frozen image tower.

Reads:  the image archive, CLIP.
Writes: one vector per image, (N, D), not normalised, with ids.
Thesis: 3.1.2 (the image tower stays frozen, so its vectors never change).
Cost:   seconds on the miniature.
"""

import numpy as np
import torch
from tqdm import tqdm
from transformers import CLIPVisionModelWithProjection

from clseave import cli, numerics, params
from clseave.batches import in_order
from clseave.checkpoints import load_model
from clseave.images import load_processor, read_archive
from clseave.records import read_splits, write_vectors

KEYS = ("encode_batch",)


def main(argv: list[str] | None = None) -> None:
    """Encode the images that the examples name, in the order of their first appearance."""
    args = cli.parse(argv, __doc__, ["params", "profile", "examples", "images", "clip", "out"])
    settings = params.load(args.params, args.profile, KEYS)
    numerics.seed_torch(0)
    tower = load_model(CLIPVisionModelWithProjection, args.clip)
    processor = load_processor(args.clip)
    ids = list(dict.fromkeys(row.image_id for row in read_splits(args.examples)))
    pictures, vectors = read_archive(args.images, ids), []
    for rows in tqdm(in_order(len(ids), settings.encode_batch), desc="images", unit="batch", disable=None):
        pixels = processor([next(pictures)[1] for _ in rows], return_tensors="pt").pixel_values  # (B, 3, H, W)
        with torch.no_grad():
            vectors.append(tower(pixel_values=pixels).image_embeds.numpy())  # (B, D)
    write_vectors(args.out, ids, np.concatenate(vectors))
