"""Guards against tar and zip archives of unknown origin: damaged, with unsafe paths, or a decompression bomb.

Archives are read member by member and never extracted to disk.
"""

import lzma
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from clseave.foundation.errors import UserError

LARGEST = 1 << 28  # bytes of one member after decompression: far above any photo
# The exceptions that reading a damaged archive may raise.
BROKEN = (
    *(OSError, EOFError, RuntimeError, LookupError, ValueError, OverflowError, struct.error),
    *(zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile),
)


def require_inside(name: str, path: Path) -> None:
    """Raise UserError when `name`, found in the file `path`, is empty, absolute, or could leave its folder."""
    parts = PurePosixPath(name)
    if not name or parts.is_absolute() or ".." in parts.parts or "\\" in name or "\0" in name:
        raise UserError(f"{path}: {name!r} is no safe file name: expected a plain, relative name")


def require_size(size: int) -> None:
    """Raise OSError when a file or a decompressed member has more than `LARGEST` bytes."""
    if size > LARGEST:
        raise OSError(f"{size:,} bytes, more than the limit of {LARGEST:,} for a photo")


def is_link(member: zipfile.ZipInfo) -> bool:
    """Return whether a member of a zip is a symbolic link, whose content is the path of its target."""
    return (member.external_attr >> 16) & 0o170000 == 0o120000
