"""Two runs in one folder at once, and DVC's own files after a kill: one waits or refuses, and nothing is lost."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from test_infrastructure import outcomes, reproduce, run, toy  # noqa: F401  (a fixture)

pytestmark = pytest.mark.slow

DVC = (sys.executable, "-m", "dvc")
UP_TO_DATE = "Data and pipelines are up to date."


def begin(root: Path, *command: str) -> "subprocess.Popen[str]":
    """A run that has started its first stage."""
    python = str(Path(sys.executable).parent)
    process = subprocess.Popen(
        command,
        cwd=root,
        env={"PATH": f"{python}:/usr/bin:/bin", "HOME": str(root.parent)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + 60
    while not (root / "times.txt").exists():
        assert process.poll() is None and time.monotonic() < end, "no stage was started"
        time.sleep(0.02)
    return process


def starts(root: Path) -> list[str]:
    """The stages that were started, in order."""
    return re.findall(r"^(\S+) start", (root / "times.txt").read_text(), re.MULTILINE)


def test_the_second_dvc_repro_refuses_and_harms_nothing(toy: Path) -> None:  # noqa: F811
    (toy / "pause.txt").write_text("8")
    first = begin(toy, *DVC, "repro", "first@mini")
    output = run(toy, *DVC, "repro", "first@mini", code=255)
    assert "is busy, it is being blocked by" in output and f"(PID {first.pid})" in output
    assert first.poll() is None, "the first had ended: nothing was shown"
    assert first.wait(60) == 0, first.communicate()
    assert starts(toy) == ["first"]
    assert sorted(path.name for path in (toy / "out/mini/first").iterdir()) == ["a.txt", "b.txt"]
    assert UP_TO_DATE in run(toy, *DVC, "status", "first@mini")


def test_the_second_reproduce_waits_and_finds_nothing_to_do(toy: Path, repo_root: Path) -> None:  # noqa: F811
    (toy / "pause.txt").write_text("2")
    script = str(repo_root / "tools" / "reproduce.py")
    first = begin(toy, sys.executable, script)
    output = reproduce(toy, repo_root)
    assert f"another run (process {first.pid}) is at work here: waiting for its end" in output
    assert first.wait(1) == 0, "the second did not wait"
    assert "0 of 5 stages" in output and len(starts(toy)) == 5
    assert set(outcomes(toy).values()) == {"skipped"}


def test_reproduce_waits_for_what_a_killed_one_left_at_work(toy: Path, repo_root: Path) -> None:  # noqa: F811
    (toy / "pause.txt").write_text("8")
    first = begin(toy, sys.executable, str(repo_root / "tools" / "reproduce.py"))
    first.send_signal(signal.SIGKILL)
    first.wait()
    (toy / "pause.txt").write_text("0")
    output = reproduce(toy, repo_root)
    assert f"another run (process {first.pid}) is at work here" in output
    assert outcomes(toy)["first@mini"] in ("skipped", "restored"), "what the orphan did counts"
    assert len(starts(toy)) == 5
    assert UP_TO_DATE in run(toy, *DVC, "status")


def commit(root: Path) -> None:
    for words in (["add", "--all"], ["-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "all"]):
        run(root, "git", *words)


def test_a_dvc_lock_cut_short_is_fixed_and_what_ran_since_is_not_lost(toy: Path, repo_root: Path) -> None:  # noqa: F811
    run(toy, *DVC, "repro", "first@mini")
    commit(toy)
    reproduce(toy, repo_root)
    whole = (toy / "dvc.lock").read_text()
    (toy / "dvc.lock").write_text(whole[: whole.index("middle@mini-de") + 40])
    output = reproduce(toy, repo_root)
    assert "dvc.lock was cut short by a kill: taken from the last commit" in output
    assert YAML(typ="safe").load(toy / "dvc.lock") == YAML(typ="safe").load(whole)  # two at a time end in any order
    assert starts(toy)[5:] in ([], ["compare"]), "the last stage's output is in git, not in the cache"
    assert UP_TO_DATE in run(toy, *DVC, "status")


def test_a_dvc_lock_cut_anywhere_can_be_read_again(toy: Path, repo_root: Path) -> None:  # noqa: F811
    run(toy, *DVC, "repro")
    commit(toy)
    program = (
        "import sys; from pathlib import Path; import reproduce; from dvc.repo import Repo; lock = Path('dvc.lock')\n"
        "whole = lock.read_text()\n"
        "lines = [end + 1 for end, letter in enumerate(whole) if letter == '\\n']\n"
        "for end in [*range(0, len(whole), max(1, len(whole) // 30)), *lines]:\n"
        "    lock.write_text(whole[:end]); reproduce.repair_dvc_files(); Repo().status()\n"
    )
    python = f"import sys; sys.path.insert(0, {str(repo_root / 'tools')!r}); {program}"
    output = run(toy, sys.executable, "-c", python)
    assert output.count("cut short by a kill") > 10


def test_a_dvc_lock_with_a_conflict_is_left_to_a_person(toy: Path, repo_root: Path) -> None:  # noqa: F811
    reproduce(toy, repo_root)
    commit(toy)
    text = (toy / "dvc.lock").read_text() + "\n<<<<<<< HEAD\n"
    (toy / "dvc.lock").write_text(text)
    assert "cannot read the pipeline" in reproduce(toy, repo_root, code=2)
    assert (toy / "dvc.lock").read_text() == text


def test_a_list_of_busy_paths_cut_short_is_removed(toy: Path, repo_root: Path) -> None:  # noqa: F811
    (toy / ".dvc/tmp").mkdir(exist_ok=True)
    (toy / ".dvc/tmp/rwlock").write_text('{"write": {"/some/pa')
    assert "structure is corrupted" in run(toy, *DVC, "repro", "first@mini", code=255)
    assert "rwlock was cut short by a kill: removed" in reproduce(toy, repo_root)
    assert UP_TO_DATE in run(toy, *DVC, "status")
