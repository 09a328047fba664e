"""Arguments of a stage: paths, names and numbers, described by the stage's own docstring."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from clseave import shards


def parse(
    argv: Sequence[str] | None,
    doc: str | None,
    paths: Sequence[str],
    *,
    names: Sequence[str] = (),
    numbers: Sequence[str] = (),
    optional: Sequence[str] = (),
    shard: bool = False,
) -> argparse.Namespace:
    """Parse `--name VALUE` for every name; paths become `Path`, numbers `int`. Wrong arguments exit with 2.

    `optional` are paths that may be left out and then are None, as `--shard I/N` may, a `Shard` which is taken where
    `shard` says so. UserError when its value is none.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for group, kind in ((paths, Path), (names, str), (numbers, int)):
        for name in group:
            parser.add_argument(f"--{name}", type=kind, required=True, metavar=kind.__name__.upper())
    for name in optional:
        parser.add_argument(f"--{name}", type=Path, metavar="PATH")
    if shard:
        parser.add_argument("--shard", type=shards.parse, metavar="I/N", help="do the I-th of N shares only")
    return parser.parse_args(argv)
