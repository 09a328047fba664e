"""Text to token ids: one place that adds special tokens, cuts, pads and checks the end token."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from clseave.errors import UserError

PAD_MULTIPLE = 4  # a batch is padded to a multiple of this, so that few shapes occur


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


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text with special tokens. UserError names a blank text, or one too long for the model."""
    for text in texts:
        if not text.strip():
            raise UserError(f"a blank text cannot be encoded: {text!r}")
    rows = tokenizer(list(texts)).input_ids if texts else []
    for text, row in zip(texts, rows, strict=True):
        if len(row) > tokenizer.model_max_length:
            raise UserError(f"{len(row)} tokens, the model takes {tokenizer.model_max_length}: {text!r}")
    return rows


def pad(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, both (B, T) int64: T is the longest row, rounded up to `PAD_MULTIPLE`."""
    longest = max(len(row) for row in rows)
    width = -(-longest // PAD_MULTIPLE) * PAD_MULTIPLE
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
    return ids, mask
