"""Arguments of a stage."""

import subprocess
import sys
from pathlib import Path

import pytest

from clseave import cli
from clseave.shards import Shard

ARGUMENTS = ["--params", "p.yaml", "--out", "a/b", "--language", "de", "--seed", "3"]


def parse(argv):
    return cli.parse(argv, "Do something.\n\nReads:  nothing.", ["params", "out"], names=["language"], numbers=["seed"])


def test_paths_names_and_numbers_have_their_types():
    assert vars(parse(ARGUMENTS)) == {"params": Path("p.yaml"), "out": Path("a/b"), "language": "de", "seed": 3}


@pytest.mark.parametrize(
    "argv",
    [ARGUMENTS[:-2], ARGUMENTS[2:], [*ARGUMENTS[:-1], "three"], [*ARGUMENTS, "--more", "1"], [*ARGUMENTS, "loose"], []],
)
def test_wrong_arguments_exit_with_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(argv)
    assert stop.value.code == 2 and "error:" in capsys.readouterr().err


def test_help_shows_the_stages_docstring_as_written(capsys):
    with pytest.raises(SystemExit) as stop:
        parse(["--help"])
    assert stop.value.code == 0 and "Do something.\n\nReads:  nothing." in capsys.readouterr().out


def test_a_shard_may_be_given_where_a_stage_takes_one():
    given = cli.parse(["--out", "a", "--shard", "2/3"], "", ["out"], shard=True)
    assert vars(given) == {"out": Path("a"), "shard": Shard(2, 3)}
    assert cli.parse(["--out", "a"], "", ["out"], shard=True).shard is None


def test_a_stage_without_shards_takes_none(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.parse(["--out", "a", "--shard", "1/2"], "", ["out"])
    assert stop.value.code == 2 and "unrecognized arguments: --shard" in capsys.readouterr().err


def test_the_collector_passes_over_what_was_loaded_and_works_again(repo_root):
    """Also after an import that failed. In a process of its own, whose modules are then no garbage for ever."""
    code = """
import gc, sys
import run
assert gc.isenabled() and gc.get_freeze_count() == 0
assert run.load("xml.dom.minidom") is sys.modules["xml.dom.minidom"]
print(gc.isenabled(), gc.get_freeze_count() > 1000)
try:
    run.load("clseave.no_such_module")
except ModuleNotFoundError:
    print(gc.isenabled())
"""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(repo_root / 'src')!r}){code}"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["True"] * 3
