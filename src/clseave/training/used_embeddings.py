"""Training only the word embeddings that occur: half of mBERT's weights are word embeddings, mostly of other languages.

A row that never occurs has no gradient, so AdamW changes it by weight decay only, a factor per step. The product of
these factors is tracked and applied when the full table is restored: the result is that of training the whole table
(Loshchilov and Hutter 2019), up to the rounding of that product.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from clseave.models.tokens import Ragged


class UsedRowsEmbedding(nn.Module):
    """Some rows of a word embedding, as its replacement with the tokenizer's ids. IndexError for a missing row."""

    place: torch.Tensor
    decay: torch.Tensor

    def __init__(self, whole: nn.Embedding, rows: np.ndarray):
        """Copy the rows with the ids `rows`, sorted and distinct, of the embedding `whole`."""
        super().__init__()
        self._whole = (whole,)  # in a tuple, so that its weights are not parameters of this module
        self._rows = torch.from_numpy(rows).long().to(whole.weight.device)
        self.weight = nn.Parameter(whole.weight.detach()[self._rows].clone(), whole.weight.requires_grad)
        place = torch.full((whole.num_embeddings,), -1, device=whole.weight.device)
        place[self._rows] = torch.arange(len(rows), device=place.device)
        self.register_buffer("place", place, persistent=False)
        # Accumulated weight decay of the other rows; a buffer, so that it is kept with the weights of the best epoch.
        self.register_buffer("decay", torch.ones((), dtype=torch.float64, device=place.device))
        self.scale = float(getattr(whole, "embed_scale", 1.0))  # NLLB multiplies the embedding by it
        self.padding = None if whole.padding_idx is None else int(place[whole.padding_idx])

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return word embeddings, (B, T) ids -> (B, T, W)."""
        found = functional.embedding(self.place[ids], self.weight, self.padding)
        return found if self.scale == 1.0 else found * self.scale

    def track_weight_decay(self, optimiser: torch.optim.Optimizer) -> None:
        """Track the weight decay that each step of the optimiser would have applied to the other rows."""

        def shrink(optimiser: torch.optim.Optimizer, *_: Any) -> None:
            groups = optimiser.param_groups  # looked up at each step, as loading a checkpoint replaces them
            group = next(group for group in groups if any(one is self.weight for one in group["params"]))
            if group["weight_decay"] and self.weight.grad is not None:
                self.decay *= 1 - group["lr"] * group["weight_decay"]

        optimiser.register_step_post_hook(shrink)

    def full(self) -> nn.Embedding:
        """Return the embedding with all rows, as training the whole table would have left them."""
        (whole,) = self._whole
        with torch.no_grad():
            weight = (whole.weight.to(self.decay.device) * self.decay).to(whole.weight.dtype)
            weight[self._rows.to(weight.device)] = self.weight
            whole.weight = nn.Parameter(weight)
        return whole


def keep_used_rows(module: nn.Module, texts: Sequence[Ragged], pad_id: int) -> UsedRowsEmbedding:
    """Replace a text encoder's word embedding by the rows that occur in `texts`, and that of padding."""
    model = _model(module)
    occurring = np.unique(np.concatenate([[pad_id], *(text.values for text in texts)]))
    rows = UsedRowsEmbedding(model.get_input_embeddings(), occurring)
    model.set_input_embeddings(rows)
    return rows


def restore_embedding(module: nn.Module) -> None:
    """Undo `keep_used_rows`: restore the full word embedding."""
    model = _model(module)
    model.set_input_embeddings(model.get_input_embeddings().full())


def _model(module: nn.Module) -> PreTrainedModel:
    """Return the transformers model inside a text encoder; of a dual encoder its text model."""
    found = next(part for part in module.modules() if isinstance(part, PreTrainedModel))
    text = getattr(found, "text_model", None)
    return text if isinstance(text, PreTrainedModel) else found
