"""Install the newest versions that pyproject.toml allows, instead of those in requirements.lock.

Usage: newest.py --dry-run        print what would change, install nothing
       newest.py FOLDER           make FOLDER an environment with them, then print what changed
Run by `make newest`, which then runs the tests. pip's own settings choose the index.

Exit codes: 0 success, 1 pip found no compatible set of versions (its message follows), 2 wrong arguments.
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
# Packages installed without their dependencies, at pinned versions: see the file.
APART = "requirements-test.lock"
# Packages that the lock does not pin; keep equal to `make lock`.
LEFT = re.compile(r"(pip|setuptools|wheel)$|nvidia-|cuda-|triton")


def ranges(root: Path) -> list[str]:
    """Return all requirements of pyproject.toml, including its groups."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project["optional-dependencies"].values()
    return [*project["dependencies"], *(requirement for group in groups for requirement in group)]


def locked(path: Path) -> dict[str, str]:
    """Return the pinned versions by canonical name."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    pins = [Requirement(line) for line in lines if line]
    return {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins}


def install(python: Path | str, arguments: Sequence[str]) -> dict[str, str]:
    """Run `pip install` and return the chosen version of each package. SystemExit 1 when it fails."""
    command = [python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--report", "-"]
    done = subprocess.run([*command, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(1)
    chosen = [part["metadata"] for part in json.loads(done.stdout)["install"]]
    return {canonicalize_name(part["name"]): part["version"] for part in chosen}


def changes(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Return a line for each package whose version differs, or that was added or removed."""
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
        chosen = install(sys.executable, ["--dry-run", "--ignore-installed", *wanted])
    else:
        subprocess.run([sys.executable, "-m", "venv", "--clear", argv[0]], check=True)
        python = Path(argv[0], "bin", "python")
        chosen = install(python, wanted)
        if (ROOT / APART).exists():
            install(python, ["--no-deps", "-r", str(ROOT / APART)])
    lines = changes(locked(ROOT / "requirements.lock"), chosen)
    print("\n".join(lines) or "nothing newer than requirements.lock")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
