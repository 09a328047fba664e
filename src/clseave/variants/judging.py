"""The answers that a text encoder gives to the test rows with CLIP-VE's head."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from clseave.foundation.rows.records import Example, read_vectors, rows_of
from clseave.models.clip_ve import judge, load_head
from clseave.models.encoders import Encoder, embed_texts
from clseave.variants.runs import to_digits

SENTENCES = 500  # encoded at a time


@torch.no_grad()
def answers(
    encoder: Encoder, examples: Sequence[Example], texts: Mapping[str, str], images: Path, head: Path
) -> tuple[str, torch.Tensor]:
    """One digit for each of the N rows, and the vectors of the distinct hypotheses in order of appearance, (H, D).

    `texts` are the hypotheses in the encoder's language by id, `images` the folder of image vectors.
    """
    wanted = list(dict.fromkeys(row.hypothesis_id for row in examples))
    place = {key: row for row, key in enumerate(wanted)}
    rows = rows_of((row.hypothesis_id for row in examples), place, "hypothesis vector")
    image_rows, vectors = read_vectors(images)
    premise = torch.from_numpy(vectors[rows_of((row.image_id for row in examples), image_rows, "image vector")])
    found = embed_texts(encoder, [texts[key] for key in wanted], SENTENCES)
    return to_digits(judge(*load_head(head), found[rows], premise).argmax(1).numpy()), found
