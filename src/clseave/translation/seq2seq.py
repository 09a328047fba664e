"""Translation by a sequence-to-sequence model of `transformers`: M2M100, NLLB or Marian, on this machine.

Imports torch and transformers: only who translates with a model imports this module.
"""

import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from clseave.foundation.errors import UserError
from clseave.foundation.files.hashing import of_file, of_text
from clseave.foundation.process import numerics
from clseave.foundation.process.shards import Shard, share
from clseave.foundation.settings.schema import NmtTranslation, Pretrained
from clseave.models import hub, pretrained
from clseave.models.loading import load_model
from clseave.translation.answers import SOURCE, Answer, tidy

FILES = (*hub.SETTINGS, "target_vocab.json")
NLLB_ENGLISH = "eng_Latn"
NLLB_CODES = {
    "en": NLLB_ENGLISH,
    "de": "deu_Latn", "nl": "nld_Latn", "ja": "jpn_Jpan", "ko": "kor_Hang", "zh": "zho_Hans",
    "fr": "fra_Latn", "es": "spa_Latn", "ru": "rus_Cyrl", "ar": "arb_Arab",
}  # fmt: skip
# Names that Marian models with several target languages give theirs: by ISO 639-3, with a script, or as we do.
MARIAN_CODES = {"zh": ("cmn_Hans", "cmn", "zho_Hans"), "ja": ("jap",), "ar": ("ara",)}


class _Ready(NamedTuple):
    """A loaded model and how it is spoken to; `limit` is the longest text that it takes, in tokens."""

    tokenizer: Any
    model: Any
    prefix: str
    start: dict[str, int]
    limit: int


class NmtBackend:
    """Translates batch by batch with a model that is loaded when the first text is asked for."""

    name = "nmt"

    def __init__(self, settings: NmtTranslation, language: str, device: str, origin: str = SOURCE):
        """`device` is "cpu", "cuda" or "auto": bfloat16 on a GPU, float32 on the CPU, which is part of the version."""
        self._settings = settings
        self._origin, self._language = origin, language
        self._device = numerics.start_torch(0, device)
        self._dtype = torch.float32 if self._device.type == "cpu" else torch.bfloat16
        decoding = f"beams={settings.beams} max_new_tokens={settings.max_new_tokens}"
        kind = str(self._dtype).removeprefix("torch.")
        self.version = f"{_identity(settings.model)} {decoding} {kind} transformers={transformers.__version__}"

    def translate(self, texts: Sequence[str]) -> Iterator[Answer]:
        """Answers batch by batch, longest texts first, so that too little memory shows at once.

        A text longer than the model takes and a translation that does not end within `max_new_tokens` are failures.
        UserError for a model of another type, or without the language.
        """
        if not texts:
            return
        tokenizer, model, prefix, start, limit = self._ready
        lengths = self._lengths(texts)
        for text in texts:
            if lengths[text] > limit:
                yield Answer(text, None, f"too long: {lengths[text]} tokens, the model takes {limit}")
        for batch in self._batches(lengths):
            inputs = _tokens(tokenizer, prefix, batch, padding=True, return_tensors="pt")
            tokens = self._generate(model, inputs, start)[:, 1 + len(start) :]  # without what was there at the start
            yield from self._decode(batch, tokenizer, tokens)

    def share(self, texts: Sequence[str], shard: Shard) -> list[str]:
        """Return a shard's whole batches, of those that `translate` would make of all: an answer may depend on its
        padding.

        What is too long is no shard's: it takes no work.
        """
        return [text for batch in share(list(self._batches(self._lengths(texts))), shard) for text in batch]

    def _lengths(self, texts: Sequence[str]) -> dict[str, int]:
        """Token counts by text."""
        return {text: len(_tokens(self._ready.tokenizer, self._ready.prefix, [text]).input_ids[0]) for text in texts}

    def _batches(self, lengths: dict[str, int]) -> Iterator[list[str]]:
        """Batches of what the model takes."""
        fitting = {text: length for text, length in lengths.items() if length <= self._ready.limit}
        return batches_by_length(fitting, self._settings.batch_tokens)

    @cached_property
    def _ready(self) -> "_Ready":
        """Fetched and loaded at the first text. UserError for a model of another type, or without the language."""
        tokenizer, model = self._load(hub.fetch(self._settings.model, FILES, "translate.model"))
        try:
            prefix, start = _direction(
                tokenizer, model.config.model_type, (self._origin, self._language), self._settings.model.id
            )
        except UserError as error:
            if self._origin == SOURCE:
                raise
            why = "this Marian model translates one way only, " if model.config.model_type == "marian" else ""
            raise UserError(f"{error}; {why}or set translate.back: false") from error
        limit = min(tokenizer.model_max_length, model.config.max_position_embeddings)
        if self._settings.max_new_tokens >= limit:
            raise UserError(
                f"translate.max_new_tokens: found {self._settings.max_new_tokens}, allowed: less than {limit}, the "
                f"positions of {self._settings.model.id}"
            )
        return _Ready(tokenizer, model, prefix, start, limit)

    def _load(self, folder: Path) -> tuple[Any, Any]:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # of files that are damaged, the library raises almost anything
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(f"translate.model: {self._settings.model.id} has no usable tokenizer: {why}") from error
        # Marian's rewrites punctuation where a package happens to be installed: the same answers everywhere instead.
        tokenizer.punc_normalizer = str
        safe = self._settings.model.weights == "safetensors"  # else pytorch_model.bin, of which only tensors are read
        model = load_model(AutoModelForSeq2SeqLM, folder, dtype=self._dtype, use_safetensors=safe)
        # The default of Marian forces an end on what does not end by itself: it would pass for a whole translation.
        model.generation_config.forced_eos_token_id = None
        model.generation_config.max_length = None
        return tokenizer, model.to(self._device)

    def _generate(self, model: Any, inputs: Any, start: dict[str, int]) -> torch.Tensor:
        """Tokens (B, L): the decoder's start token, that of the language if the model has one, and the translation."""
        with torch.inference_mode():
            tokens: torch.Tensor = model.generate(
                **inputs.to(self._device),
                **start,
                num_beams=self._settings.beams,
                do_sample=False,
                max_new_tokens=self._settings.max_new_tokens,
            )
        return tokens

    def _decode(self, batch: Sequence[str], tokenizer: Any, tokens: torch.Tensor) -> Iterator[Answer]:
        ended = (tokens == tokenizer.eos_token_id).any(dim=1).tolist()
        answers = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        for text, answer, whole in zip(batch, answers, ended, strict=True):
            cut = None if whole else f"cut off: no end after {self._settings.max_new_tokens} tokens"
            yield Answer(text, answer, cut)


def _tokens(tokenizer: Any, prefix: str, texts: Sequence[str], **settings: Any) -> Any:
    """Return the tokenizer's answer to texts, in which what is spelt like a special token or a language's sign is text.

    Marian's takes the first word of a text for such a sign (`>>deu<<`), unless a space stands before it.
    """
    lines = [prefix + (" " if text.startswith(">>") else "") + text for text in map(tidy, texts)]
    return tokenizer(lines, split_special_tokens=True, **settings)


def batches_by_length(lengths: dict[str, int], batch_tokens: int) -> Iterator[list[str]]:
    """Yield texts, longest first, in batches of at most `batch_tokens` tokens with their padding; a longer text alone.

    `lengths` are token counts by text.
    """
    batch: list[str] = []
    for text in sorted(lengths, key=lambda text: -lengths[text]):  # stable: equal lengths keep their order
        if batch and lengths[batch[0]] * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def _direction(tokenizer: Any, kind: str, pair: tuple[str, str], name: str) -> tuple[str, dict[str, int]]:
    """What tells the model its two languages: words before the text, and settings of `generate`."""
    origin, language = pair
    match kind:
        case "m2m_100" if hasattr(tokenizer, "get_lang_id"):
            tokenizer.src_lang = _one_of([origin], list(tokenizer.lang_code_to_token), origin, name)
            code = _one_of([language], list(tokenizer.lang_code_to_token), language, name)
            return "", {"forced_bos_token_id": tokenizer.get_lang_id(code)}
        case "m2m_100":
            known = sorted(NLLB_CODES.values() & tokenizer.get_vocab().keys())
            tokenizer.src_lang = _one_of([NLLB_CODES.get(origin, "")], known, origin, name)
            code = _one_of([NLLB_CODES.get(language, "")], known, language, name)
            return "", {"forced_bos_token_id": tokenizer.convert_tokens_to_ids(code)}
        case "marian":
            signs = [token[2:-2] for token in tokenizer.get_vocab() if token.startswith(">>") and token.endswith("<<")]
            names = [*MARIAN_CODES.get(language, ()), NLLB_CODES.get(language, "")[:3], language]
            # Of a model with one target. One that does not say which goes from English: who chose it knows where to.
            unnamed = names if origin == SOURCE else ["(its settings name none)"]
            only = [tokenizer.target_lang] if tokenizer.target_lang else unnamed
            code = _one_of(names, signs or only, language, name)
            return f">>{code}<< " if signs else "", {}
    raise UserError(f"translate.model.id: found {name}, a {kind}, allowed: M2M100 or NLLB (m2m_100), Marian (marian)")


def _one_of(names: Sequence[str], known: Sequence[str], language: str, model: str) -> str:
    """Return the first name that the model knows. UserError lists its languages."""
    for name in names:
        if name in known:
            return name
    raise UserError(f"languages: found {language!r}, allowed with {model}: {', '.join(sorted(known))}")


def _identity(model: Pretrained) -> str:
    """Id and revision; of a local folder, whose path says nothing, a hash of what is in its files."""
    if model.revision is not None and not model.id.startswith((".", "/")):
        return f"{model.id}@{model.revision}"
    folder = hub.fetch(model, FILES, "translate.model")
    names = (*FILES, *pretrained.weight_files(folder, model.weights))
    files = sorted({path for pattern in names for path in folder.glob(pattern)})
    listed = "".join(f"{path.name} {of_file(path)}\n" for path in files)
    return f"local@{of_text(listed)[:16]}"
