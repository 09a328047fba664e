"""CLSEAVE's objective: its value, gradient and metrics by hand, on vectors of two numbers."""

from math import exp, log, sqrt

import numpy as np
import pytest
import torch
from tiny_models import bert_text
from token_vectors import TokenVectors

from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import Example, Translation, write_rows, write_vectors
from clseave.foundation.rows.vectors import VectorTable
from clseave.foundation.settings.schema import Clseave
from clseave.models.tokens import Ragged
from clseave.objectives.distillation import LOSSES, ContrastiveDistillation, Pairs, infonce

SETTINGS = Clseave(
    lr_scale=1.0, loss="raw", temperature=0.5, infonce_weight=0.1, pooling="sep", weight_decay=0.0, dropout=0.0,
    schedule="constant", warmup=0.0, batch_size=2, epochs=1, stop_after=None, patience=None, keep="best",
)  # fmt: skip
HOW = {"sampler": "random", "encode_batch": 1, "precision": "float32", "compiled": False, "seed": 0}


def make(folder, tokens, student, teacher, loss="raw"):
    """Texts as token ids, the vectors of the tokens 1, 2, ..., and the teacher's of the texts, last one first."""
    write_vectors(folder, [str(row) for row in range(len(teacher))], np.array(teacher[::-1], dtype=float))
    table = VectorTable(folder, torch.device("cpu"), 1.0)
    pairs = Pairs(Ragged.of(tokens), table, np.arange(len(tokens))[::-1].copy())
    settings = SETTINGS.model_copy(update={"loss": loss})
    return LOSSES[loss](TokenVectors(*student), pairs, pairs, settings, **HOW)


@pytest.fixture
def raw(tmp_path):
    """Student (1, 2) and (1, 0), teacher (3, 2) and (1, 4)."""
    return make(tmp_path, [[1, 2], [1]], [[1.0, 0.0], [0.0, 2.0]], [[3, 2], [1, 4]])


@pytest.fixture
def normalised(tmp_path):
    """Student (3, 4) and (2, 0), teacher (0, 5) and (7, 0)."""
    return make(tmp_path, [[1], [2]], [[3.0, 4.0], [2.0, 0.0]], [[0, 5], [7, 0]], "normalised")


def test_the_raw_loss_is_the_mean_squared_error_per_element(raw):
    # ((1 - 3)^2 + (2 - 2)^2 + (1 - 1)^2 + (0 - 4)^2) / (2 * 2) = 20 / 4
    assert raw.loss(np.array([0, 1])).item() == 5.0
    assert raw.loss(np.array([1])).item() == 8.0  # (0 + 16) / (1 * 2)


def test_the_gradient_of_the_raw_loss(raw):
    raw.loss(np.array([0, 1])).backward()
    # Of s: 2 (s - t) / (B D) = (s - t) / 2: (-1, 0) and (0, -2). Token 1 is in both texts, token 2 in the first.
    assert raw.student.weight.grad.tolist() == [[0, 0], [-1, -2], [-1, 0]]


def test_the_normalised_loss_compares_directions(normalised):
    # Text 0: (0.6, 0.8) and (0, 1): 0.36 + 0.04. Text 1: both (1, 0). 0.4 / (2 * 2)
    assert normalised.loss(np.array([0, 1])).item() == pytest.approx(0.1, abs=1e-7)


def test_the_gradient_of_the_normalised_loss(normalised):
    normalised.loss(np.array([0, 1])).backward()
    # Of s: 2 / (B D |s|) (I - u u') (u - v), with u = s / |s|, v = t / |t|. Text 0: u - v = (0.6, -0.2), of which
    # u' (u - v) = 0.2 is taken out along u: (0.48, -0.36); times 2 / (4 * 5). Text 1: u - v = 0.
    wanted = torch.tensor([[0.0, 0.0], [0.048, -0.036], [0.0, 0.0]])
    torch.testing.assert_close(normalised.student.weight.grad, wanted)


def test_validation_of_raw_vectors_by_hand(raw):
    found = raw.validate()
    assert list(found) == ["dev_mse", "dev_mae", "dev_cosine"], "the first is minimised"
    # Absolute differences 2, 0, 0, 4. Cosines: (3 + 4) / (sqrt 5 sqrt 13), 1 / (1 sqrt 17).
    cosine = (7 / sqrt(65) + 1 / sqrt(17)) / 2
    assert found == pytest.approx({"dev_mse": 5.0, "dev_mae": 6 / 4, "dev_cosine": cosine}, abs=1e-6)


def test_validation_of_normalised_vectors_by_hand(normalised):
    # Differences (0.6, -0.2) and (0, 0). Cosines 0.8 and 1.
    wanted = {"dev_mse": 0.1, "dev_mae": 0.8 / 4, "dev_cosine": 0.9}
    assert normalised.validate() == pytest.approx(wanted, abs=1e-6)


# Student (2, 0) and (0, 3): directions e1 and e2. Teacher (0, 5) and (7, 0): directions e2 and e1. Temperature 1/2.
ACROSS = [[[1], [2]], [[2.0, 0.0], [0.0, 3.0]], [[0, 5], [7, 0]]]


def test_infonce_by_hand(tmp_path):
    # Each student vector has cosine 0 with its own teacher vector and 1 with the other: -log(1 / (1 + e^2)).
    objective = make(tmp_path, *ACROSS, "infonce")
    assert isinstance(objective, ContrastiveDistillation) and objective.loss_name == "train_infonce"
    assert objective.loss(np.array([0, 1])).item() == pytest.approx(log(1 + exp(2)), abs=1e-6)
    assert objective.loss(np.array([0])).item() == 0  # no other sentence


def test_the_gradient_of_infonce(tmp_path):
    objective = make(tmp_path, *ACROSS, "infonce")
    objective.loss(np.array([0, 1])).backward()
    # Of the scores of row 0: (p0 - 1, p1) / 2 with p1 = e^2 / (1 + e^2) = 1 - p0. Its direction u is e1 and gets
    # (p0 - 1) / 2 * e2 / 0.5 + p1 / 2 * e1 / 0.5 = p1 (e1 - e2); across u only -p1 e2 is left, over |s| = 2.
    p1 = exp(2) / (1 + exp(2))
    wanted = torch.tensor([[0.0, 0.0], [0.0, -p1 / 2], [-p1 / 3, 0.0]])
    torch.testing.assert_close(objective.student.weight.grad, wanted)


def test_texts_of_one_sentence_are_no_negatives_of_each_other():
    student, teacher = torch.tensor([[1.0, 0], [1, 0], [0, 1]]), torch.tensor([[1.0, 0], [1, 0], [0, 1]])
    # Rows 0 and 1 have the same teacher vector: of each only the third is a negative, with cosine 0; of the third both.
    wanted = (2 * log(1 + exp(-2)) + log(1 + 2 * exp(-2))) / 3
    assert infonce(student, teacher, 0.5).item() == pytest.approx(wanted, abs=1e-6)


def test_the_sum_of_both_losses(tmp_path):
    objective = make(tmp_path, *ACROSS, "raw+infonce")
    # Squared differences: (2, -5) and (-7, 3): (4 + 25 + 49 + 9) / 4.
    assert objective.loss(np.array([0, 1])).item() == pytest.approx(87 / 4 + 0.1 * log(1 + exp(2)), abs=1e-5)
    assert objective.validate()["dev_mse"] == pytest.approx(87 / 4) and objective.loss_name == "train_loss"


def test_infonce_is_validated_on_directions(tmp_path):
    found = make(tmp_path, *ACROSS, "infonce").validate()
    assert found == pytest.approx({"dev_mse": 1.0, "dev_mae": 1.0, "dev_cosine": 0.0}, abs=1e-6)


def test_several_processes_cannot_share_the_negatives(tmp_path, monkeypatch):
    monkeypatch.setattr("clseave.foundation.process.distributed.size", lambda: 2)
    with pytest.raises(ValueError, match="one process"):
        make(tmp_path, *ACROSS, "infonce")


def test_more_pairs_of_the_same_teacher(raw):
    both = raw.data.joined(raw.data)
    assert both.tokens.tolist() == 2 * raw.data.tokens.tolist() and both.rows.tolist() == 2 * raw.data.rows.tolist()


def test_batches_hold_every_pair_once_and_change_with_the_epoch(tmp_path):
    objective = make(tmp_path, [[1]] * 8, [[1.0, 0.0]], [[1, 1]] * 8)
    drawn = [[batch.tolist() for batch in objective.batches(epoch)] for epoch in (1, 2, 1)]
    assert all(sorted(np.concatenate(batches)) == list(range(8)) and len(batches) == 4 for batches in drawn)
    assert drawn[0] == drawn[2] != drawn[1]


def test_pairs_are_the_distinct_hypotheses_of_a_split(tmp_path):
    sentences = {"k1": "Der Kreis", "k2": "Ein roter Kreis", "k3": "Der"}
    keys = ["k2", "k1", "k2"]
    rows = [Example(f"pair-{n}", "image", key, key, "neutral", "train", None, None) for n, key in enumerate(keys)]
    write_rows(tmp_path / "examples/train.jsonl", rows)
    write_rows(
        tmp_path / "de.jsonl", [Translation(key, key, "de", text, "gold", "1") for key, text in sentences.items()]
    )
    write_vectors(tmp_path / "teacher", list(sentences), np.array([[1.0], [2.0], [3.0]]))
    teacher = VectorTable(tmp_path / "teacher", torch.device("cpu"), 1.0)
    pairs = Pairs.read(tmp_path / "examples", tmp_path / "de.jsonl", "train", bert_text(), teacher)
    assert pairs.tokens.tolist() == [bert_text()(sentences[key]).input_ids for key in ("k2", "k1")]
    assert teacher[pairs.rows].tolist() == [[2.0], [1.0]]
    write_rows(tmp_path / "de.jsonl", [Translation("k1", "k1", "de", "Der Kreis", "gold", "1")])
    with pytest.raises(UserError, match="translation in"):
        Pairs.read(tmp_path / "examples", tmp_path / "de.jsonl", "train", bert_text(), teacher)
