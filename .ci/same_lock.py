"""Fail when a lock file lacks what another one holds: `same_lock.py MADE COMMITTED`.

Each stage of the committed dvc.lock must be in the other with the same command, values and hashes. DVC keeps the order
of earlier runs, and entries of stages that are gone: neither counts.

Exit codes: 0 the same, 1 with a line for each stage that differs.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def differing(made: dict[str, Any], committed: dict[str, Any]) -> list[str]:
    """Names of the committed stages that are absent from the other file, or not equal there."""
    return [name for name, entry in committed.items() if made.get(name) != entry]


def main(argv: Sequence[str]) -> int:
    """Compare two files; returns the exit code of this module's docstring."""
    made, committed = (YAML(typ="safe").load(Path(path).read_text(encoding="utf-8"))["stages"] for path in argv)
    names = differing(made, committed)
    print("\n".join(f"{argv[0]}: {name} differs from {argv[1]}" for name in names) or f"{len(committed)} stages agree")
    return int(bool(names))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
