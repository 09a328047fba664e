"""Predict whether a photo entails a sentence, contradicts it, or is neutral to it.

Prints three probabilities for each sentence.

  %(prog)s --model models/mini/clseave/de/seed0 --image photo.png --text "Oben ist ein Kreis"

`--model` is the folder of a text encoder: CLIP-VE for English, a CLSEAVE or CLTEAVE student for its language. By
default, the head (CLIP-VE of the same seed) and CLIP's image tower are taken from the same profile.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch
from transformers import CLIPVisionModelWithProjection

from clseave.corpora.images import BrokenImageError, decode, load_processor, preprocess
from clseave.foundation.errors import UserError, one_line
from clseave.foundation.files.archives import LARGEST
from clseave.foundation.files.formats import read_bytes
from clseave.foundation.process import cli, numerics
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.settings.schema import Assembly
from clseave.models.clip_ve import judge, load_head
from clseave.models.encoders import MARKS, Encoder, embed_texts, load_encoder
from clseave.models.loading import load_model
from clseave.models.tokens import unknown_share

UNKNOWN, LISTED = 0.5, 12  # share of unknown tokens that makes a prediction doubtful; most folders in a message

log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    made = cli.parser(__doc__)
    made.add_argument("--model", type=Path, required=True, metavar="DIR", help="the text encoder")
    made.add_argument("--image", type=Path, required=True, metavar="FILE", help="the premise: a photo")
    made.add_argument("--text", action="append", required=True, help="a hypothesis; may be repeated")
    made.add_argument("--head", type=Path, metavar="DIR", help="default: CLIP-VE of the same profile and seed")
    made.add_argument("--clip", type=Path, metavar="DIR", help="the image tower (default: that of the same profile)")
    made.add_argument("--assembly", choices=get_args(Assembly), default="direct", help="of CLTEAVE")
    made.add_argument("--device", choices=["cpu", "cuda", "auto"], default="cpu", help="(default: %(default)s)")
    made.add_argument("--format", choices=["text", "json"], default="text", help="(default: %(default)s)")
    return made


def require_encoder(model: Path) -> None:
    """Raise UserError when a folder is not a text encoder; the message lists the encoders below it, if any."""
    if not model.is_dir():
        raise UserError(f"{model}: no such folder: run `dvc pull` or `make reproduce`, or name another model")
    if any((model / mark).is_file() for mark in MARKS):
        return
    marked = {path.parent for mark in MARKS for path in model.glob(f"**/{mark}")}
    found = sorted(str(folder) for folder in marked if (folder / "config.json").is_file())
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    what = (
        f"name a model in it: {', '.join(found[:LISTED])}{more}"
        if found
        else "run the stage that writes it (`dvc repro`)"
    )
    raise UserError(f"{model} is no text encoder: {what}")


def warn_of_unknown(encoder: Encoder, texts: Sequence[str]) -> None:
    """Log a warning for each text with too many unknown tokens for a meaningful prediction."""
    for text in texts:
        if (share := unknown_share(encoder.tokenizer, text)) >= UNKNOWN:
            log.warning(
                "%s: %.0f %% of the tokens are unknown to the model, so its prediction means little: is this the "
                "language of --model?",
                one_line(repr(text)),
                100 * share,
            )


def beside(model: Path) -> tuple[Path, Path]:
    """Return the folders of the head and of CLIP for a model in `models/PROFILE`. UserError when there are none."""
    own = (model / "head.json").is_file()  # CLIP-VE and its controls include a head
    for folder in model.resolve().parents:
        if (folder / "clip" / "config.json").is_file():
            return model if own else folder / "clip_ve" / model.resolve().name, folder / "clip"
    raise UserError(f"{model}: no CLIP beside it: name a folder below models/PROFILE, or give --head and --clip")


@torch.no_grad()
def image_vector(clip: Path, image: Path, device: torch.device) -> torch.Tensor:
    """Return the photo's vector, (1, D). UserError when the photo cannot be read."""
    try:
        picture = decode(read_bytes(image, LARGEST, "name a photo that is there"))
    except BrokenImageError as error:
        raise UserError(f"{image}: not a readable image: {error}") from error
    tower = load_model(CLIPVisionModelWithProjection, clip).to(device)
    pixels = preprocess(load_processor(clip), picture)[None]  # (1, 3, H, W)
    return tower(pixel_values=pixels.to(device)).image_embeds.cpu()


def main(argv: Sequence[str] | None = None) -> None:
    """Embed the texts and the photo, classify, and print."""
    options = parser().parse_args(argv)
    require_encoder(options.model)
    head, clip = (options.head, options.clip) if options.head and options.clip else beside(options.model)
    head, clip = options.head or head, options.clip or clip
    device = numerics.start_torch(0, options.device)
    encoder = load_encoder(options.model, head, options.assembly).to(device)
    hypotheses = embed_texts(encoder, options.text, batch_size=32)
    warn_of_unknown(encoder, options.text)
    premise = image_vector(clip, options.image, device).expand(len(hypotheses), -1)
    with torch.no_grad():
        shares = judge(*load_head(head), hypotheses, premise).softmax(dim=1).tolist()
    rows = [dict(zip(LABELS, map(float, row), strict=True)) for row in shares]
    if options.format == "json":
        results = [{"text": text, **row} for text, row in zip(options.text, rows, strict=True)]
        sys.stdout.write(json.dumps(results, ensure_ascii=False, indent=2) + "\n")
        return
    for text, row in zip(options.text, rows, strict=True):
        scores = "  ".join(f"{name} {share:6.1%}" for name, share in sorted(row.items(), key=lambda one: -one[1]))
        sys.stdout.write(f"{scores}  {text}\n")
