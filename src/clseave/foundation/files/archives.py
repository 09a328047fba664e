"""What a tar or a zip of somebody else may do: be damaged, name places outside its folder, unpack to any size.

Archives are read member by member and never unpacked into files.
"""

import lzma
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from clseave.foundation.errors import UserError

LARGEST = 1 << 28  # bytes of one member, unpacked: no photo has more
# What reading a damaged archive raises.
BROKEN = (
    *(OSError, EOFError, RuntimeError, LookupError, ValueError, OverflowError, struct.error),
    *(zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile),
)


def require_inside(name: str, path: Path) -> None:
    """UserError for a name, found in `path`, that could lead out of its folder."""
    parts = PurePosixPath(name)
    if not name or parts.is_absolute() or ".." in parts.parts or "\\" in name or "\0" in name:
        raise UserError(f"{path}: {name!r} is no safe file name: make it anew with plain, relative names")


def require_size(size: int) -> None:
    """OSError for a file or member of more than `LARGEST` bytes, unpacked."""
    if size > LARGEST:
        raise OSError(f"{size:,} bytes, more than {LARGEST:,}: no photo, or a trap")


def is_link(member: zipfile.ZipInfo) -> bool:
    """Whether a member of a zip is a symbolic link, whose content is the place that it leads to."""
    return (member.external_attr >> 16) & 0o170000 == 0o120000
