"""CLIP-VE's objective: value, gradient and metrics by hand; and the examples that it is trained and validated on."""

from collections.abc import Callable
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import clip_text
from token_vectors import TokenVectors
from torch import nn

from clseave.foundation.errors import UserError
from clseave.foundation.rows.labels import LABELS
from clseave.foundation.rows.records import Example, hypothesis_id, write_rows, write_vectors
from clseave.foundation.rows.vectors import VectorTable
from clseave.foundation.settings.schema import ClipVe
from clseave.models.clip_ve import ClipVE
from clseave.models.tokens import Ragged
from clseave.objectives.entailment import Entailment, Split, read_examples

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


# The objective, on vectors of two numbers

SETTINGS = ClipVe(
    text_lr=1e-3, head_lr=1e-3, weight_decay=0.0, schedule="constant", warmup=0.0, batch_size=2, rows_per_hypothesis=2,
    epochs=1, patience=1, keep="best", validation="dev", dropout=0.0, hidden=1,
)  # fmt: skip
HOW = {"sampler": "random", "encode_batch": 1, "precision": "float32", "compiled": False, "seed": 0}


class Products(nn.Module):
    """A head without a hidden layer: logits A (h * p)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[0.0, log(2)], [log(2), 0.0], [log(3), 0.0]]))

    def forward(self, hypothesis: torch.Tensor, premise: torch.Tensor) -> torch.Tensor:
        return (hypothesis * premise) @ self.weight.T


@pytest.fixture
def objective(tmp_path: Path) -> Entailment:
    """Three pairs: sentence 0 with image 0, neutral; sentence 1 with image 0, contradiction; sentence 0 with image 1.

    Sentence 0 is token 1, whose vector is (1, 0), and sentence 1 is token 2, (0, 1). Images are (1, 1) and (0, 1).
    """
    write_vectors(tmp_path, ["zero", "one"], np.array([[1.0, 1.0], [0.0, 1.0]]))
    images = VectorTable(tmp_path, torch.device("cpu"), 1.0)
    tokens, hypothesis, premise = Ragged.of([[1], [2]]), np.array([0, 1, 0]), np.array([0, 0, 1])
    data = Split(tokens, hypothesis, images, premise, torch.tensor([1, 0, 0]))
    dev = Split(tokens, hypothesis[:2], images, premise[:2], torch.tensor([1, 0]))
    model = ClipVE(TokenVectors([1.0, 0.0], [0.0, 1.0]), Products(), "clip_ve")
    return Entailment(model, data, dev, SETTINGS, **HOW)


# Pair 0: h * p = (1, 0), logits (0, ln 2, ln 3), softmax (1, 2, 3) / 6, label 1: -ln(2/6) = ln 3.
# Pair 1: h * p = (0, 1), logits (ln 2, 0, 0), softmax (2, 1, 1) / 4, label 0: -ln(2/4) = ln 2.
LOSS = (log(3) + log(2)) / 2


def test_the_loss_is_the_mean_cross_entropy(objective: Entailment) -> None:
    assert objective.loss(np.array([0, 1])).item() == pytest.approx(LOSS, abs=1e-6)
    # Pair 2: h * p = (0, 0), three equal logits: ln 3.
    assert objective.loss(np.array([2])).item() == pytest.approx(log(3), abs=1e-6)


def test_head_and_text_tower_get_the_gradient(objective: Entailment) -> None:
    objective.loss(np.array([0, 1])).backward()
    # Of the logits: (softmax - one-hot) / 2, for pair 0 (1/12, -1/3, 1/4), for pair 1 (-1/4, 1/8, 1/8).
    # Of A: these times h * p, which is (1, 0) and (0, 1).
    wanted = torch.tensor([[1 / 12, -1 / 4], [-1 / 3, 1 / 8], [1 / 4, 1 / 8]])
    torch.testing.assert_close(objective.model.head.weight.grad, wanted)
    # Of h in pair 0: p * A' (1/12, -1/3, 1/4) = (-ln 2 / 3 + ln 3 / 4, ln 2 / 12);
    # of h in pair 1: p * A' (-1/4, 1/8, 1/8) = (ln 2 / 8 + ln 3 / 8, -ln 2 / 4).
    wanted = torch.tensor([[0.0, 0.0], [-log(2) / 3 + log(3) / 4, log(2) / 12], [log(2) / 8 + log(3) / 8, -log(2) / 4]])
    torch.testing.assert_close(objective.model.tower.weight.grad, wanted)


def test_a_hypothesis_is_encoded_once_in_a_batch(objective: Entailment) -> None:
    objective.loss(np.array([2, 1, 0]))
    assert objective.model.tower.rows == 2


def test_validation_by_hand(objective: Entailment) -> None:
    found = objective.validate()
    assert list(found) == ["dev_loss", "dev_accuracy"], "the first is minimised"
    # Pair 0: the highest logit is that of label 2, not 1. Pair 1: that of label 0, which it is.
    assert found == pytest.approx({"dev_loss": LOSS, "dev_accuracy": 0.5}, abs=1e-6)


def test_training_accuracy_counts_an_epoch_and_survives_a_checkpoint(objective: Entailment) -> None:
    for batch in ([0, 1], [2]):  # right: pairs 1 and 2, whose equal logits make it label 0
        objective.loss(np.array(batch))
    state = objective.state_dict()
    assert objective.train_metrics() == {"train_accuracy": round(2 / 3, 6)}
    assert objective.train_metrics() == {"train_accuracy": 0.0}, "the next epoch begins at zero"
    objective.load_state_dict(state)
    assert objective.train_metrics() == {"train_accuracy": round(2 / 3, 6)}


def test_batches_hold_every_pair_once_and_change_with_the_epoch(objective: Entailment) -> None:
    drawn = [[batch.tolist() for batch in objective.batches(epoch)] for epoch in range(1, 9)]
    assert all(sorted(np.concatenate(batches)) == [0, 1, 2] and len(batches) == 2 for batches in drawn)
    assert drawn == [[batch.tolist() for batch in objective.batches(epoch)] for epoch in range(1, 9)]
    assert len({str(batches) for batches in drawn}) > 1


def test_a_split_holds_each_hypothesis_once(tmp_path: Path) -> None:
    write_vectors(tmp_path, ["b", "a"], np.eye(2))
    images = VectorTable(tmp_path, torch.device("cpu"), 1.0)
    examples = [
        Example(f"pair-{n}", image, text, text, label, "train", None, None)
        for n, (image, text, label) in enumerate(
            [("a", "No", "neutral"), ("b", "A red", "entailment"), ("b", "No", "neutral")]
        )
    ]
    split = Split.of(examples, images, clip_text())
    assert split.tokens.tolist() == [clip_text()(text).input_ids for text in ("No", "A red")]
    assert (split.hypothesis.tolist(), split.premise.tolist()) == ([0, 1, 0], [1, 0, 0])
    assert [LABELS[label] for label in split.labels] == ["neutral", "entailment", "neutral"]
    assert split.lengths.tolist() == [len(split.tokens[0]), len(split.tokens[1]), len(split.tokens[0])]
    other = Split.of(examples, images, clip_text(), {"No": "A red", "A red": "No"})
    assert other.tokens.tolist() == split.tokens.tolist()[::-1]
    with pytest.raises(UserError, match="translation"):
        Split.of(examples, images, clip_text(), {"No": "A red"})
