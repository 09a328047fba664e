"""Judge every example of a split with one text encoder and one head. Nothing is trained here.

Reads:  examples, hypotheses in the encoder's language, image vectors, a text encoder, CLIP-VE's head.
Writes: one `Prediction` per example, metrics.
Thesis: 4.1, 4.2 (Table 4.1).
Cost:   seconds.
"""

from argparse import Namespace

import numpy as np
import torch

from clseave import cli, metrics, numerics, params
from clseave.encoders import embed_texts, load_encoder
from clseave.records import (
    Example,
    Prediction,
    Translation,
    examples_with_images,
    iter_rows,
    read_splits,
    read_vectors,
    require,
    rows_of,
    write_rows,
)
from clseave.storage import write_json
from clseave.teacher import judge, load_head

KEYS = ("encode_batch", "device")
DECIMALS = 4  # of a logit


def embed_hypotheses(args: Namespace, examples: list[Example], batch_size: int, device: torch.device) -> torch.Tensor:
    """The encoder's vector of each example's hypothesis, (N, D); every distinct text is encoded once."""
    wanted = dict.fromkeys(row.hypothesis_id for row in examples)
    texts = {
        row.hypothesis_id: row.text for row in iter_rows(args.hypotheses, Translation) if row.hypothesis_id in wanted
    }
    require(wanted, texts, f"text in {args.hypotheses}")
    encoder = load_encoder(args.encoder, args.head, args.assembly).to(device)
    vectors = embed_texts(encoder, [texts[key] for key in wanted], batch_size)
    place = {key: row for row, key in enumerate(wanted)}
    return vectors[rows_of((row.hypothesis_id for row in examples), place, "hypothesis vector")]


@torch.no_grad()
def predict(args: Namespace, examples: list[Example], hypothesis: torch.Tensor) -> list[Prediction]:
    """Logits of each example by the head, rounded to `DECIMALS`."""
    image_rows, images = read_vectors(args.images)
    premise = torch.from_numpy(images[rows_of((row.image_id for row in examples), image_rows, "image vector")])
    logits = judge(*load_head(args.head), hypothesis, premise).tolist()
    return [
        Prediction(row.pair_id, row.image_id, row.hypothesis_id, row.label, scores, row.kind, row.seen)
        for row, scores in zip(examples, ([round(one, DECIMALS) for one in row] for row in logits), strict=True)
    ]


def main(argv: list[str] | None = None) -> None:
    """Evaluate with everything in evaluation mode; metrics are computed from the rounded logits that are stored."""
    paths = "params profile examples hypotheses images encoder head predictions metrics".split()
    args = cli.parse(argv, __doc__, paths, names=["name", "split", "assembly"], numbers=["seed"])
    settings = params.load(args.params, args.profile, KEYS)
    device = numerics.start_torch(0, settings.device)
    examples = examples_with_images(read_splits(args.examples, [args.split]), args.images)
    rows = predict(args, examples, embed_hypotheses(args, examples, settings.encode_batch, device))
    write_rows(args.predictions, rows)
    summary = metrics.summary(
        [row.gold for row in rows],
        np.array([row.logits for row in rows]),
        [row.kind for row in rows],
        [row.seen for row in rows],
        [row.image_id for row in rows],
        name=args.name,
        seed=args.seed,
    )
    write_json(args.metrics, summary)
