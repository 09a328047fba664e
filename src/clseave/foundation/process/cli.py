"""Arguments of stages and commands, described by their own docstrings."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from clseave.foundation.process import shards

# What a stage keeps beside its outputs, which DVC removes before each run: these paths may be left out.
SCRATCH: dict[str, Callable[[argparse.Namespace], Path]] = {
    "checkpoints": lambda args: Path(".work", "checkpoints", args.out.relative_to(args.out.anchor)),
    "problems": lambda args: Path(".work", "problems", args.profile.stem),
    "store": lambda _: Path(".translations"),
    "downloads": lambda _: Path(".downloads"),
}


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

    Paths of `SCRATCH` have defaults; those of checkpoints differ for each stage, as they follow from `--out`.
    `optional` are paths that may be left out and then are None, as `--shard I/N` may, a `Shard` that is taken where
    `shard` says so. `defaults` are paths with a default. UserError when the value of `--shard` is not I/N.
    """
    made = parser(doc)
    for group, kind in ((paths, Path), (names, str), (numbers, int)):
        for name in group:
            made.add_argument(f"--{name}", type=kind, required=name not in SCRATCH, metavar=kind.__name__.upper())
    for name in optional:
        made.add_argument(f"--{name}", type=Path, metavar="PATH")
    for name, usual in (defaults or {}).items():
        made.add_argument(f"--{name}", type=Path, default=usual, metavar="PATH", help="(default: %(default)s)")
    if shard:
        made.add_argument("--shard", type=shards.parse, metavar="I/N", help="do the I-th of N shares only")
    args = made.parse_args(argv)
    for name in set(paths) & set(SCRATCH):
        setattr(args, name, getattr(args, name) or SCRATCH[name](args))
    return args
