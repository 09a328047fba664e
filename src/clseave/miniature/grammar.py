"""The grammar: each fact as a sentence in every language and three phrasings, with gold word alignments.

All languages share one mechanism: the template of a (kind, language, phrasing) is expanded token by token
(see `language` for the notation). What only one language needs is in its module of `languages`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby

from clseave.miniature.language import ARGUMENTS, COUNTED, GENERIC, PHRASINGS, Language, load
from clseave.miniature.scenes import COLOURS, EMPTY, HALVES, HIDDEN, PLACES, SHAPES
from clseave.miniature.statements import QUANTIFIERS, Fact, all_facts, descriptions

_KNOWN = load()
LANGUAGES = tuple(_KNOWN)

_THINGS = descriptions()[0] + descriptions()[1]
_ALLOWED = ARGUMENTS | {"np0": _THINGS, "np1": _THINGS}


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
    return Sentence(language, _KNOWN[language].joiner.join(surfaces), surfaces, tuple(word.concepts for word in words))


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
            yield entry, run[-1].context, _KNOWN[language].joiner.join(word.surface for word in run)


def _phrase(fact: Fact, language: str, phrasing: int) -> list[_Word]:
    """Return the sentence's words, not yet capitalised; ValueError as `express`."""
    if language not in _KNOWN:
        raise ValueError(f"unknown language {language!r}; known: {', '.join(LANGUAGES)}")
    if phrasing not in range(PHRASINGS):
        raise ValueError(f"unknown phrasing {phrasing!r}; known: 0 to {PHRASINGS - 1}")
    kind, arguments = _arguments(fact)
    known = _KNOWN[language]
    return _contract(_expand(known.templates[kind][phrasing], known, arguments), known)


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


def _expand(template: str, language: Language, arguments: dict[str, str]) -> list[_Word]:
    """Expand a template into words; the pattern in a slot may have slots itself."""
    words: list[_Word] = []
    for token in template.split():
        if token.startswith("{"):
            slot, _, form = token[1:-1].partition(".")
            words += _slot(slot, form or "plain", language, arguments)
        elif token.startswith("+"):
            words[-1] = _glue(words[-1], _word(token[1:]), language)
        else:
            words.append(_word(token))
    return words


def _word(token: str) -> _Word:
    """Parse a word written as "surface/concept+concept"."""
    surface, _, concepts = token.partition("/")
    return _Word(surface, frozenset(filter(None, concepts.split("+"))))


def _slot(slot: str, form: str, language: Language, arguments: dict[str, str]) -> list[_Word]:
    """Expand a slot into words, marked with their entry and form."""
    if slot.startswith("np"):
        if form in COUNTED:
            form = COUNTED[form][_amount(arguments) > 1]
        return _noun_phrase(arguments[slot], int(slot[2:]), form, language)
    if slot == "number":
        return _number(form, language, arguments)
    pattern = language.entries[slot][form][ARGUMENTS[slot].index(arguments[slot])]
    entry = f"{slot}:{arguments[slot]}"
    return [
        word if word.entry else replace(word, entry=entry, context=form)
        for word in _expand(pattern, language, arguments)
    ]


def _noun_phrase(description: str, index: int, form: str, language: Language) -> list[_Word]:
    """Return article, colour and noun of a description, where present, with concepts numbered by `index`."""
    first = description.split(maxsplit=1)[0]
    colour, head = first if first in COLOURS else "", _head(description)
    context = " ".join(filter(None, [form, language.genders.get(head)]))
    entries = {"det": "", "colour": f"colour:{colour}", "shape": f"shape:{head}"}
    return [
        _Word(surface, frozenset({f"{part}:{index}"}), entries[part], context if entries[part] else "")
        for part, surface in language.noun_phrase(colour, head, form).items()
        if surface
    ]


def _amount(arguments: dict[str, str]) -> int:
    """Return the quantifier's number; 1 without a quantifier ("contains at least one")."""
    if "quantifier" not in arguments:
        return 1
    return next(bound for bound in QUANTIFIERS[arguments["quantifier"]] if bound is not None)


def _number(form: str, language: Language, arguments: dict[str, str]) -> list[_Word]:
    """Return the numeral; "one" before a noun agrees with it where the language has forms for that."""
    amount, context = _amount(arguments), form
    words = _expand(language.numbers[amount], language, arguments)
    if form in language.ones and amount == 1:
        gender = language.genders[_head(arguments["np0"])]
        words = [replace(words[0], surface=language.ones[form][gender])]
        context = f"{form} {gender}"
    return [replace(word, entry=f"number:{amount}", context=context) for word in words]


def _contract(words: list[_Word], language: Language) -> list[_Word]:
    """Merge neighbours that the language writes as one word: in dem -> im, with the concepts of both."""
    merged = words[:1]
    for word in words[1:]:
        left = merged[-1]
        if surface := language.contractions.get((left.surface, word.surface)):
            base = left if left.entry else word
            merged[-1] = replace(base, surface=surface, concepts=left.concepts | word.concepts)
        else:
            merged.append(word)
    return merged


def _glue(word: _Word, suffix: _Word, language: Language) -> _Word:
    """Append a suffix and its concepts to a word; of "first|second", the language's `first_form` chooses."""
    first, _, second = suffix.surface.partition("|")
    chosen = second if second and language.first_form and not language.first_form(word.surface) else first
    return replace(
        word,
        surface=word.surface + chosen,
        concepts=word.concepts | suffix.concepts,
        context=f"{word.context} +{chosen}" if word.entry else "",
    )


def _head(description: str) -> str:
    """Return the noun of a description: its shape, or the generic noun."""
    word = description.rsplit(maxsplit=1)[-1]
    return word if word in SHAPES else GENERIC
