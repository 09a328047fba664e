"""Words of real captions in six languages, and what every segmenter promises."""

import csv
import os
import subprocess
import sys

import pytest
from awesome_align.tokenization_bert import BasicTokenizer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clseave.foundation.visible import visible
from clseave.word_alignment.segmentation import words

SEGMENTERS = {"default": "bert", "ja": "fugashi", "zh": "jieba", "ko": "whitespace"}
EVERY = ("bert", "whitespace", "jieba", "fugashi")


@pytest.mark.parametrize(
    ("language", "text", "wanted"),
    [
        (
            "en",
            "A group of people stand in the back of a truck filled with cotton.",
            "A group of people stand in the back of a truck filled with cotton .",
        ),
        ("en", "A man's T-shirt costs $5.50 (cheap!)", "A man ' s T - shirt costs $ 5 . 50 ( cheap ! )"),
        (
            "de",
            "Eine Gruppe von Männern lädt Baumwolle auf einen Lastwagen, z. B. für Jürgen.",
            "Eine Gruppe von Männern lädt Baumwolle auf einen Lastwagen , z . B . für Jürgen .",
        ),
        ("nl", "Foto's van een koe; zij staat te grazen.", "Foto ' s van een koe ; zij staat te grazen ."),
        (
            "ja",
            "綿で満たされたトラックの後ろに人々のグループが立っています。",
            "綿 で 満たさ れ た トラック の 後ろ に 人々 の グループ が 立っ て い ます 。",
        ),
        ("ja", "赤いTシャツを着た男の子が、犬と走る。", "赤い T シャツ を 着 た 男の子 が 、 犬 と 走る 。"),
        (
            "ko",
            "면으로 가득 찬 트럭 뒤에 한 무리의 사람들이 서 있습니다.",
            "면으로 가득 찬 트럭 뒤에 한 무리의 사람들이 서 있습니다.",
        ),
        (
            "zh",
            "一群人站在一辆装满棉花的卡车后面。",
            "一群 人 站 在 一辆 装满 棉花 的 卡车 后面 。",
        ),
        (
            "zh",
            "一位女士和一个没穿T恤的男士，坐在水边。",
            "一位 女士 和 一个 没 穿 T恤 的 男士 ， 坐在 水边 。",
        ),
    ],
)
def test_captions_by_their_languages_segmenter(language, text, wanted):
    assert words(text, language, SEGMENTERS) == wanted.split(" ")


def test_a_language_without_an_entry_takes_the_default():
    assert words("犬が走る。", "fr", SEGMENTERS) == ["犬", "が", "走", "る", "。"]
    assert words("犬が走る。", "fr", {"default": "whitespace"}) == ["犬が走る。"]


def test_ideographs_stand_alone_by_berts_rule_and_kana_and_hangul_do_not():
    assert words("汽车ひらがな개가𠀀x", "xx", SEGMENTERS) == ["汽", "车", "ひらがな개가", "𠀀", "x"]


@pytest.mark.parametrize("segmenter", EVERY)
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a\u3000b\u00a0c\td\u2003e\x1ff\x85g", ["a", "b", "c", "d", "e", "f", "g"]),  # all that str.split parts
        ("a \u200b \ufeff b", ["a", "b"]),  # zero width: no word by itself
        ("\u200b\u00ad\ufffd", []),
        (" \u3000\n", []),
        ("", []),
    ],
)
def test_white_space_parts_words_and_what_nobody_sees_is_none(segmenter, text, wanted):
    assert words(text, "xx", {"default": segmenter}) == wanted


@pytest.mark.parametrize("segmenter", ["bert", "whitespace"])
def test_what_nobody_sees_stays_inside_a_word_so_that_the_word_stands_in_the_text(segmenter):
    assert words("soft\u00adware x", "xx", {"default": segmenter}) == ["soft\u00adware", "x"]


def test_a_nul_does_not_end_the_sentence_for_mecab():
    assert words("犬が\0猫と", "ja", SEGMENTERS) == ["犬", "が", "猫", "と"]


def holds(text, found):
    """Every word stands in the text, in order, without white space; nothing that can be seen is left out."""
    cursor = 0
    for word in found:
        assert word.split() == [word]
        start = text.find(word, cursor)
        assert start >= 0, (word, text)
        assert not visible(text[cursor:start]), text
        cursor = start + len(word)
    assert not visible(text[cursor:]), text


@pytest.mark.parametrize("segmenter", EVERY)
@example("\U000e01000")  # MeCab drops variation selectors
@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_words_stand_in_any_text_in_order(segmenter, text):
    holds(text, words(text, "xx", {"default": segmenter}))


@example("\U000e0100")  # a variation selector alone: nobody sees it
@settings(max_examples=300, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["C"]) | st.sampled_from(" .,-'\u3000犬、"), max_size=40))
def test_berts_rule_is_that_of_the_tokenizer_which_awesome_align_uses(text):
    tokens = BasicTokenizer(do_lower_case=False).tokenize(text.replace("\ufffd", " "))
    assert words(text.replace("\ufffd", " "), "en", SEGMENTERS) == [token for token in tokens if visible(token)]


def test_an_unknown_segmenter_is_an_error():
    with pytest.raises(ValueError, match="no segmenter 'gold': bert, whitespace, jieba, fugashi"):
        words("x", "en", {"default": "gold"})


def test_jieba_says_nothing_and_leaves_nothing_behind(tmp_path):
    code = "from clseave.word_alignment.segmentation import words; words('水边', 'zh', {'default': 'jieba'})"
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", code],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr, list(tmp_path.iterdir())) == (b"", b"", [])


@pytest.mark.needs_data
def test_real_captions_keep_every_character(test_data):
    """The five target languages and English, human and machine made: 18,000 texts."""
    seen = 0
    for path in sorted((test_data / "parallel").glob("*.tsv")):
        with open(path, encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                for column, text in row.items():
                    if column != "id":
                        found = words(text, column[:2], SEGMENTERS)
                        holds(text, found)
                        assert "".join(found) == "".join(text.split())
                        seen += 1
    assert seen > 18_000
