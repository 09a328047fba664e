"""The autoencoder's objective: its value and gradient by hand, on states of two numbers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from token_vectors import TOKENIZER, TokenVectors

from clseave.foundation.settings.schema import AutoencoderParams
from clseave.models.token_student import Autoencoder
from clseave.models.tokens import Ragged
from clseave.objectives.reconstruction import Reconstruction


class Bert(TokenVectors):
    def forward(self, input_ids, attention_mask):
        return SimpleNamespace(last_hidden_state=self.states(input_ids, attention_mask))


@pytest.fixture
def objective():
    """Sentences 1 3 2, of which the first and last word are aligned, and 2. Encoder s_1 + s_2, decoder (e, 2 e)."""
    model = Autoencoder(2, 1)
    with torch.no_grad():
        for layer, weight in ((model.encoder[0], [[1.0, 1.0]]), (model.decoder[0], [[1.0], [2.0]])):
            layer.weight.copy_(torch.tensor(weight))
            layer.bias.zero_()
    return Reconstruction(
        model,
        Bert([1.0, 1.0], [2.0, 0.0], [50.0, 50.0]),
        TOKENIZER,
        Ragged.of([[1, 3, 2], [2]]),
        Ragged.of([[0, 2], [0]]),
        settings=AutoencoderParams(lr=1e-3, weight_decay=0.0, batch_size=1, epochs=1),
        sampler="random",
        seed=0,
    )


def test_the_loss_is_the_mean_squared_error_per_element_of_aligned_words(objective):
    # Token 1: (1, 1), encoded 2, decoded (2, 4): 1 + 9. Token 2: (2, 0), encoded 2, decoded (2, 4): 0 + 16.
    assert objective.loss(np.array([0])).item() == (10 + 16) / (2 * 2)
    assert objective.loss(np.array([0, 1])).item() == (10 + 16 + 16) / (3 * 2)


def test_the_autoencoder_gets_the_gradient_and_mbert_none(objective):
    objective.loss(np.array([0, 1])).backward()
    encoder, decoder = objective.model.encoder[0], objective.model.decoder[0]
    # Of a decoded element: 2 (d - s) / 6. Differences (1, 3), (0, 4), (0, 4). Decoder: times the encoding, 2.
    torch.testing.assert_close(decoder.weight.grad, torch.tensor([[1 / 3 * 2], [11 / 3 * 2]]))
    torch.testing.assert_close(decoder.bias.grad, torch.tensor([1 / 3, 11 / 3]))
    # Of an encoding: (1, 2) times that of the decoded elements: 7/3, 8/3, 8/3. Encoder: times (1, 1), (2, 0), (2, 0).
    torch.testing.assert_close(encoder.weight.grad, torch.tensor([[7 / 3 + 2 * 16 / 3, 7 / 3]]))
    torch.testing.assert_close(encoder.bias.grad, torch.tensor([23 / 3]))
    assert objective.mbert.weight.grad is None


def test_there_is_no_validation(objective):
    assert objective.validate() == {}


def test_batches_hold_every_sentence_once_and_change_with_the_epoch(objective):
    drawn = [[batch.tolist() for batch in objective.batches(epoch)] for epoch in range(1, 9)]
    assert all(sorted(batches) == [[0], [1]] for batches in drawn) and [[0], [1]] in drawn and [[1], [0]] in drawn
