"""Translation by a local sequence-to-sequence model of `transformers`: M2M100, NLLB or Marian.

Imports torch and transformers, so only code that translates with a model imports this module.
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
# Names of target languages in multilingual Marian models, where they differ from the ISO 639-1 code.
MARIAN_CODES = {"zh": ("cmn_Hans", "cmn", "zho_Hans"), "ja": ("jap",), "ar": ("ara",)}


class _Ready(NamedTuple):
    """A loaded model with its settings: `prefix` of every text, `start` arguments of `generate`, `limit` in tokens."""

    tokenizer: Any
    model: Any
    prefix: str
    start: dict[str, int]
    limit: int


class NmtBackend:
    """Translates batch by batch with a model that is loaded for the first text."""

    name = "nmt"

    def __init__(self, settings: NmtTranslation, language: str, device: str, origin: str = SOURCE):
        """Choose device ("cpu", "cuda" or "auto") and precision: bfloat16 on a GPU, float32 on the CPU; part of
        `version`.
        """
        self._settings = settings
        self._origin, self._language = origin, language
        self._device = numerics.start_torch(0, device)
        self._dtype = torch.float32 if self._device.type == "cpu" else torch.bfloat16
        decoding = f"beams={settings.beams} max_new_tokens={settings.max_new_tokens}"
        kind = str(self._dtype).removeprefix("torch.")
        self.version = f"{_identity(settings.model)} {decoding} {kind} transformers={transformers.__version__}"

    def translate(self, texts: Sequence[str]) -> Iterator[Answer]:
        """Yield answers batch by batch, longest texts first, so that a lack of memory shows at once.

        A text longer than the model's limit, and a translation that does not end within `max_new_tokens`, are failures.
        UserError for a model of an unsupported type, or without the language.
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
            tokens = self._generate(model, inputs, start)[:, 1 + len(start) :]  # without the decoder's start tokens
            yield from self._decode(batch, tokenizer, tokens)

    def share(self, texts: Sequence[str], shard: Shard) -> list[str]:
        """Return the texts of a shard: whole batches of `translate`, because an answer may depend on the padding of its
        batch.

        Texts that are too long belong to no shard, as they are not translated.
        """
        return [text for batch in share(list(self._batches(self._lengths(texts))), shard) for text in batch]

    def _lengths(self, texts: Sequence[str]) -> dict[str, int]:
        """Return the number of tokens by text."""
        return {text: len(_tokens(self._ready.tokenizer, self._ready.prefix, [text]).input_ids[0]) for text in texts}

    def _batches(self, lengths: dict[str, int]) -> Iterator[list[str]]:
        """Yield batches of the texts within the model's limit."""
        fitting = {text: length for text, length in lengths.items() if length <= self._ready.limit}
        return batches_by_length(fitting, self._settings.batch_tokens)

    @cached_property
    def _ready(self) -> "_Ready":
        """The loaded model, fetched on first use. UserError for a model of an unsupported type, or without the
        language.
        """
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
        """Load tokenizer and model. UserError when the tokenizer is unusable."""
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # on damaged files the library raises almost anything
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(f"translate.model: {self._settings.model.id} has no usable tokenizer: {why}") from error
        # Marian's tokenizer rewrites punctuation only when sacremoses is installed; disable it for equal answers.
        tokenizer.punc_normalizer = str
        safe = self._settings.model.weights == "safetensors"  # else pytorch_model.bin, only its tensors are loaded
        model = load_model(AutoModelForSeq2SeqLM, folder, dtype=self._dtype, use_safetensors=safe)
        # Marian's default forces an end token at the limit, which would make a truncated translation look complete.
        model.generation_config.forced_eos_token_id = None
        model.generation_config.max_length = None
        return tokenizer, model.to(self._device)

    def _generate(self, model: Any, inputs: Any, start: dict[str, int]) -> torch.Tensor:
        """Return tokens (B, L): the decoder's start token, the language token if the model has one, and the
        translation.
        """
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
        """Yield the answers of a batch from its tokens (B, L); a text without an end token is a failure."""
        ended = (tokens == tokenizer.eos_token_id).any(dim=1).tolist()
        answers = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        for text, answer, whole in zip(batch, answers, ended, strict=True):
            cut = None if whole else f"cut off: no end after {self._settings.max_new_tokens} tokens"
            yield Answer(text, answer, cut)


def _tokens(tokenizer: Any, prefix: str, texts: Sequence[str], **settings: Any) -> Any:
    """Tokenise texts; what is spelt like a special token or a language token is treated as text.

    Marian's tokenizer takes a first word such as `>>deu<<` for a language token unless a space precedes it.
    """
    lines = [prefix + (" " if text.startswith(">>") else "") + text for text in map(tidy, texts)]
    return tokenizer(lines, split_special_tokens=True, **settings)


def batches_by_length(lengths: dict[str, int], batch_tokens: int) -> Iterator[list[str]]:
    """Yield texts, longest first, in batches of at most `batch_tokens` tokens including padding; a longer text alone.

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
    """Return how the two languages are passed to the model: as a prefix of the text, and as arguments of `generate`.

    UserError for a model of an unsupported type, or without one of the languages.
    """
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
            # A model with one target language. When it does not name it, trust the user's choice from English only.
            unnamed = names if origin == SOURCE else ["(its settings name none)"]
            only = [tokenizer.target_lang] if tokenizer.target_lang else unnamed
            code = _one_of(names, signs or only, language, name)
            return f">>{code}<< " if signs else "", {}
    raise UserError(f"translate.model.id: found {name}, a {kind}, allowed: M2M100 or NLLB (m2m_100), Marian (marian)")


def _one_of(names: Sequence[str], known: Sequence[str], language: str, model: str) -> str:
    """Return the first name that the model knows. UserError lists the model's languages."""
    for name in names:
        if name in known:
            return name
    raise UserError(f"languages: found {language!r}, allowed with {model}: {', '.join(sorted(known))}")


def _identity(model: Pretrained) -> str:
    """Return id and revision of a model; for a local folder, whose path is arbitrary, a hash of its files."""
    if model.revision is not None and not model.id.startswith((".", "/")):
        return f"{model.id}@{model.revision}"
    folder = hub.fetch(model, FILES, "translate.model")
    names = (*FILES, *pretrained.weight_files(folder, model.weights))
    files = sorted({path for pattern in names for path in folder.glob(pattern)})
    listed = "".join(f"{path.name} {of_file(path)}\n" for path in files)
    return f"local@{of_text(listed)[:16]}"
