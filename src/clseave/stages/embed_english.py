"""Embed every distinct English hypothesis with CLIP-VE's text tower: the targets of all languages and seeds.

Reads:  English hypotheses, CLIP-VE.
Writes: one teacher vector per hypothesis, (N, D), not normalised, with ids.
Thesis: 3.3 (there the teacher runs again in every step).
Cost:   seconds.
"""

from clseave import cli, numerics, params
from clseave.encoders import embed_texts
from clseave.records import Translation, read_rows, write_vectors
from clseave.teacher import TextTower

KEYS = ("encode_batch", "device")


def main(argv: list[str] | None = None) -> None:
    """Embed with dropout off."""
    args = cli.parse(argv, __doc__, ["params", "profile", "hypotheses", "teacher", "out"])
    settings = params.load(args.params, args.profile, KEYS)
    device = numerics.start_torch(0, settings.device)
    rows = read_rows(args.hypotheses, Translation)
    tower = TextTower.load(args.teacher).eval().to(device)
    vectors = embed_texts(tower, [row.text for row in rows], settings.encode_batch)
    write_vectors(args.out, [row.hypothesis_id for row in rows], vectors.numpy())
