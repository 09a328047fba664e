"""What the grammar must know of a language, and the languages that it speaks: the modules of `languages`.

A pattern is a row of tokens separated by spaces:

`word/concept+concept`   a word and its language-independent concepts (no slash: no concept)
`+suffix/concept`        appended to the word before it; of `+이|가` the first form follows a word as `first_form` says
`{slot}`, `{slot.form}`  a noun phrase (`np0`, `np1`), a numeral (`number`), or an entry for the fact's argument

Phrasing k of a kind is the same construction in every language that has it.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from clseave.foundation.errors import UserError
from clseave.miniature import languages
from clseave.miniature.scenes import COLOURS, HALVES, PLACES, SHAPES
from clseave.miniature.statements import DIRECTIONS, QUANTIFIERS

PHRASINGS = 3
GENERIC = "shape"  # the noun for an object of which only the colour is given: "a red shape"
# The arguments of facts, by slot: an entry has a pattern for each, in this order.
ARGUMENTS = {
    "place": PLACES,
    "half": tuple(HALVES),
    "direction": tuple(DIRECTIONS),
    "state": ("empty", "filled"),
    "quantifier": tuple(QUANTIFIERS),
}
# The slots that the patterns of a kind may use, beside `number`.
KINDS = {
    "object_at": ("np0", "place"),
    "attribute_at": ("np0", "place"),
    "emptiness_place": ("state", "place"),
    "emptiness_half": ("state", "half"),
    "exists_in_half": ("np0", "half"),
    "relation": ("np0", "direction", "np1"),
    "count": ("quantifier", "np0"),
}
NUMBERS = (1, 2, 3)
COUNTED = {"counted": ("bare", "many")}  # forms of a noun phrase after a numeral: after "one", after others
_SLOT = re.compile(r"\{(\w+)(?:\.(\w+))?\}")


@dataclass(frozen=True, kw_only=True)
class Language:
    """A language's words and patterns, `LANGUAGE` in its module; `find_faults` says what must be there."""

    number: int  # its place among the languages, which random draws depend on: the next free one
    templates: Mapping[str, tuple[str, ...]]  # patterns of sentences by kind, one for each phrasing
    entries: Mapping[str, Mapping[str, tuple[str, ...]]]  # patterns by slot and form, in the order of `ARGUMENTS[slot]`
    numbers: Mapping[int, str]  # patterns of the numerals one, two and three
    # Colour ("" for none), shape (or `GENERIC`) and form -> the words `det`, `colour` and `shape` in their order; empty
    # ones are left out. Forms are those of the patterns; `counted` asks for `bare` after "one", else for `many`.
    noun_phrase: Callable[[str, str, str], Mapping[str, str]]
    genders: Mapping[str, str] = field(default_factory=dict)  # of nouns by shape
    ones: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # "one" before a noun, by form and gender
    contractions: Mapping[tuple[str, str], str] = field(default_factory=dict)  # two words that become one
    first_form: Callable[[str], bool] | None = None  # whether the first of two forms of a suffix follows a word
    joiner: str = " "  # between words


def by_bound(least: str, most: str) -> tuple[str, str, str, str]:
    """Return the entries of the four quantifiers when they differ by the bound only."""
    return least, least, most, most


def load() -> dict[str, Language]:
    """Return the languages by code, in the order of their numbers. UserError names file and entry of what is wrong."""
    codes = [module.name for module in pkgutil.iter_modules(languages.__path__)]
    found = {code: read(f"{languages.__name__}.{code}") for code in codes}
    ordered = dict(sorted(found.items(), key=lambda item: item[1].number))
    for place, (code, language) in enumerate(ordered.items()):
        if language.number != place:
            raise UserError(
                f"languages/{code}.py: number: found {language.number}, expected {place}: "
                "each language has the next free number"
            )
    return ordered


def read(module: str) -> Language:
    """Return the language of a module. UserError names file and entry of what is missing."""
    file = f"languages/{module.rpartition('.')[2]}.py"
    try:
        language = importlib.import_module(module).LANGUAGE
    except (AttributeError, TypeError) as error:
        raise UserError(f"{file}: no complete `LANGUAGE = Language(...)`: {error}") from error
    if fault := next(find_faults(language), None):
        raise UserError(f"{file}: {fault}")
    return language


def find_faults(language: Language) -> Iterator[str]:
    """Yield what is missing, or of no use, as "entry: what is wrong"."""
    yield from _compare("templates", language.templates, KINDS)
    yield from _compare("entries", language.entries, ARGUMENTS)
    yield from _compare("numbers", language.numbers, NUMBERS)
    for kind, patterns in language.templates.items():
        if len(set(patterns)) != PHRASINGS:
            yield f"templates: {kind}: found {len(set(patterns))} different patterns, expected {PHRASINGS}"
        for pattern in patterns:
            yield from _find_slot_faults(language, f"templates: {kind}", pattern, KINDS.get(kind, ()))
    for slot, by_form in language.entries.items():
        for form, patterns in by_form.items():
            where, names = f"entries: {slot}: {form}", ARGUMENTS.get(slot, ())
            if len(patterns) != len(names):
                yield f"{where}: found {len(patterns)} patterns, expected {len(names)}: {', '.join(names)}"
            for pattern in patterns:
                yield from _find_slot_faults(language, where, pattern, _beside(slot))
    if language.genders:
        yield from _compare("genders", language.genders, (*SHAPES, GENERIC))
    for form, by_gender in language.ones.items():
        yield from _compare(f"ones: {form}", by_gender, dict.fromkeys(language.genders.values()))
    yield from _find_noun_faults(language)


def _compare(where: str, found: Mapping[Any, Any], expected: Collection[Any]) -> Iterator[str]:
    """Yield which keys are missing or unknown."""
    names = ", ".join(map(str, expected))
    yield from (f"{where}: no {key!r}, expected {names}" for key in expected if key not in found)
    yield from (f"{where}: unknown {key!r}, expected {names}" for key in found if key not in expected)


def _beside(slot: str) -> list[str]:
    """Return the slots that every kind with a slot has beside it, which the entries of the slot may use."""
    shared = [set(slots) for slots in KINDS.values() if slot in slots]
    return sorted(set.intersection(*shared) - {slot}) if shared else []


def _forms(language: Language, slot: str, slots: Collection[str]) -> Collection[str]:
    """Return the forms of a slot that is no noun phrase, beside other slots."""
    if slot == "number":
        return ("plain", *(language.ones if "np0" in slots else ()))
    return language.entries.get(slot, {})


def _find_slot_faults(language: Language, where: str, pattern: str, slots: Collection[str]) -> Iterator[str]:
    """Yield the slots of a pattern that the language has no words for, and suffixes of which none can be chosen."""
    for slot, form in _SLOT.findall(pattern):
        if slot not in (*slots, "number"):
            yield f"{where}: {pattern!r}: no slot {slot!r}, expected {', '.join((*slots, 'number'))}"
        elif not slot.startswith("np") and (form or "plain") not in (known := _forms(language, slot, slots)):
            yield f"{where}: {pattern!r}: no form {form or 'plain'!r} of {slot}, expected {', '.join(known)}"
    if "|" in pattern and language.first_form is None:
        yield f"{where}: {pattern!r}: two forms of a suffix need `first_form`"


def _find_noun_faults(language: Language) -> Iterator[str]:
    """Yield the noun phrases that cannot be said, in the forms that the patterns ask for."""
    patterns = [pattern for group in language.templates.values() for pattern in group]
    patterns += [pattern for group in language.entries.values() for one in group.values() for pattern in one]
    asked = {form or "plain" for text in patterns for slot, form in _SLOT.findall(text) if slot.startswith("np")}
    for form in sorted({one for name in asked for one in COUNTED.get(name, (name,))}):
        for colour in ("", *COLOURS):
            for head in (*SHAPES, GENERIC):
                where = f"noun_phrase({colour!r}, {head!r}, {form!r})"
                try:
                    words = language.noun_phrase(colour, head, form)
                except LookupError as error:
                    yield f"{where}: no {error}"
                    continue
                for part in ("shape", *(["colour"] if colour else [])):
                    if not words.get(part):
                        yield f"{where}: no {part}"
                yield from (f"{where}: unknown {part!r}" for part in words if part not in ("det", "colour", "shape"))
