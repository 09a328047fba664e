"""SIGKILL in the midst of the work: the next run goes on where the killed one was, to the same bytes.

One pipeline on a profile with more steps than `tiny`, so that a kill hits inside the work; what these steps leave as it
is comes from the finished pipeline of `test_end_to_end.py`. Each test works in a copy.
The moments are drawn by seed: a number of steps, and a few milliseconds.
"""

import fcntl
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from test_end_to_end import DVC, commit, environment, finished, git, output_files, run, stages_run

from translate_server import Service, serving

__all__ = ["finished"]  # a fixture
# One process makes the pipeline that all of them start from.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kill")]

LANGUAGE = "de"
KILLS = 3
CHANGES = {
    "clip_ve": {"batch_size": 32, "epochs": 4, "patience": 4},
    "autoencoder": {"batch_size": 16, "epochs": 6},
    "clteave": {"batch_size": 16, "epochs": 4},
    "clseave": {"batch_size": 16, "epochs": 4, "patience": 4, "dropout": 0.1},
}
TRAINED = (
    "backbones@tiny-clip",
    "backbones@tiny-mbert",
    "finetune_clip_ve@tiny-clip_ve-0",
    "autoencoder@tiny-0",
    "clteave@tiny-0",
    f"clseave@tiny-{LANGUAGE}-0",
)
GOALS = TRAINED[4:]
EACH_PUSH = TRAINED[5]  # the other trainings are killed in the full run; all go on by the same code
EVERY_STEP = {"CLSEAVE_CHECKPOINT_SECONDS": "0"}
GOES_ON = re.compile(r"resumes after step (\d+): epoch \d+, step \d+")


def digests(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in output_files(root)}


def locked(root: Path) -> dict[str, dict]:
    """The stages of dvc.lock."""
    return YAML(typ="safe", pure=True).load(root / "dvc.lock")["stages"]


def outputs(root: Path, stage: str) -> list[Path]:
    return [root / out["path"] for out in locked(root)[stage]["outs"]]


def remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def forget(root: Path, stage: str) -> None:
    """Remove a stage's outputs, also from DVC's cache, which would restore what was made once."""
    cache = root / ".dvc/cache/files/md5"
    for out in locked(root)[stage]["outs"]:
        path = root / out["path"]
        files = path.rglob("*") if path.is_dir() else [path]
        hashes = [hashlib.md5(file.read_bytes()).hexdigest() for file in files if file.is_file()]
        for name in (*hashes, out["md5"]):
            (cache / name[:2] / name[2:]).unlink(missing_ok=True)
        remove([path])


def checkpoints(root: Path) -> list[int]:
    """Steps of the checkpoints that are there now."""
    found = (root / ".work" / "checkpoints").rglob("*.pt.sha256")
    return sorted(int(path.name.split(".")[0].rpartition("-")[2]) for path in found)


def begin(root: Path, *command: str, **more: str) -> "subprocess.Popen[str]":
    """A program in a process group of its own; what it says goes to a file, as it may be killed."""
    log = (root / "said.txt").open("w")
    return subprocess.Popen(
        command,
        cwd=root,
        env=environment(root.parent) | EVERY_STEP | more,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def said(root: Path) -> str:
    return (root / "said.txt").read_text(encoding="utf-8", errors="replace")


def wait_for_step(root: Path, process: "subprocess.Popen[str]", target: int) -> int:
    """Until a checkpoint of at least so many steps is there: its steps."""
    end = time.monotonic() + 300
    while not (found := checkpoints(root)) or found[-1] < target:
        assert process.poll() is None, f"it ended before step {target}:\n{said(root)[-2000:]}"
        assert time.monotonic() < end, f"no step {target} in five minutes:\n{said(root)[-2000:]}"
        time.sleep(0.003)
    return found[-1]


def kill(process: int, group: bool = False) -> None:
    (os.killpg if group else os.kill)(process, signal.SIGKILL)


def stage_process() -> int:
    """The stage that a server with loaded libraries runs: no client of it, but the process that trains."""
    servers = [
        one for one in children(os.getpid()) if b"preload/server.py" in Path(f"/proc/{one}/cmdline").read_bytes()
    ]
    (stage,) = [stage for server in servers for stage in children(server)]  # other tests may have servers, all idle
    return stage


@pytest.fixture(scope="module")
def whole(finished: Path, tmp_path_factory: pytest.TempPathFactory, preloaded: dict[str, str]) -> Path:
    """The finished pipeline after a run with `CHANGES` that nothing disturbed, committed.

    The workers of pytest-xdist share it.
    """
    shared = tmp_path_factory.getbasetemp()
    shared = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "killed"
    shared.mkdir(exist_ok=True)
    root = shared / "whole"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "done").exists():
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(finished, root, symlinks=True)
            profile = root / "profiles/tiny.yaml"
            values = YAML(typ="safe", pure=True).load(profile)
            for name, changes in CHANGES.items():
                for key, value in changes.items():
                    values[name][key] = values[name][key] | value if isinstance(value, dict) else value
            profile.write_text(json.dumps(values))
            run(root, *DVC, "repro", *GOALS, env=preloaded)
            commit(root, "made in one piece")
            (shared / "done").touch()
    return root


@pytest.fixture
def work(whole: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy to harm."""
    root = tmp_path / "work"
    shutil.copytree(whole, root, symlinks=True)
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize(
    "stage", [pytest.param(name, marks=() if name == EACH_PUSH else pytest.mark.full) for name in TRAINED]
)
def test_a_killed_training_ends_with_the_same_bytes(
    whole: Path, work: Path, preloaded: dict[str, str], stage: str
) -> None:
    command = ["sh", "-c", f"exec {locked(work)[stage]['cmd']}"]
    wanted, made = digests(whole), outputs(work, stage)
    remove(made)
    rng = random.Random(f"{stage} 5")
    before = 0
    for number in range(KILLS):
        target = before + rng.randint(3, 12)
        process = begin(work, *command, **preloaded)
        wait_for_step(work, process, target)
        time.sleep(rng.uniform(0, 0.05))
        assert process.poll() is None
        kill(stage_process())
        assert process.wait(10) == -signal.SIGKILL
        assert not [path for path in made if path.exists()], "the kill came too late: an output is there"
        resumed = GOES_ON.search(said(work))
        assert bool(resumed) == (number > 0), said(work)
        if resumed:
            assert int(resumed[1]) == before, "it did not go on from the last checkpoint"
        before = max(checkpoints(work))
        assert before >= target
    process = begin(work, *command, **preloaded)
    assert process.wait(300) == 0, said(work)
    resumed = GOES_ON.search(said(work))
    assert resumed and int(resumed[1]) == before
    assert digests(work) == wanted
    assert checkpoints(work) == [], "checkpoints stay although the outputs are written"
    assert git(work, "status", "--porcelain", "--", "reports", "dvc.lock") == ""


def children(process: int) -> list[int]:
    """A process's children."""
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def ended(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] in "ZX"
    except FileNotFoundError:
        return True


def test_dvc_its_stage_or_all_killed_and_the_next_dvc_repro_goes_on(whole: Path, work: Path) -> None:
    wanted = digests(whole)
    for stage in GOALS:
        forget(work, stage)
    rng, resumed, last = random.Random(7), [], 0
    for victim in ("stage", "dvc", "group"):
        process = begin(work, *DVC, "repro", *GOALS)
        wait_for_step(work, process, last + rng.randint(3, 12))
        (stage,) = children(process.pid)
        if victim == "stage":
            kill(stage)
            assert process.wait(30) == 255 and "exited with -9" in said(work)
        else:
            kill(process.pid, group=victim == "group")
            process.wait(10)
        end = time.monotonic() + 10
        while not ended(stage):
            assert time.monotonic() < end, f"the stage goes on after {victim} was killed"
            time.sleep(0.01)
        resumed += [int(step) for step in GOES_ON.findall(said(work))]
        last = max(checkpoints(work))
    process = begin(work, *DVC, "repro", *GOALS)
    assert process.wait(600) == 0, said(work)[-4000:]
    resumed += [int(step) for step in GOES_ON.findall(said(work))]
    assert len(resumed) == KILLS and all(step > 0 for step in resumed), resumed
    assert f"clseave@tiny-{LANGUAGE}-0" in stages_run(said(work)), "nothing was left to do"
    assert digests(work) == wanted
    assert git(work, "status", "--porcelain", "--", "reports", "dvc.lock") == ""
    assert "up to date" in run(work, *DVC, "status", *GOALS)


def test_an_orphan_cannot_write_into_the_next_run(whole: Path, work: Path, preloaded: dict[str, str]) -> None:
    """A process that holds the stage's lock stands for an orphan that nothing has killed."""
    stage = GOALS[1]
    wanted = digests(whole)
    forget(work, stage)
    folder = outputs(work, stage)[0]
    lock = work / ".work/locks" / f"{stage}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        held.write("77\n")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        process = begin(work, *DVC, "repro", stage, **preloaded)
        end = time.monotonic() + 120
        while "process 77 of an earlier run is still at work: waiting for its end" not in said(work):
            assert process.poll() is None and time.monotonic() < end, said(work)
            time.sleep(0.02)
        folder.mkdir(parents=True)
        for name in ("left.txt", "model.safetensors"):
            (folder / name).write_text("of another run")
        assert process.poll() is None and checkpoints(work) == []
    assert process.wait(300) == 0, said(work)
    assert digests(work) == wanted
    assert git(work, "status", "--porcelain", "--", "reports", "dvc.lock") == ""


def test_a_translation_killed_three_times_ends_with_the_same_bytes(work: Path, tmp_path: Path) -> None:
    profile = work / "profiles/tiny.yaml"
    google = {"backend": "google", "characters": 60, "requests_per_second": 1000.0, "threads": 2, "timeout_s": 10.0}
    values = json.loads(profile.read_text()) | {"translate": google | {"retries": 1, "corrections": None}}
    profile.write_text(json.dumps(values))
    name = f"translate@tiny-{LANGUAGE}"
    command = ["sh", "-c", locked(work)[name]["cmd"]]
    (out,) = outputs(work, name)
    rng, results, asked = random.Random(11), [], []
    for kills in (0, KILLS):
        shutil.rmtree(work / ".translations", ignore_errors=True)
        out.unlink()
        with serving(Service(delay_s=lambda number: 0.02), tls=tmp_path) as service:
            proxy = {"HTTPS_PROXY": f"http://127.0.0.1:{service.port}", "REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem")}
            for _ in range(kills):
                target = len(service.answered) + rng.randint(5, 30)
                process = begin(work, *command, **proxy)
                while len(service.answered) < target:
                    assert process.poll() is None, said(work)
                    time.sleep(0.002)
                time.sleep(rng.uniform(0, 0.03))
                kill(process.pid, group=True)
                assert process.wait(10) == -signal.SIGKILL and not out.exists()
            process = begin(work, *command, **proxy)
            assert process.wait(120) == 0, said(work)
            results.append(out.read_bytes())
            asked.append(len(service.texts))
    assert results[0] == results[1]
    assert asked[0] <= asked[1] <= asked[0] + 3 * KILLS, "what was answered was asked for again"
