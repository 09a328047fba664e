"""Text to token ids: one place that adds special tokens, cuts, pads and checks the end token."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, BatchEncoding, PreTrainedTokenizerBase

from clseave.errors import UserError

PAD_MULTIPLE = 4  # a batch is padded to a multiple of this, so that few shapes occur
CHUNK = 10_000  # texts that are tokenised at once: bounds the memory of the tokenizer's own rows


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """Tokenizer of a model folder, without asking the network. UserError when there is none."""
    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: no tokenizer there: run the stage that writes this model") from error


def end_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Id of the token that ends every sentence: CLIP's end of text, BERT's [SEP]. ValueError when there is none."""
    ends = tokenizer("").input_ids[-1]
    expected = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    if ends != expected:
        raise ValueError(f"the tokenizer ends sentences with id {ends}, its end token is {expected}")
    return int(ends)


class Ragged:
    """Rows of integers of unequal length in one flat array: four bytes a number, where a list takes forty."""

    def __init__(self, values: np.ndarray, lengths: np.ndarray):
        """`values` (S,) holds the rows one after another, `lengths` (N,) their sizes, which sum to S."""
        self.values, self.lengths = values.astype(np.int32), lengths.astype(np.int64)
        self._ends = np.cumsum(self.lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> np.ndarray:
        end = self._ends[row]
        return self.values[end - self.lengths[row] : end]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> "Ragged":
        """Collect rows, chunk by chunk."""
        values, lengths = array("i"), array("q")
        for row in rows:
            values.extend(row)
            lengths.append(len(row))
        return cls(np.array(values, dtype=np.int32), np.array(lengths, dtype=np.int64))

    @classmethod
    def joined(cls, parts: Sequence["Ragged"]) -> "Ragged":
        """The rows of all parts, one after another."""
        return cls(np.concatenate([part.values for part in parts]), np.concatenate([part.lengths for part in parts]))

    def tolist(self) -> list[list[int]]:
        """The rows as lists."""
        return [row.tolist() for row in self]


def in_chunks(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], **settings: Any) -> Iterator[BatchEncoding]:
    """The tokenizer's answer for each `CHUNK` of texts. UserError names a text that is blank or too long."""
    for start in range(0, len(texts), CHUNK):
        chunk = list(texts[start : start + CHUNK])
        for text in chunk:
            if not text.strip():
                raise UserError(f"a blank text cannot be encoded: {text!r}")
        encoded = tokenizer(chunk, return_attention_mask=False, return_token_type_ids=False, **settings)
        for text, row in zip(chunk, encoded.input_ids, strict=True):
            if len(row) > tokenizer.model_max_length:
                raise UserError(f"{len(row)} tokens, the model takes {tokenizer.model_max_length}: {text!r}")
        yield encoded


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Ragged:
    """Token ids of each text with special tokens. UserError names a text that is blank or too long."""
    return Ragged.of(row for encoded in in_chunks(tokenizer, texts) for row in encoded.input_ids)


def pad(
    rows: Sequence[Sequence[int] | np.ndarray] | Ragged, pad_id: int, device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, both (B, T) int64: T is the longest row, rounded up to `PAD_MULTIPLE`."""
    longest = max(len(row) for row in rows)
    width = -(-longest // PAD_MULTIPLE) * PAD_MULTIPLE
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.as_tensor(row)
        mask[number, : len(row)] = 1
    return ids.to(device), mask.to(device)
