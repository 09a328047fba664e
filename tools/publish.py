"""Synchronise `store/`, the DVC remote that is committed with the code, with dvc.lock.

Afterwards the store holds the objects of the `mini` profile's cached outputs and nothing else, so that `dvc pull` in a
clone needs neither network nor credentials. `--check` changes nothing and fails when the store is out of date.

Exit codes: 0 the store is up to date, 1 `--check` found that it is not, 2 refused: nothing was changed.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import _path  # noqa: F401
import without_git
from clseave.foundation.files import hashing
from clseave.foundation.process import interrupts

PROFILE = "mini"
STORE = Path("store")
LIMIT = 60_000_000  # bytes, because git keeps every version forever


class RefusedError(Exception):
    """The store cannot be updated; the message says why in one line."""


def referenced(profile: str = PROFILE) -> list[str]:
    """Return the hashes in dvc.lock of the active pipeline's cached outputs; a folder's as `<md5>.dir`.

    Raises:
        RefusedError: when a stage of another profile would be pushed, or an output is not in dvc.lock yet.
    """
    from dvc.repo import Repo

    hashes: set[str] = set()
    with Repo() as repo:
        for stage in repo.index.stages:
            outs = [out for out in stage.outs if out.use_cache and out.can_push]
            for out in outs:
                item = stage.addressing.partition("@")[2]
                if item.split("-")[0] != profile:
                    raise RefusedError(f"{stage.addressing} is not of profile {profile}: only that one is published")
                if not out.hash_info:
                    raise RefusedError(
                        f"dvc.lock does not hold {out.def_path} of {stage.addressing}: run make reproduce"
                    )
                hashes.add(out.hash_info.value)
    return sorted(hashes)


def object_path(root: Path, name: str) -> Path:
    """Return the path of an object in a cache or remote of DVC."""
    return root / "files" / "md5" / name[:2] / name[2:]


def members(folder: Path) -> list[str]:
    """Return the hashes of the files listed in a directory object."""
    return [entry["md5"] for entry in json.loads(folder.read_text(encoding="utf-8"))]


def collect(names: Iterable[str], root: Path) -> list[str]:
    """Return all objects that `names` refer to: themselves, and the members of directories.

    Raises:
        RefusedError: when an object is missing in `root`, does not match its hash, or the total is too large.
    """
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        path = object_path(root, name)
        if not path.is_file():
            raise RefusedError(f"object {name} is missing in {root}: run make reproduce")
        if md5(path) != name.removesuffix(".dir"):
            raise RefusedError(f"object {name} in {root} is corrupt: delete that file and run make reproduce")
        found.add(name)
        if name.endswith(".dir"):
            pending.extend(members(path))
    total = sum(object_path(root, name).stat().st_size for name in found)
    if total > LIMIT:
        raise RefusedError(f"the objects take {total / 1e6:.1f} MB, the store may hold {LIMIT / 1e6:.0f} MB")
    return sorted(found)


def md5(path: Path) -> str:
    """Return the MD5 hash of a file, by which DVC names objects."""
    with path.open("rb") as file:
        return hashing.of_stream(file, "md5")


def stored(store: Path) -> set[Path]:
    """Return the files in the store."""
    return {path for path in store.rglob("*") if path.is_file() or path.is_symlink()}


def copy_object(source: Path, target: Path) -> None:
    """Copy a file atomically; an intact target is left untouched."""
    if target.is_file() and md5(target) == md5(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        shutil.copyfile(source, temporary)
        temporary.chmod(0o644)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def refresh(names: Sequence[str], cache: Path, store: Path) -> tuple[int, int]:
    """Copy the objects, then remove every other file; return the numbers of new and removed files."""
    wanted = {object_path(store, name) for name in names}
    before = stored(store)
    for name in names:
        copy_object(object_path(cache, name), object_path(store, name))
    stale = before - wanted
    for path in sorted(stale):
        path.unlink()
    for folder in sorted((path for path in store.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return len(wanted - before), len(stale)


def check(names: Sequence[str], store: Path) -> str:
    """Return what is wrong with the store, in one line; empty when it holds exactly what `names` need."""
    try:
        wanted = {object_path(store, name) for name in collect(names, store)}
    except RefusedError as error:
        return str(error)
    extra = stored(store) - wanted
    return f"{len(extra)} files are not referenced by dvc.lock, first {min(extra)}" if extra else ""


def cache_folder() -> Path:
    """Return the folder of the local DVC cache."""
    from dvc.repo import Repo

    with Repo() as repo:
        return Path(str(repo.cache.local_cache_dir))


def main(argv: Sequence[str] | None = None) -> int:
    """Refresh or check the store; return an exit code as in the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail when the store is out of line")
    args = parser.parse_args(argv)
    without_git.allow_without_git()
    try:
        names = referenced()
        if args.check:
            fault = check(names, STORE)
            print(f"{STORE}: {fault or 'in line with dvc.lock'}", file=sys.stderr if fault else sys.stdout)
            return int(bool(fault))
        cache = cache_folder()
        names = collect(names, cache)
    except RefusedError as error:
        print(f"publish: {error}", file=sys.stderr)
        return 2
    new, gone = refresh(names, cache, STORE)
    size = sum(path.stat().st_size for path in stored(STORE))
    print(f"{STORE}: {len(names)} objects, {size / 1e6:.1f} MB; {new} new, {gone} removed")
    return 0


if __name__ == "__main__":
    interrupts.end_in_one_line()
    sys.exit(main())
