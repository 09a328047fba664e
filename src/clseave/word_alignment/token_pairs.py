"""Aligned tokens: word pairs of a sentence and its translation, as token positions (thesis 3.2.1)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import Alignment, Translation, iter_rows, require
from clseave.models.tokens import Ragged, in_chunks


@dataclass(frozen=True)
class TokenPairs:
    """Sentence pairs: token ids of both sides, and aligned positions, each word represented by its first sub-word."""

    source: Ragged
    target: Ragged
    source_positions: Ragged
    target_positions: Ragged

    def __len__(self) -> int:
        return len(self.source)


def read_aligned(
    translations: Path, alignments: Path, wanted: Collection[str], *, unpaired: bool = False
) -> list[tuple[Translation, Alignment]]:
    """Return translation and alignment of the wanted hypotheses that have a word pair; with `unpaired`, of all.

    UserError for a missing row.
    """
    rows = {row.hypothesis_id: row for row in iter_rows(translations, Translation) if row.hypothesis_id in wanted}
    require(wanted, rows, f"translation in {translations}")
    links = {row.hypothesis_id: row for row in iter_rows(alignments, Alignment) if row.hypothesis_id in rows}
    require(wanted, links, f"alignment in {alignments}")
    return [(row, links[key]) for key, row in rows.items() if unpaired or links[key].pairs]


def first_positions(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], words: Sequence[Sequence[str]]
) -> tuple[Ragged, list[list[int | None]]]:
    """Return the token ids of each text, and for each of its words the position of the token with its first character.

    A token may start before the word where the text has no spaces: WordPiece splits Han characters, but not kana. When
    the tokenizer drops the first character, the next one counts; a word dropped completely has no position (None).
    UserError when the words are not those of the text.
    """
    remaining = zip(texts, words, strict=True)
    ids: list[list[int]] = []
    found: list[list[int | None]] = []
    for encoded in in_chunks(tokenizer, texts, return_offsets_mapping=True):
        ids += encoded.input_ids
        found += [_starts(*next(remaining), offsets) for offsets in encoded.offset_mapping]
    return Ragged.of(ids), found


def _starts(text: str, words: Sequence[str], offsets: Sequence[tuple[int, int]]) -> list[int | None]:
    """Return the position of each word's first token, from the tokens' spans in the text."""
    holder = {place: position for position, span in enumerate(offsets) for place in range(*span)}
    positions, cursor = [], 0
    for word in words:
        start = text.find(word, cursor)
        if start < 0:
            raise UserError(
                f"word {word!r} is not in {text!r} after the words before it: expected the words of this text"
            )
        cursor = start + len(word)
        positions.append(next((holder[place] for place in range(start, cursor) if place in holder), None))
    return positions


def token_pairs(
    rows: Sequence[tuple[Translation, Alignment]],
    source_tokenizer: PreTrainedTokenizerBase,
    target_tokenizer: PreTrainedTokenizerBase,
    *,
    words: bool = True,
    terminal: bool = False,
) -> TokenPairs:
    """Convert word pairs to token pairs, with CLIP's tokenizer on the English side and mBERT's on the other.

    `words`: whether aligned words are pairs; `terminal`: whether the tokens that end the two sentences are one.
    """
    source, left = first_positions(
        source_tokenizer, [row.source for row, _ in rows], [link.source_words for _, link in rows]
    )
    target, right = first_positions(
        target_tokenizer, [row.text for row, _ in rows], [link.target_words for _, link in rows]
    )
    pairs = [
        [(start, end) for i, j in link.pairs if (start := ours[i]) is not None and (end := theirs[j]) is not None]
        if words
        else []
        for (_, link), ours, theirs in zip(rows, left, right, strict=True)
    ]
    if terminal:  # every row ends with its end token, a shortened one too
        for row, ours, theirs in zip(pairs, source.lengths, target.lengths, strict=True):
            row.append((int(ours) - 1, int(theirs) - 1))
    starts, ends = (Ragged.of([pair[side] for pair in row] for row in pairs) for side in (0, 1))
    return TokenPairs(source, target, starts, ends)


def flatten(positions: Sequence[Sequence[int] | np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return row and column indices of all positions of a batch, two (P,) int64."""
    rows = np.repeat(np.arange(len(positions)), [len(row) for row in positions])
    columns = np.concatenate([np.asarray(row, dtype=np.int64) for row in positions])
    return torch.from_numpy(rows), torch.from_numpy(columns)


def gather(states: torch.Tensor, positions: Sequence[Sequence[int] | np.ndarray]) -> torch.Tensor:
    """Return the states of the aligned tokens, (B, T, W) -> (P, W)."""
    return states[flatten(positions)]
