"""Remove what no stage of the active settings makes, below data/, models/ and reports/ of the active profile.

DVC keeps the outputs of a language, seed or model that `params.yaml` no longer names. No result depends on them. What
is removed comes back from git and by `dvc checkout`, where they hold it; else its stage computes it again.

Left alone: other profiles, `data/<profile>/source`, and README.md and hidden files beside what active stages make.

Exit codes: 0 nothing is stale any more (with --dry-run: it is listed), 2 it cannot be told: nothing was removed.
"""

import argparse
import shutil
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import _path  # noqa: F401
from clseave.foundation.process import interrupts

FOLDERS = ("data", "models", "reports")
SOURCE = "source"  # below data/<profile>: what a user places


class UnreadableError(Exception):
    """The pipeline cannot be read; the message says why in one line."""


def active() -> tuple[str, set[Path]]:
    """Return the active profile, and the outputs of its stages as paths from here.

    Raises:
        UnreadableError: when the pipeline does not parse, or another dvc is at work.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    try:
        with Repo() as repo, repo.lock:
            profiles = {stage.addressing.partition("@")[2].partition("-")[0] for stage in repo.index.stages}
            outs = {Path(out.fs_path).relative_to(repo.root_dir) for out in repo.index.outs}
    except LockError as error:
        raise UnreadableError("another dvc is at work here: wait for it, then run again") from error
    except DvcException as error:
        raise UnreadableError(" ".join(str(error).split())) from error
    (profile,) = profiles
    return profile, outs


def stale(folder: Path, kept: Collection[Path], above: Collection[Path]) -> Iterator[Path]:
    """Yield files and whole folders below `folder` that neither are kept nor hold such; `above` are the folders that
    do.
    """
    for path in sorted(folder.iterdir()):
        if path in above:
            yield from stale(path, kept, above)
        elif path not in kept and path.name != "README.md" and not path.name.startswith("."):
            yield path


def remove(path: Path) -> None:
    """A file, a link or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def main(argv: Sequence[str] | None = None) -> int:
    """Remove or list; returns the exit code of this module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="list what would go, remove nothing")
    dry = parser.parse_args(argv).dry_run
    try:
        profile, outs = active()
    except UnreadableError as error:
        print(f"clean-stale: {error}", file=sys.stderr)
        return 2
    kept = outs | {Path("data", profile, SOURCE)}
    above = {parent for path in kept for parent in path.parents}
    roots = [Path(name, profile) for name in FOLDERS]
    found = [path for root in roots if root.is_dir() for path in stale(root, kept, above)]
    for path in found:
        if not dry:
            remove(path)
        print(f"{'stale' if dry else 'removed'}: {path}")
    if not found:
        print(f"clean-stale: nothing is stale in profile {profile}")
    return 0


if __name__ == "__main__":
    interrupts.end_in_one_line()
    sys.exit(main())
