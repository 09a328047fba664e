"""Files that no program should trust, made for the tests of the readers."""

import io
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

LINE_MB = 100
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 440449768\n"
Write = Callable[[Path], object]


def holding(content: bytes | str) -> Write:
    """Writes a file with the content."""
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


def long_line(start: bytes = b"") -> Write:
    """Writes a file of 100 MB without a line end; most of it takes no place on the disk."""

    def write(path: Path) -> None:
        with open(path, "wb") as stream:
            stream.write(start)
            stream.truncate(LINE_MB * 1_000_000)

    return write


def a_folder(path: Path) -> None:
    """A folder where a file is expected."""
    path.mkdir()


def nothing(path: Path) -> None:
    """No file at all."""


def a_link_to_itself(path: Path) -> None:
    """A link that leads nowhere but to itself."""
    path.symlink_to(path.name)


class Spy:
    """A pickle that makes a folder named `ran` when it is loaded."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder / "ran"),)


def program(path: Path) -> None:
    """A pickle that would run code."""
    path.write_bytes(pickle.dumps({"weight": Spy(path.parent)}))


def safetensors(header: bytes | str, data: bytes = b"", size: int | None = None) -> Write:
    """A safetensors file with any header, and a length that may be a lie."""
    text = header.encode() if isinstance(header, str) else header
    return holding(struct.pack("<Q", len(text) if size is None else size) + text + data)


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG of one bit a pixel whose header may promise any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bomb_image() -> bytes:
    """400 million black pixels in 50 kB."""
    return png(20_000, 20_000, (b"\0" * 2501) * 20_000)


def zip_of(members: dict[str, bytes], **settings) -> Write:
    """Writes a zip; a name may be anything."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **settings) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return write


def zip_bomb(name: str, megabytes: int) -> Write:
    """A zip with one member of zeros, a thousandth of its size."""

    def write(path: Path) -> None:
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open(name, "w", force_zip64=True) as member,
        ):
            for _ in range(megabytes):
                member.write(b"\0" * 1_000_000)

    return write


def encrypted_zip(name: str) -> Write:
    """A zip whose member says that it is encrypted."""

    def write(path: Path) -> None:
        zip_of({name: b"secret"})(path)
        content = bytearray(path.read_bytes())
        for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            content[content.index(signature) + place] |= 1
        path.write_bytes(content)

    return write


def tar_of(members: dict[str, bytes], mode: str = "w", link: str | None = None, kind: bytes = tarfile.REGTYPE) -> Write:
    """Writes a tar of plain members, or of links."""

    def write(path: Path) -> None:
        with tarfile.open(path, mode) as archive:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size, member.type, member.linkname = (0 if link else len(content)), kind, link or ""
                archive.addfile(member, io.BytesIO(content))

    return write


def tar_bomb(name: str) -> Write:
    """A tar whose member promises a terabyte."""

    def write(path: Path) -> None:
        member = tarfile.TarInfo(name)
        member.size = 10**12
        path.write_bytes(member.tobuf() + b"\0" * 20_480)

    return write


def cut(write: Write, share: float) -> Write:
    """Writes a file and leaves its end out."""

    def short(path: Path) -> None:
        write(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return short


def alias_bomb() -> str:
    """Nine lines of YAML that name 9**9 values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 9):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    return "\n".join([*lines, "languages: *a8"]) + "\n"
