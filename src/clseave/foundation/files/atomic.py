"""Atomic writes of files and folders, and one-line explanations of why a write failed.

The explanation holds the reason given by the operating system, the free space, and what to do.
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

# Error numbers that only writing causes; the others may also come from a file that is being read.
_WRITING_ONLY = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_REASONS = _WRITING_ONLY | {errno.EIO, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
_RUST = re.compile(r"\(os error (\d+)\)")  # error number in messages of safetensors and tokenizers, written in Rust
AGAIN = "then run the same command again"


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed to `path` on success and removed on failure.

    UserError when the file cannot be written: the reason, the free space, what to do.
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
    """Yield the path of a folder still to be created, which replaces `path` on success.

    On failure it is removed and `path` stays as it was. For files that only make sense together, and for libraries that
    write a folder themselves. UserError as in `atomic`.
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
    """Create the missing parent folders of `path`; remove them again when the block fails, unless they hold files by
    then.
    """
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with suppress(OSError):
            for folder in missing:  # innermost first
                folder.rmdir()
        raise


def _beside(path: Path, mark: str) -> Path:
    """Return a path in the same folder that is unique to this process."""
    return path.with_name(f".{path.name}.{os.getpid()}.{mark}")


def _clear_after_killed(path: Path) -> None:
    """Remove temporary files beside `path` that were left by processes that no longer exist."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        owner = leftover.name.removeprefix(f".{path.name}.").partition(".")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Flush a file to disk before it is renamed; some file systems report a full disk only here."""
    with open(path, "rb") as written:
        os.fsync(written.fileno())


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turn an operating system's error about writing `path`, or a file in or below its folder, into a UserError."""
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
    """Return the same one-line explanation for an error raised outside a `writing` block; None for other errors.

    Such an error comes, for example, from a temporary file of a library.
    """
    if "No usable temporary directory" in str(error):
        return describe(Path("/", "tmp"), errno.ENOSPC)
    found = _found(error, None)
    return None if found is None else describe(getattr(error, "filename", None) or "a file", found)


def describe(path: Path | str, number: int) -> str:
    """Return a one-line explanation for an error number and the file that was to be written."""
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
    """Return the error number behind an exception, or None when it is not about writing.

    A number that reading may cause too counts only when the error names a path in `folder`.
    """
    while error is not None:
        number = error.errno if isinstance(error, OSError) else _rust(error)
        if number in _WRITING_ONLY:
            return number
        if number in _REASONS and folder is not None and _concerns(error, folder):
            return number
        error = error.__cause__ or error.__context__
    return None


def _rust(error: BaseException) -> int | None:
    """Return the error number in the message of a library written in Rust, or None."""
    found = _RUST.search(str(error))
    return int(found[1]) if found else None


def _concerns(error: BaseException, folder: Path) -> bool:
    """Return whether an error names no path, a path in `folder`, or one of its parents that could not be created."""
    if not isinstance(error, OSError) or error.filename is None:
        return True
    named = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return any(folder in (name, *name.parents) or name in folder.parents for name in named)


def _nearest(path: Path) -> Path:
    """Return the nearest existing parent folder of `path`."""
    return next((folder for folder in path.parents if folder.is_dir()), Path.cwd())


def _blocker(path: Path) -> Path:
    """Return the file that is where a folder of `path` should be."""
    return next((one for one in (*reversed(path.parents), path) if one.exists() and not one.is_dir()), path)


def _size(count: int) -> str:
    """Return a number of bytes in a readable unit."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
