"""Gold data of the grammar's own sentences: translations and word alignments, by English text."""

from functools import cache

from clseave.foundation.errors import UserError
from clseave.miniature.grammar import PHRASINGS, Sentence, align, express
from clseave.miniature.statements import Fact, all_facts

VERSION = "1"  # of the grammar; part of every gold translation


@cache
def _topics() -> dict[Fact, int]:
    """Return the number of each topic; all facts of a topic reserve the same phrasing."""
    return {topic: number for number, topic in enumerate(dict.fromkeys(fact.topic for fact in all_facts()))}


def other_phrasing(fact: Fact) -> int:
    """Return the phrasing of a fact that is reserved for the independent translations."""
    return _topics()[fact.topic] % PHRASINGS


def pipeline_phrasing(fact: Fact, turn: int) -> int:
    """Return the phrasing of the `turn`-th use of a fact in the pipeline, which alternates all but the reserved one."""
    return (other_phrasing(fact) + 1 + turn % (PHRASINGS - 1)) % PHRASINGS


@cache
def facts_by_sentence() -> dict[str, tuple[Fact, int]]:
    """Return fact and phrasing of each English sentence of the miniature."""
    return {
        express(fact, "en", phrasing).text: (fact, phrasing) for fact in all_facts() for phrasing in range(PHRASINGS)
    }


def sentence(english: str, language: str) -> Sentence:
    """Translate an English sentence. UserError when the grammar does not generate it."""
    if english not in facts_by_sentence():
        raise UserError(f"the grammar never says {english!r}: gold translations exist for its own sentences only")
    fact, phrasing = facts_by_sentence()[english]
    return express(fact, language, phrasing)


@cache
def _facts_by_sentence_in(language: str) -> dict[str, tuple[Fact, int]]:
    """Return fact and phrasing of each sentence of a language; the first, where two facts have the same sentence."""
    by_text: dict[str, tuple[Fact, int]] = {}
    for fact, phrasing in facts_by_sentence().values():
        by_text.setdefault(express(fact, language, phrasing).text, (fact, phrasing))
    return by_text


def back(text: str, language: str) -> str:
    """Translate a sentence back into English, in another phrasing than its source: real round trips differ too.

    UserError when the grammar does not generate it.
    """
    if text not in _facts_by_sentence_in(language):
        raise UserError(f"the grammar never says {text!r} in {language}: it translates its own sentences only")
    fact, phrasing = _facts_by_sentence_in(language)[text]
    return paraphrase(fact, phrasing, "en")


def paraphrase(fact: Fact, phrasing: int, language: str) -> str:
    """Return the fact in the grammar's next phrasing."""
    return express(fact, language, (phrasing + 1) % PHRASINGS).text


def translate(text: str, origin: str, language: str) -> str:
    """Translate a sentence from English, or `back` into English. UserError when the grammar does not generate it."""
    return sentence(text, language).text if origin == "en" else back(text, origin)


def word_pairs(english: str, language: str) -> list[list[int]]:
    """Return the gold word alignment: sorted 0-based pairs (English word, target word)."""
    return [list(pair) for pair in align(sentence(english, "en"), sentence(english, language))]
