"""Stored vectors by row: in memory and mapped from their file alike."""

import numpy as np
import pytest
import torch

from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import read_vectors, write_vectors
from clseave.foundation.rows.vectors import VectorTable

VECTORS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
IDS = [f"id{row}" for row in range(50)]
CPU = torch.device("cpu")


@pytest.mark.parametrize("resident_gb", [0.0, 1.0], ids=["mapped", "resident"])
def test_rows_are_those_that_were_written(tmp_path, resident_gb):
    write_vectors(tmp_path, IDS, VECTORS)
    table = VectorTable(tmp_path, CPU, resident_gb)
    rows = np.array([7, 0, 49, 7])
    assert torch.equal(table[rows], torch.from_numpy(VECTORS[rows]))
    assert table.width == 3 and table.rows["id49"] == 49


def test_above_the_limit_vectors_stay_in_their_file(tmp_path):
    write_vectors(tmp_path, IDS, VECTORS)  # 600 bytes
    assert isinstance(read_vectors(tmp_path, 599e-9)[1], np.memmap)
    assert not isinstance(read_vectors(tmp_path, 600e-9)[1], np.memmap)
    assert np.array_equal(read_vectors(tmp_path, 0)[1], VECTORS)


def test_what_a_mapped_table_gives_can_be_changed_without_touching_the_file(tmp_path):
    write_vectors(tmp_path, IDS, VECTORS)
    VectorTable(tmp_path, CPU, 0.0)[np.array([1])].zero_()
    assert np.array_equal(read_vectors(tmp_path)[1], VECTORS)


@pytest.mark.parametrize(
    "content", [b"", b"1234", b"\xff" * 64, b"\x02\x00\x00\x00\x00\x00\x00\x00{}", "cut"], ids=repr
)
def test_a_damaged_file_is_named(tmp_path, content):
    write_vectors(tmp_path, IDS, VECTORS)
    path = tmp_path / "vectors.safetensors"
    path.write_bytes(path.read_bytes()[:-8] if content == "cut" else content)
    with pytest.raises(UserError, match=r"vectors\.safetensors holds no vectors"):
        read_vectors(tmp_path)


def test_vectors_of_another_type_are_refused(tmp_path):
    from safetensors.numpy import save_file

    write_vectors(tmp_path, ["a"], np.zeros((1, 4)))
    save_file({"vectors": np.zeros((1, 4), dtype=np.int32)}, tmp_path / "vectors.safetensors")
    with pytest.raises(UserError, match="holds I32, expected float32"):
        read_vectors(tmp_path)
