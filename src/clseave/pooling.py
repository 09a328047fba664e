"""Token states to one sentence vector: the only place where a position is chosen."""

from typing import Literal

import torch

Pooling = Literal["sep", "cls", "mean"]


def pool_at_end(states: torch.Tensor, ids: torch.Tensor, end: int) -> torch.Tensor:
    """State of the first `end` token, (B, T, D), (B, T) -> (B, D) (thesis 3.3: the [SEP] state).

    ValueError when a row has none: the position would silently be the first token.
    """
    found = ids == end
    if not torch.compiler.is_compiling() and not bool(found.any(dim=1).all()):
        row = int((~found.any(dim=1)).nonzero()[0])
        raise ValueError(f"row {row} has no end token {end}: was it cut, or made by another tokenizer?")
    return states[torch.arange(len(ids), device=ids.device), found.int().argmax(dim=1)]


def pool(states: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, end: int, how: Pooling) -> torch.Tensor:
    """Sentence vectors, (B, T, D) -> (B, D): the [SEP] state (thesis), the first state, or the mean of real tokens."""
    match how:
        case "sep":
            return pool_at_end(states, ids, end)
        case "cls":
            return states[:, 0]
        case "mean":
            weights = mask.unsqueeze(-1).to(states.dtype)
            return (states * weights).sum(dim=1) / weights.sum(dim=1)
