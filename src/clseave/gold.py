"""The truth that the grammar knows about its own sentences: translation, words and word pairs, by English text."""

from functools import cache

from clseave.errors import UserError
from clseave.facts import Fact, all_facts
from clseave.grammar import PHRASINGS, Sentence, align, express

VERSION = "1"  # of the grammar; part of every gold translation


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


def word_pairs(english: str, language: str) -> list[list[int]]:
    """Gold word alignment, sorted 0-based pairs (English word, target word)."""
    return [list(pair) for pair in align(sentence(english, "en"), sentence(english, language))]
