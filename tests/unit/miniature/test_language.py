"""What a language's file must hold: each gap is an error that names file and entry."""

import sys
from dataclasses import replace
from types import ModuleType

import pytest

from clseave.foundation.errors import UserError
from clseave.foundation.settings import params
from clseave.miniature import language, languages
from clseave.miniature.grammar import LANGUAGES
from clseave.miniature.language import ARGUMENTS, KINDS, Language, find_faults, load, read
from clseave.miniature.languages.de import LANGUAGE as GERMAN
from clseave.miniature.languages.ko import LANGUAGE as KOREAN


def without(table, *keys):
    """A copy of nested tables without an entry."""
    key, *rest = keys
    changed = dict(table)
    if rest:
        changed[key] = without(table[key], *rest)
    else:
        del changed[key]
    return changed


def with_value(table, value, *keys):
    """A copy of nested tables with another entry."""
    key, *rest = keys
    return dict(table) | {key: with_value(table[key], value, *rest) if rest else value}


def test_every_language_is_complete():
    assert {code: list(find_faults(tongue)) for code, tongue in load().items()} == {code: [] for code in LANGUAGES}


def test_the_settings_allow_the_languages_that_have_a_file():
    assert params.gold_languages() == sorted(set(LANGUAGES) - {"en"})


def test_each_gap_of_a_language_is_found():
    for kind in KINDS:
        assert f"templates: no {kind!r}" in next(
            find_faults(replace(GERMAN, templates=without(GERMAN.templates, kind)))
        )
    for slot in ARGUMENTS:
        assert f"entries: no {slot!r}" in next(find_faults(replace(GERMAN, entries=without(GERMAN.entries, slot))))
        for form in GERMAN.entries[slot]:
            gap = replace(GERMAN, entries=without(GERMAN.entries, slot, form))
            assert f"no form {form!r} of {slot}" in next(find_faults(gap))
    for number in GERMAN.numbers:
        assert f"numbers: no {number}" in next(find_faults(replace(GERMAN, numbers=without(GERMAN.numbers, number))))
    for shape in GERMAN.genders:
        assert f"genders: no {shape!r}" in next(find_faults(replace(GERMAN, genders=without(GERMAN.genders, shape))))
        with pytest.MonkeyPatch.context() as patch:
            patch.delitem(GERMAN.noun_phrase.__globals__["NOUNS"], shape)
            assert next(find_faults(GERMAN)).startswith(f"noun_phrase('', {shape!r}, ")
    for colour in ("red", "green", "blue", "yellow"):
        with pytest.MonkeyPatch.context() as patch:
            patch.delitem(GERMAN.noun_phrase.__globals__["STEMS"], colour)
            assert next(find_faults(GERMAN)).startswith(f"noun_phrase({colour!r}, ")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"templates": with_value(GERMAN.templates, ("a", "b"), "count")},
            "templates: count: found 2 different patterns",
        ),
        ({"templates": GERMAN.templates | {"hue": ("a", "b", "c")}}, "templates: unknown 'hue', expected object_at, "),
        (
            {"templates": with_value(GERMAN.templates, ("{half.nom}", "b", "c"), "object_at")},
            "templates: object_at: '{half.nom}': no slot 'half', expected np0, place, number",
        ),
        (
            {"entries": with_value(GERMAN.entries, ("a", "b"), "direction", "plain")},
            "entries: direction: plain: found 2 patterns, expected 4: left_of, right_of, above, below",
        ),
        (
            {"templates": with_value(GERMAN.templates, ("{number.acc}", "b", "c"), "emptiness_place")},
            "templates: emptiness_place: '{number.acc}': no form 'acc' of number, expected plain",
        ),
        (
            {"entries": with_value(GERMAN.entries, ("{np0}", "b"), "state", "every")},
            "entries: state: every: '{np0}': no slot 'np0', expected number",
        ),
        ({"ones": {}}, "no form 'acc' of number, expected plain"),
        ({"ones": {"acc": {"masculine": "einen"}}}, "ones: acc: no 'neuter'"),
        ({"noun_phrase": lambda colour, head, form: {"shape": head}}, "noun_phrase('red', 'circle', 'acc'): no colour"),
        ({"noun_phrase": lambda colour, head, form: {"noun": head}}, "noun_phrase('', 'circle', 'acc'): no shape"),
    ],
)
def test_what_is_wrong_is_named(changes, fault):
    assert fault in next(find_faults(replace(GERMAN, **changes)))


def test_a_suffix_of_two_forms_needs_its_rule():
    assert "need `first_form`" in next(find_faults(replace(KOREAN, first_form=None)))


def place(monkeypatch, **languages_by_code):
    """Put languages beside those of the package."""
    monkeypatch.setattr(language.pkgutil, "iter_modules", lambda path: map(Found, [*LANGUAGES, *languages_by_code]))
    for code, value in languages_by_code.items():
        module = ModuleType(f"{languages.__name__}.{code}")
        if value is not None:
            module.LANGUAGE = value
        monkeypatch.setitem(sys.modules, module.__name__, module)


class Found:
    """What `pkgutil.iter_modules` yields."""

    def __init__(self, name):
        self.name = name


def test_a_new_file_is_a_language_after_the_others(monkeypatch):
    place(monkeypatch, aa=replace(GERMAN, number=len(LANGUAGES)))
    assert tuple(load()) == (*LANGUAGES, "aa")


def test_the_error_names_the_file(monkeypatch):
    place(monkeypatch, aa=replace(GERMAN, number=3))
    with pytest.raises(UserError, match=r"languages/\w\w\.py: number: found 3, expected 4: .* next free number"):
        load()
    place(monkeypatch, aa=replace(GERMAN, number=9, numbers={}))
    with pytest.raises(UserError, match=r"^languages/aa\.py: numbers: no 1, expected 1, 2, 3$"):
        read("clseave.miniature.languages.aa")
    place(monkeypatch, aa=None)
    with pytest.raises(UserError, match=r"^languages/aa\.py: no complete `LANGUAGE = Language\(\.\.\.\)`"):
        read("clseave.miniature.languages.aa")
    with pytest.raises(TypeError, match="templates"):  # `read` reports it as the error above
        Language(number=6)
