"""The rows that CLIP-VE is trained and validated on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clseave.entailment import read_examples
from clseave.errors import UserError
from clseave.records import Example, hypothesis_id, write_rows, write_vectors

Make = Callable[[int], tuple[Path, Path]]


@pytest.fixture
def corpus(tmp_path: Path) -> Make:
    """A train split of so many rows, and the vectors of its images."""

    def make(rows: int) -> tuple[Path, Path]:
        texts = [f"sentence {number}" for number in range(rows)]
        examples = [
            Example(f"train-{n}", "1", hypothesis_id(text), text, "neutral", "train", None, None)
            for n, text in enumerate(texts)
        ]
        write_rows(tmp_path / "examples" / "train.jsonl", examples)
        write_vectors(tmp_path / "vectors", ["1"], np.ones((1, 2)))
        return tmp_path / "examples", tmp_path / "vectors"

    return make


def test_a_fifth_of_train_is_drawn_by_seed_and_the_rest_is_trained_on(corpus: Make) -> None:
    folders = corpus(14)
    drawn = [read_examples(*folders, "train_fifth", seed) for seed in (0, 0, 1)]
    assert [(len(rest), len(fifth)) for rest, fifth in drawn] == [(12, 2)] * 3
    for rest, fifth in drawn:
        assert {row.pair_id for row in rest + fifth} == {f"train-{number}" for number in range(14)}
    assert drawn[0] == drawn[1] != drawn[2]


def test_less_than_five_rows_have_no_fifth(corpus: Make) -> None:
    folders = corpus(5)
    assert [len(part) for part in read_examples(*folders, "train_fifth", 0)] == [4, 1]
    folders = corpus(4)
    message = r"validation: train_fifth takes a fifth .*, found 4 rows in .*examples, expected 5 .*`validation: dev`"
    with pytest.raises(UserError, match=message):
        read_examples(*folders, "train_fifth", 0)
