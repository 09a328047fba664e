"""Fail when a new dvc.lock differs from the committed one: `same_lock.py MADE COMMITTED`.

Each stage of the committed file must be in the new file with the same command, values and hashes. Their order and
entries of removed stages, which DVC keeps, are ignored.

Exit codes: 0 equal, 1 otherwise, with a line for each stage that differs.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def differing(made: dict[str, Any], committed: dict[str, Any]) -> list[str]:
    """Return the names of the committed stages that are missing or different in the new file."""
    return [name for name, entry in committed.items() if made.get(name) != entry]


def main(argv: Sequence[str]) -> int:
    """Compare two files; return an exit code as in the module's docstring."""
    made, committed = (YAML(typ="safe").load(Path(path).read_text(encoding="utf-8"))["stages"] for path in argv)
    names = differing(made, committed)
    print("\n".join(f"{argv[0]}: {name} differs from {argv[1]}" for name in names) or f"{len(committed)} stages agree")
    return int(bool(names))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
