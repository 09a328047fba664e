"""Objective of the multilingual autoencoder: reconstruct mBERT's states of aligned words."""

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from clseave.foundation.settings.schema import AutoencoderParams, Sampler
from clseave.models.token_student import Autoencoder
from clseave.models.tokens import Ragged, pad
from clseave.training.batching import draw_batches
from clseave.training.objective import Objective
from clseave.word_alignment.token_pairs import gather


class Reconstruction(Objective):
    """Mean squared error per element between token states and their reconstruction by the autoencoder.

    With s_k mBERT's last state at the first sub-word of the k-th aligned word, e the encoder and d the decoder, over
    the P words of a batch and the W elements of a state:

        loss = 1/(P W) sum_k sum_w (d(e(s_k))_w - s_kw)^2

    Shapes:
        batch: row numbers of `tokens`, (B,) -> states (P, W), reconstructions (P, W), loss ().

    Args:
        model: the autoencoder, trained.
        mbert: frozen and in evaluation mode.
        tokenizer: mBERT's.
        tokens: token ids of the sentences of all languages.
        positions: of each sentence, the positions of the first sub-words of its aligned words.
        settings: `batch_size`.
        sampler: how batches are drawn.
        seed: decides the batches, together with the epoch.

    Returns:
        No validation: the number of epochs is fixed, and the last model is kept.

    Source:
        Thesis 3.2.2.
    """

    model: Autoencoder
    name = "autoencoder"

    def __init__(
        self,
        model: Autoencoder,
        mbert: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        tokens: Ragged,
        positions: Ragged,
        *,
        settings: AutoencoderParams,
        sampler: Sampler,
        seed: int,
    ):
        self.model, self.mbert, self.tokenizer, self.tokens, self.positions = model, mbert, tokenizer, tokens, positions
        self.settings, self.sampler, self.seed = settings, sampler, seed
        self.device = next(model.parameters()).device

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Return batches that contain every sentence once, all languages mixed."""
        return draw_batches(self.tokens.lengths, self.settings.batch_size, self.sampler, [self.seed, epoch])

    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """Return the mean squared error per element over all aligned words of a batch, (B,) -> ()."""
        ids, mask = pad([self.tokens[row] for row in batch], self.tokenizer, self.device)
        with torch.no_grad():
            states = self.mbert(input_ids=ids, attention_mask=mask).last_hidden_state  # (B, T, W)
            states = gather(states, [self.positions[row] for row in batch])  # (P, W)
        return functional.mse_loss(self.model(states), states)
