"""Write one folder that predicts on other machines: models, model card, licence, hashes.

  %(prog)s --model models/mini --language de --language ja --out bundle
  %(prog)s --out bundle --push OWNER/NAME --private

The bundle holds CLIP's image tower, the head, and a text encoder for each language (default: all of the profile).
`clseave predict --model bundle` and `Entailment.from_pretrained("bundle")` load it, from a folder or, once it is
pushed, by OWNER/NAME. With `--onnx` (of the extra clseave[onnx]) it also has image tower, text encoders and head as
ONNX, and onnx/predict.py, which needs onnxruntime, tokenizers, numpy and Pillow alone.

`--push` uploads the bundle to the Hugging Face hub: the one that is written, or without `--model` the one that is
there. It needs a login: `hf auth login`, or HF_TOKEN. Without `--private` only weights under the MIT licence are
pushed; read README.md of the bundle first.
"""

import argparse
import logging
import os
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
    made.add_argument("--model", metavar="DIR", help="models/PROFILE, or a student's folder")
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


def write(out: Path, found: folders.Folders, metrics: Path | None, name: str, *, onnx: bool) -> None:
    """Write the bundle of some models, and load it once. `metrics` None: those of the models' profile; `name` empty:
    that of the profile.
    """
    profile = found.clip.absolute().parent
    metrics = metrics or Path(os.path.normpath(profile / "../../reports" / profile.name / "metrics"))
    rows = bundle_card.read_metrics(metrics, found)
    if not rows:
        log.warning("%s has no metrics of these models: the card will have no results", metrics)
    texts = bundle_card.render(bundle_card.About(name or f"clseave-{profile.name}", found, rows))
    with whole_folder(out) as folder:
        bundle.write(folder, found)
        for file, text in texts.items():
            write_text(folder / file, text)
        model = Entailment(folders.find(folder))  # what was written loads
        if onnx:
            onnx_models.write(folder / "onnx", model)
        bundle.write_hashes(folder)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    log.info("%s: %s, %.0f MB", out, ", ".join(found.encoders), size / 1e6)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the bundle, push it, or both."""
    made = parser()
    options = made.parse_args(argv)
    if not options.model and not options.push:
        made.error("give --model, to write a bundle, or --push, to upload one")
    if options.model:
        if options.out.exists():
            raise UserError(f"--out {options.out} exists: name a new folder, or remove it")
        if options.onnx:
            onnx_models.require_packages()
        found = folders.find(options.model, options.language, options.head, options.clip, seed=options.seed)
        name = (options.push or "").rpartition("/")[2]
        write(options.out, found, options.metrics, name, onnx=options.onnx)
    if options.push:
        log.info("pushed to %s", bundle.push(options.out, options.push, private=options.private))
