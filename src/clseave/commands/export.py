"""Write one folder that predicts without this repository's data: models, model card, licence, and hashes.

  %(prog)s --model models/mini --language de --language ja --out bundle
  %(prog)s --model models/mini --out bundle --push OWNER/NAME --private

The bundle holds CLIP's image tower, the head, and a text encoder for each language (default: all of the profile).
With `--onnx` (of the extra clseave[onnx]) there are ONNX files of image tower, text encoders and head beside them, and
bundle/onnx/predict.py, which needs onnxruntime alone.

`clseave predict --model bundle` and `Entailment.from_pretrained("bundle")` load it, from a folder or, once it is
pushed, by OWNER/NAME. `--push` needs a login: `hf auth login`, or HF_TOKEN. Check the licence in its README.md first.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from clseave.cards import bundle_card
from clseave.foundation.errors import UserError
from clseave.foundation.files.atomic import whole_folder
from clseave.foundation.files.formats import write_text
from clseave.foundation.process import cli
from clseave.inference import bundle, folders, onnx_models
from clseave.inference.entailment import Entailment

log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    made = cli.parser(__doc__)
    made.add_argument("--model", type=Path, required=True, metavar="DIR", help="models/PROFILE, or a student's folder")
    made.add_argument("--language", action="append", default=[], help="one to take; may be repeated (default: all)")
    made.add_argument("--seed", type=int, metavar="N", help="whose models (default: the first of the profile)")
    made.add_argument("--head", type=Path, metavar="DIR", help="default: CLIP-VE of the same profile and seed")
    made.add_argument("--clip", type=Path, metavar="DIR", help="the image tower (default: that of the same profile)")
    made.add_argument("--metrics", type=Path, metavar="DIR", help="for the card (default: reports/PROFILE/metrics)")
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    made.add_argument("--onnx", action="store_true", help="also as ONNX, with a script for onnxruntime alone")
    made.add_argument("--push", metavar="OWNER/NAME", help="upload the bundle to this repository of the hub")
    made.add_argument("--private", action="store_true", help="make a new repository private")
    return made


def main(argv: Sequence[str] | None = None) -> None:
    """Write the bundle, load it once, and push it when asked to."""
    options = parser().parse_args(argv)
    if options.out.exists():
        raise UserError(f"--out {options.out} exists: name a new folder, or remove it")
    if options.onnx:
        onnx_models.require_packages()
    found = folders.find(options.model, options.language, options.head, options.clip, seed=options.seed)
    profile, seed = found.clip.parent, found.head.name
    metrics = options.metrics or profile.parent.parent / "reports" / profile.name / "metrics"
    rows = bundle_card.read_metrics(metrics / seed, list(found.encoders))
    if not rows:
        log.warning("%s has no metrics of these models: the card will have no results", metrics / seed)
    name = (options.push or f"clseave-{profile.name}").split("/")[-1]
    about = bundle_card.About(name, list(found.encoders), profile, seed, rows)
    with whole_folder(options.out) as folder:
        bundle.write(folder, found)
        for file, text in bundle_card.render(folder, about).items():
            write_text(folder / file, text)
        model = Entailment(folders.find(folder))  # what was written loads
        if options.onnx:
            onnx_models.write(folder / "onnx", model)
        bundle.write_hashes(folder)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    log.info("%s: %s, %.0f MB", options.out, ", ".join(found.encoders), size / 1e6)
    if options.push:
        log.info("pushed to %s", bundle.push(options.out, options.push, private=options.private))
