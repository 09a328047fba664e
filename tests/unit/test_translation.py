"""Translators behind one protocol."""

import pytest

from clseave import gold
from clseave.errors import UserError
from clseave.facts import Fact
from clseave.grammar import express
from clseave.records import Translation, hypothesis_id
from clseave.translation import GoldTranslator, make_translator, translate_hypotheses

ENGLISH = {
    hypothesis_id(text): text
    for text in (
        express(Fact("object_at", (thing, "top_left")), "en", 0).text for thing in ("red circle", "blue square")
    )
}


class Fake:
    """Answers from a list, and can fail."""

    name, version = "fake", "7"

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def translate(self, texts):
        self.asked.append(list(texts))
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers


def test_rows_carry_ids_source_and_what_made_them():
    rows = translate_hypotheses({"b": "One", "a": "Two"}, "de", Fake(["Eins", "Zwei"]))
    assert rows == [
        Translation("b", "One", "de", "Eins", "fake", "7"),
        Translation("a", "Two", "de", "Zwei", "fake", "7"),
    ]


def test_each_hypothesis_is_asked_for_once():
    fake = Fake(["Eins", "Zwei"])
    translate_hypotheses({"b": "One", "a": "Two"}, "de", fake)
    assert fake.asked == [["One", "Two"]]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (["Eins"], "gave 1 answers for 2 sentences"),
        (["Eins", "Zwei", "Drei"], "gave 3 answers for 2 sentences"),
        (["Eins", " "], "1 translations into de are blank, first of 'Two'"),
        (["", "\n"], "2 translations into de are blank, first of 'One'"),
    ],
)
def test_an_answer_that_is_no_translation_is_the_users_error(answers, message):
    with pytest.raises(UserError, match=message):
        translate_hypotheses({"b": "One", "a": "Two"}, "de", Fake(answers))


def test_a_failing_translator_gives_no_rows():
    with pytest.raises(UserError, match="the service is away"):
        translate_hypotheses({"b": "One"}, "de", Fake(UserError("the service is away")))


@pytest.mark.parametrize("language", ["de", "nl", "ja", "ko", "zh"])
def test_gold_translations_say_the_same(language):
    rows = translate_hypotheses(ENGLISH, language, make_translator("gold", language))
    assert [row.hypothesis_id for row in rows] == list(ENGLISH)
    assert [row.text for row in rows] == [
        express(Fact("object_at", (thing, "top_left")), language, 0).text for thing in ("red circle", "blue square")
    ]
    assert {(row.target, row.backend, row.version) for row in rows} == {(language, "gold", gold.VERSION)}


def test_gold_cannot_translate_what_the_grammar_never_says():
    with pytest.raises(UserError, match="A dog sleeps"):
        GoldTranslator("de").translate(["A dog sleeps"])


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="'babel'"):
        make_translator("babel", "de")
