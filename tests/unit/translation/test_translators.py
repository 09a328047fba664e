"""Translators behind one protocol, the user's own translations, and what becomes of failures."""

import gzip
import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import Translation, hypothesis_id
from clseave.foundation.settings.schema import FileTranslation, GoldTranslation
from clseave.miniature import gold
from clseave.miniature.grammar import express
from clseave.miniature.statements import Fact
from clseave.translation.answers import Answer, Answers, ServiceError, tidy
from clseave.translation.translators import (
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
        ("c.csv", "One,Eins\n", r"c.csv:1: found language None, expected code, English, translation"),
        ("c.csv", "source,text\nOne,Eins\n", r"c.csv:2: found language None, expected code"),
        ("c.csv", "target,source,text\nde,One,?? empty\n", r"c.csv:2: found '\?\? empty', expected a translation"),
        ("c.txt", "de\tOne\tEins\n", r"c.txt: found .txt, expected .jsonl, .tsv, .csv, .jsonl.gz, .tsv.gz, .csv.gz"),
        ("c", "", r"c: found no suffix, expected .jsonl, .tsv, .csv"),
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
        (
            "de.tsv",
            b"7a\tOne\tEins\n",
            r"de.tsv:1: found 3 columns, .* the file is tab-separated, not quoted, and .*'7a'",
        ),
        ("de.csv", b"One\nTwo\n", r"de.csv:1: found 1 columns, expected English .* comma-separated, .* is \['One'\]"),
        ("de.csv", b'en,de\n"One","Ei\nns"\nTwo,a,b\n', r"de.csv:4: found 3 columns, but 2 in the header: .*'Two'"),
        ("de.tsv", b"id\ten\tde\n1\tOne\n", r"de.tsv:2: found 2 columns, but 3 in the header"),
        ("de.tsv", b"id\ten\tnl\n1\tOne\tEen\n", r"de.tsv:1: found columns .*'nl'.*, expected one named 'de' too"),
        ("de.tsv", b"id\ten1\tde1\n1\tOne\tEins\n", r"de.tsv:1: found target 'id', expected 'de'"),
        ("de.tsv", b"target\tsource\ttext\nnl\tOne\tEen\n", r"de.tsv:2: found target 'nl', expected 'de'"),
        ("de.jsonl", b'{"en":"One","nl":"Een"}\n', r"de.jsonl:1: found .*, expected source, text"),
        ("de.jsonl", b'{"en":"One","de":1}\n', r"de.jsonl:1: found .*, expected source, text"),
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


PARALLEL = {
    "a header": ("de.tsv", "id\ten\tde\n7\tOne\tEins\n8\tTwo\tZwei\n"),
    "other order, capitals": ("de.csv", "DE;Id;EN\nEins;7;One\nZwei;8;Two\n"),
    "several languages": ("de.tsv", "en\tnl\tde\tja\nOne\tEen\tEins\t一\nTwo\tTwee\tZwei\t二\n"),
    "source and target": ("de.tsv", "source\ttarget\nOne\tEins\nTwo\tZwei\n"),
    "english and text": ("de.csv", "english,text\nOne,Eins\nTwo,Zwei\n"),
    "our fields": (
        "de.csv",
        "hypothesis_id,source,target,text,backend,version\na,One,de,Eins,files,1\nb,Two,de,Zwei,files,1\n",
    ),
    "index of pandas": ("de.tsv", "\ten\tde\n0\tOne\tEins\n1\tTwo\tZwei\n"),
    "index without a header": ("de.tsv", "0\tOne\tEins\n1\tTwo\tZwei\n"),
    "tabs at the end": ("de.tsv", "One\tEins\t\t\nTwo\tZwei\t\n\t\t\n"),
    "tabs at the end, header": ("de.tsv", "id\ten\tde\t\n7\tOne\tEins\t\t\t\n8\tTwo\tZwei\n"),
    "blank lines": ("de.tsv", "One\tEins\n\n  \nTwo\tZwei\n\n\n"),
    "blank lines, JSON": ("de.jsonl", '{"source":"One","text":"Eins"}\n\n{"source":"Two","text":"Zwei"}\n\n \n'),
    "JSON by language": ("de.jsonl", '{"id":7,"en":"One","de":"Eins"}\n{"id":8,"en":"Two","de":"Zwei","nl":"Twee"}\n'),
    "a sentence like a header": ("de.tsv", "text\tText\nOne\tEins\nTwo\tZwei\n"),
    "a tab in English": ("de.csv", '"One",Eins\n"\tTwo\n",Zwei\n'),
}


@pytest.mark.parametrize("packed", [False, True], ids=["as is", "gz"])
@pytest.mark.parametrize("form", PARALLEL)
def test_parallel_files_as_others_publish_them(tmp_path, form, packed):
    name, content = PARALLEL[form]
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    rows = run(tmp_path, FileTranslator(tmp_path, "de"), ["One", "Two"])
    assert [(one.source, one.text, one.target) for one in rows] == [("One", "Eins", "de"), ("Two", "Zwei", "de")]


def test_a_file_says_how_it_was_read(tmp_path, caplog):
    caplog.set_level("INFO")
    (tmp_path / "de.tsv").write_text('id\ten\tde\n7\tOne\t"Die ""Eins"""\n', encoding="utf-16")
    assert run(tmp_path, FileTranslator(tmp_path, "de"), ["One"])[0].text == 'Die "Eins"'
    assert f"{tmp_path}/de.tsv: 1 rows, tab-separated, quoted, columns en and de" in caplog.messages
    (tmp_path / "de.csv").write_text("One;Eins\n")
    read_given(tmp_path / "de.csv", "de", ["One"], shared=False)
    assert f"{tmp_path}/de.csv: 1 rows, semicolon-separated, not quoted, no header" in caplog.messages


def test_the_quoted_translation_of_pandas_is_taken_without_its_quotes(tmp_path):
    made = {"en": ["A good dog runs.", 'He says "no".'], "de": ['Ein "guter" Hund läuft.', '"Nein", sagt er.']}
    pd.DataFrame(made).to_csv(tmp_path / "de.tsv", sep="\t", index=False)
    rows = run(tmp_path, FileTranslator(tmp_path, "de"), made["en"])
    assert [one.text for one in rows] == made["de"]


def test_translations_back_are_in_the_english_column(tmp_path):
    (tmp_path / "de-en.tsv").write_text("id\ten\tde\n7\tOne\tEins\n")
    assert list(FileTranslator(tmp_path, "en", "de").translate(["Eins"])) == [Answer("Eins", "One")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.csv", "target,source,text\nnl,One,Een\nde,One,Eins\n"),
        ("c.csv", "de;One;Eins\nnl;One;Een\n"),
        ("c.tsv", "en\tnl\tde\nOne\tEen\tEins\nTwo\tTwee\t\n"),
        ("c.tsv", 'language\tenglish\ttranslation\n"de"\t"One"\t"Eins"\n'),
    ],
)
def test_corrections_in_tables_of_several_languages(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    texts = [one.text for one in run(tmp_path, Fake(Answer("Two", "Zwei")), corrections=tmp_path / name)]
    assert texts == ["Eins", "Zwei"]


def test_corrections_of_other_languages_alone_are_passed_over(tmp_path):
    (tmp_path / "c.tsv").write_text("en\tnl\nOne\tEen\n")
    assert run(tmp_path, Fake(Answer("One", "Eins")), ["One"], tmp_path / "c.tsv") == [row("One", "Eins")]


@pytest.mark.needs_data
@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("en-de.flickr30k_val_gmt", "de"),
        ("en-de.multi30k_val_human", "de"),
        ("en-ja.jsick_human", "ja"),
        ("en-nl.sick_nl", "nl"),
        ("en-zh.flickr8kcn_human", "zh"),
    ],
)
def test_real_parallel_files_come_through_unchanged(tmp_path, test_data, name, language):
    path = test_data / "parallel" / f"{name}.tsv"
    wanted: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        _, source, text = line.split("\t")
        wanted.setdefault(source.strip(), text)
    found = read_given(path, language, wanted, shared=False)
    assert {key: one.text for key, one in found.items()} == {
        hypothesis_id(source): tidy(text) for source, text in wanted.items()
    }
    table = pd.DataFrame({"en": list(wanted), language: list(wanted.values())})
    table.to_csv(tmp_path / f"{language}.csv", index=False)
    again = read_given(tmp_path / f"{language}.csv", language, wanted, shared=False)
    assert [one.text for one in again.values()] == [one.text for one in found.values()]


def test_the_same_translation_twice_is_one(tmp_path):
    write_form(tmp_path, "tsv", ("One", "Eins"), ("One ", " Eins"))
    assert len(run(tmp_path, FileTranslator(tmp_path, "de"), ["One"])) == 1


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], "none of de.jsonl, de.tsv, de.csv, de.jsonl.gz, de.tsv.gz, de.csv.gz"),
        (["de.jsonl", "de.tsv"], "de.jsonl and de.tsv"),
        (["de.csv.gz", "de.csv"], "de.csv and de.csv.gz"),
    ],
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
