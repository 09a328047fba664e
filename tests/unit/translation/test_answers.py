"""The store of answers: append-only, fixed after a kill, held by one process at a time."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clseave.foundation.errors import UserError
from clseave.translation.answers import UNFINISHED, Answer, Answers, scrambled, tidy
from clseave.translation.checks import fault

HEAD = '{"backend":"google","version":"1.11.4","source":"en","target":"de"}\n'
ONE = '{"source":"One","text":"Eins"}\n'


def store(folder: Path, **changes) -> Answers:
    values = {"backend": "google", "version": "1.11.4", "target": "de"} | changes
    return Answers(folder, values["backend"], values["version"], values["target"])


def path_of(folder: Path) -> Path:
    return store(folder).path


@pytest.fixture
def started(tmp_path) -> Path:
    """A store with one answer."""
    with store(tmp_path) as answers:
        answers.add(Answer("One", "Eins"))
    return path_of(tmp_path)


def test_an_answer_is_a_line_under_its_key(started):
    assert started.read_text() == HEAD + ONE


def test_answers_are_there_the_next_time(started):
    with store(started.parent) as answers:
        assert answers.texts == {"One": "Eins"} and answers.reasons == {}
        answers.add(Answer("Zwölf\n", "„12“"))
    with store(started.parent) as answers:
        assert answers.texts == {"One": "Eins", "Zwölf\n": "„12“"}


def test_each_answer_is_written_before_the_next_is_asked_for(tmp_path):
    with store(tmp_path) as answers:
        for number in range(3):
            answers.add(Answer(str(number), "x"))
            assert len(answers.path.read_text().splitlines()) == number + 2


def test_a_failure_has_a_reason_until_an_answer_takes_its_place(tmp_path):
    with store(tmp_path) as answers:
        answers.add(Answer("OK", "OK", "echo of the source"))
        answers.add(Answer("No", None))
        assert (answers.texts, answers.reasons) == ({}, {"OK": "echo of the source", "No": "no answer"})
    with store(tmp_path) as answers:
        assert answers.reasons == {"OK": "echo of the source", "No": "no answer"}
        answers.add(Answer("OK", "Gut"))
        assert (answers.texts, answers.reasons) == ({"OK": "Gut"}, {"No": "no answer"})
    with store(tmp_path) as answers:
        assert (answers.texts, answers.reasons) == ({"OK": "Gut"}, {"No": "no answer"})


@pytest.mark.parametrize("change", [{"backend": "nmt"}, {"version": "1.11.5"}, {"version": "1_11_4"}, {"target": "nl"}])
def test_other_keys_have_other_files(started, change):
    with store(started.parent, **change) as answers:
        assert answers.texts == {} and answers.path != started


def test_the_version_may_be_no_file_name(tmp_path):
    with store(tmp_path, version="org/model@" + "0123456789" * 20) as answers:
        answers.add(Answer("One", "Eins"))
        assert answers.path.parent == tmp_path and len(answers.path.name) < 150


@pytest.mark.parametrize(
    "torn", ['{"source":"Two","te', '{"source":"Two","text":"Zwei"}', "\0\0\0", "{" + "x" * 200_000]
)
def test_a_line_that_a_kill_tore_is_dropped(started, torn, caplog):
    with open(started, "a") as stream:
        stream.write(torn)
    with store(started.parent) as answers:
        assert answers.texts == {"One": "Eins"}
        answers.add(Answer("Two", "Zwei"))
    assert started.read_text() == HEAD + ONE + '{"source":"Two","text":"Zwei"}\n'
    assert f"dropped the last {len(torn)} bytes" in caplog.text


@pytest.mark.parametrize("size", range(len(HEAD + ONE) + 1))
def test_a_file_cut_anywhere_can_be_gone_on_with(started, size):
    started.write_text((HEAD + ONE)[:size])
    with store(started.parent) as answers:
        answers.add(Answer("Two", "Zwei"))
    lines = started.read_text().splitlines()
    assert lines[0] + "\n" == HEAD and json.loads(lines[-1]) == {"source": "Two", "text": "Zwei"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEAD + "[]\n", ":2: expected a JSON object, found list"),
        (HEAD + ONE + "nonsense\n" + ONE, ":3: not a JSON object"),
        (HEAD + '{"source":"One"}\n{"text":"Eins"}\n', ":3: found .*, expected an answer"),
        (HEAD + '{"source":"One","text":1}\n', ":2: found .*, expected an answer"),
        (HEAD + '{"source":"One","text":"Eins","date":"1"}\n', ":2: found .*, expected an answer"),
        (HEAD.replace("de", "nl"), ":1: found .*'nl'.*, expected .*'de'.*: move the file away"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path, content, message):
    path_of(tmp_path).write_text(content)
    with pytest.raises(UserError, match=message), store(tmp_path):
        pass
    assert path_of(tmp_path).read_text() == content
    path_of(tmp_path).unlink()
    with store(tmp_path) as answers:  # the lock was let go of
        assert answers.texts == {}


PROGRAM = """
import sys
from pathlib import Path
from clseave.translation.answers import Answer, Answers
with Answers(Path(sys.argv[1]), "google", "1.11.4", "de") as answers:
    answers.add(Answer("x", "y"))
"""


def test_a_second_process_is_refused(started):
    command = [sys.executable, "-c", PROGRAM, str(started.parent)]
    with store(started.parent):
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert run.returncode == 1 and "another run is using it: wait for that one, or stop it" in run.stderr
        assert started.read_text() == HEAD + ONE
    subprocess.run(command, timeout=60, check=True)
    assert started.read_text() == HEAD + ONE + '{"source":"x","text":"y"}\n'


def test_dates_stand_in_a_file_of_their_own(started):
    with store(started.parent) as answers:
        answers.add(Answer("Two", "Zwei"))
    dates = started.with_suffix(".dates.tsv").read_text()
    assert re.fullmatch(r"2\t20\d\d-\d\d-\d\d\n3\t20\d\d-\d\d-\d\d\n", dates)  # from which line on, which day
    assert not re.search(r"20\d\d-", started.read_text())


def test_nothing_is_written_for_what_need_not_be_kept(tmp_path):
    with Answers(tmp_path / "store", "gold", "1", "de", kept=False) as answers:
        answers.add(Answer("One", "Eins"))
        assert answers.texts == {"One": "Eins"}
        answers.list_failures({})
    assert list(tmp_path.iterdir()) == []


def test_failures_are_listed_for_correction_and_the_list_goes_when_there_are_none(tmp_path):
    with store(tmp_path) as answers:
        path = answers.list_failures({"OK": "echo of the source", "a\tb\nc": "empty"})
        assert path.read_text() == f"de\tOK\t{UNFINISHED}echo of the source\nde\ta b c\t{UNFINISHED}empty\n"
        assert answers.list_failures({}) == path and not path.exists()


@pytest.mark.parametrize(
    ("source", "text", "reason"),
    [
        ("A dog", "Ein Hund", None),
        ("Two", "二", None),
        ("A dog", None, "no answer"),
        ("A dog", "", "empty"),
        ("A dog", " \n", "empty"),
        ("A dog", "A dog", "echo of the source"),
        ("A dog.", "a DOG", "echo of the source"),
        ("Cafe\u0301", "CAFÉ!", "echo of the source"),
        ("...", "...", "echo of the source"),
        ("...", "。", "no letters"),
        ("Two dogs", "2", "no letters"),
        ("...", "Punkte", None),
    ],
)
def test_what_is_no_translation(source, text, reason):
    assert fault(source, text, "zh" if text == "二" else "de") == reason


def test_tidy_text_is_one_line_in_normal_form():
    assert tidy(" Cafe\u0301 \r\n\n  du\u2028 Nord ") == "Café du Nord"
    assert tidy("a  b\tc") == "a  b\tc"  # what is inside a line stays


def lengths(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return ["x" * rng.randint(15, 70) for _ in range(count)]


def translated(sources: list[str], seed: int) -> list[str]:
    """Lines of 70 to 100 % of their sources' lengths."""
    rng = random.Random(seed)
    return [source[: int(len(source) * rng.uniform(0.7, 1.0))] for source in sources]


@pytest.mark.parametrize("count", [32, 80])
@pytest.mark.parametrize("seed", range(20))
def test_lines_in_the_order_of_their_sources_are_taken(count, seed):
    sources = lengths(count, seed)
    assert not scrambled(sources, translated(sources, seed))


@pytest.mark.parametrize("seed", range(20))
def test_another_order_is_seen_by_the_lengths(seed):
    sources = lengths(80, seed)
    lines = translated(sources, seed)
    assert scrambled(sources, lines[1:] + lines[:1])  # each line belongs to the sentence before
    assert scrambled(sources, lines[::-1])
    random.Random(seed).shuffle(lines)
    assert scrambled(sources, lines)


def test_few_lines_and_lines_of_one_length_say_nothing_about_their_order():
    assert not scrambled(["a", "bb", "ccc"] * 10, ["ccc", "bb", "a"] * 10)
    assert not scrambled(["ab"] * 40, ["a", "bc"] * 20)
    assert not scrambled(["a", "bc"] * 20, [None] * 40)


@pytest.mark.parametrize(("sources", "lines", "glued"), [(4, 1, True), (3, 1, False), (4, 3, False), (1, 1, False)])
def test_one_line_for_many_was_glued(sources, lines, glued):
    assert scrambled(["a"] * sources, ["b"] * lines) is glued
