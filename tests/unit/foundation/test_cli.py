"""Arguments of a stage."""

from pathlib import Path

import pytest

from clseave.foundation.process import cli
from clseave.foundation.process.shards import Shard

ARGUMENTS = ["--params", "p.yaml", "--out", "a/b", "--language", "de", "--seed", "3"]


def parse(argv):
    return cli.parse(argv, "Do something.\n\nReads:  nothing.", ["params", "out"], names=["language"], numbers=["seed"])


def test_paths_names_and_numbers_have_their_types():
    assert vars(parse(ARGUMENTS)) == {"params": Path("p.yaml"), "out": Path("a/b"), "language": "de", "seed": 3}


@pytest.mark.parametrize(
    ("name", "usual"),
    [
        ("checkpoints", ".work/checkpoints/models/mini/clseave/de/seed0"),
        ("problems", ".work/problems/mini"),
        ("store", ".translations"),
        ("downloads", ".downloads"),
    ],
)
def test_what_is_kept_beside_the_outputs_has_a_default(name, usual):
    """Outside the outputs, which DVC removes before a run; checkpoints where no other stage has its own."""
    argv = ["--out", "models/mini/clseave/de/seed0", "--profile", "profiles/mini.yaml"]
    found = cli.parse(argv, "Do something.", ["out", "profile", name])
    assert getattr(found, name) == Path(usual)
    assert getattr(cli.parse([*argv, f"--{name}", "mine"], "", ["out", "profile", name]), name) == Path("mine")


def test_checkpoints_of_an_absolute_output_stay_below_the_working_folder():
    found = cli.parse(["--out", "/a/b"], "", ["out", "checkpoints"])
    assert found.checkpoints == Path(".work/checkpoints/a/b")


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


def test_a_path_with_a_default_may_be_left_out():
    def given(*argv):
        return cli.parse(argv, "", ["out"], defaults={"params": "params.yaml"})

    assert vars(given("--out", "a")) == {"out": Path("a"), "params": Path("params.yaml")}
    assert vars(given("--out", "a", "--params", "b")) == {"out": Path("a"), "params": Path("b")}


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["src/run.py", "shard", "x"], "usage: python src/run.py shard [-h]\n\npython src/run.py shard 100 %\n"),
        (["/usr/bin/clseave", "shard"], "usage: clseave shard [-h]\n\nclseave shard 100 %\n"),
    ],
)
def test_usage_and_examples_name_the_program_as_it_was_started(argv, shown, monkeypatch):
    monkeypatch.setattr("sys.argv", argv)
    assert cli.parser("%(prog)s 100 %%").format_help().startswith(shown)
