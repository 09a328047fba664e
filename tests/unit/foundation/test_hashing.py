"""Hashes, against the published values of both algorithms."""

import io

import pytest

from clseave.foundation.errors import UserError
from clseave.foundation.files import hashing

# Of "abc": FIPS 180-2 and RFC 1321.
SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
MD5 = "900150983cd24fb0d6963f7d28e17f72"


def test_the_same_content_has_the_same_hash_however_it_is_given(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert hashing.of_bytes(b"abc") == hashing.of_text("abc") == hashing.of_file(tmp_path / "file") == SHA256
    assert hashing.of_bytes(b"abc", "md5") == hashing.of_stream(io.BytesIO(b"abc"), "md5") == MD5


def test_a_text_is_hashed_as_utf_8():
    assert hashing.of_text("é") == hashing.of_bytes(b"\xc3\xa9")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="absent does not exist"):
        hashing.of_file(tmp_path / "absent")
