"""Text normalisation of BERT tokenizers (case, accents, Chinese characters), read from the model's files."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from clseave.foundation.errors import UserError

# Settings of normalisation, by their names in tokenizer.json, with the names in tokenizer_config.json.
NORMALISATION = {
    "lowercase": "do_lower_case",
    "strip_accents": "strip_accents",
    "handle_chinese_chars": "tokenize_chinese_chars",
}
NORMALISED = "ÀÉ中x"  # a text that each setting changes


def settings_from_tokenizer(normaliser: dict[str, Any], config: dict[str, Any]) -> dict[str, bool]:
    """Return the settings that only tokenizer.json has, by their names in tokenizer_config.json."""
    parts = normaliser.get("normalizers", [normaliser])
    values = {NORMALISATION[key]: part[key] for part in parts for key in NORMALISATION.keys() & part.keys()}
    return {name: value for name, value in values.items() if value is not None and config.get(name) is None}


def require_normalisation(
    folder: Path, made: PreTrainedTokenizerBase, whole: dict[str, Any], config: dict[str, Any]
) -> None:
    """Raise UserError unless the files of a BERT define its normalisation, and agree on it."""
    if not whole and not isinstance(config.get("do_lower_case"), bool):
        raise UserError(
            f"{folder}: nothing says whether this BERT lower-cases: expected tokenizer_config.json with "
            '"do_lower_case" true (an uncased model) or false (a cased one): copy that file, or tokenizer.json, from '
            "where the model comes from"
        )
    if not whole:
        return
    kind, ours = whole["model"].get("type"), type(made.backend_tokenizer.model).__name__
    if kind not in (None, ours):
        raise UserError(
            f"{folder}: tokenizer.json holds a {kind} vocabulary, which {type(made).__name__} would read as {ours}: "
            'expected tokenizer_config.json with its "tokenizer_class": copy it from where the model comes from'
        )
    empty = {"model": {"type": "WordLevel", "vocab": {}, "unk_token": ""}, "added_tokens": []}
    theirs = Tokenizer.from_str(json.dumps(whole | empty)).normalizer
    wanted = theirs.normalize_str(NORMALISED) if theirs else NORMALISED
    found = made.backend_tokenizer.normalizer.normalize_str(NORMALISED)
    if wanted != found:
        raise UserError(
            f"{folder}: tokenizer.json makes {wanted!r} of {NORMALISED!r}, tokenizer_config.json {found!r}: they "
            "disagree on lower-casing, accents or Chinese characters: copy both from where the model comes from"
        )
