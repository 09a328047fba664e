"""The grammar: hand-written sentences and forms, invariants over every statement, and the proof-read golden files.

The golden files are written from the code by

    PYTHONPATH=src:tests/unit python tests/unit/miniature/test_grammar.py --write

After writing, read every changed line as a proof-reader of that language: they are the record of what was accepted.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from made_scenes import object_code

from clseave.miniature.grammar import LANGUAGES, PHRASINGS, Sentence, align, caption, express, forms
from clseave.miniature.language import KINDS, load
from clseave.miniature.scenes import COLOURS, EMPTY, HALVES, HIDDEN, PLACES, SHAPES
from clseave.miniature.statements import DIRECTIONS, FORMS, QUANTIFIERS, Fact, all_facts

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
UNSPACED = tuple(code for code, tongue in load().items() if not tongue.joiner)
# Sentences of each kind in the golden files (50 in all) and the stride through its facts, prime to their number.
SAMPLE = {
    "object_at": (7, 21),
    "attribute_at": (7, 5),
    "emptiness": (13, 3),
    "exists_in_half": (7, 35),
    "relation": (8, 361),
    "count": (8, 19),
}
CONTENT = (
    "colour",
    "shape",
    "vertical",
    "horizontal",
    "side",
    "half",
    "direction",
    "bound",
    "number",
    "state",
    "every",
    "both",
    "whole",
    "cell",
)

TOP_LEFT_CIRCLE = Fact("object_at", ("red circle", "top_left"))
BESIDE = Fact("relation", ("red circle", "left_of", "blue square"))
OVER = Fact("relation", ("green square", "above", "red diamond"))


def sample() -> list[tuple[Fact, int]]:
    """The 50 (fact, phrasing) of the golden files."""
    chosen = []
    for kind in FORMS:
        count, stride = SAMPLE[kind]
        facts = [fact for fact in all_facts() if fact.form == kind]
        chosen += [(facts[i * stride % len(facts)], i % PHRASINGS) for i in range(count)]
    return chosen


def sentence_lines(language: str) -> list[str]:
    """The golden file of one language's sentences, by line."""
    rows = [
        (fact.form, "|".join(fact.arguments), str(phrasing), express(fact, language, phrasing).text)
        for fact, phrasing in sample()
    ]
    return ["\t".join(row) for row in [("kind", "arguments", "phrasing", "text"), *rows]]


def form_lines() -> list[str]:
    """The golden file of forms, by line."""
    rows = [(language, *row) for language in LANGUAGES for row in forms(language)]
    return ["\t".join(row) for row in [("language", "concept", "context", "form"), *rows]]


def golden_files() -> dict[str, list[str]]:
    """Every golden file's name and lines."""
    files = {f"sentences.{language}.tsv": sentence_lines(language) for language in LANGUAGES}
    return files | {"grammar_forms.tsv": form_lines()}


def text(language: str, phrasing: int, kind: str, *arguments: str) -> str:
    return express(Fact(kind, arguments), language, phrasing).text


def pairs(fact: Fact, phrasing: int, source: str, target: str) -> set[tuple[str, str]]:
    """The aligned words themselves."""
    here, there = express(fact, source, phrasing), express(fact, target, phrasing)
    return {(here.words[i], there.words[j]) for i, j in align(here, there)}


@pytest.fixture(scope="module")
def every() -> dict[str, dict[tuple[Fact, int], Sentence]]:
    return {
        language: {
            (fact, phrasing): express(fact, language, phrasing) for fact in all_facts() for phrasing in range(PHRASINGS)
        }
        for language in LANGUAGES
    }


# --- hand-written sentences ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "en",
            (
                "A red circle is in the top left corner",
                "The top left cell contains a red circle",
                "There is a red circle at the top left",
            ),
        ),
        (
            "de",
            (
                "Ein roter Kreis ist in der oberen linken Ecke",
                "Das obere linke Feld enthält einen roten Kreis",
                "Oben links gibt es einen roten Kreis",
            ),
        ),
        (
            "nl",
            (
                "Een rode cirkel staat in de linkerbovenhoek",
                "Het vak linksboven bevat een rode cirkel",
                "Linksboven staat een rode cirkel",
            ),
        ),
        ("ja", ("赤い円が左上の隅にある", "左上のマスに赤い円が入っている", "左上に赤い円がある")),
        ("ko", ("빨간 원이 왼쪽 위 구석에 있다", "왼쪽 위 칸에 빨간 원이 들어 있다", "왼쪽 위에 빨간 원이 있다")),
        ("zh", ("一个红色的圆形位于左上角", "左上方的格子里有一个红色的圆形", "左上方有一个红色的圆形")),
    ],
)
def test_an_object_at_a_place(language, expected):
    assert tuple(express(TOP_LEFT_CIRCLE, language, phrasing).text for phrasing in range(3)) == expected


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "en",
            (
                "A red circle is left of a blue square",
                "Left of a blue square there is a red circle",
                "A red circle lies somewhere left of a blue square",
            ),
        ),
        (
            "de",
            (
                "Ein roter Kreis ist links von einem blauen Quadrat",
                "Links von einem blauen Quadrat gibt es einen roten Kreis",
                "Ein roter Kreis liegt irgendwo links von einem blauen Quadrat",
            ),
        ),
        (
            "nl",
            (
                "Een rode cirkel staat links van een blauw vierkant",
                "Links van een blauw vierkant staat een rode cirkel",
                "Een rode cirkel ligt ergens links van een blauw vierkant",
            ),
        ),
        (
            "ja",
            ("赤い円が青い正方形の左にある", "青い正方形の左に赤い円がある", "赤い円が青い正方形の左のどこかにある"),
        ),
        (
            "ko",
            (
                "빨간 원이 파란 정사각형의 왼쪽에 있다",
                "파란 정사각형의 왼쪽에 빨간 원이 있다",
                "빨간 원이 파란 정사각형의 왼쪽 어딘가에 있다",
            ),
        ),
        (
            "zh",
            (
                "一个红色的圆形在一个蓝色的正方形左边",
                "一个蓝色的正方形左边有一个红色的圆形",
                "一个红色的圆形位于一个蓝色的正方形左侧某处",
            ),
        ),
    ],
)
def test_a_relation(language, expected):
    assert tuple(express(BESIDE, language, phrasing).text for phrasing in range(3)) == expected


@pytest.mark.parametrize(
    ("language", "phrasing", "state", "where", "expected"),
    [
        ("en", 0, "empty", "top_left", "The top left cell is empty"),
        ("en", 1, "filled", "bottom_right", "There is something at the bottom right"),
        ("en", 2, "empty", "top_right", "The top right corner contains no shape"),
        ("en", 0, "filled", "top", "Both cells in the top half are filled"),
        ("en", 1, "empty", "left", "The whole left half is empty"),
        ("en", 2, "empty", "left", "No cell of the left half contains a shape"),
        ("en", 2, "filled", "right", "Each cell of the right half contains a shape"),
        ("de", 0, "filled", "bottom_left", "Das untere linke Feld ist gefüllt"),
        ("de", 1, "empty", "top_right", "Oben rechts ist nichts"),
        ("de", 2, "empty", "top_left", "In der oberen linken Ecke ist keine Figur"),
        ("de", 0, "empty", "right", "Beide Felder in der rechten Hälfte sind leer"),
        ("de", 2, "filled", "bottom", "Jedes Feld der unteren Hälfte enthält eine Figur"),
        ("nl", 1, "empty", "right", "De hele rechterhelft is leeg"),
        ("nl", 2, "empty", "top", "Geen enkel vak van de bovenste helft bevat een vorm"),
        ("nl", 2, "filled", "bottom_left", "In de linkeronderhoek staat een vorm"),
        ("ja", 0, "filled", "top", "上半分のマスは両方とも埋まっている"),
        ("ja", 1, "empty", "bottom_left", "左下には何もない"),
        ("ja", 2, "empty", "right", "右半分のどのマスにも図形がない"),
        ("ko", 0, "empty", "top_left", "왼쪽 위 칸은 비어 있다"),
        ("ko", 2, "empty", "top", "위쪽 절반의 어느 칸에도 도형이 없다"),
        ("ko", 2, "filled", "top", "위쪽 절반의 모든 칸에 도형이 있다"),
        ("zh", 0, "filled", "left", "左半部分的两个格子都不是空的"),
        ("zh", 1, "filled", "bottom", "整个下半部分都填满了"),
        ("zh", 2, "empty", "left", "左半部分的每个格子里都没有图形"),
    ],
)
def test_emptiness_of_a_place_and_of_both_cells_of_a_half(language, phrasing, state, where, expected):
    assert text(language, phrasing, "emptiness", state, where) == expected


@pytest.mark.parametrize(
    ("shape", "nominative", "accusative", "dative", "plural"),
    [
        ("circle", "ein roter Kreis", "einen roten Kreis", "einem roten Kreis", "rote Kreise"),
        ("square", "ein rotes Quadrat", "ein rotes Quadrat", "einem roten Quadrat", "rote Quadrate"),
        ("triangle", "ein rotes Dreieck", "ein rotes Dreieck", "einem roten Dreieck", "rote Dreiecke"),
        ("diamond", "eine rote Raute", "eine rote Raute", "einer roten Raute", "rote Rauten"),
        ("", "eine rote Figur", "eine rote Figur", "einer roten Figur", "rote Figuren"),
    ],
)
def test_german_gender_and_case(shape, nominative, accusative, dative, plural):
    thing = f"red {shape}".strip()
    assert text("de", 0, "exists_in_half", thing, "left") == f"E{nominative[1:]} ist in der linken Hälfte"
    assert text("de", 2, "exists_in_half", thing, "top") == f"Es gibt {accusative} in der oberen Hälfte"
    assert text("de", 0, "relation", "blue", "right_of", thing) == f"Eine blaue Figur ist rechts von {dative}"
    assert text("de", 1, "count", "at_least_two", thing) == f"Es gibt zwei oder mehr {plural}"


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("circle", "Es gibt nicht mehr als einen gelben Kreis"),
        ("square", "Es gibt nicht mehr als ein gelbes Quadrat"),
        ("diamond", "Es gibt nicht mehr als eine gelbe Raute"),
        ("triangle", "Es gibt nicht mehr als ein gelbes Dreieck"),
    ],
)
def test_german_one_is_inflected_before_a_noun(shape, expected):
    assert text("de", 1, "count", "at_most_one", f"yellow {shape}") == expected


def test_german_relation_takes_the_dative_after_every_preposition():
    assert express(OVER, "de", 0).text == "Ein grünes Quadrat ist über einer roten Raute"
    assert text("de", 0, "relation", "circle", "below", "triangle") == "Ein Kreis ist unter einem Dreieck"
    assert text("de", 1, "relation", "triangle", "left_of", "circle") == "Links von einem Kreis gibt es ein Dreieck"


@pytest.mark.parametrize(
    ("colour", "neuter", "other"),
    [("red", "rood", "rode"), ("green", "groen", "groene"), ("blue", "blauw", "blauwe"), ("yellow", "geel", "gele")],
)
def test_dutch_adjectives_lose_the_ending_only_in_an_indefinite_het_singular(colour, neuter, other):
    def there_is(shape: str) -> str:
        return text("nl", 2, "exists_in_half", f"{colour} {shape}".strip(), "left")

    assert there_is("square") == f"Er staat een {neuter} vierkant in de linkerhelft"
    for shape, noun in (("circle", "cirkel"), ("triangle", "driehoek"), ("diamond", "ruit"), ("", "vorm")):
        assert there_is(shape) == f"Er staat een {other} {noun} in de linkerhelft"
    assert text("nl", 1, "count", "at_most_one", f"{colour} square") == f"Er is niet meer dan één {neuter} vierkant"
    assert text("nl", 1, "count", "at_least_two", f"{colour} square") == f"Er zijn twee of meer {other} vierkanten"


@pytest.mark.parametrize(
    ("thing", "noun", "subject", "topic"),
    [
        ("circle", "원", "이", "은"),
        ("square", "정사각형", "이", "은"),
        ("triangle", "삼각형", "이", "은"),
        ("diamond", "마름모", "가", "는"),
        ("green", "초록색 도형", "이", "은"),
        ("yellow diamond", "노란 마름모", "가", "는"),
    ],
)
def test_korean_particles_agree_with_the_final_consonant(thing, noun, subject, topic):
    assert text("ko", 2, "attribute_at", thing, "top_right") == f"오른쪽 위 칸에는 {noun}{subject} 있다"
    assert text("ko", 1, "count", "at_least_three", thing) == f"{noun}{topic} 세 개 이상이다"
    assert text("ko", 1, "count", "at_most_one", thing) == f"{noun}{topic} 한 개 이하이다"


def test_japanese_colours_and_counters():
    found = [text("ja", 0, "attribute_at", colour, "top_left") for colour in COLOURS]
    assert found == [f"左上の隅に{colour}図形がある" for colour in ("赤い", "緑の", "青い", "黄色い")]
    assert text("ja", 1, "count", "at_least_two", "diamond") == "ひし形は二つ以上ある"
    assert text("ja", 1, "count", "at_most_one", "red circle") == "赤い円は一つ以下である"
    assert text("ja", 2, "count", "at_least_three", "green") == "緑の図形の数は少なくとも三つである"
    assert text("ja", 1, "exists_in_half", "circle", "left") == "左半分には円が少なくとも一つある"


def test_chinese_measure_words_and_liang():
    assert text("zh", 0, "count", "at_least_two", "red circle") == "图片里至少有两个红色的圆形"
    assert text("zh", 1, "count", "at_least_two", "triangle") == "三角形有两个或更多"
    assert text("zh", 1, "count", "at_most_two", "diamond") == "菱形不超过两个"
    assert text("zh", 2, "count", "at_most_one", "blue square") == "蓝色正方形的数量最多为一个"
    assert text("zh", 1, "attribute_at", "green", "bottom_right") == "一个绿色的图形在右下方"


@pytest.mark.parametrize(
    ("quantifier", "expected"),
    [
        (
            "at_least_two",
            (
                "The picture contains at least two red circles",
                "There are two or more red circles",
                "The number of red circles is at least two",
            ),
        ),
        (
            "at_most_one",
            (
                "The picture contains at most one red circle",
                "There is no more than one red circle",
                "The number of red circles is at most one",
            ),
        ),
    ],
)
def test_english_counts_agree_in_number(quantifier, expected):
    assert tuple(text("en", phrasing, "count", quantifier, "red circle") for phrasing in range(3)) == expected


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "There are no more than two diamonds"),
        ("de", "Es gibt nicht mehr als zwei Rauten"),
        ("nl", "Er zijn niet meer dan twee ruiten"),
        ("ja", "ひし形は二つ以下である"),
        ("ko", "마름모는 두 개 이하이다"),
        ("zh", "菱形不超过两个"),
    ],
)
def test_at_most_two(language, expected):
    assert text(language, 1, "count", "at_most_two", "diamond") == expected


def test_german_contraction_and_genitive_plural():
    assert text("de", 2, "attribute_at", "circle", "top_right") == "Im oberen rechten Feld liegt ein Kreis"
    found = text("de", 2, "count", "at_most_one", "blue square")
    assert found == "Die Anzahl der blauen Quadrate beträgt höchstens eins"
    assert text("de", 2, "count", "at_least_two", "circle") == "Die Anzahl der Kreise beträgt mindestens zwei"


# --- alignments ------------------------------------------------------------------------------------------------------


def test_german_relation_aligns_role_by_role():
    assert align(express(BESIDE, "en", 0), express(BESIDE, "de", 0)) == [(i, i) for i in range(9)]
    assert pairs(BESIDE, 1, "en", "de") == {
        ("Left", "Links"),
        ("of", "von"),
        ("a", "einem"),
        ("blue", "blauen"),
        ("square", "Quadrat"),
        ("there", "es"),
        ("is", "gibt"),
        ("a", "einen"),
        ("red", "roten"),
        ("circle", "Kreis"),
    }


def test_one_word_may_carry_several_concepts():
    assert pairs(TOP_LEFT_CIRCLE, 0, "en", "nl") >= {
        ("top", "linkerbovenhoek"),
        ("left", "linkerbovenhoek"),
        ("corner", "linkerbovenhoek"),
    }
    circle = Fact("attribute_at", ("circle", "top_left"))
    assert pairs(circle, 2, "de", "nl") >= {("Im", "In"), ("Im", "het"), ("oberen", "linksboven"), ("Feld", "vak")}


def test_korean_particles_ride_on_their_noun():
    assert pairs(BESIDE, 0, "en", "ko") == {
        ("red", "빨간"),
        ("circle", "원이"),
        ("is", "있다"),
        ("left", "왼쪽에"),
        ("of", "정사각형의"),
        ("blue", "파란"),
        ("square", "정사각형의"),
    }
    assert {("円", "원이"), ("が", "원이"), ("の", "정사각형의")} <= pairs(BESIDE, 0, "ja", "ko")


def test_chinese_alignment_of_both_noun_phrases():
    here, there = express(BESIDE, "en", 0), express(BESIDE, "zh", 0)
    assert there.words == ("一个", "红色的", "圆形", "在", "一个", "蓝色的", "正方形", "左边")
    assert align(here, there) == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 7), (6, 4), (7, 5), (8, 6)]


def test_more_than_aligns_word_by_word():
    fact = Fact("count", ("at_most_two", "circle"))
    assert align(express(fact, "en", 1), express(fact, "de", 1)) == [(i, i) for i in range(7)]
    assert pairs(fact, 1, "en", "zh") == {
        ("no", "不"),
        ("more", "超过"),
        ("than", "超过"),
        ("two", "两个"),
        ("circles", "圆形"),
    }


def test_segmentation_of_japanese():
    assert express(BESIDE, "ja", 2).words == (
        "赤い",
        "円",
        "が",
        "青い",
        "正方形",
        "の",
        "左",
        "の",
        "どこか",
        "に",
        "ある",
    )


# --- invariants over every statement ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_statements_or_phrasings_share_a_text(language, every):
    owners = defaultdict(list)
    for key, sentence in every[language].items():
        owners[sentence.text].append(key)
    assert [keys for keys in owners.values() if len(keys) > 1] == []
    assert len(owners) == len(all_facts()) * PHRASINGS


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_rejoin_to_the_text(language, every):
    joiner = "" if language in UNSPACED else " "
    for sentence in every[language].values():
        assert sentence.language == language
        assert joiner.join(sentence.words) == sentence.text
        assert len(sentence.words) == len(sentence.concepts)
        assert all(sentence.words)
        assert len(sentence.words) <= 11


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_have_a_capital_no_punctuation_and_only_their_own_spaces(language, every):
    for sentence in every[language].values():
        assert sentence.text[0] == sentence.text[0].upper()
        assert all(char.isalpha() or char in " '-" for char in sentence.text)  # d'un, au-dessus
        assert (" " in sentence.text) == (language not in UNSPACED)


@pytest.mark.parametrize("source", LANGUAGES)
@pytest.mark.parametrize("target", LANGUAGES)
def test_alignments_are_sorted_in_range_and_symmetric(source, target, every):
    for key in list(every[source])[::7]:
        here, there = every[source][key], every[target][key]
        links = align(here, there)
        assert links == sorted(set(links))
        assert all(0 <= i < len(here.words) and 0 <= j < len(there.words) for i, j in links)
        assert align(there, here) == sorted((j, i) for i, j in links)
        if source == target:
            assert {(i, i) for i, concepts in enumerate(here.concepts) if concepts} <= set(links)


def content_words(sentence: Sentence) -> set[int]:
    return {
        i
        for i, concepts in enumerate(sentence.concepts)
        if any(concept.split(":")[0] in CONTENT for concept in concepts)
    }


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_content_word_is_aligned_with_english_both_ways(language, every):
    for key, here in every["en"].items():
        there = every[language][key]
        links = align(here, there)
        assert content_words(here) <= {i for i, _ in links}, (here.text, there.text)
        assert content_words(there) <= {j for _, j in links}, (here.text, there.text)


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_content_is_never_aligned_across_roles(language, every):
    """A word of one noun phrase never links to a word of the other."""
    for (fact, phrasing), here in every["en"].items():
        if fact.form != "relation":
            continue
        there = every[language][fact, phrasing]
        for i, j in align(here, there):
            roles = [
                {concept[-1] for concept in concepts if ":" in concept and concept.split(":")[0] in CONTENT}
                for concepts in (here.concepts[i], there.concepts[j])
            ]
            assert not roles[0] or not roles[1] or roles[0] == roles[1]


def test_the_arguments_are_said_in_every_sentence(every):
    needed = {
        "object_at": {"colour:0", "shape:0", "vertical", "horizontal"},
        "attribute_at": {"shape:0", "vertical", "horizontal"},
        "exists_in_half": {"shape:0", "side", "half"},
        "relation": {"shape:0", "shape:1", "direction"},
        "count": {"shape:0", "bound", "number"},
    }
    for language in LANGUAGES:
        for (fact, _), sentence in every[language].items():
            said = {concept for concepts in sentence.concepts for concept in concepts}
            assert needed.get(fact.form, set()) <= said | {concept.split(":")[0] for concept in said}


def test_expressing_again_gives_the_same():
    express.cache_clear()
    before = [express(fact, language, 1) for fact in all_facts()[::50] for language in LANGUAGES]
    express.cache_clear()
    assert before == [express(fact, language, 1) for fact in all_facts()[::50] for language in LANGUAGES]


def test_every_kind_language_and_table_entry_is_used():
    tongues = load()
    assert tuple(tongues) == LANGUAGES and LANGUAGES[:6] == ("en", "de", "nl", "ja", "ko", "zh")
    assert set(UNSPACED) >= {"ja", "zh"}
    assert all(set(tongue.templates) == set(KINDS) for tongue in tongues.values())
    for language in LANGUAGES:
        used = {(entry.split(":")[0], context.split(" ")[0]) for entry, context, _ in forms(language)}
        assert {(slot, form) for slot, by_form in tongues[language].entries.items() for form in by_form} <= used


# --- captions, forms, bad input --------------------------------------------------------------------------------------


def test_captions_list_the_cells_in_reading_order():
    scene = np.array([object_code("red", "circle"), EMPTY, HIDDEN, object_code("blue", "square")], dtype=np.int8)
    assert caption(scene) == "Red circle empty cell hidden cell blue square"
    assert caption([EMPTY, HIDDEN, object_code("yellow", "diamond"), EMPTY]) == (
        "Empty cell hidden cell yellow diamond empty cell"
    )


@pytest.mark.parametrize("scene", [[0, 1, 2], [0, 1, 2, 3, 4], [0, 1, 2, HIDDEN + 1], [0, 1, 2, -1]])
def test_a_caption_needs_four_cell_codes(scene):
    with pytest.raises(ValueError, match="4 cell codes from 0 to 17"):
        caption(scene)


def test_forms_are_sorted_unique_and_name_the_inflection():
    for language in LANGUAGES:
        rows = forms(language)
        assert rows == sorted(set(rows))
        assert {row[0] for row in rows} >= (
            {f"colour:{c}" for c in COLOURS}
            | {f"shape:{s}" for s in SHAPES}
            | {f"place:{p}" for p in PLACES}
            | {f"half:{h}" for h in HALVES}
            | {f"direction:{d}" for d in DIRECTIONS}
            | {f"quantifier:{q}" for q in QUANTIFIERS}
            | {"state:empty", "state:filled"}
        )
    assert ("colour:red", "dat feminine", "roten") in forms("de")
    assert ("number:1", "acc masculine", "einen") in forms("de")
    assert ("colour:yellow", "one neuter", "geel") in forms("nl")
    assert ("shape:diamond", "plain +가", "마름모가") in forms("ko")


def test_unknown_languages_and_phrasings_are_named():
    with pytest.raises(ValueError, match="unknown language 'xx'; known: en, de, nl, ja, ko, zh"):
        express(TOP_LEFT_CIRCLE, "xx", 0)
    with pytest.raises(ValueError, match="unknown language 'xx'"):
        forms("xx")
    for phrasing in (-1, 3):
        with pytest.raises(ValueError, match=f"unknown phrasing {phrasing}; known: 0 to 2"):
            express(TOP_LEFT_CIRCLE, "en", phrasing)


@pytest.mark.parametrize(
    "fact",
    [
        Fact("colour_of", ("red", "top_left")),
        Fact("object_at", ("red circle",)),
        Fact("object_at", ("pink circle", "top_left")),
        Fact("object_at", ("red circle", "middle")),
        Fact("emptiness", ("full", "top")),
        Fact("relation", ("red", "near", "blue")),
        Fact("count", ("at_least_ten", "red")),
    ],
)
def test_what_is_no_statement_of_the_miniature_is_refused(fact):
    with pytest.raises(ValueError, match="not a statement of the miniature"):
        express(fact, "en", 0)


# --- golden files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grammar_forms.tsv", *(f"sentences.{language}.tsv" for language in LANGUAGES)])
def test_golden_files(name):
    assert (GOLDEN / name).read_text(encoding="utf-8").splitlines() == golden_files()[name]


def test_the_golden_sentences_cover_the_miniature():
    chosen = sample()
    assert len(set(chosen)) == 50
    kinds = {(fact.form, phrasing) for fact, phrasing in chosen}
    assert kinds == {(kind, phrasing) for kind in FORMS for phrasing in range(PHRASINGS)}
    said = {word for fact, _ in chosen for argument in fact.arguments for word in argument.split()}
    assert said >= {*COLOURS, *SHAPES, *PLACES, *HALVES, *DIRECTIONS, *QUANTIFIERS, "empty", "filled"}


def main() -> None:
    """Write the golden files from the code."""
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: PYTHONPATH=src:tests/unit python tests/unit/miniature/test_grammar.py --write")
    GOLDEN.mkdir(exist_ok=True)
    for name, lines in golden_files().items():
        (GOLDEN / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
