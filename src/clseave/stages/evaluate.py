"""Judge every example of a split with one text encoder and one head. Nothing is trained here.

Reads:  examples, hypotheses in the encoder's language, image vectors, a text encoder, CLIP-VE's head.
Writes: one `Prediction` per example, metrics.
Thesis: 4.1, 4.2 (Table 4.1).
Cost:   seconds.
"""

import torch

from clseave import cli, metrics, numerics, params
from clseave.encoders import embed_texts, load_encoder
from clseave.records import Prediction, Translation, read_rows, read_splits, read_vectors, rows_of, write_rows
from clseave.storage import write_json
from clseave.teacher import judge, load_head

KEYS = ("encode_batch",)
DECIMALS = 4  # of a logit


def main(argv: list[str] | None = None) -> None:
    """Evaluate with everything in evaluation mode; metrics are computed from the rounded logits that are stored."""
    args = cli.parse(
        argv,
        __doc__,
        ["params", "profile", "examples", "hypotheses", "images", "encoder", "head", "predictions", "metrics"],
        names=["name", "split", "assembly"],
        numbers=["seed"],
    )
    settings = params.load(args.params, args.profile, KEYS)
    numerics.seed_torch(0)
    examples = read_splits(args.examples, [args.split])
    texts = {row.hypothesis_id: row.text for row in read_rows(args.hypotheses, Translation)}
    wanted = list(dict.fromkeys(row.hypothesis_id for row in examples))
    encoder = load_encoder(args.encoder, args.head, args.assembly)
    vectors = embed_texts(encoder, [texts[key] for key in wanted], settings.encode_batch)
    place = {key: row for row, key in enumerate(wanted)}
    image_rows, images = read_vectors(args.images)
    head, inputs = load_head(args.head)
    hypothesis = vectors[rows_of((row.hypothesis_id for row in examples), place, "hypothesis vector")]
    premise = torch.from_numpy(images[rows_of((row.image_id for row in examples), image_rows, "image vector")])
    with torch.no_grad():
        logits = judge(head, inputs, hypothesis, premise).numpy().round(DECIMALS)
    rows = [
        Prediction(
            row.pair_id,
            row.image_id,
            row.hypothesis_id,
            row.label,
            [round(float(value), DECIMALS) for value in scores],
            row.kind,
            row.seen,
        )
        for row, scores in zip(examples, logits, strict=True)
    ]
    write_rows(args.predictions, rows)
    write_json(
        args.metrics,
        metrics.summary(
            [row.gold for row in rows],
            [row.logits for row in rows],
            [row.kind for row in rows],
            [row.seen for row in rows],
            [row.image_id for row in rows],
            name=args.name,
            seed=args.seed,
        ),
    )
