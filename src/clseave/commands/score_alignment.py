"""Score a word aligner against manual alignments: AER, precision, recall (Och and Ney 2003).

Either a model aligns the text with awesome-align, as in the stage `align_words`:

  %(prog)s --mbert models/thesis/mbert --text zhen.src-tgt --gold zhen.gold
  %(prog)s --mbert google-bert/bert-base-multilingual-cased@REVISION --text ... --gold ...

or the pairs exist already in awesome-align's output format (one line per sentence, pairs `i-j` counted from 0):

  %(prog)s --found zhen.awesome-align.out --gold zhen.gold

Text: one sentence per line, `source words ||| target words`, words separated by spaces; or a table (.tsv, .csv) with a
column for each language, the source first. Gold: `i-j` for a sure pair, `ipj` for a possible one, counted from 1. When
a text is given, gold pairs outside its sentences, which some published files contain, are left out and counted; with
--strict they are an error. AER = 1 - (|A and S| + |A and P|) / (|A| + |S|), where S are the sure pairs, P the sure and
possible pairs, and A the pairs found.
"""

import argparse
import json
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from clseave.foundation.errors import UserError
from clseave.foundation.files import delimited, formats
from clseave.foundation.process import cli, numerics
from clseave.foundation.settings.schema import Device, Pretrained, Weights
from clseave.models import hub
from clseave.word_alignment.aligner import Pairs, WordAligner, alignment_scores

log = logging.getLogger(__name__)

SOURCES, TARGETS = ("en", "english", "source", "src"), ("target", "tgt", "trg")  # names of columns
NUMBERS = ("", "id", "index", "unnamed: 0")  # names of columns without sentences
Texts = tuple[list[list[str]], list[list[str]]]  # words of the source and of the target sentences
FOUND, GOLD = re.compile(r"([0-9]{1,9})(-)([0-9]{1,9})"), re.compile(r"([0-9]{1,9})([-p])([0-9]{1,9})")


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file. UserError when it is missing, empty or not text."""
    lines = []
    for number, line in formats.read_lines(path, "name a file that is there"):
        try:
            lines.append(line.decode().removesuffix("\n"))
        except UnicodeDecodeError as error:
            raise UserError(f"{path}:{number}: not UTF-8 text: {error}") from error
    if not lines:
        raise UserError(f"{path}: no line in it, expected one per sentence")
    return lines


def read_text(path: Path) -> Texts:
    """Return the words of both sides of each sentence pair. UserError for a line without two sides, with its number."""
    if delimited.form(path) in delimited.DELIMITERS:
        return read_table(path)
    sources, targets = [], []
    lines = read_lines(path)
    while len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    for number, line in enumerate(lines, start=1):
        sides = [side.split() for side in line.split("|||")]
        if len(sides) != 2 or not all(sides):
            raise UserError(f"{path}:{number}: expected `source words ||| target words`, found {line[:80]!r}")
        sources.append(sides[0])
        targets.append(sides[1])
    return sources, targets


def read_table(path: Path) -> Texts:
    """Return the words of two columns, named by a header or not. UserError for a row without two sides; it names the
    row.
    """
    dialect, rows = delimited.read(path)
    sources, targets = [], []
    places: list[int] = []
    for row in rows:
        if not places:
            names = [cell.strip().casefold() for cell in row.cells]
            places = [place for place, name in enumerate(names) if name not in NUMBERS]
            if set(SOURCES) & set(names):
                places.sort(key=lambda place: names[place] in TARGETS)
                continue
        sides = [row.cells[place].split() for place in places if place < len(row.cells)]
        if len(sides) != 2 or not all(sides):
            raise UserError(
                f"{path}:{row.number}: expected a source and a target sentence, found {row.cells} ({dialect})"
            )
        sources.append(sides[0])
        targets.append(sides[1])
    if not sources:
        raise UserError(f"{path}: no sentence in it, expected one per row ({dialect})")
    return sources, targets


def read_pairs(
    path: Path, form: re.Pattern[str], first: int, text: Texts | None, *, beyond: bool = False
) -> Iterator[tuple[Pairs, Pairs]]:
    """Yield sure and possible pairs of each line, counted from 0; `first` is the lowest index in the file.

    UserError for an invalid pair; it names the line. A pair outside its sentences is invalid too, or, with `beyond`,
    left out with a warning.
    """
    lines, left_out = read_lines(path), []
    while text and len(lines) > len(text[0]) and not lines[-1].strip():
        lines.pop()
    if text and len(lines) != len(text[0]):
        raise UserError(f"{path}: {len(lines)} lines for {len(text[0])} sentences: expected as many")
    for number, line in enumerate(lines):
        kinds: dict[str, Pairs] = {"-": [], "p": []}
        for word in line.split():
            match = form.fullmatch(word)
            if not match:
                kind = "`i-j` or `ipj`" if form is GOLD else "`i-j`"
                raise UserError(f"{path}:{number + 1}: found {word!r}, expected pairs {kind}")
            pair = [int(match[1]) - first, int(match[3]) - first]
            if min(pair) < 0:
                raise UserError(f"{path}:{number + 1}: found {word!r}, expected indexes from {first} on")
            if text and not (pair[0] < len(text[0][number]) and pair[1] < len(text[1][number])):
                sizes = f"{len(text[0][number])} and {len(text[1][number])} words"
                left_out.append(f"{path}:{number + 1}: found {word!r}, but the sentences have {sizes}")
                if not beyond:
                    raise UserError(left_out[0])
                continue
            kinds[match[2]].append(pair)
        yield kinds["-"], kinds["p"]
    if left_out:
        total = sum(len(line.split()) for line in lines)
        log.warning("%s; %d of %d pairs lie beyond their sentences and are left out", left_out[0], len(left_out), total)


def find(
    mbert: str, text: Texts, *, weights: Weights, device: Device, layer: int, threshold: float, batch_size: int
) -> list[Pairs]:
    """Return word pairs by awesome-align; `mbert` is a folder or ID@REVISION on the hub, with weights of type
    `weights`.
    """
    name, _, revision = mbert.partition("@")
    if revision and not re.fullmatch("[0-9a-f]{40}", revision):
        raise UserError(f"--mbert: found revision {revision!r}, expected the 40 hex digits of a commit")
    if not revision and not Path(name).is_dir():
        raise UserError(f"--mbert: {name} is no folder; a model of the hub is named ID@REVISION")
    local = name if revision else str(Path(name).resolve())
    folder = hub.fetch(Pretrained(id=local, revision=revision or None, weights=weights))
    aligner = WordAligner(folder, layer, threshold, batch_size, numerics.start_torch(0, device))
    found = aligner.align(*text)
    if aligner.cut:
        sys.stderr.write(f"{aligner.cut} sentences exceed the model's limit: their last words have no pair\n")
    return found


def parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    made = cli.parser(__doc__)
    whence = made.add_mutually_exclusive_group(required=True)
    whence.add_argument("--mbert", metavar="MODEL", help="align by this model: a folder, or ID@REVISION of the hub")
    whence.add_argument("--found", type=Path, metavar="FILE", help="score these pairs, counted from 0")
    made.add_argument("--text", type=Path, metavar="FILE", help="the sentences; with --found only to check the indexes")
    made.add_argument("--gold", type=Path, metavar="FILE", required=True, help="the true pairs, counted from 1")
    made.add_argument("--layer", type=int, default=8, help="whose states are compared (default: %(default)s)")
    made.add_argument("--threshold", type=float, default=1e-3, help="of both softmaxes (default: %(default)s)")
    made.add_argument("--batch-size", type=int, default=32, help="(default: %(default)s)")
    made.add_argument("--device", choices=["cpu", "cuda", "auto"], default="auto", help="(default: %(default)s)")
    made.add_argument(
        "--weights", choices=["safetensors", "convert"], default="safetensors", help="convert: read pytorch_model.bin"
    )
    made.add_argument("--strict", action="store_true", help="stop at a pair of the gold beyond its sentences")
    made.add_argument("--format", choices=["text", "json"], default="text", help="(default: %(default)s)")
    return made


def report(scores: dict[str, float], sizes: dict[str, int], form: str) -> str:
    """Return the scores in percent and the sizes, one per line; or as JSON, with scores from 0 to 1."""
    if form == "json":
        return json.dumps({**scores, **sizes}, indent=2) + "\n"
    rows = [(name, f"{100 * value:.2f} %") for name, value in scores.items()]
    rows += [(name, f"{value:,}") for name, value in sizes.items()]
    return "".join(f"{name:<10} {value:>10}\n" for name, value in rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Align the text or read the pairs, score them, and print."""
    options = parser().parse_args(argv)
    if options.layer < 1 or options.batch_size < 1 or not 0 < options.threshold < 1:
        raise UserError("--layer and --batch-size are at least 1, --threshold lies between 0 and 1")
    text = read_text(options.text) if options.text else None
    gold = list(read_pairs(options.gold, GOLD, 1, text, beyond=not options.strict))
    sure, possible = [one for one, _ in gold], [other for _, other in gold]
    if not any(sure):
        raise UserError(f"{options.gold}: no sure pair (`i-j`) in it: an alignment error rate needs some")
    if options.found:
        found = [pairs for pairs, _ in read_pairs(options.found, FOUND, 0, text)]
    elif text:
        found = find(
            options.mbert,
            text,
            weights=options.weights,
            device=options.device,
            layer=options.layer,
            threshold=options.threshold,
            batch_size=options.batch_size,
        )
    else:
        raise UserError("--mbert needs --text, the sentences to align")
    if len(found) != len(gold):
        raise UserError(f"{options.found} has {len(found)} lines, {options.gold} {len(gold)}: expected as many")
    sizes = {"sentences": len(gold), "found": sum(map(len, found))}
    sizes |= {"sure": sum(map(len, sure)), "possible": sum(map(len, possible))}
    sys.stdout.write(report(alignment_scores(found, sure, possible), sizes, options.format))
