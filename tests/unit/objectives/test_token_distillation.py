"""CLTEAVE's objective: its value and gradient by hand, on states of two numbers and a teacher's of one."""

import numpy as np
import pytest
import torch
from token_vectors import TokenVectors

from clseave.foundation.settings.schema import Clteave
from clseave.models.token_student import Autoencoder
from clseave.models.tokens import Ragged
from clseave.objectives.token_distillation import TokenDistillation
from clseave.word_alignment.token_pairs import TokenPairs

# Sentence 0: English tokens 1 2, translation 2 1; the words of each token are aligned. Sentence 1: English token 1,
# translation 1 2; the English word goes with the second one.
DATA = TokenPairs(
    source=Ragged.of([[1, 2], [1]]),
    target=Ragged.of([[2, 1], [1, 2]]),
    source_positions=Ragged.of([[0, 1], [0]]),
    target_positions=Ragged.of([[1, 0], [1]]),
)
PAIRS = {"word_pairs": True, "terminal_pair": False, "relu": True, "targets": "states"}
SETTINGS = Clteave(lr=1e-3, weight_decay=0.0, batch_size=1, epochs=1, **PAIRS)


class Teacher(TokenVectors):
    def final_states(self, ids, mask):
        return self.states(ids, mask)

    def projected_states(self, ids, mask):
        return 10 * self.states(ids, mask)


@pytest.fixture
def objective():
    """States of the student (1, 0) and (0, 1), encoded as s_1 + 2 s_2: 1 and 2; of the teacher 3 and 0."""
    student = TokenVectors([1.0, 0.0], [0.0, 1.0])
    student.autoencoder = Autoencoder(2, 1)
    with torch.no_grad():
        student.autoencoder.encoder[0].weight.copy_(torch.tensor([[1.0, 2.0]]))
        student.autoencoder.encoder[0].bias.zero_()
    return TokenDistillation(student, Teacher([3.0], [0.0]), DATA, SETTINGS, sampler="random", seed=0)


def test_the_loss_is_the_mean_squared_error_over_aligned_words(objective):
    # Sentence 0: token 1 with token 1, (1 - 3)^2; token 2 with token 2, (2 - 0)^2.
    # Sentence 1: token 2 with token 1, (2 - 3)^2.
    assert objective.loss(np.array([0, 1])).item() == 3.0  # (4 + 4 + 1) / 3: over words, not over sentences
    assert objective.loss(np.array([1])).item() == 1.0


def test_targets_after_the_projection_are_those_states(objective):
    objective.settings = SETTINGS.model_copy(update={"targets": "projected"})
    # Squares of 1 - 30, 2 - 0 and 2 - 30.
    assert objective.loss(np.array([0, 1])).item() == pytest.approx((841 + 4 + 784) / 3)


def test_student_and_encoder_get_the_gradient_and_the_teacher_none(objective):
    objective.loss(np.array([0, 1])).backward()
    # Of the three encoded states: 2 (e - t) / 3 = -4/3 (token 1), 4/3 (token 2), -2/3 (token 2).
    encoder = objective.student.autoencoder.encoder[0]
    torch.testing.assert_close(encoder.weight.grad, torch.tensor([[-4 / 3, 4 / 3 - 2 / 3]]))
    torch.testing.assert_close(encoder.bias.grad, torch.tensor([-4 / 3 + 4 / 3 - 2 / 3]))
    # Of a state: that of its encoding times (1, 2).
    wanted = torch.tensor([[0.0, 0.0], [-4 / 3, -8 / 3], [2 / 3, 4 / 3]])
    torch.testing.assert_close(objective.student.weight.grad, wanted)
    assert objective.teacher.weight.grad is None
    assert all(weight.grad is None for weight in objective.student.autoencoder.decoder.parameters())


def test_there_is_no_validation(objective):
    assert objective.validate() == {} and objective.model is objective.student


def test_batches_are_by_the_longer_side_and_change_with_the_epoch(objective):
    assert objective.lengths.tolist() == [2, 2]
    drawn = [[batch.tolist() for batch in objective.batches(epoch)] for epoch in range(1, 9)]
    assert all(sorted(batches) == [[0], [1]] for batches in drawn) and [[0], [1]] in drawn and [[1], [0]] in drawn
