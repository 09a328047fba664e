"""The stage `translate` as a program: killed and gone on with, slow, refused; the miniature's bytes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from clseave.foundation.errors import UserError
from clseave.foundation.rows.records import Translation, hypothesis_id, read_rows, write_rows
from clseave.miniature import gold
from clseave.stages import translate
from translate_server import Service, said, serving

ROOT = Path(__file__).resolve().parents[2]
GOOGLE = """device: cpu
translate:
  backend: google
  characters: {characters}
  requests_per_second: 1000.0
  threads: {threads}
  timeout_s: 10.0
  retries: 1
  corrections: {corrections}
"""
FILES = "device: cpu\ntranslate: {backend: files, folder: made, corrections: null}\n"


def texts(count: int) -> list[str]:
    return [f"Sentence {'with words ' * (number % 4)}number {number}." for number in range(count)]


def arguments(folder: Path, profile: str, english: list[str], language: str = "de") -> list[str]:
    """The stage's arguments, and the files that they name."""
    (folder / "profile.yaml").write_text(profile)
    (folder / "params.yaml").write_text("profile: profile\n")
    rows = [Translation(hypothesis_id(text), text, "en", text, "source", "1") for text in english]
    write_rows(folder / "en.jsonl", rows)
    paths = {
        "params": "params.yaml", "profile": "profile.yaml", "hypotheses": "en.jsonl", "source": "source",
        "store": "store", "out": f"{language}.jsonl",
    }  # fmt: skip
    named = [word for name, path in paths.items() for word in (f"--{name}", str(folder / path))]
    return [*named, "--language", language]


def google(characters: int = 4500, threads: int = 2, corrections: str = "null") -> str:
    return GOOGLE.format(characters=characters, threads=threads, corrections=corrections)


def start(folder: Path, words: list[str], service: Service) -> subprocess.Popen:
    """The program as a user has it; only its environment leads it to our server."""
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment |= {"HTTPS_PROXY": f"http://127.0.0.1:{service.port}", "REQUESTS_CA_BUNDLE": str(folder / "ca.pem")}
    command = [sys.executable, str(ROOT / "src" / "run.py"), "translate", *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_cut_short_goes_on_and_asks_again_for_what_was_in_flight_only(tmp_path, how):
    english = texts(300)
    with serving(Service(delay_s=lambda number: 0.02), tls=tmp_path) as service:
        words = arguments(tmp_path, google(characters=60), english)
        process = start(tmp_path, words, service)
        wait_for(lambda: len(service.answered) >= 40 or process.poll() is not None)
        process.send_signal(how)
        _, said_last = process.communicate(timeout=30)
        assert not (tmp_path / "de.jsonl").exists()
        first = list(service.answered)
        assert 40 <= len(first) < 150, said_last
        if how == signal.SIGINT:
            assert process.returncode == 2 and "error: stopped. " in said_last and "Traceback" not in said_last
        else:
            assert process.returncode == -signal.SIGKILL
        again = start(tmp_path, words, service)
        _, log = again.communicate(timeout=60)
        assert again.returncode == 0, log
    asked = [line for text in service.texts for line in text.split("\n")]
    assert set(asked) == set(english)
    twice = len(asked) - len(english)
    lines = max(len(text.split("\n")) for text in service.texts)
    assert twice <= 2 * lines  # two threads, a request each
    expected = [Translation(hypothesis_id(text), text, "de", said(text), "google", "1.11.4") for text in english]
    assert read_rows(tmp_path / "de.jsonl", Translation) == expected


@pytest.mark.slow
def test_the_output_is_the_same_whether_the_run_was_cut_short_or_not(tmp_path):
    english, outputs = texts(40), []
    for fail in (False, True):
        folder = tmp_path / str(fail)
        folder.mkdir()
        with serving(Service(), tls=folder) as service:
            words = arguments(folder, google(characters=200, threads=4), english)
            if fail:
                service.fault = lambda number, text: "500" if number >= 4 else None
                process = start(folder, words, service)
                _, log = process.communicate(timeout=60)
                assert process.returncode == 2 and "run again to go on" in log
                service.fault = lambda number, text: None
            process = start(folder, words, service)
            _, log = process.communicate(timeout=60)
            assert process.returncode == 0, log
        outputs.append((folder / "de.jsonl").read_bytes())
    assert outputs[0] == outputs[1]


def test_two_runs_with_one_store_do_not_ask_twice(tmp_path):
    over = threading.Event()  # the second run is
    with serving(Service(delay_s=lambda number: 0.0 * over.wait(8)), tls=tmp_path) as service:
        words = arguments(tmp_path, google(), texts(3))
        first = start(tmp_path, words, service)
        wait_for(lambda: service.texts or first.poll() is not None)
        second = start(tmp_path, words, service)
        _, log = second.communicate(timeout=60)
        over.set()
        assert second.returncode == 2 and "another run is using it" in log
        _, log = first.communicate(timeout=60)
        assert first.returncode == 0, log
    assert len(service.texts) == 1


def test_failures_end_the_run_and_corrections_fix_it(tmp_path):
    names = {"Tokyo": "Tokyo", "...": "..."}
    translated = lambda lines, target: [names.get(line, said(line, target)) for line in lines]  # noqa: E731
    with serving(Service(translate=translated), tls=tmp_path) as service:
        words = arguments(tmp_path, google(corrections="by_hand.tsv"), ["One.", "Tokyo", "...", "Two."])
        (tmp_path / "source").mkdir()
        (tmp_path / "source" / "by_hand.tsv").write_text("")
        process = start(tmp_path, words, service)
        _, log = process.communicate(timeout=60)
        assert process.returncode == 2 and "2 of 4 hypotheses have no translation into de: 'Tokyo' (echo" in log
        (listed,) = (tmp_path / "store").glob("*.failures.tsv")
        filled = "".join(f"de\t{line.split(chr(9))[1]}\tvon Hand\n" for line in listed.read_text().splitlines())
        (tmp_path / "source" / "by_hand.tsv").write_text(filled)
        again = start(tmp_path, words, service)
        assert again.wait(60) == 0, again.communicate()
        again.communicate()
    assert len(service.texts) == 1  # the corrected ones are not asked for again
    rows = read_rows(tmp_path / "de.jsonl", Translation)
    assert [row.text for row in rows] == [said("One."), "von Hand", "von Hand", said("Two.")]
    assert [row.backend for row in rows] == ["google", "correction", "correction", "google"]


def test_files_need_no_service(tmp_path):
    words = arguments(tmp_path, FILES, ["One", "Two"])
    with pytest.raises(UserError, match=r"made: found none of de.jsonl, de.tsv, de.csv, "):
        translate.main(words)
    (tmp_path / "source" / "made").mkdir(parents=True)
    (tmp_path / "source" / "made" / "de.tsv").write_text("Two\tZwei\nOne\tEins\n")
    translate.main(words)
    assert [row.text for row in read_rows(tmp_path / "de.jsonl", Translation)] == ["Eins", "Zwei"]
    assert not (tmp_path / "store").exists()


def test_the_miniature_s_translations_need_neither_source_nor_store(tmp_path):
    english = sorted(gold.facts_by_sentence())[:50]
    translate.main(arguments(tmp_path, "device: cpu\ntranslate: {backend: gold}\n", english))
    lines = (tmp_path / "de.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "hypothesis_id": hypothesis_id(text),
            "source": text,
            "target": "de",
            "text": gold.sentence(text, "de").text,
            "backend": "gold",
            "version": gold.VERSION,
        }
        for text in english
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["de.jsonl", "en.jsonl", "params.yaml", "profile.yaml"]


def test_a_backend_loads_its_own_libraries_only(tmp_path):
    words = arguments(tmp_path, "device: cpu\ntranslate: {backend: gold}\n", sorted(gold.facts_by_sentence())[:2])
    program = (
        "import sys; from clseave.stages import translate; translate.main(sys.argv[1:]);"
        "sys.exit(bool({'torch', 'transformers', 'deep_translator'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program, *words], check=True, timeout=60)


def test_the_help_says_that_it_goes_on(capsys):
    with pytest.raises(SystemExit):
        translate.main(["--help"])
    assert "an interrupted run resumes" in capsys.readouterr().out
