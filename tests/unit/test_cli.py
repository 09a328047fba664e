"""Arguments of a stage."""

from pathlib import Path

import pytest

from clseave import cli

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
