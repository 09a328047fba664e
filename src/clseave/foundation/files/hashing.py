"""Hashes of texts and files as hexadecimal digits: SHA-256, or another algorithm by its name in hashlib."""

import hashlib
from pathlib import Path
from typing import Any

from clseave.foundation.files.formats import cannot_read


def of_bytes(content: bytes, algorithm: str = "sha256") -> str:
    """Return the hash of bytes."""
    return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()


def of_text(text: str, algorithm: str = "sha256") -> str:
    """Return the hash of a text encoded as UTF-8."""
    return of_bytes(text.encode(), algorithm)


def of_stream(stream: Any, algorithm: str = "sha256") -> str:
    """Return the hash of a file open for reading bytes at its start. OSError when it cannot be read."""
    return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def of_file(path: Path | str) -> str:
    """Return the SHA-256 of a file's content. UserError when it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return of_stream(stream)
    except OSError as error:
        raise cannot_read(path, error) from error
