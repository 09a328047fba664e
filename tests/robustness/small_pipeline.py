"""A finished pipeline of five small stages, made once, of which each test takes a copy."""

import shutil
from pathlib import Path

from test_infrastructure import CONFIG, make_toy, reproduce, run


def make(folder: Path, repo_root: Path, profile: str) -> Path:
    """The pipeline of the tools' own tests on a profile, run and committed."""
    root = make_toy(folder / "made", profile, CONFIG + "    verify = true\n")
    (root / ".gitignore").write_text("/out\n/.work\n/times.txt\n")
    run(root, "git", "config", "user.name", "A test")
    run(root, "git", "config", "user.email", "test@example.org")
    reproduce(root, repo_root)
    (root / "times.txt").unlink()
    commit(root)
    return root


def commit(root: Path) -> None:
    """All that git does not ignore."""
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message=made")


def copy(made: Path, folder: Path) -> Path:
    """A copy with a cache of its own."""
    shutil.copytree(made, folder / "toy", symlinks=True)
    return folder / "toy"


def configure(root: Path, name: str, settings: dict[str, str]) -> None:
    """What `dvc remote modify --local NAME KEY VALUE` writes, for every key."""
    lines = [f"['remote \"{name}\"']", *(f"    {key} = {value}" for key, value in settings.items())]
    (root / ".dvc/config.local").write_text("\n".join(lines) + "\n")
