"""Pooling of token states to a sentence vector; no other module chooses the position."""

import torch

from clseave.foundation.settings.schema import Pooling


def position(ids: torch.Tensor, end: int, how: Pooling) -> torch.Tensor | None:
    """Return the position of the pooled token of each row, (B, T) -> (B,); None for the mean over tokens.

    "sep" is the first `end` token (thesis 3.3: [SEP]), "cls" the first token. "highest" is the first token with the
    highest id: the end token in CLIP's vocabulary, but any word in BERT's; the thesis author's published code evaluates
    this way. ValueError when a row has no end token.
    """
    match how:
        case "sep":
            return _ends(ids, end)
        case "cls":
            return torch.zeros(len(ids), dtype=torch.long, device=ids.device)
        case "highest":
            return ids.argmax(dim=1)
        case "mean":
            return None


def pool_at(states: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Return the state at a position of each row, (B, T, D), (B,) -> (B, D)."""
    return states[torch.arange(len(at), device=at.device), at]


def pool_at_end(states: torch.Tensor, ids: torch.Tensor, end: int) -> torch.Tensor:
    """Return the state of the first `end` token, (B, T, D), (B, T) -> (B, D). ValueError when a row has none."""
    return pool_at(states, _ends(ids, end))


def pool_mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean over tokens that are not padding, (B, T, D), (B, T) -> (B, D)."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def _ends(ids: torch.Tensor, end: int) -> torch.Tensor:
    """Return the position of the first `end` token of each row, (B, T) -> (B,)."""
    is_end = ids == end
    if not torch.compiler.is_compiling() and not bool(is_end.any(dim=1).all()):
        row = int((~is_end.any(dim=1)).nonzero()[0])
        raise ValueError(f"row {row} has no end token {end}: was it cut, or made by another tokenizer?")
    return is_end.int().argmax(dim=1)  # a row without `end` would give 0, silently
