"""The truth that the grammar knows about its own sentences: translation, words and word pairs, by English text."""

from functools import cache

from clseave.foundation.errors import UserError
from clseave.miniature.grammar import PHRASINGS, Sentence, align, express
from clseave.miniature.statements import Fact, all_facts

VERSION = "1"  # of the grammar; part of every gold translation


@cache
def _topics() -> dict[Fact, int]:
    """Number of each topic: facts of one topic keep the same phrasing for others."""
    return {topic: number for number, topic in enumerate(dict.fromkeys(fact.topic for fact in all_facts()))}


def other_phrasing(fact: Fact) -> int:
    """The phrasing in which the pipeline never says this fact: it is left to the independent translations."""
    return _topics()[fact.topic] % PHRASINGS


def pipeline_phrasing(fact: Fact, turn: int) -> int:
    """The phrasing of the `turn`-th use of a fact in the pipeline's own examples: all but `other_phrasing` in turn."""
    return (other_phrasing(fact) + 1 + turn % (PHRASINGS - 1)) % PHRASINGS


@cache
def sayings() -> dict[str, tuple[Fact, int]]:
    """What each English sentence of the miniature says: fact and phrasing."""
    return {
        express(fact, "en", phrasing).text: (fact, phrasing) for fact in all_facts() for phrasing in range(PHRASINGS)
    }


def sentence(english: str, language: str) -> Sentence:
    """The sentence in another language. UserError when the grammar cannot say it."""
    if english not in sayings():
        raise UserError(f"the grammar never says {english!r}: gold translations exist for its own sentences only")
    fact, phrasing = sayings()[english]
    return express(fact, language, phrasing)


@cache
def _sayings_in(language: str) -> dict[str, tuple[Fact, int]]:
    """What each sentence of a language says: fact and phrasing; the first, where two facts sound alike."""
    found: dict[str, tuple[Fact, int]] = {}
    for fact, phrasing in sayings().values():
        found.setdefault(express(fact, language, phrasing).text, (fact, phrasing))
    return found


def back(text: str, language: str) -> str:
    """A sentence in English, in other words than it was translated from: a round trip seldom gives the same ones.

    UserError when the grammar never says it.
    """
    if text not in _sayings_in(language):
        raise UserError(f"the grammar never says {text!r} in {language}: it translates its own sentences only")
    fact, phrasing = _sayings_in(language)[text]
    return reworded(fact, phrasing, "en")


def reworded(fact: Fact, phrasing: int, language: str) -> str:
    """The same fact in the grammar's next phrasing."""
    return express(fact, language, (phrasing + 1) % PHRASINGS).text


def translate(text: str, origin: str, language: str) -> str:
    """A sentence from English into a language of the grammar, or `back`. UserError when the grammar never says it."""
    return sentence(text, language).text if origin == "en" else back(text, origin)


def word_pairs(english: str, language: str) -> list[list[int]]:
    """Gold word alignment, sorted 0-based pairs (English word, target word)."""
    return [list(pair) for pair in align(sentence(english, "en"), sentence(english, language))]
