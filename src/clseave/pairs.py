"""Aligned tokens: the word pairs of a sentence and its translation as token positions (thesis 3.2.1)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from clseave.errors import UserError
from clseave.records import Alignment, Translation, read_rows, require
from clseave.text import encode, pad


@dataclass(frozen=True)
class TokenPairs:
    """One sentence pair: token ids of both sides and the aligned positions, each word by its first sub-word."""

    source: list[int]
    target: list[int]
    source_positions: list[int]
    target_positions: list[int]


def read_aligned(translations: Path, alignments: Path, wanted: Collection[str]) -> list[tuple[Translation, Alignment]]:
    """Translation and alignment of the wanted hypotheses, those with a word pair. UserError when one has no row."""
    links = {row.hypothesis_id: row for row in read_rows(alignments, Alignment)}
    rows = [row for row in read_rows(translations, Translation) if row.hypothesis_id in wanted]
    require(wanted, {row.hypothesis_id for row in rows}, f"translation in {translations}")
    require(wanted, links, f"alignment in {alignments}")
    return [(row, links[row.hypothesis_id]) for row in rows if links[row.hypothesis_id].pairs]


def first_positions(tokenizer: PreTrainedTokenizerBase, text: str, words: Sequence[str]) -> list[int]:
    """Position of the token that holds each word's first character. UserError when the words are not the text's.

    A token may reach over a word's start where the text has no spaces: WordPiece splits Han characters, not kana.
    """
    offsets = tokenizer(
        text, return_offsets_mapping=True, truncation=True, max_length=tokenizer.model_max_length
    ).offset_mapping
    holder = {place: position for position, span in enumerate(offsets) for place in range(*span)}
    positions, cursor = [], 0
    for word in words:
        start = text.find(word, cursor)
        if start not in holder:
            raise UserError(
                f"word {word!r} is not a token of {text!r}: other words than the text's, or a text longer than "
                f"the tokenizer's {tokenizer.model_max_length} tokens"
            )
        positions.append(holder[start])
        cursor = start + len(word)
    return positions


def token_pairs(
    translation: Translation,
    alignment: Alignment,
    source_tokenizer: PreTrainedTokenizerBase,
    target_tokenizer: PreTrainedTokenizerBase,
) -> TokenPairs:
    """Word pairs as token pairs: CLIP's tokenizer on the English side, mBERT's on the other."""
    source = first_positions(source_tokenizer, translation.source, alignment.source_words)
    target = first_positions(target_tokenizer, translation.text, alignment.target_words)
    return TokenPairs(
        encode(source_tokenizer, [translation.source])[0],
        encode(target_tokenizer, [translation.text])[0],
        [source[i] for i, _ in alignment.pairs],
        [target[j] for _, j in alignment.pairs],
    )


def flatten(positions: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Row and column indexes of all positions of a batch, two (P,) int64."""
    rows = np.repeat(np.arange(len(positions)), [len(row) for row in positions])
    columns = np.array([column for row in positions for column in row], dtype=np.int64)
    return torch.from_numpy(rows), torch.from_numpy(columns)


def gather(states: torch.Tensor, positions: Sequence[Sequence[int]]) -> torch.Tensor:
    """States of the aligned tokens, (B, T, W) -> (P, W)."""
    return states[flatten(positions)]


def batch(rows: Sequence[list[int]], tokenizer: PreTrainedTokenizerBase) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of one side, padded with that side's own padding id."""
    return pad(rows, tokenizer.pad_token_id)
