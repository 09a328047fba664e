"""Writing files and folders whole or not at all, and saying in one line why one cannot be written.

The line holds the system's reason, how much room is left, and what to do.
"""

import errno
import glob
import os
import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clseave.foundation.errors import UserError

# What only writing meets; the other reasons may also come from a file that is read meanwhile.
_WRITING_ONLY = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_REASONS = _WRITING_ONLY | {errno.EIO, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
_RUST = re.compile(r"\(os error (\d+)\)")  # how safetensors and tokenizers say it
AGAIN = "then run the same command again"


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it when the block ends well, remove it when it does not.

    UserError when the file cannot be written: why, how much room is left, what to do.
    """
    path = Path(path)
    temporary = _beside(path, "tmp")
    with writing(path), _parents(path):
        _clear_after_killed(path)
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path | str) -> Iterator[Path]:
    """Yield the path of a folder, not there yet, that takes the place of `path` when the block ends well.

    When it does not, it is removed, and `path` stays as it was. For files that mean nothing without each other, and
    for libraries that write their own. UserError as of `atomic`.
    """
    path = Path(path)
    temporary, old = _beside(path, "tmp"), _beside(path, "old.tmp")
    with writing(path), _parents(path):
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        try:
            _clear_after_killed(path)
            yield temporary
            for written in temporary.rglob("*"):
                if written.is_file():
                    _sync(written)
            if path.exists():
                os.replace(path, old)
            os.replace(temporary, path)
        finally:
            if old.exists() and not path.exists():
                os.replace(old, path)
            for leftover in (temporary, old):
                shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def _parents(path: Path) -> Iterator[None]:
    """The folders above `path`, made where they are not there; when the block fails, those made are removed again.

    One stays that holds anything by then.
    """
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with suppress(OSError):
            for folder in missing:  # the innermost first
                folder.rmdir()
        raise


def _beside(path: Path, mark: str) -> Path:
    """A name in the same folder that no other process takes."""
    return path.with_name(f".{path.name}.{os.getpid()}.{mark}")


def _clear_after_killed(path: Path) -> None:
    """Remove what processes that are gone have left beside `path`, when they were killed while they wrote it."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        owner = leftover.name.removeprefix(f".{path.name}.").partition(".")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until the disk has a file: only then may a name point to it. Some disks say only here that they are full."""
    with open(path, "rb") as written:
        os.fsync(written.fileno())


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turn what the system says when `path`, or a file below or beside it, cannot be written into a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        found = _found(error, Path(path).parent)
        if found is None:
            raise
        raise UserError(describe(path, found)) from error


def explain(error: BaseException) -> str | None:
    """The same line for an error that no `writing` block met, as of a library's temporary file; None for others."""
    if "No usable temporary directory" in str(error):
        return describe(Path("/", "tmp"), errno.ENOSPC)
    found = _found(error, None)
    return None if found is None else describe(getattr(error, "filename", None) or "a file", found)


def describe(path: Path | str, number: int) -> str:
    """One line for an error number of the system and the file that was to be written."""
    place = _nearest(Path(path))
    free = f"{_size(shutil.disk_usage(place).free)} free in {place}"
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    match number:
        case errno.ENOSPC if not os.statvfs(place).f_favail and os.statvfs(place).f_files:
            why = f"the disk takes no more files ({free}, but all inodes are used): delete some, {AGAIN}"
        case errno.ENOSPC:
            why = f"the disk is full ({free}): free some room, {AGAIN}"
        case errno.EDQUOT:
            why = f"this user's quota is used up ({free} for others): free some room, {AGAIN}"
        case errno.EFBIG if limit != resource.RLIM_INFINITY:
            why = f"no file may exceed {_size(limit)} here ({free}): raise the limit (`ulimit -f unlimited`), {AGAIN}"
        case errno.EFBIG:
            why = f"the file system takes no file of that size ({free}): work on another one, {AGAIN}"
        case errno.EROFS:
            why = f"the file system is read-only ({free}): mount it writable, or work in another folder, {AGAIN}"
        case errno.EIO:
            why = f"the disk reports an error ({free}): save what is on it and have it checked"
        case errno.EACCES | errno.EPERM:
            why = f"no right to write in {place} ({free}): `chmod u+w {place}` or ask its owner, {AGAIN}"
        case errno.EISDIR:
            why = f"a folder stands where a file is expected ({free}): move it away, {AGAIN}"
        case _:
            why = f"{_blocker(Path(path))} is a file where a folder is expected ({free}): move it away, {AGAIN}"
    return f"{path} cannot be written: {why}"


def _found(error: BaseException | None, folder: Path | None) -> int | None:
    """The error number behind an exception, if it is about writing; below `folder`, where the number does not tell."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else _rust(error)
        if number in _WRITING_ONLY:
            return number
        if number in _REASONS and folder is not None and _concerns(error, folder):
            return number
        error = error.__cause__ or error.__context__
    return None


def _rust(error: BaseException) -> int | None:
    found = _RUST.search(str(error))
    return int(found[1]) if found else None


def _concerns(error: BaseException, folder: Path) -> bool:
    """Whether an error is about something in `folder`, or above it, where a folder could not be made."""
    if not isinstance(error, OSError) or error.filename is None:
        return True
    named = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return any(folder in (name, *name.parents) or name in folder.parents for name in named)


def _nearest(path: Path) -> Path:
    """The folder that exists and in which `path` would be."""
    return next((folder for folder in path.parents if folder.is_dir()), Path.cwd())


def _blocker(path: Path) -> Path:
    """The file that stands in the way of a path's folders."""
    return next((one for one in (*reversed(path.parents), path) if one.exists() and not one.is_dir()), path)


def _size(count: int) -> str:
    """Bytes as a reader takes them in."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
