"""The CLSEAVE student: mBERT, LayerNorm, pooling at [SEP], a linear map to the teacher's width (thesis 3.3.1)."""

from functools import partial
from pathlib import Path
from typing import get_args

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import BertModel, PreTrainedTokenizerBase
from transformers.masking_utils import create_bidirectional_mask

from clseave.foundation.files.formats import atomic, write_json
from clseave.foundation.settings.schema import Pooling
from clseave.models.loading import load_layers, load_model, make
from clseave.models.pooling import pool_at, pool_mean, position
from clseave.models.tokens import checked_end, load_tokenizer

LAYER_NORM_EPS = 1e-12  # mBERT's own value, kept by the thesis author's code


class Student(nn.Module):
    """mBERT without its pooler, LayerNorm on the last states, pooling, Linear without bias."""

    def __init__(self, bert: BertModel, tokenizer: PreTrainedTokenizerBase, width: int, pooling: Pooling):
        """Add the layers; `width` is the size of the teacher's vectors. UserError when tokenizer and `bert` differ."""
        super().__init__()
        if pooling not in get_args(Pooling):
            raise ValueError(f"pooling {pooling!r} is not one of {', '.join(get_args(Pooling))}")
        self.bert, self.tokenizer, self.pooling = bert, tokenizer, pooling
        self.end = bert.config.eos_token_id = checked_end(tokenizer, bert.config)
        self.norm = nn.LayerNorm(bert.config.hidden_size, eps=LAYER_NORM_EPS)
        self.projection = nn.Linear(bert.config.hidden_size, width, bias=False)

    @property
    def width(self) -> int:
        """Size of a sentence vector."""
        return self.projection.out_features

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return sentence vectors, not normalised: (B, T) ids and mask -> (B, D)."""
        if (at := position(ids, self.end, self.pooling)) is None:
            states = self.norm(self.bert(input_ids=ids, attention_mask=mask).last_hidden_state)  # (B, T, W)
            return self.projection(pool_mean(states, mask))  # (B, W) -> (B, D)
        return self.projection(self.norm(last_state(self.bert, ids, mask, at)))

    def save(self, folder: Path | str) -> None:
        """Write mBERT in Hugging Face layout, and the two added layers and their settings."""
        folder = Path(folder)
        self.bert.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        with atomic(folder / "projection.safetensors") as temporary:
            save_file(
                {
                    "norm.weight": self.norm.weight.data,
                    "norm.bias": self.norm.bias.data,
                    "projection.weight": self.projection.weight.data,
                },
                temporary,
            )
        write_json(folder / "student.json", {"width": self.width, "pooling": self.pooling})

    @classmethod
    def load(cls, folder: Path | str) -> "Student":
        """Load a saved student, in evaluation mode."""
        folder = Path(folder)
        student = make(partial(cls, load_mbert(folder), load_tokenizer(folder)), folder / "student.json")
        load_layers(student, folder / "projection.safetensors", beside="bert")
        return student.eval()


def last_state(bert: BertModel, ids: torch.Tensor, mask: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Return the last state of a token of each row, (B, T), (B, T), (B,) -> (B, W), equal to that of a full pass.

    After its self-attention, the last layer is computed for this token only.
    """
    *lower, last = bert.encoder.layer
    states = bert.embeddings(input_ids=ids)  # (B, T, W)
    visible = create_bidirectional_mask(config=bert.config, inputs_embeds=states, attention_mask=mask)
    for layer in lower:
        states = layer(states, visible)
    context, _ = last.attention.self(states, visible)  # (B, T, W)
    return last.feed_forward_chunk(last.attention.output(pool_at(context, at), pool_at(states, at)))


def load_mbert(folder: Path | str, dropout: float | None = None) -> BertModel:
    """Load mBERT without its pooler, from a folder in Hugging Face layout; `dropout` overrides both of its rates."""
    rates = {} if dropout is None else {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    return load_model(BertModel, folder, add_pooling_layer=False, **rates)
