"""Take the newest versions that pyproject.toml allows, in place of those in requirements.lock.

Usage: newest.py --dry-run        print what would change, install nothing
       newest.py FOLDER           make FOLDER an environment of them, then print what changed
Run by `make newest`, which goes on with the tests. pip's own settings choose the index.

Exit codes: 0 all is well, 1 pip found no set of versions that fits (its message follows), 2 wrong arguments.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path.cwd()
# Installed without their dependencies, and at one version: see the file.
APART = "requirements-test.lock"
# What the lock leaves to pip: `make lock` says the same.
LEFT = re.compile(r"(pip|setuptools|wheel)$|nvidia-|cuda-|triton")


def ranges(root: Path) -> list[str]:
    """All requirements of pyproject.toml, those of its groups too."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(one for group in project["optional-dependencies"].values() for one in group)]


def locked(path: Path) -> dict[str, str]:
    """Version by canonical name."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    pins = [Requirement(line) for line in lines if line]
    return {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins}


def install(python: Path | str, arguments: Sequence[str]) -> dict[str, str]:
    """Run `pip install` and give the version that it chose of each package. SystemExit 1 when it fails."""
    command = [python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--report", "-"]
    done = subprocess.run([*command, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(1)
    chosen = [part["metadata"] for part in json.loads(done.stdout)["install"]]
    return {canonicalize_name(part["name"]): part["version"] for part in chosen}


def changes(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """One line for each package whose version differs, those that came or went included."""
    plain = {name: re.sub(r"\+.*", "", version) for name, version in new.items() if not LEFT.match(name)}
    names = sorted(name for name in old.keys() | plain.keys() if old.get(name) != plain.get(name))
    return [f"{name} {old.get(name, '(none)')} -> {plain.get(name, '(none)')}" for name in names]


def main(argv: Sequence[str]) -> int:
    """Resolve, or install, and compare with the lock."""
    if len(argv) != 1 or argv[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if argv and len(argv) == 1 else 2
    wanted = ranges(ROOT)
    if argv[0] == "--dry-run":
        found = install(sys.executable, ["--dry-run", "--ignore-installed", *wanted])
    else:
        subprocess.run([sys.executable, "-m", "venv", "--clear", argv[0]], check=True)
        python = Path(argv[0], "bin", "python")
        found = install(python, wanted)
        if (ROOT / APART).exists():
            install(python, ["--no-deps", "-r", str(ROOT / APART)])
    lines = changes(locked(ROOT / "requirements.lock"), found)
    print("\n".join(lines) or "nothing newer than requirements.lock")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
