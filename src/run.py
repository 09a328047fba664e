"""The one entry: `python src/run.py NAME ...` pins the numerics, then calls `main` of `clseave.stages.NAME`, or of
`clseave.commands.NAME` for what is no stage of the pipeline.

A script, not `python -m`: started by its path it imports the copy of the code it belongs to, also in the temporary
trees of `dvc exp run --temp` and `--queue`.
"""

import gc
import importlib
import logging
import os
import sys
from itertools import chain
from pathlib import Path
from types import ModuleType

SOURCE = Path(__file__).resolve().parent
sys.path.insert(0, str(SOURCE))

from clseave import interrupts  # noqa: E402

interrupts.end_in_one_line()  # also while the rest is loaded

from clseave import disk, guard, numerics, ranks  # noqa: E402
from clseave.errors import UserError, did_you_mean  # noqa: E402


def names(package: str) -> list[str]:
    """Names of the modules in `stages` or `commands`."""
    return sorted(path.stem for path in (SOURCE / "clseave" / package).glob("*.py") if path.stem != "__init__")


def load(name: str) -> ModuleType:
    """Import a module, and spare Python's collector all that came with it.

    Of what torch and transformers bring, nothing is ever garbage, but to look through it while they load, and once more
    at the end, takes two fifths of the processor time of a short stage.
    """
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def set_environment() -> None:
    """Set what libraries read when they load: the numeric pins, and how much they say."""
    # `checkpoints.load_model` turns a missing weight into an error; transformers' own tables would drown it.
    os.environ.update(TRANSFORMERS_VERBOSITY="error", HF_HUB_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1")
    # Files of the hub come by plain HTTP: its failures are those that `clseave.hub` knows.
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    numerics.pin()


def main(argv: list[str]) -> int:
    """Run one stage or command; 2 for a user's own mistake (one line, no traceback), 0 when all is well."""
    level = logging.INFO if ranks.first() else logging.ERROR  # of several processes one speaks
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    for noisy in ("awesome_align", "httpx2", "papermill", "traitlets"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    known = {package: names(package) for package in ("stages", "commands")}
    listed = "; ".join(f"{package}: {', '.join(found)}" for package, found in known.items())
    if not argv or argv[0] in ("-h", "--help"):
        sys.stdout.write(f"{__doc__}\n{listed}\n")
        return 0 if argv else 2
    name = argv[0].replace("-", "_")
    package = next((package for package, found in known.items() if name in found), None)
    if package is None:
        sys.stderr.write(f"error: no stage {argv[0]!r}{did_you_mean(name, chain(*known.values()))}; {listed}\n")
        return 2
    set_environment()
    try:
        ranks.require_one(name)
        guard.stand_alone(os.environ, Path(".work", "locks"))
        load(f"clseave.{package}.{name}").main(argv[1:])
    except UserError as error:
        ranks.tell(error)
        return 2
    except Exception as error:
        if (line := disk.explain(error)) is None:
            ranks.let_cause_speak()
            raise
        ranks.tell(line)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
