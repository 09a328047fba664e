"""Pre-training objective of the small mBERT: masked language modelling."""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import BertForMaskedLM, BertTokenizer

from clseave.foundation.settings.schema import STEPS_PER_LINE, MbertBackbone
from clseave.models.tokens import encode, pad
from clseave.training.objective import Objective

IGNORED = -100  # the label that transformers' masked language model leaves out of its loss


class MaskedLanguage(Objective):
    """Cross-entropy between the predicted and the true token at the masked positions.

    With the set M of chosen positions of a batch, the true token x_k at position k and the model's logits z_k:

        loss = -1/|M| sum_{k in M} log softmax(z_k)[x_k]

    Of the chosen tokens 80 % are masked, 10 % replaced by a random token and 10 % kept.

    Shapes:
        batch: (B,), ignored: `settings.batch_size` sentences are drawn with replacement -> ids, mask and labels
        (B, T), logits (B, T, V), loss ().

    Args:
        model: BERT with its language-model head, trained.
        tokenizer: the model's.
        texts: sentences of all languages together.
        settings: `batch_size`, and `mask`, the share of chosen tokens.
        seed: decides sentences and masks.

    Returns:
        No validation: the number of steps is fixed, and the last model is kept.

    Source:
        Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, 3.1.
    """

    model: BertForMaskedLM
    generator: np.random.Generator
    name = "mBERT"
    max_grad_norm = 1.0

    def __init__(
        self,
        model: BertForMaskedLM,
        tokenizer: BertTokenizer,
        texts: Sequence[str],
        settings: MbertBackbone,
        seed: int,
    ):
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.tokens = encode(tokenizer, texts)
        self.generator = np.random.default_rng([seed, 6])

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Return `STEPS_PER_LINE` batches, which make one row of the curve."""
        return [np.arange(self.settings.batch_size)] * STEPS_PER_LINE

    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """Draw sentences and return the mean cross-entropy of their masked tokens, ()."""
        chosen = self.generator.integers(0, len(self.tokens), size=self.settings.batch_size)
        ids, mask = pad([self.tokens[row] for row in chosen], self.tokenizer)
        inputs, labels = mask_tokens(ids, self.tokenizer, self.settings.mask, self.generator)
        return self.model(input_ids=inputs, attention_mask=mask, labels=labels).loss


def mask_tokens(
    ids: torch.Tensor, tokenizer: BertTokenizer, share: float, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return masked inputs and labels, both (B, T); labels are `IGNORED` at positions that are not predicted.

    At least one token is chosen, as the mean loss of none would be NaN.
    """
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    draw, fate = (torch.from_numpy(rng.random(ids.shape)) for _ in range(2))
    least = draw.masked_fill(special, 1.0).min()
    chosen = ((draw < share) | (draw == least)) & ~special
    inputs = torch.where(chosen & (fate < 0.8), tokenizer.mask_token_id, ids)
    noise = torch.from_numpy(rng.integers(len(tokenizer.all_special_ids), len(tokenizer), size=ids.shape))
    inputs = torch.where(chosen & (fate >= 0.9), noise, inputs)
    return inputs, torch.where(chosen, ids, IGNORED)
