"""Remove files that no stage of the active settings makes, from data/, models/ and reports/ of the active profile.

DVC keeps the outputs of a language, seed or model that `params.yaml` no longer names, although no result depends on
them. Removed files can be restored from git or by `dvc checkout`, if they were kept there, or computed again.

Not removed: files of other profiles, `data/<profile>/source`, README.md and hidden files beside current outputs.

Exit codes: 0 stale files were removed (with --dry-run: listed), 2 the pipeline cannot be read: nothing was removed.
"""

import argparse
import shutil
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import _path  # noqa: F401
from clseave.foundation.process import interrupts

FOLDERS = ("data", "models", "reports")
SOURCE = "source"  # in data/<profile>: files placed by the user


class UnreadableError(Exception):
    """The pipeline cannot be read; the message says why in one line."""


def active() -> tuple[str, set[Path]]:
    """Return the active profile, and the outputs of its stages as relative paths.

    Raises:
        UnreadableError: when the pipeline cannot be parsed, or DVC is running already.
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
    """Yield files and whole folders in `folder` that contain nothing in `kept`; `above` are the folders that do."""
    for path in sorted(folder.iterdir()):
        if path in above:
            yield from stale(path, kept, above)
        elif path not in kept and path.name != "README.md" and not path.name.startswith("."):
            yield path


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with its content."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def main(argv: Sequence[str] | None = None) -> int:
    """Remove or list stale files; return an exit code as in the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="list what would be removed, remove nothing")
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
