"""Command-line arguments of stages and commands; the help text is the module's docstring."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from clseave.foundation.process import shards

# Optional paths that a stage keeps outside its outputs, because DVC deletes outputs before each run.
SCRATCH: dict[str, Callable[[argparse.Namespace], Path]] = {
    "checkpoints": lambda args: Path(".work", "checkpoints", args.out.relative_to(args.out.anchor)),
    "problems": lambda args: Path(".work", "problems", args.profile.stem),
    "store": lambda _: Path(".translations"),
    "downloads": lambda _: Path(".downloads"),
}


def program() -> str:
    """Return how this program was started: `python src/run.py` or `clseave`."""
    script = sys.argv[0]
    return f"python {script}" if script.endswith(".py") else Path(script).name


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser whose usage line names the program and the stage or command it was started with."""
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
    changes: bool = False,
) -> argparse.Namespace:
    """Parse `--name VALUE` for every name: paths become `Path`, numbers `int`. Wrong arguments exit with code 2.

    Paths of `SCRATCH` have defaults; that of checkpoints follows from `--out`. `optional` paths may be left out and are
    then None; `defaults` are paths with a default. With `shard`, the option `--shard I/N` gives a `Shard` or None;
    UserError when its value is not I/N. With `changes`, `--set KEY=VALUE ...` changes values of the settings.
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
        made.add_argument("--shard", type=shards.parse, metavar="I/N", help="do the I-th of N shards only")
    if changes:
        made.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="values other than the profile's")
    args = made.parse_args(argv)
    for name in set(paths) & set(SCRATCH):
        setattr(args, name, getattr(args, name) or SCRATCH[name](args))
    return args
