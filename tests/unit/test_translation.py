"""Translators behind one protocol, the user's own translations, and what becomes of failures."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from clseave import gold
from clseave.answers import Answer, Answers, ServiceError
from clseave.errors import UserError
from clseave.facts import Fact
from clseave.grammar import express
from clseave.records import Translation, hypothesis_id
from clseave.schema import FileTranslation, GoldTranslation
from clseave.translation import (
    FileTranslator,
    GoldTranslator,
    file_hash,
    make_translator,
    read_given,
    translate_hypotheses,
)

ENGLISH = {
    hypothesis_id(text): text
    for text in (
        express(Fact("object_at", (thing, "top_left")), "en", 0).text for thing in ("red circle", "blue square")
    )
}


class Fake:
    """Answers in the order given, then fails if told to; notes what it was asked for."""

    name, version = "fake", "7"

    def __init__(self, *answers: Answer, error: BaseException | None = None):
        self.answers, self.error, self.asked = answers, error, []

    def translate(self, texts):
        self.asked.append(list(texts))
        yield from self.answers
        if self.error:
            raise self.error


def by_id(*texts: str) -> dict[str, str]:
    return {hypothesis_id(text): text for text in texts}


def run(store: Path, translator, texts=("One", "Two"), corrections: Path | None = None) -> list[Translation]:
    with Answers(store, translator.name, translator.version, "de") as answers:
        return list(translate_hypotheses(by_id(*texts), translator, answers, corrections))


def row(source: str, text: str, backend: str = "fake", version: str = "7") -> Translation:
    return Translation(hypothesis_id(source), source, "de", text, backend, version)


# any translator


def test_rows_stand_in_the_order_of_the_hypotheses_and_carry_what_made_them(tmp_path):
    rows = run(tmp_path, Fake(Answer("Two", "Zwei"), Answer("One", "Eins")))
    assert rows == [row("One", "Eins"), row("Two", "Zwei")]


def test_what_is_kept_is_not_asked_for_again(tmp_path):
    run(tmp_path, Fake(Answer("One", "Eins")), ["One"])
    later = Fake(Answer("Two", "Zwei"))
    assert run(tmp_path, later) == [row("One", "Eins"), row("Two", "Zwei")]
    assert later.asked == [["Two"]]


def test_answers_are_tidied(tmp_path):
    assert run(tmp_path, Fake(Answer("One", " Cafe\u0301\n eins ")), ["One"]) == [row("One", "Café eins")]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("OK", "OK"), "echo of the source"),
        (Answer("OK", None), "no answer"),
        (Answer("OK", " "), "empty"),
        (Answer("OK", "!"), "no letters"),
        (Answer("OK", "In Ord", "cut off: no end after 3 tokens"), "cut off: no end after 3 tokens"),
    ],
)
def test_a_failure_is_counted_named_and_listed_and_what_was_answered_is_kept(tmp_path, answer, reason):
    with pytest.raises(UserError) as raised:
        run(tmp_path, Fake(Answer("One", "Eins"), answer), ["OK", "One"])
    (listed,) = tmp_path.glob("*.failures.tsv")
    assert listed.read_text() == f"de\tOK\t?? {reason}\n"
    assert f"1 of 2 hypotheses have no translation into de: 'OK' ({reason}). All stand in {listed}" in str(raised.value)
    assert "\n" not in str(raised.value)
    again = Fake(Answer("OK", "In Ordnung"))
    assert run(tmp_path, again, ["OK", "One"]) == [row("OK", "In Ordnung"), row("One", "Eins")]
    assert again.asked == [["OK"]]  # once more in the next run
    assert not listed.exists()


def test_the_english_may_stand_where_there_is_no_translation(tmp_path, caplog):
    with Answers(tmp_path, "fake", "1", "de") as answers:
        backend = Fake(Answer("One", "Eins"), Answer("OK", "OK"))
        rows = list(translate_hypotheses(by_id("OK", "One"), backend, answers, keep_english=True))
    assert [(one.text, one.backend) for one in rows] == [("OK", "untranslated"), ("Eins", "fake")]
    (listed,) = tmp_path.glob("*.failures.tsv")
    assert "1 of 2 hypotheses have no translation and stay as they are" in caplog.text and str(listed) in caplog.text


def test_many_failures_are_not_all_named(tmp_path):
    texts = [f"No {number}" for number in range(5)]
    with pytest.raises(UserError, match=r"5 of 5 .*'No 0' \(no answer\), 'No 1' .*, 'No 2' \(no answer\) \.\.\."):
        run(tmp_path, Fake(), texts)


def test_giving_up_tells_what_is_done(tmp_path):
    with pytest.raises(UserError, match=r"fake gave up: HTTP status 429\. 1 of 2 translations into de are kept in .*"):
        run(tmp_path, Fake(Answer("Two", "Zwei"), error=ServiceError("HTTP status 429")))
    assert run(tmp_path, Fake(Answer("One", "Eins"))) == [row("One", "Eins"), row("Two", "Zwei")]


def test_ctrl_c_ends_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^stopped\. 1 of 2 translations into de are kept in .*: run again to go on$"):
        run(tmp_path, Fake(Answer("Two", "Zwei"), error=KeyboardInterrupt()))


# corrections


def test_a_list_of_failures_filled_in_is_a_file_of_corrections(tmp_path):
    with pytest.raises(UserError):
        run(tmp_path, Fake(Answer("One", "Eins"), Answer("OK", "OK")), ["One", "OK"])
    (listed,) = tmp_path.glob("*.failures.tsv")
    corrections = tmp_path / "corrections.tsv"
    corrections.write_text("nl\tOK\tGoed\n" + listed.read_text().replace("?? echo of the source", "OK"))
    fake = Fake()
    rows = run(tmp_path, fake, ["One", "OK"], corrections)
    assert rows == [row("One", "Eins"), row("OK", "OK", "correction", file_hash(corrections))]
    assert fake.asked == [[]]


def test_a_correction_comes_before_a_kept_answer(tmp_path):
    run(tmp_path, Fake(Answer("One", "Eins")), ["One"])
    corrections = tmp_path / "corrections.jsonl"
    corrections.write_text('{"target":"de","source":" One","text":"Eine"}\n')
    assert [one.text for one in run(tmp_path, Fake(), ["One"], corrections)] == ["Eine"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.tsv", "de\tOne\t?? empty\n", r"c.tsv:1: found '\?\? empty', expected a translation"),
        ("c.tsv", "nl\tOne\tx\nde\tOne\t \n", r"c.tsv:2: found '', expected a translation"),
        ("c.tsv", "One\tEins\n", r"c.tsv:1: found language None, expected code, English, translation"),
        ("c.jsonl", '{"source":"One","text":"Eins"}\n', r"c.jsonl:1: found language None"),
        ("c.csv", "de,One,Eins\n", r"c.csv: found .csv, expected .jsonl or .tsv"),
        ("c", "", r"c: found no suffix, expected .jsonl or .tsv"),
    ],
)
def test_a_correction_that_is_none_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        run(tmp_path, Fake(), ["One"], tmp_path / name)


def test_corrections_that_are_not_there_are_the_user_s_error(tmp_path):
    with pytest.raises(UserError, match=r"c.tsv does not exist"):
        run(tmp_path, Fake(), ["One"], tmp_path / "c.tsv")


# files

FORMS = {
    "jsonl": lambda source, text: json.dumps({"source": source, "text": text}) + "\n",
    "rows": lambda source, text: json.dumps(asdict(row(source, text))) + "\n",
    "tsv": lambda source, text: f"{source}\t{text}\n",
    "tsv with target": lambda source, text: f"de\t{source}\t{text}\n",
    "tsv of Windows": lambda source, text: f"{source}\t{text}\r\n",
}


def write_form(folder: Path, form: str, *pairs: tuple[str, str]) -> Path:
    path = folder / ("de.tsv" if form.startswith("tsv") else "de.jsonl")
    path.write_text("".join(FORMS[form](source, text) for source, text in pairs), encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("form", FORMS)
def test_files_in_every_form(tmp_path, form):
    path = write_form(tmp_path, form, ("Other", "Anderes"), ("Two", "Zwei"), ("Cafe\u0301 ", ' "Kaffee" '))
    rows = run(tmp_path, FileTranslator(tmp_path, "de"), ["Café", "Two"])
    version = file_hash(path)
    assert rows == [row("Café", '"Kaffee"', "files", version), row("Two", "Zwei", "files", version)]


def test_the_version_is_the_content_s_not_the_path_s(tmp_path):
    (tmp_path / "de.tsv").write_text("One\tEins\n")
    # printf 'One\tEins\n' | sha256sum
    assert FileTranslator(tmp_path, "de").version == file_hash(tmp_path / "de.tsv") == "c728b114b7382f25"


def test_a_byte_order_mark_belongs_to_no_sentence(tmp_path):
    (tmp_path / "de.tsv").write_text("\ufeffOne\tEins\n", encoding="utf-8")
    assert [one.text for one in run(tmp_path, FileTranslator(tmp_path, "de"), ["One"])] == ["Eins"]


def test_missing_and_refused_lines_are_failures_with_their_place(tmp_path):
    write_form(tmp_path, "tsv", ("One", "Eins"), ("OK", "ok."), ("Two", "2"), ("Blank", ""))
    with pytest.raises(UserError) as raised:
        run(tmp_path, FileTranslator(tmp_path, "de"), ["One", "OK", "Two", "Blank", "Gone"])
    (listed,) = tmp_path.glob("*.failures.tsv")
    assert "4 of 5 hypotheses have no translation into de: 'OK' (de.tsv:2: echo of the source)" in str(raised.value)
    assert listed.read_text().splitlines() == [
        "de\tOK\t?? de.tsv:2: echo of the source",
        "de\tTwo\t?? de.tsv:3: no letters",
        "de\tBlank\t?? de.tsv:4: empty",
        "de\tGone\t?? missing",
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("de.tsv", b"One\tEins\nOne \tEine\n", r"de.tsv: lines 1 and 2 translate 'One ' differently"),
        ("de.tsv", b"One\tEins\nTwo\n", r"de.tsv:2: found 1 columns, expected English and translation"),
        ("de.tsv", b"a\tOne\tEins\tb\n", r"de.tsv:1: found 4 columns"),
        ("de.tsv", b"nl\tOne\tEen\n", r"de.tsv:1: found target 'nl', expected 'de'"),
        ("de.tsv", b"One\tEins\n\xff\tx\n", r"de.tsv:2: not UTF-8"),
        ("de.jsonl", b'{"source":"One","text":"Eins"}\n{"source":"One"}\n', r"de.jsonl:2: found .*, expected source"),
        ("de.jsonl", b'{"source":"One","text":"Eins","x":1}\n', r"de.jsonl:1: found .*, expected source, text"),
        ("de.jsonl", b'{"source":"One","text":1}\n', r"de.jsonl:1: found .*, expected source, text"),
        ("de.jsonl", b"One\tEins\n", r"de.jsonl:1: not a JSON object"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        run(tmp_path, FileTranslator(tmp_path, "de"), ["One"])


def test_the_same_translation_twice_is_one(tmp_path):
    write_form(tmp_path, "tsv", ("One", "Eins"), ("One ", " Eins"))
    assert len(run(tmp_path, FileTranslator(tmp_path, "de"), ["One"])) == 1


@pytest.mark.parametrize(
    ("names", "found"), [([], "neither de.jsonl nor de.tsv"), (["de.jsonl", "de.tsv"], "de.jsonl and de.tsv")]
)
def test_a_language_has_one_file(tmp_path, names, found):
    for name in names:
        (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=f"found {found}, expected one of them"):
        FileTranslator(tmp_path, "de")


def test_lines_of_other_sentences_are_counted_in_the_log(tmp_path, caplog):
    caplog.set_level("INFO")
    path = write_form(tmp_path, "tsv", ("One", "Eins"), ("Two", "Zwei"), ("Three", "Drei"))
    assert list(read_given(path, "de", ["Two"], shared=False)) == [hypothesis_id("Two")]
    assert "2 lines are for sentences that are no hypotheses" in caplog.text


@pytest.mark.needs_data
@pytest.mark.parametrize("language", ["fr", "ru", "ar"])
def test_human_translations_of_real_hypotheses(tmp_path, test_data, language):
    """XVNLI: hypotheses of SNLI in other languages. A sentence that is translated twice has its first translation."""

    def hypotheses(code: str) -> list[str]:
        lines = (test_data / "xvnli" / f"test_first600.{code}.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["sentence2"].strip() for line in lines]

    pairs: dict[str, str] = {}
    for source, text in zip(hypotheses("en"), hypotheses(language), strict=True):
        pairs.setdefault(source, text)
    content = "".join(f"{source}\t{text}\n" for source, text in pairs.items())
    (tmp_path / f"{language}.tsv").write_text(content, encoding="utf-8")
    translator = FileTranslator(tmp_path, language)
    with Answers(tmp_path, translator.name, translator.version, language, kept=False) as answers:
        rows = list(translate_hypotheses(by_id(*pairs), translator, answers))
    assert len(rows) > 500 and [one.source for one in rows] == list(by_id(*pairs).values())
    assert all(one.text == pairs[one.source] for one in rows)


# gold


@pytest.mark.parametrize("language", ["de", "nl", "ja", "ko", "zh"])
def test_gold_translations_say_the_same(tmp_path, language):
    translator = make_translator(GoldTranslation(backend="gold"), language, tmp_path, "cpu")
    with Answers(tmp_path, "gold", gold.VERSION, language, kept=False) as answers:
        rows = list(translate_hypotheses(ENGLISH, translator, answers))
    assert [one.hypothesis_id for one in rows] == list(ENGLISH)
    assert [one.text for one in rows] == [
        express(Fact("object_at", (thing, "top_left")), language, 0).text for thing in ("red circle", "blue square")
    ]
    assert {(one.target, one.backend, one.version) for one in rows} == {(language, "gold", gold.VERSION)}
    assert list(tmp_path.iterdir()) == []


def test_gold_cannot_translate_what_the_grammar_never_says():
    with pytest.raises(UserError, match="A dog sleeps"):
        list(GoldTranslator("de").translate(["A dog sleeps"]))


def test_files_are_looked_for_in_the_folder_that_the_profile_names(tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "de.tsv").write_text("One\tEins\n")
    settings = FileTranslation(backend="files", folder="made", corrections=None)
    assert list(make_translator(settings, "de", tmp_path, "cpu").translate(["One"])) == [Answer("One", "Eins")]
