"""The stages `translate` and `translate_back`, where what comes back is evidently no translation."""

import json
from pathlib import Path

import pytest
import test_translate_back as back
from deep_translator import constants
from test_translate import arguments, google, texts

from clseave.foundation.errors import UserError
from clseave.foundation.process.shards import Shard
from clseave.foundation.rows.records import Translation, read_rows
from clseave.stages import translate
from clseave.translation import google as backend
from clseave.translation.answers import Answer, Answers
from translate_server import Service, said, serving

ERROR = "Der Dienst ist derzeit leider nicht erreichbar."  # in the target language, in words that no list has
ENGLISH = texts(100)
FILES = "device: cpu\ntranslate: {{backend: files, folder: made, corrections: {}, untranslated: {}}}\n"


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(backend, "BACKOFF_S", 0.01)
    with serving(Service()) as running:
        monkeypatch.setitem(constants.BASE_URLS, "GOOGLE_TRANSLATE", running.url)
        yield running


def refused(words: list[str]) -> str:
    """The one line of the error; nothing is written."""
    with pytest.raises(UserError) as raised:
        translate.main(words)
    assert not Path(words[words.index("--out") + 1]).exists() and "\n" not in str(raised.value)
    return str(raised.value)


def written(words: list[str]) -> list[str]:
    translate.main(words)
    return [row.text for row in read_rows(words[words.index("--out") + 1], Translation)]


def kept(folder: Path) -> dict[str, str]:
    with Answers(folder / "store", "google", backend.GoogleBackend.version, "de") as answers:
        return answers.texts


def listed(folder: Path) -> list[list[str]]:
    (path,) = folder.rglob("*.failures.tsv")
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("sentence", [ERROR, "Error 500 (Server Error)!!1", "Please wait a moment."])
@pytest.mark.parametrize(("characters", "every"), [(4500, 1), (10, 1), (10, 2), (10, 3)])
def test_the_service_s_error_sentence_is_not_kept(tmp_path, service, sentence, characters, every):
    asked = []

    def sometimes(lines, target):
        asked.append(lines)
        fails = len(asked) % every == 0 and lines != [backend.PROBE]
        return [sentence] * len(lines) if fails else [said(line, target) for line in lines]

    service.translate = sometimes
    words = arguments(tmp_path, google(characters=characters), ENGLISH)
    message = refused(words)
    assert f"google gave {sentence!r} for 'Sentence " in message
    assert f"'A dog runs.' brings '{said('A dog runs.')}'" in message
    assert len(asked) < 30 and sentence not in kept(tmp_path).values()
    assert {row[2] for row in listed(tmp_path)} <= {
        "?? the same answer as for other sources", "?? message of a service", "?? not in the script of 'de'"
    }  # fmt: skip
    service.translate = lambda lines, target: [said(line, target) for line in lines]
    assert written(words) == [said(text) for text in ENGLISH]


def test_an_error_sentence_in_place_of_a_whole_batch_is_not_kept(tmp_path, service):
    service.translate = lambda lines, target: [ERROR]
    message = refused(arguments(tmp_path, google(), ENGLISH))
    assert f"gave '{ERROR}'" in message and f"'A dog runs.' brings '{ERROR}'" in message and kept(tmp_path) == {}


def test_a_blocked_service_is_an_error_also_where_the_english_may_stay(tmp_path, service):
    service.translate = lambda lines, target: [ERROR] * len(lines)
    profile = google().replace("corrections: null", "corrections: null\n  untranslated: keep_english")
    for _ in range(3):  # each run asks anew
        assert "too different to have one translation" in refused(arguments(tmp_path, profile, ENGLISH))


def old_store(folder: Path, rows: dict[str, str], shard: Shard | None = None) -> None:
    """Answers as they were kept before they were checked."""
    with Answers(folder / "store", "google", backend.GoogleBackend.version, "de", shard=shard) as answers:
        for source, text in rows.items():
            answers.add(Answer(source, text))


@pytest.mark.parametrize("bad", [ERROR, "Error 500 (Server Error)!!1", "nan"])
def test_what_an_earlier_run_kept_is_checked_and_asked_for_again(tmp_path, service, caplog, bad):
    old_store(tmp_path, {text: bad if number % 9 == 0 else said(text) for number, text in enumerate(ENGLISH)})
    words = arguments(tmp_path, google(), ENGLISH)
    assert written(words) == written(words) == [said(text) for text in ENGLISH]
    assert service.texts == ["\n".join(ENGLISH[::9])]  # once, and no other
    assert "12 of 100 kept answers are no translations and will be asked for again" in caplog.text


def test_what_shards_kept_is_checked_together(tmp_path, service):
    for number in (1, 2, 3):  # one each, which none of them can see alone
        old_store(tmp_path, {ENGLISH[number]: ERROR}, Shard(number, 3))
    words = arguments(tmp_path, google(), ENGLISH)
    translate.main([*words, "--shard", "1/3"])
    assert written(words) == [said(text) for text in ENGLISH] and ERROR not in kept(tmp_path).values()


def test_a_withdrawn_answer_stays_withdrawn_in_whatever_order_files_are_read(tmp_path):
    old_store(tmp_path, {"One": ERROR}, Shard(2, 2))
    with Answers(tmp_path / "store", "google", backend.GoogleBackend.version, "de", shard=Shard(1, 2)) as answers:
        answers.withdraw("One", "the same answer as for other sources")
    assert kept(tmp_path) == {}
    old_store(tmp_path, {"One": "Eins"}, Shard(2, 2))
    assert kept(tmp_path) == {"One": "Eins"}


# the user's own files

SENTENCES = ["A man walks.", "Two dogs bark.", "Women cook dinner.", "Children swim.", "A red car stands there."]


def files(folder: Path, rows: dict[str, str], language: str = "de", corrections: str = "null", keep: str = "stop"):
    (folder / "source" / "made").mkdir(parents=True, exist_ok=True)
    table = "".join(f"{source}\t{text}\n" for source, text in rows.items())
    (folder / "source" / "made" / f"{language}.tsv").write_text(table, encoding="utf-8")
    return arguments(folder, FILES.format(corrections, keep), list(rows), language)


@pytest.mark.parametrize("keep", ["stop", "keep_english"])
@pytest.mark.parametrize("text", ["Ein Hund schläft.", "nan"])
def test_one_text_for_all_rows_is_refused_with_their_lines(tmp_path, text, keep):
    message = refused(files(tmp_path, dict.fromkeys(SENTENCES, text), keep=keep))
    assert message.startswith(f"5 of 5 hypotheses have no translation into de: files gave '{text}' for 'A man walks.',")
    reason = "marker of a missing value" if text == "nan" else "the same answer as for other sources"
    assert listed(tmp_path) == [
        ["de", source, f"?? de.tsv:{line}: {reason}"] for line, source in enumerate(SENTENCES, 1)
    ]


def test_rows_that_are_no_translations_are_listed(tmp_path):
    wrong = ["nan", "lÃ¤uft", "一个人在公园里", "Ein &quot;guter&quot; Hund"]
    rows = dict(zip(SENTENCES, [*wrong, "Ein rotes Auto steht da."], strict=True))
    assert refused(files(tmp_path, rows)).startswith("4 of 5 hypotheses have no translation into de: 'A man walks.' (")
    assert [row[2] for row in listed(tmp_path)] == [
        "?? de.tsv:1: marker of a missing value",
        "?? de.tsv:2: characters of a wrong encoding, expected UTF-8",
        "?? de.tsv:3: not in the script of 'de'",
        "?? de.tsv:4: an HTML entity ('&quot;'), expected plain text",
    ]
    assert written(files(tmp_path, rows, keep="keep_english")) == [*SENTENCES[:4], "Ein rotes Auto steht da."]


def test_a_correction_may_be_what_a_check_refuses(tmp_path):
    rows = {"A BMX bike.": "BMX", "A man walks.": "一个人走路。"}
    assert "'A BMX bike.' (zh.tsv:1: not in the script of 'zh')" in refused(files(tmp_path, rows, "zh"))
    (tmp_path / "source" / "mine.tsv").write_text("zh\tA BMX bike.\tBMX\n")
    assert written(files(tmp_path, rows, "zh", corrections="mine.tsv")) == ["BMX", "一个人走路。"]


def test_corrections_may_repeat_a_text_but_not_be_damaged(tmp_path):
    words = files(tmp_path, dict.fromkeys(SENTENCES, "x"), corrections="mine.tsv")
    mine = tmp_path / "source" / "mine.tsv"
    mine.write_text("".join(f"de\t{source}\tvon Hand\n" for source in SENTENCES))
    assert written(words) == ["von Hand"] * 5
    mine.write_text("de\tA man walks.\tEin Mann lÃ¤uft\n")
    with pytest.raises(UserError, match=r"mine.tsv:1: found 'Ein Mann lÃ¤uft': characters of a wrong encoding"):
        translate.main(words)


def test_one_text_for_all_translations_back_is_an_error(tmp_path):
    table = dict(zip(SENTENCES, ["Ein Mann geht.", "Zwei Hunde bellen.", "Frauen kochen.", "Es ist."], strict=False))
    (tmp_path / "source/made").mkdir(parents=True)
    (tmp_path / "source/made/de-en.tsv").write_text("".join(f"{text}\tA dog.\n" for text in table.values()))
    with pytest.raises(UserError, match=r"4 of 4 hypotheses have no translation into en: files gave 'A dog.' for"):
        back.run(tmp_path, "backend: files, folder: made, corrections: null", table, tuple(table))
    assert not (tmp_path / "back.jsonl").exists()


def test_the_store_says_what_was_withdrawn(tmp_path):
    old_store(tmp_path, {"One": "Eins"})
    with Answers(tmp_path / "store", "google", backend.GoogleBackend.version, "de") as answers:
        answers.withdraw("One", "nothing")
        assert (answers.texts, answers.reasons) == ({}, {"One": "nothing"})
    last = json.loads(answers.path.read_text().splitlines()[-1])
    assert last == {"source": "One", "text": "Eins", "reason": "nothing"}
