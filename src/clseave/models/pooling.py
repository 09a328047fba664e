"""Token states to one sentence vector: the only place where a position is chosen."""

import torch

from clseave.foundation.settings.schema import Pooling


def position(ids: torch.Tensor, end: int, how: Pooling) -> torch.Tensor | None:
    """The token of each row that is pooled, (B, T) -> (B,): the first `end` (thesis 3.3: [SEP]), or the first of all.

    None: the mean of all. "highest" is the first token with the highest id, which in CLIP's vocabulary is the end but
    in BERT's any word: the code that the thesis's author published evaluates so. ValueError when a row has no end: the
    position would silently be the first token.
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
    """The state at a position of each row, (B, T, D), (B,) -> (B, D)."""
    return states[torch.arange(len(at), device=at.device), at]


def pool_at_end(states: torch.Tensor, ids: torch.Tensor, end: int) -> torch.Tensor:
    """State of the first `end` token, (B, T, D), (B, T) -> (B, D). ValueError when a row has none."""
    return pool_at(states, _ends(ids, end))


def pool_mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over real tokens, (B, T, D), (B, T) -> (B, D)."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def _ends(ids: torch.Tensor, end: int) -> torch.Tensor:
    """Position of the first `end` of each row."""
    found = ids == end
    if not torch.compiler.is_compiling() and not bool(found.any(dim=1).all()):
        row = int((~found.any(dim=1)).nonzero()[0])
        raise ValueError(f"row {row} has no end token {end}: was it cut, or made by another tokenizer?")
    return found.int().argmax(dim=1)
