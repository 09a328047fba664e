"""Arguments of stages and commands, described by their own docstrings."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from clseave.foundation.process import shards


def program() -> str:
    """How this program was started: `python src/run.py` or `clseave`."""
    script = sys.argv[0]
    return f"python {script}" if script.endswith(".py") else Path(script).name


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose usage line and `%(prog)s` name the program and the stage or command that it was started with."""
    prog = " ".join([program(), *sys.argv[1:2]])
    form = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(prog=prog, description=doc, formatter_class=form)


def parse(
    argv: Sequence[str] | None,
    doc: str | None,
    paths: Sequence[str],
    *,
    names: Sequence[str] = (),
    numbers: Sequence[str] = (),
    optional: Sequence[str] = (),
    defaults: Mapping[str, str] | None = None,
    shard: bool = False,
) -> argparse.Namespace:
    """Parse `--name VALUE` for every name; paths become `Path`, numbers `int`. Wrong arguments exit with 2.

    `optional` are paths that may be left out and then are None, as `--shard I/N` may, a `Shard` that is taken where
    `shard` says so. `defaults` are paths with a default. UserError when the value of `--shard` is not I/N.
    """
    made = parser(doc)
    for group, kind in ((paths, Path), (names, str), (numbers, int)):
        for name in group:
            made.add_argument(f"--{name}", type=kind, required=True, metavar=kind.__name__.upper())
    for name in optional:
        made.add_argument(f"--{name}", type=Path, metavar="PATH")
    for name, usual in (defaults or {}).items():
        made.add_argument(f"--{name}", type=Path, default=usual, metavar="PATH", help="(default: %(default)s)")
    if shard:
        made.add_argument("--shard", type=shards.parse, metavar="I/N", help="do the I-th of N shares only")
    return made.parse_args(argv)
