"""The entry of all programs, and the console script `clseave`."""

import os
import subprocess
import sys
import tomllib
from importlib import import_module

import pytest

from clseave.foundation.process import entry

COMMANDS = ["check", "check-thesis", "demo", "export", "predict", "score-alignment", "shard"]
HOSTILE = {"OMP_NUM_THREADS": "7", "MKL_CBWR": "AVX512", "PYTHONHASHSEED": "5"}


def clseave(repo_root, *argv, before="", **environment):
    """The console script in a process of its own; `before` is code that runs in it first."""
    code = f"import sys; from clseave.foundation.process import entry; {before}\n"
    code += "sys.argv[0] = 'bin/clseave'; sys.exit(entry.people())"
    return subprocess.run(
        [sys.executable, "-c", code, *argv],
        env=os.environ | {"PYTHONPATH": str(repo_root / "src")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def people(monkeypatch, capsys):
    """The console script in this process: exit code, output and errors."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def call(*argv):
        monkeypatch.setattr(sys, "argv", ["bin/clseave", *argv])
        code = entry.people()
        return code, *capsys.readouterr()

    return call


def test_the_console_script_is_the_entry_for_people(repo_root):
    project = tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"]["clseave"].partition(":")
    assert getattr(import_module(module), name) is entry.people


def test_every_data_file_of_the_package_is_installed(repo_root):
    tool = tomllib.loads((repo_root / "pyproject.toml").read_text())["tool"]["setuptools"]
    (patterns,) = tool["package-data"].values()
    assert patterns == ["**/*.j2", "**/*.pyi"] and tool["packages"]["find"] == {
        "where": ["src"],
        "include": ["clseave*"],
    }
    files = [path for path in (repo_root / "src/clseave").rglob("*") if path.is_file() and path.suffix != ".py"]
    data = [path for path in files if path.parent.name != "__pycache__"]
    assert [path.name for path in data if not any(path.match(pattern) for pattern in patterns)] == []


def test_help_has_a_line_for_each_command_and_for_no_stage(people):
    code, out, err = people("--help")
    usage, empty, title, *lines = out.splitlines()
    assert (code, err, empty, title) == (0, "", "", "commands:")
    assert usage.startswith("usage: clseave NAME")
    assert [line.split()[0] for line in lines] == COMMANDS
    assert all(len(line) <= 120 and line.endswith(".") for line in lines)


def test_help_of_the_script_for_dvc_lists_stages_and_commands(capsys):
    assert entry.main(["--help"]) == 0
    _, stages, commands, studies = capsys.readouterr().out.split("\n\n")
    assert stages.startswith("stages:\n  align_words        Align the words ") and "  translate_back " in stages
    assert [line.split()[0].replace("_", "-") for line in commands.splitlines()[1:]] == COMMANDS[1:]
    assert studies.startswith("studies:\n") and "  summarise " in studies


def test_no_argument_shows_the_help_with_exit_code_2(people):
    assert people()[:2] == (2, people("--help")[1])


@pytest.mark.parametrize("stage", sorted(set(entry.modules("stages")) - {"check"}))
def test_a_stage_is_refused_with_what_to_run_instead(stage, people):
    code, out, err = people(stage.replace("_", "-"), "--help")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.endswith(f" run `dvc repro {stage}` or `python src/run.py {stage}`\n")


@pytest.mark.parametrize(("name", "hint"), [("predct", "; did you mean predict?"), ("xyz", "")])
def test_an_unknown_command_is_named_with_the_nearest_known_one(name, hint, people):
    assert people(name) == (2, "", f"error: unknown name {name!r}{hint}; commands: {', '.join(COMMANDS)}\n")


@pytest.mark.parametrize("name", ["probe_me", "probe-me"])
def test_numerics_are_pinned_before_a_command_loads_numpy(repo_root, tmp_path, name):
    """A command of the test's own loads numpy, and is called with its arguments."""
    (tmp_path / "probe_me.py").write_text(
        "import os, sys\n"
        "assert not {'numpy', 'torch', 'pydantic'} & set(sys.modules), 'the entry loads them'\n"
        "from clseave.foundation.process.numerics import PINS\n"
        "assert {name: os.environ.get(name) for name in PINS} == PINS, 'not pinned'\n"
        "import numpy\n"
        "def main(argv):\n"
        "    print(argv)\n"
    )
    added = f"import clseave.commands; clseave.commands.__path__.append({str(tmp_path)!r})"
    done = clseave(repo_root, name, "--a", "b", before=added, **HOSTILE)
    assert (done.returncode, done.stdout) == (0, "['--a', 'b']\n"), done.stderr


def test_ctrl_c_ends_a_command_in_one_line(repo_root, tmp_path):
    (tmp_path / "probe.py").write_text("def main(argv):\n    raise KeyboardInterrupt\n")
    added = f"import clseave.commands; clseave.commands.__path__.append({str(tmp_path)!r})"
    done = clseave(repo_root, "probe", before=added)
    assert (done.returncode, done.stderr) == (130, "interrupted: run the same command again to go on\n")


@pytest.mark.parametrize(("stage", "line"), [("probe@mini-de-0", "probe@mini-de-0: 3 of 4\n"), ("", "3 of 4\n")])
def test_what_a_stage_logs_under_dvc_begins_with_its_name(repo_root, tmp_path, monkeypatch, stage, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "probe.py").write_text(
        "import logging\ndef main(argv):\n    logging.getLogger(__name__).info('%d of %d', 3, 4)\n"
    )
    added = f"import clseave.commands; clseave.commands.__path__.append({str(tmp_path)!r})"
    done = clseave(repo_root, "probe", before=added, DVC_STAGE=stage)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", line)


@pytest.mark.parametrize(
    ("name", "usage", "example"),
    [
        ("shard", "[-h] STAGE I/N", "encode_images@thesis 1/4"),
        pytest.param("predict", "[-h] --model DIR [--image FILE]", "--model models/mini/", marks=pytest.mark.slow),
        pytest.param("score-alignment", "[-h] (--mbert MODEL", "--mbert models/thesis/mbert", marks=pytest.mark.slow),
    ],
)
def test_a_command_shows_its_own_help(repo_root, name, usage, example):
    done = clseave(repo_root, name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: clseave {name} {usage}") and f"\n  clseave {name} {example}" in done.stdout


def test_the_collector_passes_over_what_was_loaded_and_works_again(repo_root):
    """Also after an import that failed. In a process of its own, whose modules are then no garbage for ever."""
    code = """
import gc, sys
from clseave.foundation.process import entry
assert gc.isenabled() and gc.get_freeze_count() == 0
assert entry.load("xml.dom.minidom") is sys.modules["xml.dom.minidom"]
print(gc.isenabled(), gc.get_freeze_count() > 1000)
try:
    entry.load("clseave.no_such_module")
except ModuleNotFoundError:
    print(gc.isenabled())
"""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(repo_root / 'src')!r}){code}"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["True"] * 3
