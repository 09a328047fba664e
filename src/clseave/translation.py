"""Translators behind one protocol: English text in, text out, each answer kept with what made it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from clseave import gold
from clseave.errors import UserError
from clseave.records import Translation


class Translator(Protocol):
    """Translates English texts into one target language."""

    name: str
    version: str

    def translate(self, texts: Sequence[str]) -> list[str]:
        """Translations in the order of `texts`. UserError when one cannot be had."""
        ...


class GoldTranslator:
    """The grammar's own translations."""

    name = "gold"
    version = gold.VERSION

    def __init__(self, language: str):
        """`language` is the target."""
        self.language = language

    def translate(self, texts: Sequence[str]) -> list[str]:
        """Say the same in the target language. UserError for a sentence that the grammar never says."""
        return [gold.sentence(text, self.language).text for text in texts]


def make_translator(backend: str, language: str) -> Translator:
    """The backend that a profile names. ValueError names the known ones."""
    if backend == "gold":
        return GoldTranslator(language)
    raise ValueError(f"no translation backend {backend!r}: gold")


def translate_hypotheses(hypotheses: Mapping[str, str], language: str, translator: Translator) -> list[Translation]:
    """One row per distinct hypothesis, in the order given. UserError names an answer that is no translation."""
    texts = translator.translate(list(hypotheses.values()))
    if len(texts) != len(hypotheses):
        raise UserError(f"{translator.name} gave {len(texts)} answers for {len(hypotheses)} sentences")
    blank = [source for source, text in zip(hypotheses.values(), texts, strict=True) if not text.strip()]
    if blank:
        raise UserError(
            f"{translator.name}: {len(blank)} translations into {language} are blank, first of {blank[0]!r}"
        )
    return [
        Translation(key, source, language, text, translator.name, translator.version)
        for (key, source), text in zip(hypotheses.items(), texts, strict=True)
    ]
