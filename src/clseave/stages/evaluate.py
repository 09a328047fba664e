"""Judge every example of a set with one text encoder and one head. Nothing is trained here.

Reads:  examples, hypotheses in the encoder's language, image vectors, a text encoder, a head.
Writes: one `Prediction` per example, metrics; no row where the corpus has no such hypotheses ("not run").
Thesis: 4.1, 4.2 (Table 4.1).
Cost:   seconds.
"""

from argparse import Namespace
from pathlib import Path

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
    read_rows,
    read_splits,
    read_vectors,
    require,
    rows_of,
    write_rows,
)
from clseave.storage import write_json
from clseave.teacher import judge, load_head

KEYS = ("encode_batch", "device", "kernels")
DECIMALS = 4  # of a logit


def find_hypotheses(args: Namespace) -> tuple[Path, str]:
    """The file of the hypotheses to judge, and their language; of a set of its own the one in that language."""
    files = {"english": args.english, "translated": args.translated, "back_translated": args.back}
    path, language = files[args.hypotheses], (args.english if args.hypotheses == "english" else args.translated).stem
    return (args.independent / f"{language}.jsonl" if args.set == "independent" else path), language


def read_set(args: Namespace, hypotheses: Path) -> tuple[list[Example], dict[str, str]]:
    """Examples whose image has a vector, and the text of each hypothesis id; neither where there are no hypotheses."""
    independent = args.set == "independent"
    if independent and not hypotheses.exists():  # not every language has such translations
        return [], {}
    texts = {row.hypothesis_id: row.text for row in iter_rows(hypotheses, Translation)}
    if not texts:
        return [], {}
    if independent:
        examples = read_rows(args.independent / "examples.jsonl", Example)
    else:
        examples = read_splits(args.examples, [args.set])
    require((row.hypothesis_id for row in examples), texts, f"text in {hypotheses}")
    return examples_with_images(examples, args.images), texts


def embed_hypotheses(
    args: Namespace, examples: list[Example], texts: dict[str, str], batch_size: int, device: torch.device
) -> torch.Tensor:
    """The encoder's vector of each example's hypothesis, (N, D); every distinct text is encoded once."""
    wanted = dict.fromkeys(row.hypothesis_id for row in examples)
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
        Prediction(row.pair_id, [round(one, DECIMALS) for one in scores])
        for row, scores in zip(examples, logits, strict=True)
    ]


def main(argv: list[str] | None = None) -> None:
    """Evaluate with everything in evaluation mode; metrics are computed from the rounded logits that are stored."""
    paths = "params profile examples independent english images encoder head predictions metrics".split()
    names = ["name", "set", "hypotheses", "assembly"]
    args = cli.parse(argv, __doc__, paths, names=names, numbers=["seed"], optional=["translated", "back"])
    settings = params.load(args.params, args.profile, KEYS)
    device = numerics.start_torch(0, settings.device, settings.kernels)
    hypotheses, language = find_hypotheses(args)
    about = {"name": args.name, "seed": args.seed, "set": args.set, "language": language}
    about["kernels"] = numerics.kernels_used()
    examples, texts = read_set(args, hypotheses)
    if not examples:
        write_rows(args.predictions, [])
        write_json(args.metrics, about | {"rows": 0})
        return
    rows = predict(args, examples, embed_hypotheses(args, examples, texts, settings.encode_batch, device))
    write_rows(args.predictions, rows)
    summary = metrics.summary(
        [row.label for row in examples],
        np.array([row.logits for row in rows]),
        [row.kind for row in examples],
        [row.seen for row in examples],
        [row.image_id for row in examples],
        name=args.name,
        seed=args.seed,
    )
    write_json(args.metrics, summary | about)
