"""Contextual word retrieval: does a state of a word find its partner among the states of all words?"""

from collections.abc import Sequence

import torch
from torch.nn import functional


def retrieval_accuracy(queries: torch.Tensor, keys: torch.Tensor, words: Sequence[str]) -> dict[str, float]:
    """Share of the N queries whose nearest key by cosine is their own, and whose nearest is of the same word.

    `queries` and `keys` are states of word pairs, (N, W) each, row by row; `words` are the N words of the keys. Of
    equal keys the first counts, so a state that is the same for all words finds 1 of N.

    Source: Cao, Kitaev and Klein (2020), Multilingual Alignment of Contextual Word Representations, ICLR.
    """
    near = (functional.normalize(queries, dim=-1) @ functional.normalize(keys, dim=-1).T).argmax(1)
    own = (near == torch.arange(len(queries), device=near.device)).float().mean()
    same = sum(words[place] == words[row] for row, place in enumerate(near.tolist())) / len(words)
    return {"word_retrieval": float(own), "word_type_retrieval": float(same)}
