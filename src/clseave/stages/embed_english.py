"""Embed every distinct English hypothesis with CLIP-VE's text tower: the targets of all languages and seeds.

Reads:  English hypotheses, CLIP-VE.
Writes: one teacher vector per hypothesis, (N, D), not normalised, with ids.
Thesis: 3.3 (where the teacher runs again in every step).
Cost:   seconds; half a million captions with the full-size tower: hours on a CPU. A killed run resumes.
"""

from functools import partial

import numpy as np
import torch

from clseave.foundation.process import cli, numerics
from clseave.foundation.process.resume import Parts, key_of
from clseave.foundation.rows.records import Translation, read_rows, write_vectors
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import Encoding
from clseave.models.encoders import embed_texts
from clseave.models.tokens import encode, in_order
from clseave.models.towers import AnyTextTower, load_text_tower

PIECE = 100  # batches per stored part


def embed(tower: AnyTextTower, texts: list[str], batch: int, parts: Parts) -> torch.Tensor:
    """Return vectors (N, D) in the order of the texts. Texts are batched by length; `parts` stores `PIECE` batches."""
    order = np.argsort(encode(tower.tokenizer, texts).lengths, kind="stable")
    vectors = torch.empty(len(texts), tower.width)
    for number, part in enumerate(in_order(len(order), batch * PIECE)):
        rows = order[part]
        vectors[torch.from_numpy(rows)] = parts.get_or_compute(
            number, partial(embed_texts, tower, [texts[row] for row in rows], batch)
        )
    return vectors


def main(argv: list[str] | None = None) -> None:
    """Embed the hypotheses in evaluation mode."""
    args = cli.parse(argv, __doc__, ["params", "profile", "hypotheses", "teacher", "checkpoints", "out"])
    settings = params.load(args.params, args.profile, Encoding)
    device = numerics.start_torch(0, settings.device, settings.kernels)
    rows = read_rows(args.hypotheses, Translation)
    tower = load_text_tower(args.teacher).eval().to(device)
    inputs = {"hypotheses": args.hypotheses, "teacher": args.teacher}
    parts = Parts(args.checkpoints, key_of(__name__, inputs, settings, device))
    vectors = embed(tower, [row.text for row in rows], settings.encode_batch, parts)
    write_vectors(args.out, [row.hypothesis_id for row in rows], vectors.numpy())
    parts.remove()
