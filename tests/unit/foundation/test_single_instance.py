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

from clseave.foundation.process import single_instance

SOURCE = Path(__file__).resolve().parents[3] / "src"
STAGE = f"""
import logging, os, sys, time
from pathlib import Path
sys.path.insert(0, {str(SOURCE)!r})
from clseave.foundation.process import single_instance as guard
logging.basicConfig(format="%(message)s")
guard.remove_outputs = lambda name: print("removed", name, flush=True)
guard.ensure_single(os.environ, Path(sys.argv[1]))
print("at work", os.getpid(), flush=True)
end = time.monotonic() + 60
while not Path(sys.argv[2]).exists() and time.monotonic() < end:
    time.sleep(0.01)
"""
SHELLS = {"none between": "exec {}", "one that waits": "{}; true"}
DVC = "import json, subprocess, sys; subprocess.run(['/bin/sh', '-c', sys.argv[1]], env=json.loads(sys.argv[2]))"


def start(locks: Path, until: Path, shell: str = "one that waits", stage: str = "clseave@mini-de-0", **more: str):
    """A process that starts a stage through a shell, as DVC does, at work until a file is there; gives its output."""
    quoted = f"'{sys.executable}' -c '{STAGE.replace(chr(39), chr(34))}' '{locks}' '{until}'"
    environment = json.dumps({single_instance.VARIABLE: stage, **more})
    command = [sys.executable, "-c", DVC, SHELLS[shell].format(quoted), environment]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def at_work(process: subprocess.Popen) -> int:
    """The stage's own process id, when it has the lock."""
    for line in process.stdout:
        if found := re.fullmatch(r"at work (\d+)\n", line):
            return int(found[1])
    raise AssertionError("the stage ended before it was at work")


def waiting(process: subprocess.Popen) -> str:
    """The line in which the stage says that it waits for another one."""
    line = process.stdout.readline()
    assert "waiting for its end" in line, line
    return line


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
    dvc = start(tmp_path, tmp_path / "never", shell)
    stage = at_work(dvc)
    dvc.send_signal(signal.SIGKILL)
    dvc.wait(10)
    assert gone(stage), "an orphan goes on"
    dvc.stdout.close()


def test_a_stage_whose_dvc_lives_goes_on(tmp_path):
    dvc = start(tmp_path, tmp_path / "over")
    stage = at_work(dvc)
    assert not gone(stage, 1.0)
    (tmp_path / "over").touch()
    assert dvc.wait(20) == 0
    dvc.stdout.close()


def test_the_second_waits_says_so_and_removes_what_the_first_wrote(tmp_path):
    over = tmp_path / "over"
    first = start(tmp_path, over)
    stage = at_work(first)
    second, other = start(tmp_path, tmp_path), start(tmp_path, tmp_path, stage="clseave@mini-nl-0")
    assert other.communicate(timeout=30)[0].startswith("at work"), "another stage waits for nobody"
    notice = f"clseave@mini-de-0: process {stage} of an earlier run is still at work: waiting for its end\n"
    assert waiting(second) == notice
    assert first.poll() is None and second.poll() is None
    over.touch()
    said = second.communicate(timeout=30)[0].splitlines()
    assert first.wait(10) == 0
    assert said[0] == "removed clseave@mini-de-0" and said[1].startswith("at work")
    first.stdout.close()


def test_the_processes_of_one_stage_are_admitted_and_a_second_run_waits(tmp_path):
    """As torchrun starts them: the first holds the lock for all."""

    def rank(number, until):
        started = {"TORCHELASTIC_RUN_ID": "a run", "WORLD_SIZE": "2", "RANK": str(number)}
        return start(tmp_path, until, **started)

    over = tmp_path / "over"
    first = rank(0, over)
    stage = at_work(first)
    other = rank(1, tmp_path)
    assert other.communicate(timeout=30)[0].startswith("at work") and first.poll() is None
    second = rank(0, tmp_path)
    assert f"process {stage} of an earlier run is still at work" in waiting(second) and second.poll() is None
    over.touch()
    said = second.communicate(timeout=30)[0].splitlines()
    assert first.wait(10) == 0 and said[1].startswith("at work")
    first.stdout.close()


def test_a_process_ends_with_the_torchrun_that_started_it_also_without_a_dvc(tmp_path):
    launch = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    started = {"TORCHELASTIC_RUN_ID": "a run", "WORLD_SIZE": "2", "RANK": "1"}
    torchrun = subprocess.Popen(
        [sys.executable, "-c", launch, STAGE, tmp_path, tmp_path / "never"],
        stdout=subprocess.PIPE,
        text=True,
        env=started,
    )
    stage = at_work(torchrun)
    torchrun.send_signal(signal.SIGKILL)
    torchrun.wait(10)
    assert gone(stage), "an orphan goes on"
    torchrun.stdout.close()


def test_a_lock_is_free_after_a_kill(tmp_path):
    dvc = start(tmp_path, tmp_path / "never")
    stage = at_work(dvc)
    os.kill(stage, signal.SIGKILL)
    dvc.wait(10)
    dvc.stdout.close()
    again = start(tmp_path, tmp_path)
    assert again.communicate(timeout=30)[0].startswith("at work")


def test_a_stage_that_a_person_starts_is_left_alone(tmp_path):
    single_instance.ensure_single({}, tmp_path / "locks")
    assert not (tmp_path / "locks").exists()


def test_a_process_without_a_dvc_above_it_finds_its_parent(monkeypatch):
    assert single_instance.launcher() == os.getppid()
    monkeypatch.setattr(os, "getppid", lambda: 2**22 + 1)  # above the largest process id: it is gone
    assert single_instance.launcher() == 2**22 + 1


def test_a_stage_whose_dvc_is_gone_already_does_not_start(tmp_path):
    program = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); "
    program += f"from clseave.foundation.process import single_instance; single_instance.exit_with_process({2**22 + 1})"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
