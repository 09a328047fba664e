"""Sub-word vocabularies: merges by hand, special tokens, reproducibility, coverage of six languages."""

import os
import random
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest

from clseave.backbones.vocabulary import BERT_SPECIALS, bert_tokenizer, clip_tokenizer, learn_merges
from clseave.miniature.grammar import LANGUAGES, express
from clseave.miniature.statements import all_facts

TEXTS = [express(fact, language, 0).text for fact in all_facts()[::29] for language in LANGUAGES]
ENGLISH = [express(fact, "en", 0).text for fact in all_facts()[::29]]
BYTE_LEVEL = 2 * 256 + 2  # every byte inside a word and at its end, and two special tokens


def words(*counted):
    return Counter({tuple(pieces.split()): count for pieces, count in counted})


def test_merges_by_hand():
    # l o 9, o w 7, w e 2, e r 2, o t 2: "l o" first; then "lo w" 7, then "lo t", "low e" and "e r" with 2 each,
    # where the spelling decides: ("e", "r") < ("lo", "t") < ("low", "e").
    corpus = words(("l o w", 5), ("l o w e r", 2), ("l o t", 2))
    assert learn_merges(corpus, 10) == [("l", "o"), ("lo", "w"), ("e", "r"), ("lo", "t"), ("low", "er")]


def test_ties_go_to_the_spelling_not_to_the_order_of_the_words():
    assert learn_merges(words(("b c", 1), ("a z", 1)), 2) == [("a", "z"), ("b", "c")]
    assert learn_merges(words(("a z", 1), ("b c", 1)), 2) == [("a", "z"), ("b", "c")]


def test_merging_stops_at_the_count_and_when_nothing_is_left():
    assert learn_merges(words(("a b c", 1)), 1) == [("a", "b")]
    assert learn_merges(words(("a", 3)), 5) == []


def test_repeated_pieces_merge_from_the_left():
    # The pair stands twice in the word; merged from the left it leaves one piece over.
    assert learn_merges(words(("a a a", 1)), 5) == [("a", "a"), ("aa", "a")]


def test_the_joiner_is_dropped_where_two_pieces_meet():
    # "##b" before "##c" counts three, "a" before "##b" two, "x" before "##b" one.
    corpus = words(("a ##b ##c", 2), ("x ##b ##c", 1))
    assert learn_merges(corpus, 3, joiner="##") == [("##b", "##c"), ("a", "##bc"), ("x", "##bc")]


def test_words_weigh_by_their_frequency():
    assert learn_merges(words(("a b", 1), ("c d", 2)), 1) == [("c", "d")]


def counted_anew(corpus, count, joiner):
    """The definition: after each merge all pairs are counted again."""
    merges, spelt = [], [(list(pieces), number) for pieces, number in corpus.items()]
    while len(merges) < count:
        pairs = Counter()
        for pieces, number in spelt:
            for pair in pairwise(pieces):
                pairs[pair] += number
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for pieces, _ in spelt:
            for place in range(len(pieces) - 1):
                if tuple(pieces[place : place + 2]) == best:
                    pieces[place : place + 2] = [best[0] + best[1].removeprefix(joiner)]
    return merges


@pytest.mark.parametrize("joiner", ["", "##"])
@pytest.mark.parametrize("letters", ["ab", "a#b", "abcdefg"])
def test_the_same_merges_as_by_counting_anew_each_time(letters, joiner):
    rng, found = random.Random(letters), 0
    for _ in range(100):
        corpus = Counter()
        for _ in range(rng.randint(1, 12)):
            word = rng.choices(letters, k=rng.randint(1, 9))
            corpus[(word[0], *(joiner + letter for letter in word[1:]))] += rng.randint(1, 4)
        merges = learn_merges(corpus, 25, joiner)
        assert merges == counted_anew(corpus, 25, joiner), corpus
        found += len(merges)
    assert found > 500


def test_clip_has_its_special_tokens_last():
    tokenizer = clip_tokenizer(ENGLISH, 560, 24)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (len(tokenizer) - 2, len(tokenizer) - 1)
    assert len(tokenizer) <= 560
    ids = tokenizer("A red circle").input_ids
    assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert ids.count(tokenizer.eos_token_id) == 1


def test_clip_ignores_case_and_reads_any_text():
    tokenizer = clip_tokenizer(ENGLISH, 560, 24)
    assert tokenizer("A RED circle").input_ids == tokenizer("a red Circle").input_ids
    assert tokenizer.decode(tokenizer("Größe 赤い").input_ids, skip_special_tokens=True).strip() == "größe 赤い"


def test_clip_applies_the_merges_it_learnt():
    tokenizer = clip_tokenizer(["red red red"], BYTE_LEVEL + 2, 24)
    # r e 3 and e d</w> 3: "e d</w>" < "r e" in spelling, then "r ed</w>".
    assert tokenizer.tokenize("red") == ["red</w>"]
    assert tokenizer.tokenize("redd") == ["r", "e", "d", "d</w>"]


def test_bert_ids_start_with_the_special_tokens():
    tokenizer = bert_tokenizer(TEXTS, 900, 48)
    assert [tokenizer.convert_tokens_to_ids(token) for token in BERT_SPECIALS] == [0, 1, 2, 3, 4]
    assert tokenizer.pad_token_id == 0
    assert tokenizer.all_special_ids and max(tokenizer.all_special_ids) == len(BERT_SPECIALS) - 1
    assert (tokenizer("x").input_ids[0], tokenizer("x").input_ids[-1]) == (2, 3)
    assert len(tokenizer) <= 900 and tokenizer.model_max_length == 48


def test_bert_vocabulary_by_hand():
    tokenizer = bert_tokenizer(["ab ab b"], 5 + 4 + 1, 16)
    # Every character opens and continues a word; then the one merge a ##b.
    assert tokenizer.get_vocab() == {
        token: row for row, token in enumerate([*BERT_SPECIALS, "##a", "##b", "a", "b", "ab"])
    }
    assert tokenizer.tokenize("ab ba aab") == ["ab", "b", "##a", "a", "##a", "##b"]


def test_bert_keeps_case_and_accents():
    tokenizer = bert_tokenizer(["Größe groß één"], 60, 16)
    assert tokenizer.tokenize("Größe")[0].startswith("G")
    assert "".join(token.removeprefix("##") for token in tokenizer.tokenize("één")) == "één"


@pytest.mark.parametrize(("text", "tokens"), [("红色圆形", ["红", "色", "圆", "形"]), ("赤い円", ["赤", "い", "円"])])
def test_bert_splits_han_characters(text, tokens):
    assert bert_tokenizer([text] * 9, 60, 16).tokenize(text) == tokens


@pytest.mark.parametrize("language", LANGUAGES)
def test_bert_knows_every_character_of_its_texts_in_any_order(language):
    tokenizer = bert_tokenizer(TEXTS, 900, 48)
    for text in TEXTS[LANGUAGES.index(language) :: len(LANGUAGES)]:
        assert tokenizer.unk_token_id not in tokenizer(text).input_ids, text
        assert tokenizer.unk_token_id not in tokenizer(text[::-1]).input_ids, text


def test_a_vocabulary_that_is_too_small_says_how_many_entries_it_needs():
    with pytest.raises(ValueError, match="514"):
        clip_tokenizer(ENGLISH, BYTE_LEVEL - 1, 24)
    assert len(clip_tokenizer(ENGLISH, BYTE_LEVEL, 24)) == BYTE_LEVEL
    with pytest.raises(ValueError, match="9 entries, got 8"):
        bert_tokenizer(["ab"], 8, 16)  # 5 specials, a, b, ##a, ##b


PRINT = """
from clseave.backbones.vocabulary import bert_tokenizer, clip_tokenizer
from clseave.miniature.statements import all_facts
from clseave.miniature.grammar import express
texts = [express(fact, language, 1).text for fact in all_facts()[::97] for language in ("en", "de", "ja")]
for tokenizer in (bert_tokenizer(texts, 300, 32), clip_tokenizer(texts, 560, 32)):
    print(sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1]), tokenizer(texts[3]).input_ids)
"""


@pytest.mark.slow
def test_ids_are_the_same_in_every_process():
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PRINT], env=os.environ | {"PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, text=True
        )
        for seed in ("1", "2")
    ]
    first, second = (run.communicate()[0] for run in runs)
    assert first == second and "circle" in first
