"""Tokenisation: special tokens, truncation, padding, and checks of the end token."""

import json
import logging
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from transformers import (
    AutoTokenizer,
    BatchEncoding,
    GemmaTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    Siglip2Tokenizer,
)

from clseave.foundation.errors import UserError
from clseave.foundation.files.remedies import restore_command
from clseave.foundation.visible import visible
from clseave.models import normalisation

LongTexts = Literal["stop", "cut"]
POLICY = "long_texts"  # its key in tokenizer_config.json
ROBERTA = ("xlm-roberta", "altclip_text_model", "roberta", "camembert", "xlm-roberta-xl", "xmod", "data2vec-text")
CHUNK = 10_000  # texts per call of the tokenizer, to limit its memory
REMAKE = "run the stage that writes this model"

log = logging.getLogger(__name__)


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model folder, without network and without running code of the folder.

    UserError when there is none, and when the folder does not define whether to lower-case: transformers lower-cases
    for every BERT unless tokenizer_config.json forbids it, whatever tokenizer.json says.
    """
    try:
        whole, config = (_settings(Path(folder, name)) for name in ("tokenizer.json", "tokenizer_config.json"))
        if _settings(Path(folder, "config.json")).get("model_type") == "chinese_clip" and not whole:
            config = {"do_lower_case": True} | config  # published as a vocabulary alone
        extra = normalisation.settings_from_tokenizer(whole.get("normalizer") or {}, config)
        made = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False, **extra)
        made("one word")
    except Exception as error:  # for damaged files the library raises almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{folder}: no tokenizer there: {restore_command(folder, REMAKE)} ({reason})") from error
    if len(made) <= len(made.all_special_tokens):  # without a vocabulary the library adds special tokens only
        raise UserError(f"{folder}: no tokenizer there: {restore_command(folder, REMAKE)} (it has no vocabulary)")
    if made.pad_token_id is None:
        raise UserError(f"{folder}: its tokenizer names no padding token, expected one in tokenizer_config.json")
    if isinstance(getattr(made, "do_lower_case", None), bool) and made.is_fast:
        normalisation.require_normalisation(Path(folder), made, whole, config)
    return made


def _settings(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty without a file."""
    return json.loads(path.read_text(encoding="utf-8-sig")) if path.exists() else {}


def set_policy(tokenizer: PreTrainedTokenizerBase, long_texts: LongTexts) -> None:
    """Set the policy for texts longer than the model's limit; it is saved with the tokenizer."""
    if long_texts != "stop":  # the default
        tokenizer.init_kwargs[POLICY] = long_texts


def end_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the id of the end token: CLIP's end of text, BERT's [SEP]. ValueError when sentences end otherwise."""
    ends = tokenizer("").input_ids[-1]
    expected = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    if ends != expected:
        raise ValueError(f"the tokenizer ends sentences with id {ends}, its end token is {expected}")
    return int(ends)


def load_fitting(folder: Path | str) -> PreTrainedTokenizerBase:
    """Load a published model's tokenizer. UserError for one that does not fit its model, or cannot be used here."""
    tokenizer, config = load_tokenizer(folder), _settings(Path(folder, "config.json"))
    siglip = config.get("model_type") == "siglip"
    if siglip and type(tokenizer) is GemmaTokenizer:  # as SigLIP 2 names it; it was trained on lower case
        tokenizer = Siglip2Tokenizer.from_pretrained(str(folder), local_files_only=True)
    if not tokenizer.is_fast:
        name = type(tokenizer).__name__
        raise UserError(f"{folder}: {name} does not say where a word's tokens are: name a model with another tokenizer")
    vocabulary = (config.get("text_config") or config).get("vocab_size")
    if isinstance(vocabulary, int) and len(tokenizer) > vocabulary:
        raise UserError(f"{folder}: the tokenizer has {len(tokenizer)} tokens, the model {vocabulary}")
    try:
        end_id(tokenizer)
    except (ValueError, IndexError) as error:
        raise UserError(f"{folder}: {error}, expected sentences to end with it") from error
    if siglip and len(tokenizer("").input_ids) > 1:
        raise UserError(f"{folder}: its tokenizer begins sentences with a token, which SigLIP was not trained with")
    return tokenizer


def longest_text(config: PreTrainedConfig) -> int:
    """Return how many tokens a text encoder takes; the family of RoBERTa counts positions from the id of padding."""
    start = config.pad_token_id + 1 if config.model_type in ROBERTA else 0
    return int(config.max_position_embeddings) - start


def checked_end(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> int:
    """Return `end_id`. UserError when tokenizer and configuration are of different models.

    They are when the configuration names another end token or has fewer tokens. Mixed models raise no other error.
    """
    end, where = end_id(tokenizer), config.name_or_path or "model and tokenizer"
    fix = "two models are mixed: `dvc checkout`, or run the stage that writes them"
    if config.eos_token_id not in (None, end):
        raise UserError(
            f"{where}: the model pools at id {config.eos_token_id}, the tokenizer ends sentences with id {end}: {fix}"
        )
    if len(tokenizer) > config.vocab_size:
        raise UserError(f"{where}: the tokenizer has {len(tokenizer)} tokens, the model {config.vocab_size}: {fix}")
    return end


class Ragged:
    """Rows of integers of unequal length in one flat array: 4 bytes a number, where a list takes 40."""

    def __init__(self, values: np.ndarray, lengths: np.ndarray):
        """Take the concatenated rows, `values` (S,), and their `lengths` (N,), which sum to S."""
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
        """Collect rows from an iterable."""
        values, lengths = array("i"), array("q")
        for row in rows:
            values.extend(row)
            lengths.append(len(row))
        return cls(np.array(values, dtype=np.int32), np.array(lengths, dtype=np.int64))

    @classmethod
    def joined(cls, parts: Sequence["Ragged"]) -> "Ragged":
        """Concatenate the rows of all parts."""
        return cls(np.concatenate([part.values for part in parts]), np.concatenate([part.lengths for part in parts]))

    def tolist(self) -> list[list[int]]:
        """Return the rows as lists."""
        return [row.tolist() for row in self]


def _encode(tokenizer: PreTrainedTokenizerBase, texts: list[str], **settings: Any) -> tuple[BatchEncoding, int]:
    """Tokenise; return the encoding, and the number of special tokens added to a text, the last of them at its end.

    Rows have no further special tokens: text spelt like a special token is split, or replaced by the unknown token if
    the vocabulary has it as a piece (Unigram). UserError when there is no unknown token for this.
    """
    encoded = tokenizer(
        texts, split_special_tokens=True, return_attention_mask=False, return_token_type_ids=False, **settings
    )
    added, unknown = tokenizer("").input_ids, tokenizer.unk_token_id
    usable = unknown is not None and unknown not in added
    special = {*added, *tokenizer.all_special_ids} - {unknown} if usable else {*added}
    for text, row in zip(texts, encoded.input_ids, strict=True):
        if sum(map(special.__contains__, row)) == len(added):
            continue
        if not usable:
            raise UserError(f"{text!r}: its tokenizer reads a part of it as a special token: leave that part out")
        inner = slice(len(added) - 1, len(row) - 1)
        row[inner] = [unknown if token in special else token for token in row[inner]]
    return encoded, len(added)


def word_pieces(tokenizer: PreTrainedTokenizerBase, word: str) -> list[int]:
    """Return the token ids of a single word, without special tokens; none if the model drops all its characters."""
    encoded, added = _encode(tokenizer, [word])
    return list(encoded.input_ids[0][added - 1 : -1])


def unknown_share(tokenizer: PreTrainedTokenizerBase, text: str) -> float:
    """Return the share of unknown tokens in a text; punctuation counts only where there is nothing else."""
    encoded, added = _encode(tokenizer, [text], return_offsets_mapping=True)
    inner = list(zip(encoded.input_ids[0], encoded.offset_mapping[0], strict=True))[added - 1 : -1]
    words = [token for token, (start, end) in inner if any(map(str.isalnum, text[start:end]))]
    counted = words or [token for token, _ in inner]
    return counted.count(tokenizer.unk_token_id) / len(counted)


def in_chunks(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], **settings: Any) -> Iterator[BatchEncoding]:
    """Yield the encoding of each `CHUNK` of texts. UserError names a blank text, or one that is too long.

    With the policy "cut", texts that are too long are truncated before the end token, and a warning counts them.
    """
    longest, cut = tokenizer.model_max_length, 0
    for start in range(0, len(texts), CHUNK):
        chunk = list(texts[start : start + CHUNK])
        for text in chunk:
            _require_text(text)
        encoded, added = _encode(tokenizer, chunk, **settings)
        for number, row in enumerate(encoded.input_ids):
            if len(row) == added:
                raise UserError(f"the model drops every character of {chunk[number]!r}: no token is left to encode")
            if len(row) <= longest:
                continue
            if tokenizer.init_kwargs.get(POLICY, "stop") == "stop":
                raise UserError(
                    f"{len(row)} tokens, the model takes {longest}: {chunk[number]!r}: shorten it in the data, or let "
                    "`long_texts: cut`, below `backbones` in the profile, leave its end out"
                )
            for column in encoded.values():  # ids and, if requested, offsets
                column[number] = [*column[number][: longest - 1], column[number][-1]]
            cut += 1
        yield encoded
    if cut:
        log.warning("%d of %d texts are longer than %d tokens: their ends are left out", cut, len(texts), longest)


def _require_text(text: str) -> None:
    """Raise UserError for a text with lone surrogates or without visible characters."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{text!r} holds a lone surrogate, expected text in UTF-8") from error
    if not visible(text):
        raise UserError(f"a blank text cannot be encoded: {text!r} holds nothing to see")


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Ragged:
    """Return the token ids of each text, with special tokens. UserError names a blank text, or one that is too long."""
    return Ragged.of(row for encoded in in_chunks(tokenizer, texts) for row in encoded.input_ids)


def pad(
    rows: Sequence[Sequence[int] | np.ndarray] | Ragged,
    tokenizer: PreTrainedTokenizerBase,
    device: torch.device | str = "cpu",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad rows of ids to the longest: return ids and attention mask, both (B, T) int64."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, tokenizer.pad_token_id, dtype=np.int64)
    ids[mask] = np.concatenate(list(rows))
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask.astype(np.int64)).to(device)


def in_order(count: int, size: int) -> list[np.ndarray]:
    """Return the rows 0 to count - 1 in batches of `size`, in order, for inference."""
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]
