"""The CLSEAVE student: mBERT, LayerNorm, pooling at [SEP], a linear map to the teacher's width (thesis 3.3.1).

In place of mBERT it takes any text encoder of `pretrained.TEXT_ENCODERS`.
"""

from functools import partial
from pathlib import Path
from typing import get_args

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import BertModel, PreTrainedModel, PreTrainedTokenizerBase, XLMRobertaModel
from transformers.masking_utils import create_bidirectional_mask

from clseave.foundation.files.formats import atomic, write_json
from clseave.foundation.settings.schema import Pooling
from clseave.models.loading import load_layers, load_text_encoder, make
from clseave.models.pooling import pool_at, pool_mean, position
from clseave.models.tokens import checked_end, load_tokenizer

LAYER_NORM_EPS = 1e-12  # mBERT's own value, kept by the thesis author's code


class Student(nn.Module):
    """A text encoder without its pooler, LayerNorm on the last states, pooling, Linear without bias."""

    def __init__(self, encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, width: int, pooling: Pooling):
        """Add the layers; `width` is of the teacher's vectors. UserError when tokenizer and `encoder` differ."""
        super().__init__()
        if pooling not in get_args(Pooling):
            raise ValueError(f"pooling {pooling!r} is not one of {', '.join(get_args(Pooling))}")
        self.encoder, self.tokenizer, self.pooling = encoder, tokenizer, pooling
        self.end = encoder.config.eos_token_id = checked_end(tokenizer, encoder.config)
        self.norm = nn.LayerNorm(encoder.config.hidden_size, eps=LAYER_NORM_EPS)
        self.projection = nn.Linear(encoder.config.hidden_size, width, bias=False)

    @property
    def width(self) -> int:
        """Size of a sentence vector."""
        return self.projection.out_features

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return sentence vectors, not normalised: (B, T) ids and mask -> (B, D)."""
        at = position(ids, self.end, self.pooling)
        if at is not None and isinstance(self.encoder, BertModel | XLMRobertaModel):
            return self.projection(self.norm(last_state(self.encoder, ids, mask, at)))
        states = self.norm(self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state)  # (B, T, W)
        pooled = pool_mean(states, mask) if at is None else pool_at(states, at)  # (B, W)
        return self.projection(pooled)

    def save(self, folder: Path | str) -> None:
        """Write the text encoder in Hugging Face layout, and the two added layers and their settings."""
        folder = Path(folder)
        self.encoder.save_pretrained(folder)
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
        student = make(partial(cls, load_text_encoder(folder), load_tokenizer(folder)), folder / "student.json")
        load_layers(student, folder / "projection.safetensors", beside="encoder")
        return student.eval()


def last_state(
    bert: BertModel | XLMRobertaModel, ids: torch.Tensor, mask: torch.Tensor, at: torch.Tensor
) -> torch.Tensor:
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
