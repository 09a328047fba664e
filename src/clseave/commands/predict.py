"""Predict whether a photo entails a sentence, contradicts it, or is neutral to it.

  %(prog)s --model models/mini/clseave/de/seed0 --image photo.png --text "Oben ist ein Kreis"
  %(prog)s --model models/mini --batch rows.csv --out predictions.jsonl

`--model` is the folder of a text encoder (CLIP-VE for English, a CLSEAVE or CLTEAVE student for its language),
models/PROFILE for all of its languages, or a bundle of `export`: its folder, or OWNER/NAME on the hub. By default, the
head (CLIP-VE of the same seed) and CLIP's image tower are taken from the same profile.

The rows of `--batch` (.csv and .tsv with a header, .jsonl) have columns image (a file relative to `--images`), text,
and language, which may be left out where `--language` or the model says it. One line is written for each row, with its
number, its id if there is such a column, and its image. Where rows have a label too (entailment, neutral or
contradiction, in a column gold_label or label), the accuracy of each language is reported at the end.

Exit codes: 0 all rows have a prediction; 1 some rows of a batch have none, each with its reason in the output and on
the error stream; 2 wrong arguments, no model, a sentence or photo that cannot be judged, or a bad row with `--strict`.
"""

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, get_args

from clseave.foundation.errors import UserError
from clseave.foundation.files.atomic import atomic
from clseave.foundation.process import cli, numerics, progress
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.settings.schema import Assembly
from clseave.inference import folders, rows
from clseave.inference.entailment import Entailment, Failure, Prediction

log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    made = cli.parser(__doc__)
    made.add_argument("--model", required=True, metavar="DIR", help="the text encoder, models/PROFILE, or a bundle")
    made.add_argument("--image", type=Path, metavar="FILE", help="the premise: a photo")
    made.add_argument("--text", action="append", help="a hypothesis; may be repeated")
    made.add_argument("--language", help="of all sentences (default: that of the model)")
    made.add_argument("--batch", type=Path, metavar="FILE", help="rows of image, text and language")
    made.add_argument("--images", type=Path, metavar="DIR", help="of a batch (default: the folder of its file)")
    made.add_argument("--out", type=Path, metavar="FILE", help="predictions of a batch, JSON Lines (default: printed)")
    made.add_argument("--strict", action="store_true", help="stop at the first bad row of a batch; no file is written")
    made.add_argument("--head", type=Path, metavar="DIR", help="default: CLIP-VE of the same profile and seed")
    made.add_argument("--clip", type=Path, metavar="DIR", help="the image tower (default: that of the same profile)")
    made.add_argument("--revision", default="main", help="of a model of the hub, a branch or commit (default: main)")
    made.add_argument("--assembly", choices=get_args(Assembly), default="direct", help="of CLTEAVE")
    made.add_argument("--device", choices=["cpu", "cuda", "auto"], default="cpu", help="(default: %(default)s)")
    made.add_argument("--format", choices=["text", "json"], default="text", help="(default: %(default)s)")
    made.add_argument("--json", action="store_const", dest="format", const="json", help="the same as --format json")
    return made


def show(results: Sequence[Prediction], form: str) -> str:
    """Text or JSON of some predictions, the most probable label first."""
    if form == "json":
        content = [{"text": one.text, "language": one.language, **one.probabilities} for one in results]
        return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    lines = []
    for one in results:
        ordered = sorted(one.probabilities.items(), key=lambda item: -item[1])
        lines.append("  ".join(f"{name} {share:6.1%}" for name, share in ordered) + f"  {one.text}\n")
    return "".join(lines)


@dataclass(frozen=True)
class Batch:
    """Rows of a file that are judged: where they and their images are, and what a bad one does."""

    file: Path
    images: Path
    language: str | None
    strict: bool

    def read(self) -> Iterator[rows.Row]:
        """Read the file once more."""
        return rows.read(self.file, self.images, self.language)

    def write(self, model: Entailment, stream: TextIO) -> int:
        """Write a line for each row; return how many have no prediction. UserError for the first with `strict`."""
        bad = 0
        right: dict[str, list[bool]] = {}
        others: Counter[str] = Counter()  # rows with a label that the model does not have
        total = sum(1 for _ in self.read())
        with progress.bar(desc="predictions", total=total, unit="rows") as bar:
            for row, result in rows.judge(model, self.read()):
                if isinstance(result, Failure):
                    bad += 1
                    if self.strict:
                        raise UserError(f"{self.file}: row {row.number}: {result.reason}")
                    log.warning("%s: row %d: %s", self.file, row.number, result.reason)
                elif (gold := rows.true_label(row)) in LABELS:
                    right.setdefault(result.language, []).append(result.label == gold)
                elif gold:
                    others[gold] += 1
                stream.write(rows.as_json(row, result))
                bar.update()
        log.info("%d of %d rows have a prediction", total - bad, total)
        if others:
            names = ", ".join(map(repr, list(others)[:5]))
            log.warning("%d rows have other labels than %s: %s", others.total(), ", ".join(LABELS), names)
        for language, found in right.items():
            log.info(
                "%s: accuracy %.1f %% of %d rows with a label", language, 100 * sum(found) / len(found), len(found)
            )
        return bad


def main(argv: Sequence[str] | None = None) -> None:
    """Load the models, judge, and print or write."""
    made = parser()
    options = made.parse_args(argv)
    one = bool(options.image), bool(options.text)
    if any(one) if options.batch else not all(one):
        made.error("give --image and --text, or --batch")
    # In a batch, --language only stands in where a row names none.
    languages = [options.language] if options.language and not options.batch else []
    found = folders.find(options.model, languages, options.head, options.clip, revision=options.revision)
    device = numerics.start_torch(0, options.device)
    model = Entailment(found, assembly=options.assembly, device=device)
    if options.batch is None:
        if len(model.languages) > 1:
            raise UserError(f"{options.model}: say --language, one of {', '.join(model.languages)}")
        sys.stdout.write(show(model.predict(options.image, options.text), options.format))
        return
    language = options.language or (model.languages[0] if len(model.languages) == 1 else None)
    batch = Batch(options.batch, options.images or options.batch.parent, language, options.strict)
    if options.out is None:
        bad = batch.write(model, sys.stdout)
    else:
        with atomic(options.out) as temporary, open(temporary, "w", encoding="utf-8") as stream:
            bad = batch.write(model, stream)
    if bad:
        sys.exit(1)
