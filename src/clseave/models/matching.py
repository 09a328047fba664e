"""Heads that match hypothesis and premise in other ways than the thesis's `Head`; `studies/heads` compares them.

Every head takes two matrices, one row for each pair, and returns three raw logits. States of several tokens or patches
come as one row each, which the head that knows their number and width takes apart.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from clseave.foundation.rows.labels import LABELS
from clseave.models.head import Head
from clseave.models.towers import TextTower

HeadName = Literal["thesis", "mapped", "bilinear", "attention", "token_attention"]
HEADS = get_args(HeadName)
FORMS = 32  # bilinear forms
LAYERS, HEAD_WIDTH = 2, 24  # of the attention heads; the number of attention heads is the width over this


class MappedHead(nn.Module):
    """A linear map of the hypothesis vector, then the thesis's head.

    The map starts as the identity. Koishigarina et al. 2025 (arXiv 2502.03566, LABCLIP) map CLIP's text vectors so,
    before their cosine with image vectors.
    """

    def __init__(self, width: int, hidden: int, dropout: float):
        """`width` is D, the size of each vector."""
        super().__init__()
        self.map = nn.Linear(width, width)
        nn.init.eye_(self.map.weight)
        nn.init.zeros_(self.map.bias)
        self.head = Head(width, hidden, dropout)

    def forward(self, hypothesis: torch.Tensor, premise: torch.Tensor) -> torch.Tensor:
        """Logits, two (B, D) -> (B, 3)."""
        return self.head(self.map(hypothesis), premise)


class BilinearHead(nn.Module):
    """Bilinear forms h' W_k p of the two normalised vectors, k = 1 to `FORMS`; batch norm, ReLU, and 3 raw logits."""

    def __init__(self, width: int, hidden: int, dropout: float):
        """`width` is D, the size of each vector."""
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.forms = nn.Linear(width, FORMS * width, bias=False)
        self.layers = nn.Sequential(
            nn.BatchNorm1d(FORMS), nn.Linear(FORMS, hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, len(LABELS)),
        )  # fmt: skip

    def forward(self, hypothesis: torch.Tensor, premise: torch.Tensor) -> torch.Tensor:
        """Logits, two (B, D) -> (B, 3)."""
        hypothesis = self.dropout(functional.normalize(hypothesis, dim=-1))
        premise = self.dropout(functional.normalize(premise, dim=-1))
        mapped = self.forms(hypothesis).view(len(hypothesis), FORMS, -1)  # (B, FORMS, D)
        return self.layers((mapped @ premise.unsqueeze(-1)).squeeze(-1))


class AttentionHead(nn.Module):
    """Text states that attend to the image's patch states: a transformer decoder, then 3 raw logits of the last state.

    With one text state (the sentence vector) only that vector looks at the patches; with the states of all tokens each
    word does, and they attend to one another.
    """

    def __init__(self, width: int, patch_width: int, patches: int, hidden: int, dropout: float):
        """`width` is D, the size of a text state, `patch_width` V that of a patch state."""
        super().__init__()
        self.width, self.patches = width, patches
        self.norm, self.patch_norm = nn.LayerNorm(width), nn.LayerNorm(patch_width)
        self.place = nn.Parameter(torch.randn(patches, width) / width**0.5)
        self.inward = nn.Linear(patch_width, width)
        layer = nn.TransformerDecoderLayer(
            width, max(1, width // HEAD_WIDTH), hidden, dropout, batch_first=True, norm_first=True
        )
        self.decoder = nn.TransformerDecoder(layer, LAYERS, nn.LayerNorm(width))
        self.classify = nn.Linear(width, len(LABELS))

    def forward(self, hypothesis: torch.Tensor, premise: torch.Tensor) -> torch.Tensor:
        """Logits, (B, T * D) text states and (B, P * V) patch states -> (B, 3). Padding of texts is all zeros."""
        text = hypothesis.view(len(hypothesis), -1, self.width)  # (B, T, D)
        padding = (text == 0).all(-1)  # (B, T)
        longest = int((~padding).sum(1).max())
        text, padding = text[:, :longest], padding[:, :longest]
        patches = self.inward(self.patch_norm(premise.view(len(premise), self.patches, -1))) + self.place  # (B, P, D)
        with sdpa_kernel(SDPBackend.MATH):  # plain matrix products: the same on every processor
            states = self.decoder(self.norm(text), patches, tgt_key_padding_mask=padding)
        last = (~padding).sum(1) - 1
        return self.classify(states[torch.arange(len(states), device=states.device), last])


class TokenStates(TextTower):
    """CLIP's text tower that gives the projected states of all tokens, in one row: zeros in the place of padding."""

    @property
    def width(self) -> int:
        """Size of a row: the most tokens of a text, times the width of a state."""
        return int(self.model.config.max_position_embeddings) * super().width

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Projected states, (B, T) ids and mask -> (B, width)."""
        states = self.projected_states(ids, mask) * mask.unsqueeze(-1)  # (B, T, D)
        missing = self.model.config.max_position_embeddings - states.shape[1]
        return functional.pad(states, (0, 0, 0, missing)).flatten(1)


@dataclass(frozen=True)
class Patches:
    """How many patches an image has, and the size of a patch's state."""

    count: int
    width: int


def make_head(name: HeadName, width: int, hidden: int, dropout: float, patches: Patches) -> nn.Module:
    """A head with random weights; `width` is the size of a sentence vector."""
    if name in ("attention", "token_attention"):
        return AttentionHead(width, patches.width, patches.count, hidden, dropout)
    kinds = {"thesis": Head, "mapped": MappedHead, "bilinear": BilinearHead}
    return kinds[name](width, hidden, dropout)
