"""A source archive has no `.git`: DVC is told so once, and told otherwise when git comes."""

import sys
from pathlib import Path

import pytest

import without_git

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "[core]\n    analytics = false\n    remote = mini\n['remote \"mini\"']\n    url = ../store\n"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(CONFIG)
    return tmp_path


def test_the_setting_comes_without_git_and_goes_with_it(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    local = archive / ".dvc/config.local"
    local.write_text("['remote \"thesis\"']\n    url = /somewhere\n")
    without_git.allow_without_git(archive)
    assert capsys.readouterr().err == "no git repository is here: set core.no_scm in .dvc/config.local\n"
    assert "no_scm = True" in local.read_text() and "url = /somewhere" in local.read_text()
    without_git.allow_without_git(archive)
    assert capsys.readouterr().err == "", "once is enough"
    (archive / ".git").mkdir()
    without_git.allow_without_git(archive)
    assert "removed core.no_scm" in capsys.readouterr().err
    assert "no_scm" not in local.read_text() and "url = /somewhere" in local.read_text()


def test_a_clone_is_left_alone(archive: Path) -> None:
    (archive / ".git").mkdir()
    without_git.allow_without_git(archive)
    assert not (archive / ".dvc/config.local").exists()


@pytest.mark.slow
@pytest.mark.parametrize("words", [["remote.py", "pull"], ["verify.py"], ["publish.py", "--check"], ["reproduce.py"]])
def test_each_tool_works_in_an_archive(archive: Path, words: list[str]) -> None:
    from test_infrastructure import run

    (archive / "dvc.yaml").write_text("stages: {}\n")
    (archive / "params.yaml").write_text("profile: mini\n")
    code = int(words == ["verify.py"])  # which finds that there is nothing yet
    output = run(archive, sys.executable, str(ROOT / "tools" / words[0]), *words[1:], code=code)
    assert "set core.no_scm" in output and "is not a git repository" not in output
