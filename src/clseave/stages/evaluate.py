"""Predict every example of a set with a text encoder and a head, without training.

Reads:  examples, hypotheses in the encoder's language, image vectors, a text encoder, a head.
Writes: one `Prediction` per example, metrics; no row where the corpus lacks these hypotheses ("not run").
Thesis: 4.1, 4.2 (Table 4.1).
Cost:   seconds.
"""

from pathlib import Path

import numpy as np
import torch

from clseave.foundation.files.formats import write_json
from clseave.foundation.process import cli, numerics
from clseave.foundation.rows.records import (
    Example,
    Prediction,
    Translation,
    examples_with_images,
    iter_rows,
    read_rows,
    read_splits,
    read_vectors,
    require,
    rows_of,
    write_rows,
)
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import Encoding
from clseave.models.clip_ve import judge, load_head
from clseave.models.encoders import Encoder, embed_texts, load_encoder
from clseave.statistics import metrics, swaps

DECIMALS = 4  # of a logit


def read_set(examples: Path, name: str, hypotheses: Path, images: Path) -> tuple[list[Example], dict[str, str]]:
    """Read the examples whose image has a vector, and the texts by hypothesis id; both empty without hypotheses.

    `examples` is a folder of splits, or of independent examples when `name` is "independent".
    """
    independent = name == "independent"
    if independent and not hypotheses.exists():  # not every language has independent translations
        return [], {}
    texts = {row.hypothesis_id: row.text for row in iter_rows(hypotheses, Translation)}
    if not texts:
        return [], {}
    rows = read_rows(examples / "examples.jsonl", Example) if independent else read_splits(examples, [name])
    require((row.hypothesis_id for row in rows), texts, f"text in {hypotheses}")
    return examples_with_images(rows, images), texts


def embed_hypotheses(encoder: Encoder, examples: list[Example], texts: dict[str, str], batch_size: int) -> torch.Tensor:
    """Return the encoder's vector of each example's hypothesis, (N, D); each distinct text is encoded once."""
    wanted = dict.fromkeys(row.hypothesis_id for row in examples)
    vectors = embed_texts(encoder, [texts[key] for key in wanted], batch_size)
    positions = {key: row for row, key in enumerate(wanted)}
    return vectors[rows_of((row.hypothesis_id for row in examples), positions, "hypothesis vector")]


@torch.no_grad()
def predict(head: Path, vectors: Path, examples: list[Example], hypothesis: torch.Tensor) -> list[Prediction]:
    """Return the logits of examples by a head, rounded to `DECIMALS`, from vectors of images and hypotheses (N, D)."""
    image_rows, images = read_vectors(vectors)
    premise = torch.from_numpy(images[rows_of((row.image_id for row in examples), image_rows, "image vector")])
    logits = judge(*load_head(head), hypothesis, premise).tolist()
    return [
        Prediction(row.pair_id, [round(logit, DECIMALS) for logit in scores])
        for row, scores in zip(examples, logits, strict=True)
    ]


def main(argv: list[str] | None = None) -> None:
    """Evaluate in evaluation mode; metrics are computed from the stored, rounded logits."""
    paths = "params profile examples independent english images encoder head predictions metrics".split()
    names = ["name", "set", "hypotheses", "assembly"]
    args = cli.parse(argv, __doc__, paths, names=names, numbers=["seed"], optional=["translated", "back"])
    settings = params.load(args.params, args.profile, Encoding)
    device = numerics.start_torch(0, settings.device, settings.kernels)
    hypotheses = args.english if args.hypotheses == "english" else args.translated
    folder, language = args.examples, hypotheses.stem
    if args.set == "independent":  # its hypotheses are in the folder of its examples
        folder, hypotheses = args.independent, args.independent / f"{language}.jsonl"
    elif args.hypotheses == "back_translated":
        hypotheses = args.back
    about = {"name": args.name, "seed": args.seed, "set": args.set, "language": language}
    about["kernels"] = numerics.kernels_used()
    examples, texts = read_set(folder, args.set, hypotheses, args.images)
    if not examples:
        write_rows(args.predictions, [])
        write_json(args.metrics, about | {"rows": 0})
        return
    encoder = load_encoder(args.encoder, args.head, args.assembly).to(device)
    vectors = embed_hypotheses(encoder, examples, texts, settings.encode_batch)
    rows = predict(args.head, args.images, examples, vectors)
    write_rows(args.predictions, rows)
    labels, logits = [row.label for row in examples], np.array([row.logits for row in rows])
    kinds, seen = [row.kind for row in examples], [row.seen for row in examples]
    summary = metrics.summary(labels, logits, kinds, seen, name=args.name, seed=args.seed)
    hits = logits.argmax(1) == metrics.gold_ids(labels)
    write_json(args.metrics, summary | swaps.summary(hits, [row.pair for row in examples]) | about)
