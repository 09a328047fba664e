"""What is evidently no translation, and what only looks like that."""

import json

import pytest

from clseave.translation.checks import REPEATS, Repetitions, damage, fault

SOURCE = "A man is walking his dog in the park."
MARKER, SERVICE, ENCODING = "marker of a missing value", "message of a service", "characters of a wrong encoding"
LONG, SHORT, TAG, ESCAPE = "too long", "too short", "an HTML tag", "an escape sequence"
ENTITY, SCRIPT, CHINESE = "an HTML entity", "not in the script of", "Chinese in place of Japanese"
WRONG = {
    MARKER: "nan|NaN|None|none.|NULL|null|(null)|<NA>|N/A|NA|NaT|#N/A|#NAME?|#VALUE!|#REF!|#DIV/0!|undefined|ERROR",
    ENTITY: "Ein &quot;guter&quot; Hund|geht&#39;s|Hund &amp; Mann|Der&nbsp;Hund|l&auml;uft|Ein & quot; Hund|&quot b",
    TAG: "Ein <b>Hund</b>|Ein Hund<br>|<p>Ein Hund|</s> Hund|<unk> Hund",
    ESCAPE: r"l\u00e4uft|l\xe4uft|l%C3%A4uft|l=C3=A4uft|Ein%20Hund|b'Ein Hund'|{'text': 'Ein Hund'}|Ein Hund\n",
    ENCODING: "lÃ¤uft|StraÃŸe|lÃƒÂ¤uft|l√§uft|l├ñuft|f¸r|l„uft|l\x84uft|l\ufffduft|M?nner|dâ€™eau|niÃ±o|ç‹—åœ¨è·‘",
    SERVICE: "Error 500 (Server Error)!!1500.That’s an error.|HTTP Error 503|429 Too Many Requests|Service Unavailable|"
    "We're sorry... but your computer or network may be sending automated queries.|Before you continue to Google|"
    "MYMEMORY WARNING: YOU USED ALL AVAILABLE FREE TRANSLATIONS FOR TODAY|Quota exceeded for this project|"
    "No translation was found using the current translator. Try another translator?|unusual traffic",
    SCRIPT: "一个人在公园里遛狗。|男が歩く|Мужчина гуляет|남자가 걷는다|رجل يمشي|Ein 男が犬を散歩",
    "letters of two scripts": "lдuft|lαuft",
    LONG: "Ein Hund läuft durch den Park. " * 20,
    REPEATS: f"Übersetzung: {SOURCE}|Cannot translate '{SOURCE}'",
}  # fmt: skip


@pytest.mark.parametrize(("reason", "text"), [(why, text) for why, texts in WRONG.items() for text in texts.split("|")])
def test_a_text_that_is_no_german_translation(reason, text):
    assert str(fault(SOURCE, text, "de")).startswith(reason)


@pytest.mark.parametrize(
    ("language", "text", "reason"),
    [
        ("ja", "Ein Mann läuft", SCRIPT),
        ("ja", "一个人在公园里遛狗，他们很开心。", CHINESE),
        ("ja", "一群人站在一辆装满棉花的卡车后面", CHINESE),
        ("ja", "남자가 공원에서 걷는다", SCRIPT),
        ("zh", "男性が公園で犬を散歩させている。", SCRIPT),
        ("zh", "The man 在 is walking in the park", SCRIPT),
        ("ko", "一个人在公园里遛狗", SCRIPT),
        ("ko", "A man walks", SCRIPT),
        ("ru", "Ein Mann läuft", SCRIPT),
        ("ru", "Ð¡Ð¾Ð±Ð°ÐºÐ°", ENCODING),
        ("ru", "Ñîáàêà áåæèò", SCRIPT),
        ("ar", "A man walks", SCRIPT),
        ("ar", "Ø±Ø¬Ù„ ÙŠÙ…Ø´ÙŠ", ENCODING),
        ("hi", "Ein Mann läuft", SCRIPT),
        ("en", "一个人在公园里遛狗。", SCRIPT),
    ],
)
def test_a_text_of_another_language_s_script(language, text, reason):
    assert str(fault(SOURCE, text, language)).startswith(reason)


@pytest.mark.parametrize(
    ("source", "language", "text"),
    [
        ("Zero.", "de", "Null."),
        ("A DJ plays.", "zh", "DJ在打碟。"),
        ("A T-shirt", "zh", "T恤"),
        ("A man rides a BMX bike.", "zh", "一个人骑着BMX。"),
        ("Students of Tokyo University", "ja", "東京大学学生"),
        ("A man", "ja", "男"),
        ("A man wears a Facebook strap.", "ja", "Facebookのストラップをつけた男性。"),
        ("A man in China", "ko", "中國의 남자"),
        ("R&B music plays.", "de", "R&B-Musik läuft."),
        ("AT&T; says 5 < 6 > 4", "de", "AT&T; sagt 5 < 6 > 4"),
        ("A sign says &quot;stop&quot;", "de", "Ein Schild sagt &quot;Stopp&quot;"),
        ("A sign with <br> on it", "de", "Ein Schild, auf dem <br> steht"),
        ("A page says Error 404.", "de", "Auf der Seite steht Error 404."),
        ("He had so much fun.", "de", "„So ein Spaß“"),
        ("CAFE", "fr", "« CAFÉ »…"),
        ("Fiancé", "en", "“My fiancé”…"),
        ("A collection", "ca", "Una col·lecció"),
        ("A man", "sr", "Човек"),
        ("A man", "sr", "Čovek hoda"),
        ("A man walks", "vi", "Một người đàn ông đang đi dạo"),
        ("A man walks", "tr", "İstanbul'da ılık bir gün"),
        ("A man walks", "pl", "Mężczyzna idzie"),
        ("A man walks", "he", "איש הולך"),
        ("A man walks", "fa", "مردی راه می‌رود"),
        ("A man walks", "th", "ผู้ชายกำลังเดิน"),
        ("A man walks", "xx", "𐐀𐐁𐐂"),  # a language that is not in the table
    ],
)
def test_a_text_that_only_looks_odd_is_a_translation(source, language, text):
    assert fault(source, text, language) is None


@pytest.mark.parametrize(("language", "text"), [("de", "H"), ("de", "Er."), ("zh", "人")])
def test_a_word_for_a_long_sentence(language, text):
    assert str(fault(SOURCE * 5, text, language)).startswith(SHORT)


def test_every_language_of_the_service_has_its_script():
    from deep_translator.constants import GOOGLE_LANGUAGES_TO_CODES

    from clseave.translation.checks import LANGUAGES

    known = {code for codes in LANGUAGES.values() for code in codes.split()}
    assert {code.split("-")[0] for code in GOOGLE_LANGUAGES_TO_CODES.values()} <= known


def real_pairs(test_data):
    """(language, English, translation) of people's and Google's translations."""
    for path in sorted((test_data / "parallel").glob("en-*.tsv")):
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            _, english, text = line.split("\t")
            yield path.name[3:5], english, text
    for language in ("ar", "es", "fr", "ru"):
        files = [test_data / "xvnli" / f"test_first600.{code}.jsonl" for code in ("en", language)]
        rows = [[json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for path in files]
        for english, other in zip(*rows, strict=True):
            yield from ((language, english[name], other[name]) for name in ("sentence1", "sentence2"))


@pytest.mark.slow
@pytest.mark.needs_data
def test_no_real_translation_is_refused_but_those_with_entities(test_data):
    refused = {
        (text, reason)
        for language, source, text in real_pairs(test_data)
        for reason in (fault(source, text, language), fault(text, source, "en"))
        if reason
    }
    assert len(refused) == 31 and all("&quot;" in text or "&#39;" in text for text, _ in refused)
    assert all(reason.startswith(ENTITY) for _, reason in refused)


# one answer for many sources

THINGS = [
    "A man walks.",
    "Two dogs bark loudly.",
    "Women cook dinner.",
    "Children swim outside.",
    "Birds fly over trees.",
]


def add(repetitions: Repetitions, pairs) -> list[bool]:
    return [repetitions.add(source, text) for source, text in pairs]


def test_one_answer_for_three_different_sources_of_few_is_too_many():
    repetitions = Repetitions(5)
    assert add(repetitions, [(source, "Fehler!") for source in THINGS[:3]]) == [False, False, True]
    assert repetitions.repeated() == [dict.fromkeys(THINGS[:3], "Fehler!")]


def test_in_a_large_set_it_takes_four_without_a_common_word():
    pairs = [(source, "Fehler!") for source in THINGS]
    assert add(Repetitions(25_000), pairs) == [False, False, False, True, True]
    assert add(Repetitions(100_000), pairs) == [False] * 5  # where paraphrases are more, it takes eight
    alike = [(f"A man near {number} trees.", "Fehler!") for number in range(9)]
    assert add(Repetitions(900), alike) == [False] * 8 + [True]  # 9 of 900: they differ in their numbers
    assert add(Repetitions(901), alike) == [False] * 9


def test_fifty_different_sources_are_too_many_in_any_set():
    alike = [(f"A man near {number} trees.", "Fehler!") for number in range(50)]
    assert add(Repetitions(500_000), alike) == [False] * 49 + [True]


def test_an_answer_with_times_and_identifiers_is_the_same_answer():
    pairs = [(source, f"Fehler 8f3a10022{number} um 10:0{number}") for number, source in enumerate(THINGS)]
    assert add(Repetitions(5), pairs)[:3] == [False, False, True]


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        (
            "Ein Mann ist draußen.",
            ["A man is outside.", "The man is outside", "a man outside!", "There is a man outside."],
        ),
        ("Ein Mann ist draußen.", ["A man is outside.", "A guy is outdoors."]),
        ("Ein Mann läuft.", ["A man runs.", "A man is running.", "The man ran", "A man run"]),
        ("...", ["...", "!!!", "?", "-"]),
    ],
)
def test_paraphrases_may_share_a_translation(text, sources):
    repetitions = Repetitions(4)
    assert not any(add(repetitions, [(source, text) for source in sources])) and repetitions.repeated() == []


def test_other_numbers_have_other_translations():
    assert not any(
        add(Repetitions(9), [(f"Sentence {number}.", f"Satz {number}.") for number in range(100_000, 100_009)])
    )


@pytest.mark.needs_data
def test_no_real_translation_is_shared_by_too_many(test_data):
    pairs = list(real_pairs(test_data))
    for language in sorted({language for language, _, _ in pairs}):
        own = [(source, text) for code, source, text in pairs if code == language]
        forth, back = Repetitions(len(own)), Repetitions(len(own))
        assert not any(add(forth, own)) and not any(add(back, [(text, source) for source, text in own]))


def test_a_person_may_insist_on_another_script_but_not_on_damage():
    assert damage("A BMX bike", "BMX") is None and fault("A BMX bike", "BMX", "zh")
    assert damage("A dog", "lÃ¤uft") and damage("A dog", "nan")
