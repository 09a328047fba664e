"""The prover that all outputs have the same bytes on other processors, on a small repository of its own.

Its stages run natively and on an emulated processor, as those of the real pipeline do with `make prove-exact`.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import prove_exact
from prove_exact import EMULATOR, Failed, Machine, Stage, check_processes, choose, first_difference, hashes, release

ROOT = Path(__file__).resolve().parents[2]
GUARD = ROOT / "tools" / "exact"
DVC_YAML = """
stages:
  first:
    matrix: {profile: ["${profile}"]}
    cmd: python step.py out/${item.profile}/first
    outs: ["out/${item.profile}/first"]
  language:
    matrix: {profile: ["${profile}"], language: "${languages}"}
    cmd: python step.py out/${item.profile}/${item.language}
    deps: ["out/${item.profile}/first"]
    outs: ["out/${item.profile}/${item.language}"]
"""
STEP = """
import os, pathlib, subprocess, sys
import numpy as np
out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
(out / "a.txt").write_text("a")
"""
EQUAL = '(out / "b.txt").write_bytes(np.exp(np.arange(50.0)).tobytes())\n'
OWN = '(out / "b.txt").write_text(os.uname().release)\n'
CHILD = """
code = "import os; print(os.uname().release)"
done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
assert done.stdout.strip() == os.uname().release
"""


@pytest.fixture
def toy(tmp_path: Path) -> Callable[[str], Path]:
    """A repository whose stages run `STEP` and the given lines."""

    def make(lines: str) -> Path:
        root = tmp_path / "toy"
        (root / ".dvc").mkdir(parents=True)
        (root / ".dvc/config").write_text("[core]\n    analytics = false\n")
        (root / "dvc.yaml").write_text(DVC_YAML)
        (root / "params.yaml").write_text("profile: mini\nlanguages:\n- de\n- ja\n- ko\nlr: 1\n")
        (root / "step.py").write_text(STEP + lines)
        (root / "data/mini").mkdir(parents=True)
        (root / "data/mini/old.txt").write_text("an output")
        subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
        return root

    return make


def prove(source: Path, work: Path, *flags: str, cpus: tuple[str, ...] = ("Haswell",)) -> tuple[int, str]:
    """Exit code and output of the program."""
    command = [sys.executable, ROOT / "tools/prove_exact.py", "--source", source, "--work", work, "--jobs", "2", *flags]
    done = subprocess.run([*command, "--cpus", *cpus], capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, done.stdout + done.stderr


# How stages are run: each by an interpreter of its own, or as forks of one for each machine (tools/exact/preloaded.py).
PRELOAD = pytest.param(("--preload",), id="preload")
each_way = pytest.mark.parametrize("way", [pytest.param((), id="fresh"), PRELOAD])
# The two ways differ only in how a stage is started; each push starts it as `.ci/full` does.
each_way_in_full = pytest.mark.parametrize("way", [pytest.param((), id="fresh", marks=pytest.mark.full), PRELOAD])
needs_emulator = pytest.mark.needs_package("qemu-user-static", EMULATOR)


@needs_emulator
@pytest.mark.slow
@each_way_in_full
def test_equal_outputs_of_every_stage_and_processor(toy, tmp_path: Path, way: tuple[str, ...]) -> None:
    flags = ("--languages", "de", "zh", *way)
    code, output = prove(toy(EQUAL + CHILD), tmp_path / "work", *flags, cpus=("Haswell", "EPYC"))
    assert code == 0, output
    assert "tiny: 3 stages on native, Haswell, EPYC" in output
    assert "first@tiny: 2 files equal" in output and "language@tiny-zh: 2 files equal" in output
    # Three stages and a child of each, and the server.
    assert re.search(rf"^EPYC: 3 stages, {6 + len(way)} interpreters", output, re.MULTILINE), output
    assert "exact: 6 files of 3 stages have the same bytes on 3 machines" in output
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
@needs_emulator
@each_way_in_full
def test_the_first_output_that_differs_is_named(toy, tmp_path: Path, way: tuple[str, ...]) -> None:
    code, output = prove(toy(OWN), tmp_path / "work", *way)
    assert code == 1
    last = output.strip().splitlines()[-1]
    assert last.startswith("NOT EXACT: first@tiny: the first output that differs is out/tiny/first/b.txt: "), output
    assert last.endswith(" on Haswell") and "language@tiny-de on Haswell" not in output
    assert (tmp_path / "work/Haswell/tree/out/tiny/first/b.txt").read_text() == release("Haswell")


@pytest.mark.slow
@needs_emulator
@each_way
def test_a_child_that_runs_natively_is_found(toy, tmp_path: Path, way: tuple[str, ...]) -> None:
    native = f"subprocess.run([{sys.executable!r}, '-c', 'pass'], check=True)\n"
    code, output = prove(toy(native), tmp_path / "work", *way)
    assert code == 1 and "NOT EXACT: first@tiny on Haswell: exit code 1" in output
    assert f"error: not emulated: kernel {os.uname().release}, expected the emulator's 6.1.0-haswell" in output


@needs_emulator
@pytest.mark.slow
@each_way_in_full
def test_a_crash_of_the_emulator_is_no_difference(toy, tmp_path: Path, way: tuple[str, ...]) -> None:
    crash = f"""
if os.uname().release == {release("Haswell")!r} and "first" in sys.argv[1] and not pathlib.Path("crashed").exists():
    pathlib.Path("crashed").touch()
    (out / "left.txt").touch()
    sys.stderr.write("{prove_exact.CRASH} 11 (Segmentation fault)")
    sys.exit(139)
"""
    code, output = prove(toy(crash), tmp_path / "work", "--stages", "first", *way)
    assert code == 0, output
    assert "first@tiny on Haswell" in output and "started again 1 times because the emulator crashed" in output
    assert "first@tiny: 1 files equal" in output, "what the crashed try left is gone"


@needs_emulator
@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("sys.exit('out of luck')", "exit code 1, its log .* ends:\nout of luck"),
        ("sys.exit(7)", "exit code 7, "),
        ("print(1 / 0)", "exit code 1, .*ZeroDivisionError: division by zero"),
        ("os.kill(os.getpid(), 9)", "exit code -1, "),
    ],
)
def test_a_fork_that_fails_is_told_as_any_stage(toy, tmp_path: Path, end: str, words: str) -> None:
    lines = f"if os.uname().release == {release('Haswell')!r}: {end}\n"
    code, output = prove(toy(lines), tmp_path / "work", "--stages", "first", "--preload")
    assert code == 1 and re.search(f"NOT EXACT: first@tiny on Haswell: {words}", output, re.DOTALL), output


@needs_emulator
@pytest.mark.slow
def test_servers_end_with_the_program_that_started_them(toy, tmp_path: Path) -> None:
    """Also when it is killed: nothing else would ever end them."""
    waits = f"if os.uname().release == {release('Haswell')!r}: import time; (out / 'at work').touch(); time.sleep(60)\n"
    command = [sys.executable, ROOT / "tools/prove_exact.py", "--source", toy(waits), "--work", tmp_path / "work"]
    process = subprocess.Popen([*command, "--stages", "first", "--preload", "--cpus", "Haswell"])
    end = time.monotonic() + 60
    while not (tmp_path / "work/Haswell/tree/out/tiny/first/at work").exists():
        assert process.poll() is None and time.monotonic() < end, "the stage did not start"
        time.sleep(0.05)
    assert len(within(tmp_path / "work")) >= 2, "a server and its fork, at least"
    process.kill()
    process.wait()
    while within(tmp_path / "work"):
        assert time.monotonic() < end, within(tmp_path / "work")
        time.sleep(0.05)


def within(folder: Path) -> list[Path]:
    """Processes whose current folder is below this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            found += [process] if process.readlink().is_relative_to(folder) else []
    return found


def test_preloading_runs_plain_commands_only(tmp_path: Path) -> None:
    machine = prove_exact.emulated(tmp_path, "Haswell", preload=True)
    with pytest.raises(Failed, match=r"commands that start with `python SCRIPT`, found: sh step\.sh"):
        prove_exact.start(machine, "sh step.sh", tmp_path / "log")


@needs_emulator
def test_a_failing_stage_shows_the_end_of_its_log(toy, tmp_path: Path) -> None:
    code, output = prove(toy('sys.exit("out of luck")\n'), tmp_path / "work")
    assert code == 1 and "NOT EXACT: first@tiny on native: exit code 1" in output and "out of luck" in output


@needs_emulator
def test_a_stage_that_writes_nothing_proves_nothing(toy, tmp_path: Path) -> None:
    code, output = prove(toy("import shutil; shutil.rmtree(out)\n"), tmp_path / "work")
    assert code == 1 and "it wrote none of out/tiny/first" in output


@needs_emulator
def test_an_unknown_stage_is_named(toy, tmp_path: Path) -> None:
    code, output = prove(toy(EQUAL), tmp_path / "work", "--stages", "nonsense")
    assert code == 1 and "--stages: found nonsense, known: first, language" in output


def test_without_the_emulator_it_says_what_to_install(toy, tmp_path: Path, monkeypatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "git").symlink_to(shutil.which("git"))
    monkeypatch.setenv("PATH", str(tools))
    code, output = prove(toy(EQUAL), tmp_path / "work")
    assert code == 2 and output.count("\n") == 1
    assert output.startswith("error: found no qemu-x86_64-static") and "apt-get install qemu-user-static" in output


def test_an_interpreter_that_sees_what_it_must_not_ends_at_once(tmp_path: Path) -> None:
    """AVX2 is everywhere where the code runs, so this holds on a machine without AVX-512 too."""
    settings = {
        "EXACT_PYTHON": sys.executable,
        "EXACT_CPU": "Haswell",
        "EXACT_RELEASE": os.uname().release,
        "EXACT_FORBIDDEN": "AVX2",
        "EXACT_PROCESSES": str(tmp_path / "list"),
        "PYTHONPATH": str(GUARD),
    }
    command = [sys.executable, "-c", "print('ran')"]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "") and not (tmp_path / "list").exists()
    assert done.stderr == "error: not emulated: found AVX2, expected a processor Haswell without\n"
    allowed = settings | {"EXACT_FORBIDDEN": ""}
    done = subprocess.run(command, env=os.environ | allowed, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert json.loads((tmp_path / "list").read_text()) == {"cpu": "Haswell", "argv": ["-c", "print('ran')"]}


def test_the_pins_hide_no_feature() -> None:
    """The guard reads numpy's features under the pins: these must still show AVX-512 where there is any."""
    code = f"{prove_exact.AVX512}; import numpy; numpy.exp(1.0)"
    free = {key: value for key, value in os.environ.items() if key != "NPY_DISABLE_CPU_FEATURES"}
    pinned = free | {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}
    answers = [
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
        for env in (free, pinned)
    ]
    assert answers[0] == answers[1]


def stages(*rows: tuple[str, str]) -> list[Stage]:
    return [
        Stage(name, f"python run.py {name}", (name,), frozenset(needs.split()), name == "report")
        for name, needs in rows
    ]


def test_choosing_a_stage_takes_all_before_it() -> None:
    line = stages(("a@t", ""), ("b@t-de", "a@t"), ("b@t-ja", "a@t"), ("c@t", "b@t-ja"), ("d@t", "a@t"))
    assert [stage.name for stage in choose(line, ["c"])] == ["a@t", "b@t-ja", "c@t"]
    assert choose(line, []) == line


def test_the_first_difference() -> None:
    same = {"x": "1", "y": "2"}
    assert first_difference({"native": same, "EPYC": dict(same)}) == ""
    found = {"native": same, "EPYC": same, "Haswell": {"x": "1", "y": "3", "z": "4"}}
    assert first_difference(found) == "y: 2 on native, 3 on Haswell"
    assert first_difference({"native": same, "EPYC": {"y": "2"}}) == "x: 1 on native, absent on EPYC"


def test_hashes_of_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c.txt").write_text("")
    (tmp_path / "d.txt").write_text("abc")
    (tmp_path / "other").write_text("")
    assert hashes(tmp_path, ["a", "d.txt", "absent"]) == {
        "a/b/c.txt": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "d.txt": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("Haswell", "run.py first")], "no emulated interpreter ran run.py report"),
        ([("Haswell", "run.py first"), ("Haswell", "run.py report")], "0 kernels for 1 notebooks"),
        ([("Haswell", "run.py first"), ("", "run.py report"), ("Haswell", "-m ipykernel_launcher")], "another machine"),
    ],
)
def test_an_interpreter_that_did_not_sign_is_missed(tmp_path: Path, rows, message: str) -> None:
    machine = Machine("Haswell", tmp_path, "Haswell")
    lines = [json.dumps({"cpu": cpu, "argv": words.split()}) for cpu, words in rows]
    machine.processes.write_text("\n".join(lines))
    with pytest.raises(Failed, match=message):
        check_processes(machine, stages(("first", ""), ("report", "first")))
