"""Training only the word-embedding rows that occur: half of mBERT is its word embedding, most of it other languages.

A row that never occurs has no gradient, so AdamW leaves it alone but for weight decay, a factor a step. The factors
are multiplied up beside the rows that train, and applied when all rows are put back: the result is that of training
the whole table (Loshchilov and Hutter 2019), up to the rounding of that product.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from clseave.models.tokens import Ragged


class WordRows(nn.Module):
    """Some rows of a word embedding, in its place; ids stay those of the tokenizer. IndexError for a row not held."""

    place: torch.Tensor
    decay: torch.Tensor

    def __init__(self, whole: nn.Embedding, rows: np.ndarray):
        """`rows` are the ids held, sorted and distinct."""
        super().__init__()
        self._whole = (whole,)  # in a tuple: none of its weights is a parameter of ours
        self._rows = torch.from_numpy(rows).long().to(whole.weight.device)
        self.weight = nn.Parameter(whole.weight.detach()[self._rows].clone())
        place = torch.full((whole.num_embeddings,), -1, device=whole.weight.device)
        place[self._rows] = torch.arange(len(rows), device=place.device)
        self.register_buffer("place", place, persistent=False)
        # What weight decay has left of the other rows: part of the state, so that it goes with the epoch that is kept.
        self.register_buffer("decay", torch.ones((), dtype=torch.float64, device=place.device))
        self.padding = None if whole.padding_idx is None else int(place[whole.padding_idx])

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Word embeddings, (B, T) ids -> (B, T, W)."""
        return functional.embedding(self.place[ids], self.weight, self.padding)

    def follow(self, optimiser: torch.optim.Optimizer) -> None:
        """Keep count of the decay that each step of the optimiser would have applied to the other rows."""

        def shrink(optimiser: torch.optim.Optimizer, *_: Any) -> None:
            groups = optimiser.param_groups  # others than at the start, once a checkpoint was taken up
            group = next(group for group in groups if any(one is self.weight for one in group["params"]))
            if group["weight_decay"] and self.weight.grad is not None:
                self.decay *= 1 - group["lr"] * group["weight_decay"]

        optimiser.register_step_post_hook(shrink)

    def whole(self) -> nn.Embedding:
        """Return the embedding with all of its rows as training would have left them."""
        (whole,) = self._whole
        with torch.no_grad():
            weight = (whole.weight.to(self.decay.device) * self.decay).to(whole.weight.dtype)
            weight[self._rows.to(weight.device)] = self.weight
            whole.weight = nn.Parameter(weight)
        return whole


def hold_only(module: nn.Module, texts: Sequence[Ragged], pad_id: int) -> WordRows:
    """Put the rows that occur in the texts, and that of padding, in the place of a text encoder's word embedding."""
    model = _model(module)
    occurring = np.unique(np.concatenate([[pad_id], *(text.values for text in texts)]))
    rows = WordRows(model.get_input_embeddings(), occurring)
    model.set_input_embeddings(rows)
    return rows


def put_back(module: nn.Module) -> None:
    """Undo `hold_only`: the word embedding is whole again."""
    model = _model(module)
    model.set_input_embeddings(model.get_input_embeddings().whole())


def _model(module: nn.Module) -> PreTrainedModel:
    """Return the transformers model of a text encoder, which may have layers of its own around it."""
    return next(part for part in module.modules() if isinstance(part, PreTrainedModel))
