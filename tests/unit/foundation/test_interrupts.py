"""Ctrl-C in any program ends it with one line and exit code 130, at whatever moment it comes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*(ROOT / "src").glob("*.py"), *(ROOT / "tools").glob("*.py")]
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)
LINE = "interrupted: run the same command again to go on\n"
# Runs a program that sends itself the signal of Ctrl-C when `trigger` of the event's arguments says so.
RUNNER = """
import os, runpy, signal, sys
done = []
def watch(event, args):
    if not done and {trigger}:
        done.append(event)
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(watch)
program, *arguments = sys.argv[1:]
sys.argv[:] = [program, *arguments]
sys.path.insert(0, os.path.dirname(os.path.abspath(program)))
runpy.run_path(program, run_name="__main__")
"""


def interrupted(trigger, *command, cwd=ROOT, **environment):
    """Exit code and output of a program that is interrupted at an event of the interpreter."""
    return subprocess.run(
        [sys.executable, "-c", RUNNER.format(trigger=trigger), *command],
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "trigger",
    [
        "event == 'import' and args[0] == 'clseave.foundation.files.atomic'",
        "event == 'import' and args[0] == 'pydantic'",
        "event == 'open' and str(args[0]).endswith('params.yaml')",
    ],
)
def test_a_command_is_interrupted_while_it_loads_and_while_it_works(trigger, tmp_path):
    words = ["check", "--params", "params.yaml", "--profiles", "profiles", "--out", str(tmp_path / "checked")]
    done = interrupted(trigger, "src/run.py", *words)
    assert (done.returncode, done.stdout) == (130, LINE)
    assert not (tmp_path / "checked").exists()


@pytest.mark.parametrize("program", ["tools/verify.py", "tools/publish.py", "tools/remote.py"])
def test_a_tool_is_interrupted_while_dvc_loads(program):
    trigger = "event == 'import' and args[0] in ('dvc', 'dvc.exceptions', 'dvc.repo')"
    done = interrupted(trigger, program, *(["pull"] if program == "tools/remote.py" else []))
    assert (done.returncode, done.stdout) == (130, LINE)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_takes_care_of_interrupts(program):
    assert "interrupts.end_in_one_line()" in (ROOT / program).read_text(encoding="utf-8")
