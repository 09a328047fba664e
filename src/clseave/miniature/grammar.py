"""The grammar: each fact as a sentence in six languages and three phrasings, with gold word alignments.

All languages share one mechanism: the template of a (kind, language, phrasing) is expanded token by token
(see `lexicon` for the notation). Only noun phrases, inflected numerals and Korean particles need rules.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby

from clseave.miniature import lexicon
from clseave.miniature.scenes import COLOURS, EMPTY, HALVES, HIDDEN, PLACES, SHAPES
from clseave.miniature.statements import DIRECTIONS, QUANTIFIERS, Fact, all_facts, descriptions

LANGUAGES = ("en", "de", "nl", "ja", "ko", "zh")
PHRASINGS = 3

_UNSPACED = ("ja", "zh")
_THINGS = descriptions()[0] + descriptions()[1]
_ALLOWED = {
    "np0": _THINGS,
    "np1": _THINGS,
    "place": PLACES,
    "half": tuple(HALVES),
    "direction": tuple(DIRECTIONS),
    "state": lexicon.ORDER["state"],
    "quantifier": tuple(QUANTIFIERS),
}
_HANGUL_FIRST, _HANGUL_LAST, _HANGUL_FINALS = 0xAC00, 0xD7A3, 28


@dataclass(frozen=True)
class Sentence:
    """A text and its words, which make the text when joined by a space (by nothing in ja and zh).

    `concepts[i]` are the language-independent concepts of word i; empty for a word without concepts.
    """

    language: str
    text: str
    words: tuple[str, ...]
    concepts: tuple[frozenset[str], ...]


@dataclass(frozen=True)
class _Word:
    """A word under construction, with its dictionary entry ("colour:red") and the context that decides its form."""

    surface: str
    concepts: frozenset[str] = frozenset()
    entry: str = ""
    context: str = ""


@cache
def express(fact: Fact, language: str, phrasing: int) -> Sentence:
    """Return the fact as a sentence in a language, capitalised where the script has case, without a full stop.

    ValueError for an unknown language or phrasing, or a fact that the miniature does not have.
    """
    words = _phrase(fact, language, phrasing)
    surfaces = tuple(word.surface for word in words)
    surfaces = (surfaces[0][0].upper() + surfaces[0][1:], *surfaces[1:])
    return Sentence(language, _joiner(language).join(surfaces), surfaces, tuple(word.concepts for word in words))


def align(source: Sentence, target: Sentence) -> list[tuple[int, int]]:
    """Return the gold alignment: sorted pairs (source index, target index), from 0, of words that share a concept."""
    return [(i, j) for i, left in enumerate(source.concepts) for j, right in enumerate(target.concepts) if left & right]


def caption(scene: Sequence[int]) -> str:
    """Return the English list of a scene's four cells in reading order. ValueError unless there are four cell codes.

    Articles and commas are left out: they would be two fifths of the tokens in CLIP's pre-training and carry nothing.
    """
    codes = [int(code) for code in scene]
    if len(codes) != len(PLACES) or not all(0 <= code <= HIDDEN for code in codes):
        raise ValueError(f"a scene is {len(PLACES)} cell codes from 0 to {HIDDEN}, not {codes}")
    special = {EMPTY: "empty cell", HIDDEN: "hidden cell"}
    cells = [special.get(code) or f"{COLOURS[code // len(SHAPES)]} {SHAPES[code % len(SHAPES)]}" for code in codes]
    text = " ".join(cells)
    return text[0].upper() + text[1:]


def forms(language: str) -> list[tuple[str, str, str]]:
    """Return every word form in the statements of the miniature: sorted (dictionary entry, context, surface form).

    The context holds the requested form, the noun's gender where the language has one, and appended particles.
    Forms are as inside a sentence, not capitalised. ValueError for an unknown language.
    """
    entries: set[tuple[str, str, str]] = set()
    for fact in all_facts():
        for phrasing in range(PHRASINGS):
            entries.update(_entries(_phrase(fact, language, phrasing), language))
    return sorted(entries)


def _entries(words: list[_Word], language: str) -> Iterator[tuple[str, str, str]]:
    """Yield (entry, context, surface) of each run of words from the same form of a dictionary entry."""
    # The context of the run's last word is the form, then the appended particles.
    for (entry, _), group in groupby(words, key=lambda word: (word.entry, word.context.partition(" ")[0])):
        if entry:
            run = list(group)
            yield entry, run[-1].context, _joiner(language).join(word.surface for word in run)


def _joiner(language: str) -> str:
    """Return the separator of words."""
    return "" if language in _UNSPACED else " "


def _phrase(fact: Fact, language: str, phrasing: int) -> list[_Word]:
    """Return the sentence's words, not yet capitalised; ValueError as `express`."""
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}; known: {', '.join(LANGUAGES)}")
    if phrasing not in range(PHRASINGS):
        raise ValueError(f"unknown phrasing {phrasing!r}; known: 0 to {PHRASINGS - 1}")
    kind, arguments = _arguments(fact)
    return _expand(lexicon.TEMPLATES[kind][language][phrasing], language, arguments)


def _arguments(fact: Fact) -> tuple[str, dict[str, str]]:
    """Return the template's key and the arguments by slot name; ValueError for a fact that the miniature lacks."""
    kind = fact.form
    match kind, fact.arguments:
        case "object_at" | "attribute_at", (thing, place):
            arguments = {"np0": thing, "place": place}
        case "emptiness", (state, where):
            extent = "half" if where in HALVES else "place"
            kind, arguments = f"emptiness_{extent}", {"state": state, extent: where}
        case "exists_in_half", (thing, half):
            arguments = {"np0": thing, "half": half}
        case "relation", (first, direction, second):
            arguments = {"np0": first, "direction": direction, "np1": second}
        case "count", (quantifier, thing):
            arguments = {"quantifier": quantifier, "np0": thing}
        case _:
            raise ValueError(f"not a statement of the miniature: {fact}")
    for slot, value in arguments.items():
        if value not in _ALLOWED[slot]:
            raise ValueError(f"not a statement of the miniature: {fact} ({value!r} is none of {_ALLOWED[slot]})")
    return kind, arguments


def _expand(template: str, language: str, arguments: dict[str, str]) -> list[_Word]:
    """Expand a template into words; the pattern in a slot may have slots itself."""
    words: list[_Word] = []
    for token in template.split():
        if token.startswith("{"):
            slot, _, form = token[1:-1].partition(".")
            words += _slot(slot, form or "plain", language, arguments)
        elif token.startswith("+"):
            words[-1] = _glue(words[-1], _word(token[1:]))
        else:
            words.append(_word(token))
    return words


def _word(token: str) -> _Word:
    """Parse a word written as "surface/concept+concept"."""
    surface, _, concepts = token.partition("/")
    return _Word(surface, frozenset(filter(None, concepts.split("+"))))


def _slot(slot: str, form: str, language: str, arguments: dict[str, str]) -> list[_Word]:
    """Expand a slot into words, marked with their entry and form."""
    if slot.startswith("np"):
        if form == "counted":
            form = "bare" if _amount(arguments) == 1 else "many"
        return _noun_phrase(arguments[slot], int(slot[2:]), form, language)
    if slot == "number":
        return _number(form, language, arguments)
    pattern = lexicon.ENTRIES[language][slot][form][lexicon.ORDER[slot].index(arguments[slot])]
    entry = f"{slot}:{arguments[slot]}"
    return [
        word if word.entry else replace(word, entry=entry, context=form)
        for word in _expand(pattern, language, arguments)
    ]


def _noun_phrase(description: str, index: int, form: str, language: str) -> list[_Word]:
    """Return article, colour and noun of a description, where present, with concepts numbered by `index`."""
    first = description.split(maxsplit=1)[0]
    colour, head = first if first in COLOURS else "", _head(description)
    context = " ".join(filter(None, [form, lexicon.GENDERS.get(language, {}).get(head)]))
    surfaces = _NOUN_PHRASES[language](colour, head, form)
    entries = ("", f"colour:{colour}", f"shape:{head}")
    return [
        _Word(surface, frozenset({f"{concept}:{index}"}), entry, context if entry else "")
        for surface, concept, entry in zip(surfaces, ("det", "colour", "shape"), entries, strict=True)
        if surface
    ]


def _amount(arguments: dict[str, str]) -> int:
    """Return the quantifier's number; 1 without a quantifier ("contains at least one")."""
    if "quantifier" not in arguments:
        return 1
    return next(bound for bound in QUANTIFIERS[arguments["quantifier"]] if bound is not None)


def _number(form: str, language: str, arguments: dict[str, str]) -> list[_Word]:
    """Return the numeral; German "one" is inflected like the article before a noun ("höchstens einen Kreis")."""
    amount = _amount(arguments)
    words = _expand(lexicon.NUMBERS[language][amount], language, arguments)
    context = form
    if language == "de" and form != "plain" and amount == 1:
        gender = lexicon.GENDERS["de"][_head(arguments["np0"])]
        words = [replace(words[0], surface=lexicon.GERMAN_ARTICLES[form][gender])]
        context = f"{form} {gender}"
    return [replace(word, entry=f"number:{amount}", context=context) for word in words]


def _glue(word: _Word, suffix: _Word) -> _Word:
    """Append a suffix and its concepts to a word; of "first|second", the first follows a final consonant."""
    first, _, second = suffix.surface.partition("|")
    chosen = second if second and not _ends_in_consonant(word.surface) else first
    return replace(
        word,
        surface=word.surface + chosen,
        concepts=word.concepts | suffix.concepts,
        context=f"{word.context} +{chosen}" if word.entry else "",
    )


def _ends_in_consonant(word: str) -> bool:
    """Return whether the last Hangul syllable ends in a consonant: syllables are ordered by initial, vowel and 28
    finals, of which 0 means none.
    """
    code = ord(word[-1])
    if not _HANGUL_FIRST <= code <= _HANGUL_LAST:
        raise ValueError(f"{word!r} does not end in a Hangul syllable, so no particle can be chosen")
    return (code - _HANGUL_FIRST) % _HANGUL_FINALS != 0


def _head(description: str) -> str:
    """Return the noun of a description: its shape, or the generic noun."""
    word = description.rsplit(maxsplit=1)[-1]
    return word if word in SHAPES else lexicon.GENERIC


def _english(colour: str, head: str, form: str) -> tuple[str, str, str]:
    """one: "a red circle"; bare: "red circle" (after a numeral); many: "red circles"."""
    return "a" if form == "one" else "", colour, lexicon.ENGLISH_NOUNS[head][form == "many"]


def _german(colour: str, head: str, form: str) -> tuple[str, str, str]:
    """nom, acc, dat: with "ein"; bare: accusative after the numeral one; many: strong plural; genitive: after "der".

    After "ein" the adjective shows gender and case where the article does not (ein roter Kreis, ein rotes Quadrat);
    a plural without article takes -e, one after the definite article -en.
    """
    gender, stem = lexicon.GENDERS["de"][head], lexicon.GERMAN_STEMS.get(colour, "")
    if form in ("many", "genitive"):
        return "", stem and stem + ("e" if form == "many" else "en"), lexicon.GERMAN_NOUNS[head][1]
    case = "acc" if form == "bare" else form
    article = "" if form == "bare" else lexicon.GERMAN_ARTICLES[case][gender]
    return article, stem and stem + lexicon.GERMAN_ENDINGS[case][gender], lexicon.GERMAN_NOUNS[head][0]


def _dutch(colour: str, head: str, form: str) -> tuple[str, str, str]:
    """one: with "een"; bare: after "één"; many: plural. Only an indefinite singular het-word leaves out the -e."""
    many = form == "many"
    inflected = many or lexicon.GENDERS["nl"][head] == "common"
    adjective = lexicon.DUTCH_COLOURS[colour][inflected] if colour else ""
    return "een" if form == "one" else "", adjective, lexicon.DUTCH_NOUNS[head][many]


def _japanese(colour: str, head: str, form: str) -> tuple[str, str, str]:
    """Adjective and noun, the same in every context; 緑 has no い-adjective and takes の."""
    return "", lexicon.JAPANESE_COLOURS.get(colour, ""), lexicon.JAPANESE_NOUNS[head]


def _korean(colour: str, head: str, form: str) -> tuple[str, str, str]:
    """Adnominal colour and noun; the template appends the particle."""
    return "", lexicon.KOREAN_COLOURS.get(colour, ""), lexicon.KOREAN_NOUNS[head]


def _chinese(colour: str, head: str, form: str) -> tuple[str, str, str]:
    """one: with 一个; bare: without; compact: the colour also without 的, where another 的 follows the noun."""
    adjective = lexicon.CHINESE_COLOURS.get(colour, "")
    if adjective and form != "compact":
        adjective += "的"
    return "一个" if form == "one" else "", adjective, lexicon.CHINESE_NOUNS[head]


_NOUN_PHRASES: dict[str, Callable[[str, str, str], tuple[str, str, str]]] = {
    "en": _english,
    "de": _german,
    "nl": _dutch,
    "ja": _japanese,
    "ko": _korean,
    "zh": _chinese,
}
