"""A stage ends with the DVC that started it, and waits for another process at work on the same stage."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clseave import guard

SOURCE = Path(__file__).resolve().parents[2] / "src"
STAGE = f"""
import logging, os, sys, time
from pathlib import Path
sys.path.insert(0, {str(SOURCE)!r})
from clseave import guard
logging.basicConfig(format="%(message)s")
guard.remove_outputs = lambda name: print("removed", name, flush=True)
guard.stand_alone(os.environ, Path(sys.argv[1]))
print("at work", os.getpid(), flush=True)
time.sleep(float(sys.argv[2]))
"""
SHELLS = {"none between": "exec {}", "one that waits": "{}; true"}
DVC = "import json, subprocess, sys; subprocess.run(['/bin/sh', '-c', sys.argv[1]], env=json.loads(sys.argv[2]))"


def start(locks: Path, seconds: float, shell: str = "one that waits", stage: str = "clseave@mini-de-0", **more: str):
    """A process that starts a stage through a shell, as DVC does; its output is the stage's."""
    quoted = f"'{sys.executable}' -c '{STAGE.replace(chr(39), chr(34))}' '{locks}' {seconds}"
    environment = json.dumps({guard.VARIABLE: stage, **more})
    command = [sys.executable, "-c", DVC, SHELLS[shell].format(quoted), environment]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def at_work(process: subprocess.Popen) -> int:
    """The stage's own process id, when it has the lock."""
    for line in process.stdout:
        if found := re.fullmatch(r"at work (\d+)\n", line):
            return int(found[1])
    raise AssertionError("the stage ended before it was at work")


def gone(process: int, seconds: float = 10) -> bool:
    """Whether a process ends in this time; one that nobody has waited for yet has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]
        except FileNotFoundError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("shell", SHELLS)
def test_a_stage_ends_when_its_dvc_is_killed(tmp_path, shell):
    dvc = start(tmp_path, 60, shell)
    stage = at_work(dvc)
    dvc.send_signal(signal.SIGKILL)
    dvc.wait(10)
    assert gone(stage), "an orphan goes on"
    dvc.stdout.close()


def test_a_stage_whose_dvc_lives_goes_on(tmp_path):
    dvc = start(tmp_path, 1.5)
    stage = at_work(dvc)
    assert not gone(stage, 1.0)
    assert dvc.wait(20) == 0
    dvc.stdout.close()


def test_the_second_waits_says_so_and_removes_what_the_first_wrote(tmp_path):
    first = start(tmp_path, 3)
    stage = at_work(first)
    second, other = start(tmp_path, 0), start(tmp_path, 0, stage="clseave@mini-nl-0")
    assert other.communicate(timeout=30)[0].startswith("at work"), "another stage waits for nobody"
    assert first.poll() is None
    said = second.communicate(timeout=30)[0].splitlines()
    assert first.wait(1) == 0, "the second did not wait"
    assert said[0] == f"clseave@mini-de-0: process {stage} of an earlier run is still at work: waiting for its end"
    assert said[1] == "removed clseave@mini-de-0" and said[2].startswith("at work")
    first.stdout.close()


def test_the_processes_of_one_stage_are_admitted_and_a_second_run_waits(tmp_path):
    """As torchrun starts them: the first holds the lock for all."""

    def rank(number, seconds):
        started = {"TORCHELASTIC_RUN_ID": "a run", "WORLD_SIZE": "2", "RANK": str(number)}
        return start(tmp_path, seconds, **started)

    first = rank(0, 3)
    stage = at_work(first)
    other = rank(1, 0)
    assert other.communicate(timeout=30)[0].startswith("at work") and first.poll() is None
    second = rank(0, 0).communicate(timeout=30)[0].splitlines()
    assert first.wait(1) == 0, "the second run did not wait"
    assert f"process {stage} of an earlier run is still at work" in second[0] and second[2].startswith("at work")
    first.stdout.close()


def test_a_process_ends_with_the_torchrun_that_started_it_also_without_a_dvc(tmp_path):
    program = STAGE.replace("time.sleep(float(sys.argv[2]))", "time.sleep(60)")
    launch = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1], sys.argv[2]])"
    started = {"TORCHELASTIC_RUN_ID": "a run", "WORLD_SIZE": "2", "RANK": "1"}
    torchrun = subprocess.Popen(
        [sys.executable, "-c", launch, program, tmp_path], stdout=subprocess.PIPE, text=True, env=started
    )
    stage = at_work(torchrun)
    torchrun.send_signal(signal.SIGKILL)
    torchrun.wait(10)
    assert gone(stage), "an orphan goes on"
    torchrun.stdout.close()


def test_a_lock_is_free_after_a_kill(tmp_path):
    dvc = start(tmp_path, 60)
    stage = at_work(dvc)
    os.kill(stage, signal.SIGKILL)
    dvc.wait(10)
    dvc.stdout.close()
    again = start(tmp_path, 0)
    assert again.communicate(timeout=30)[0].startswith("at work")


def test_a_stage_that_a_person_starts_is_left_alone(tmp_path):
    guard.stand_alone({}, tmp_path / "locks")
    assert not (tmp_path / "locks").exists()


def test_a_process_without_a_dvc_above_it_finds_its_parent(monkeypatch):
    assert guard.launcher() == os.getppid()
    monkeypatch.setattr(os, "getppid", lambda: 2**22 + 1)  # above the largest process id: it is gone
    assert guard.launcher() == 2**22 + 1


def test_a_stage_whose_dvc_is_gone_already_does_not_start(tmp_path):
    program = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from clseave import guard; guard.end_with({2**22 + 1})"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
