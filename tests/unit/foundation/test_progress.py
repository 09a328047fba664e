"""Progress of long loops."""

import logging
import re

import pytest

from clseave.foundation.process import progress


@pytest.mark.parametrize(
    ("todo", "speed", "text"),
    [
        (3723, 1.0, "about 1:02:03 left"),
        (90, 2.5, "about 0:00:36 left"),
        (1_000_000, 10.0, "about 1 day, 3:46:40 left"),
        (0, 5.0, "about 0:00:00 left"),
        (-3, 5.0, "about 0:00:00 left"),  # more was done than was expected
        (10, 0.0, "time left unknown"),
    ],
)
def test_the_time_left_is_the_work_left_by_the_speed(todo, speed, text):
    assert progress.time_left(todo, speed) == text


def test_a_line_estimates_by_what_was_done_now():
    """2,000 of 12,000 were done before; 1,000 in 50 s make 20 a second, and 9,000 are left."""
    text = progress.line("word pairs ja", "sentences", done=3000, total=12000, before=2000, seconds=50)
    assert text == "word pairs ja: 3,000 of 12,000 sentences, about 0:07:30 left"


def test_nothing_is_estimated_before_anything_is_done():
    text = progress.line("images", "images", done=20, total=30, before=20, seconds=0)
    assert text == "images: 20 of 30 images, time left unknown"


LINE = r"translation into de: {} of 5 hypotheses, (about [0-9:]+ left|time left unknown)"


def lines(caplog, monkeypatch, seconds):
    """What three steps of a loop, after two of an earlier run, log with so many seconds between two lines."""
    monkeypatch.setattr(progress, "LINE_S", seconds)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    with caplog.at_level(logging.INFO):
        with progress.bar(desc="translation into de", total=5, initial=2, unit="hypotheses") as bar:
            for _ in range(3):
                bar.update()
    return caplog.messages


def test_where_no_person_watches_lines_of_the_log_show_progress(caplog, monkeypatch, capsys):
    found = lines(caplog, monkeypatch, 0.0)
    shown = [re.fullmatch(LINE.format(r"(\d)"), text) for text in found]
    counts = [int(match[1]) for match in shown if match]
    assert len(counts) == len(found) and counts[0] == 2 and counts[-1] == 5 and counts == sorted(counts)
    assert {3, 4} < set(counts)
    assert capsys.readouterr() == ("", "")


def test_a_loop_that_ends_before_the_first_line_is_due_shows_nothing(caplog, monkeypatch, capsys):
    assert lines(caplog, monkeypatch, 1e6) == []
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal_names_the_stage(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("DVC_STAGE", "translate@mini-de")
    assert list(progress.bar("ab", desc="translation into de", total=2, unit="hypotheses")) == ["a", "b"]
    assert "translate@mini-de: translation into de: 100%" in capsys.readouterr().err


def test_of_several_processes_one_shows_progress(monkeypatch, capsys, caplog):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    assert list(progress.bar("ab", desc="x", total=2, unit="rows")) == ["a", "b"]
    assert (capsys.readouterr(), caplog.messages) == (("", ""), [])


@pytest.mark.parametrize(("stage", "prefix"), [("clseave@mini-de-0", "clseave@mini-de-0: "), (None, ""), ("", "")])
def test_the_prefix_is_the_stage_that_dvc_runs(monkeypatch, stage, prefix):
    monkeypatch.delenv("DVC_STAGE", raising=False)
    if stage is not None:
        monkeypatch.setenv("DVC_STAGE", stage)
    assert progress.stage_prefix() == prefix
