"""What the grammar knows about its own sentences, found by their English text."""

import pytest

from clseave.foundation.errors import UserError
from clseave.miniature import gold
from clseave.miniature.grammar import LANGUAGES, PHRASINGS, express
from clseave.miniature.statements import Fact, all_facts

FACT = Fact("object_at", ("red circle", "top_left"))


def test_every_english_sentence_says_one_thing():
    assert len(gold.facts_by_sentence()) == len(all_facts()) * PHRASINGS  # no two statements share a sentence


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("phrasing", range(PHRASINGS))
def test_a_sentence_is_found_by_its_english_text(language, phrasing):
    english = express(FACT, "en", phrasing).text
    assert gold.sentence(english, language) == express(FACT, language, phrasing)


def test_an_english_sentence_aligns_with_itself_word_by_word():
    english = express(FACT, "en", 0)
    pairs = gold.word_pairs(english.text, "en")
    assert all([number, number] in pairs for number, concepts in enumerate(english.concepts) if concepts)


def test_word_pairs_are_sorted_lists_within_the_sentences():
    for language in LANGUAGES:
        pairs = gold.word_pairs(express(FACT, "en", 1).text, language)
        assert pairs == sorted(pairs) and pairs
        assert all(
            i < len(express(FACT, "en", 1).words) and j < len(express(FACT, language, 1).words) for i, j in pairs
        )


def test_colour_and_noun_align_with_their_german_words():
    english, german = express(FACT, "en", 0), express(FACT, "de", 0)
    find = lambda sentence, start: next(n for n, word in enumerate(sentence.words) if word.lower().startswith(start))  # noqa: E731
    pairs = gold.word_pairs(english.text, "de")
    assert [find(english, "red"), find(german, "rot")] in pairs
    assert [find(english, "circle"), find(german, "kreis")] in pairs
    assert [find(english, "red"), find(german, "kreis")] not in pairs


@pytest.mark.parametrize("language", ["de", "nl", "ja", "ko", "zh"])
def test_back_into_english_says_a_fact_that_sounds_the_same_in_other_words(language):
    changed = 0
    for english, (fact, phrasing) in list(gold.facts_by_sentence().items())[::11]:
        said = gold.sentence(english, language).text
        other_fact, other_phrasing = gold.facts_by_sentence()[gold.back(said, language)]
        assert express(other_fact, language, (other_phrasing - 1) % PHRASINGS).text == said  # the same sentence there
        changed += (other_fact, other_phrasing) != (fact, phrasing)
    assert changed == len(list(gold.facts_by_sentence())[::11])


def test_back_into_english_by_hand():
    assert gold.back(express(FACT, "de", 0).text, "de") == express(FACT, "en", 1).text == gold.paraphrase(FACT, 0, "en")
    assert gold.back(express(FACT, "ko", 2).text, "ko") == express(FACT, "en", 0).text
    assert gold.translate(express(FACT, "en", 2).text, "en", "nl") == express(FACT, "nl", 2).text
    assert gold.translate(express(FACT, "nl", 2).text, "nl", "en") == express(FACT, "en", 0).text


def test_what_no_language_says_is_not_translated_back():
    with pytest.raises(UserError, match="never says 'Ein Hund schläft' in de"):
        gold.back("Ein Hund schläft", "de")
    with pytest.raises(UserError, match="in nl"):
        gold.back(express(FACT, "de", 0).text, "nl")


@pytest.mark.parametrize("text", ["A dog sleeps", "", "a red circle is in the top left"])
def test_a_sentence_that_the_grammar_never_says_is_named(text):
    with pytest.raises(UserError, match="never says"):
        gold.sentence(text, "de")
