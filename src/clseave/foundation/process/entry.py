"""Entry point of all programs: sets the numeric environment, then calls `main(argv)` of a stage or command.

`main` serves `src/run.py`, with which DVC starts the stages. `people` is the console script `clseave` of the installed
package: it runs the commands and, of the stages, only `check`.
"""

import ast
import gc
import importlib
import logging
import os
import pkgutil
import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from types import ModuleType

from clseave.foundation.errors import UserError, did_you_mean
from clseave.foundation.files import atomic
from clseave.foundation.process import cli, interrupts, numerics, progress, ranks, single_instance
from clseave.foundation.settings import loggers

Modules = Mapping[str, str]  # full names of modules, by the name of the stage or command


def main(argv: list[str]) -> int:
    """Run a stage or a command; return the exit code: 0 for success, 2 for a `UserError` (one line, no traceback)."""
    return start(argv, {group: modules(group) for group in ("stages", "commands", "studies")})


def people() -> int:
    """Run a command as the console script; return the exit code. Stages are refused: DVC must record their outputs."""
    interrupts.end_in_one_line()
    argv, stages = sys.argv[1:], modules("stages")
    commands = {"check": stages.pop("check")} | modules("commands")
    if argv and (name := argv[0].replace("-", "_")) in stages:
        sys.stderr.write(
            f"error: {argv[0]} is a stage of the pipeline, not a command: in a checkout of the repository run "
            f"`dvc repro {name}` or `python src/run.py {name}`\n"
        )
        return 2
    return start(argv, {"commands": {name.replace("_", "-"): module for name, module in commands.items()}})


def modules(package: str) -> dict[str, str]:
    """Return the full names of the modules in `stages`, `commands` or `studies`, by their short names."""
    found = importlib.import_module(f"clseave.{package}")
    return {module.name: f"{found.__name__}.{module.name}" for module in pkgutil.iter_modules(found.__path__)}


def start(argv: list[str], known: Mapping[str, Modules]) -> int:
    """Run the module named by the first argument; return the exit code. `known` are the allowed modules by group."""
    if not argv or argv[0] in ("-h", "--help"):
        sys.stdout.write(describe(known))
        return 0 if argv else 2
    names = {name.replace("-", "_"): module for group in known.values() for name, module in group.items()}
    name = argv[0].replace("-", "_")
    if name not in names:
        listed = "; ".join(f"{kind}: {', '.join(group)}" for kind, group in known.items())
        sys.stderr.write(f"error: unknown name {argv[0]!r}{did_you_mean(argv[0], chain(*known.values()))}; {listed}\n")
        return 2
    prepare()
    try:
        ranks.require_one(name)
        if ".commands." not in names[name]:  # none of which trains
            loggers.chosen()  # refuses a wrong one before any work
        single_instance.ensure_single(os.environ, Path(".work", "locks"))
        load(names[name]).main(argv[1:])
    except UserError as error:
        ranks.print_once(error)
        return 2
    except Exception as error:
        if (line := atomic.explain(error)) is None:
            ranks.wait_for_cause()
            raise
        ranks.print_once(line)
        return 2
    return 0


def describe(known: Mapping[str, Modules]) -> str:
    """Return the text of `--help`: each stage or command with the first sentence of its docstring."""
    lines = [f"usage: {cli.program()} NAME ...  (NAME --help lists the arguments of one)"]
    for kind, group in known.items():
        lines += ["", f"{kind}:", *(f"  {name:<18} {summary(module)}" for name, module in group.items())]
    return "\n".join(lines) + "\n"


def summary(module: str) -> str:
    """Return the first sentence of a module's docstring, read without importing the module."""
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return re.split(r"(?<=[.?])\s", " ".join(text.split()), maxsplit=1)[0]


def prepare() -> None:
    """Set up logging and the environment of libraries."""
    level = logging.INFO if ranks.first() else logging.ERROR  # of several processes, only the first logs progress
    logging.basicConfig(level=level, format=f"{progress.stage_prefix()}%(message)s", stream=sys.stderr)
    for noisy in ("awesome_align", "httpx2", "papermill", "traitlets"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    set_environment()


def set_environment() -> None:
    """Set environment variables that libraries read at import: numeric settings and verbosity."""
    # `models.loading.load_model` turns a missing weight into an error; transformers' tables would bury it.
    os.environ.update(TRANSFORMERS_VERBOSITY="error", HF_HUB_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1")
    # Download hub files over plain HTTP, because `clseave.models.hub` handles the failures of HTTP only.
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    numerics.pin()


def load(name: str) -> ModuleType:
    """Import a module with the garbage collector off, and exclude what it loaded from later collections.

    The modules of torch and transformers are never garbage, but scanning them during and after loading takes two fifths
    of the processor time of a short stage.
    """
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()
