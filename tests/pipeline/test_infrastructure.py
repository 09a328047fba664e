"""The tools around the pipeline, each on a toy repository of its own."""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

DVC_YAML = """
stages:
  first:
    matrix: {profile: ["${profile}"]}
    cmd: python step.py first ${item.profile} out/${item.profile}/first
    params: [seed]
    outs:
      - out/${item.profile}/first:
          remote: ${item.profile}
  middle:
    matrix: {profile: ["${profile}"], lang: [de, ja, ko]}
    cmd: python step.py middle-${item.lang} ${item.profile} out/${item.profile}/middle/${item.lang}
    deps: [step.py, "out/${item.profile}/first"]
    outs:
      - out/${item.profile}/middle/${item.lang}:
          remote: ${item.profile}
  compare:
    matrix: {profile: ["${profile}"]}
    cmd: python step.py compare ${item.profile} reports/${item.profile}/results.md
    deps: ["out/${item.profile}/middle"]
    outs:
      - reports/${item.profile}/results.md:
          cache: false
"""
STEP = """
import pathlib, sys, time
name, profile, out = sys.argv[1:]
with open("times.txt", "a") as log:
    log.write(f"{name} start {time.time()}\\n")
time.sleep(float(pathlib.Path("pause.txt").read_text()))
if pathlib.Path(f"fail-{name}").exists():
    sys.exit("no such luck")
out = pathlib.Path(out)
out.parent.mkdir(parents=True, exist_ok=True)
if name == "first":
    out.mkdir()
    (out / "a.txt").write_text(profile)
    (out / "b.txt").write_text("b")
else:
    out.write_text(f"| {name} |\\n")
with open("times.txt", "a") as log:
    log.write(f"{name} end {time.time()}\\n")
"""
CONFIG = """
[core]
    analytics = false
    check_update = false
    remote = mini
['remote "mini"']
    url = ../store
['remote "thesis"']
    url = stores/thesis
"""


def make_toy(root: Path, profile: str = "mini", config: str = CONFIG) -> Path:
    """A repository with five small stages and nothing done yet."""
    for name, text in {
        "dvc.yaml": DVC_YAML,
        "step.py": STEP,
        "params.yaml": f"profile: {profile}\nseed: 1\n",
        "pause.txt": "0",
        ".dvc/config": config,
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",  # as `dvc init` writes it
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    run(root, "git", "init", "--quiet")
    return root


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return make_toy(tmp_path / "toy")


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Path:
    """The same after `make reproduce`. Read only."""
    root = make_toy(tmp_path_factory.mktemp("reproduced") / "toy")
    reproduce(root, repo_root)
    assert set(outcomes(root).values()) == {"ran"}
    return root


@pytest.fixture
def done(reproduced: Path, tmp_path: Path) -> Path:
    """A copy of what is reproduced."""
    return shutil.copytree(reproduced, tmp_path / "toy", symlinks=True)


def run(root: Path, *command: str, code: int = 0) -> str:
    """Run in `root` and return all output; the exit code must be `code`."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = os.environ | {"PATH": path}
    done = subprocess.run(
        command, cwd=root, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    return output


def reproduce(toy: Path, repo_root: Path, *flags: str, code: int = 0) -> str:
    return run(toy, sys.executable, str(repo_root / "tools" / "reproduce.py"), *flags, code=code)


def publish(toy: Path, repo_root: Path, *flags: str, code: int = 0) -> str:
    return run(toy, sys.executable, str(repo_root / "tools" / "publish.py"), *flags, code=code)


def outcomes(toy: Path) -> dict[str, str]:
    rows = json.loads((toy / ".work" / "logs" / "summary.json").read_text())
    return {name: row["outcome"] for name, row in rows.items()}


def load(path: Path) -> ModuleType:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def spans(toy: Path) -> dict[str, tuple[float, float]]:
    """Start and end of each stage's command."""
    rows = [line.split() for line in (toy / "times.txt").read_text().splitlines()]
    times = {(name, what): float(at) for name, what, at in rows}
    return {name: (times[name, "start"], times[name, "end"]) for name, what in times if what == "start"}


@pytest.mark.slow
def test_reproduce_keeps_the_order_and_runs_two_at_a_time(toy: Path, repo_root: Path) -> None:
    (toy / "pause.txt").write_text("1.5")
    output = reproduce(toy, repo_root)
    at = spans(toy)
    middles = [at[f"middle-{code}"] for code in ("de", "ja", "ko")]
    assert all(at["first"][1] <= start and end <= at["compare"][0] for start, end in middles)
    together = [sum(start <= other < end for start, end in middles) for other, _ in middles]
    assert max(together) == 2
    assert set(outcomes(toy).values()) == {"ran"}
    assert "| compare |" in output
    assert run(toy, sys.executable, "-m", "dvc", "status").strip() == "Data and pipelines are up to date."


@pytest.mark.slow
def test_reproduce_with_nothing_to_do_starts_no_stage(done: Path, repo_root: Path) -> None:
    before = (done / "times.txt").read_text()
    output = reproduce(done, repo_root)
    assert "0 of 5 stages" in output
    assert "| compare |" in output
    assert (done / "times.txt").read_text() == before
    assert set(outcomes(done).values()) == {"skipped"}


@pytest.mark.slow
def test_reproduce_uses_the_run_cache_unless_told_otherwise(done: Path, repo_root: Path) -> None:
    shutil.rmtree(done / "out")
    (done / "dvc.lock").unlink()
    reproduce(done, repo_root)
    assert outcomes(done)["first@mini"] == "restored"
    reproduce(done, repo_root, "--force", "--no-run-cache")
    assert set(outcomes(done).values()) == {"ran"}


@pytest.mark.slow
def test_reproduce_stops_at_the_first_failure_and_names_it(toy: Path, repo_root: Path) -> None:
    (toy / "fail-middle-ja").touch()
    output = reproduce(toy, repo_root, code=1)
    assert "stage middle@mini-ja failed" in output
    assert "no such luck" in output
    assert outcomes(toy)["middle@mini-ja"] == "failed"
    assert outcomes(toy)["compare@mini"] == "not reached"
    (toy / "fail-middle-ja").unlink()
    reproduce(toy, repo_root)
    assert outcomes(toy)["first@mini"] == "skipped"


def test_reproduce_says_in_one_line_that_the_pipeline_does_not_parse(toy: Path, repo_root: Path) -> None:
    (toy / "params.yaml").write_text("seed: 1\n")
    output = reproduce(toy, repo_root, code=2)
    assert output.startswith("cannot read the pipeline: ")


@pytest.mark.slow
def test_an_interrupt_ends_the_stages_too(toy: Path, repo_root: Path) -> None:
    (toy / "pause.txt").write_text("60")
    process = subprocess.Popen(
        [sys.executable, str(repo_root / "tools" / "reproduce.py")], cwd=toy, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not (toy / "times.txt").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in output
    assert f"step.py first mini out/mini/first {toy}" not in all_commands(toy)


def all_commands(folder: Path) -> str:
    """Command line and working folder of every process that works in `folder`."""
    rows = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            here = os.readlink(entry / "cwd")
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if here == str(folder):
            rows.append(f"{words.strip()} {here}")
    return "\n".join(rows)


def test_a_line_of_a_stage_is_shown_with_its_name_once(repo_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = load(repo_root / "tools" / "reproduce.py")
    for line in (b"a@mini-de: 1 of 2\n", b"1 of 2\n", b"b@mini: 1 of 2\n", b"Running stage 'a@mini-de':\n"):
        module.show("a@mini-de", line)
    lines = ["  a@mini-de | 1 of 2", "  a@mini-de | 1 of 2", "  a@mini-de | b@mini: 1 of 2"]
    assert capsys.readouterr().out.splitlines() == lines


def test_the_longest_chain_goes_first(repo_root: Path) -> None:
    module = load(repo_root / "tools" / "reproduce.py")
    needs = {"end": {"b", "c"}, "a": set(), "b": {"a"}, "c": set()}
    order = module.sort_stages(needs)
    assert sorted(order) == sorted(needs)
    assert all(order.index(before) < order.index(name) for name, first in needs.items() for before in first)
    assert module.chain_lengths(order, needs) == {"a": 3, "b": 2, "c": 2, "end": 1}


def store_files(toy: Path) -> list[Path]:
    return sorted(path for path in (toy / "store").rglob("*") if path.is_file())


def test_publish_holds_what_the_lock_names_and_removes_the_rest(done: Path, repo_root: Path) -> None:
    stale = done / "store" / "files" / "md5" / "00" / "stale"
    stale.parent.mkdir(parents=True)
    stale.write_text("old")
    assert "1 removed" in publish(done, repo_root)
    files = store_files(done)
    assert len(files) == 6  # a folder, its two files, three single files
    assert not stale.parent.exists()
    assert "0 new, 0 removed" in publish(done, repo_root)
    publish(done, repo_root, "--check")
    shutil.rmtree(done / ".dvc" / "cache")
    shutil.rmtree(done / "out")
    run(done, sys.executable, "-m", "dvc", "pull")
    assert (done / "out" / "mini" / "first" / "a.txt").read_text() == "mini"


def test_publish_check_finds_a_stale_and_a_missing_object(done: Path, repo_root: Path) -> None:
    assert "missing" in publish(done, repo_root, "--check", code=1)
    publish(done, repo_root)
    (done / "store" / "more").write_text("")
    assert "not referenced" in publish(done, repo_root, "--check", code=1)


@pytest.mark.slow
def test_publish_refuses_another_profile(toy: Path, repo_root: Path) -> None:
    (toy / "params.yaml").write_text("profile: thesis\nseed: 1\n")
    reproduce(toy, repo_root)
    assert "is not of profile mini" in publish(toy, repo_root, code=2)
    assert not store_files(toy)


@pytest.mark.slow
def test_a_push_of_another_profile_does_not_reach_the_store(toy: Path, repo_root: Path) -> None:
    (toy / "params.yaml").write_text("profile: thesis\nseed: 1\n")
    reproduce(toy, repo_root)
    for flags in ((), ("-r", "mini")):
        run(toy, sys.executable, "-m", "dvc", "push", *flags)
    assert not store_files(toy)
    assert (toy / ".dvc" / "stores" / "thesis").is_dir()


def test_publish_refuses_what_is_not_reproduced(toy: Path, repo_root: Path) -> None:
    assert "run make reproduce" in publish(toy, repo_root, code=2)


@pytest.mark.parametrize(("damage", "word"), [("remove", "missing"), ("change", "corrupt")])
def test_publish_refuses_a_damaged_cache(done: Path, repo_root: Path, damage: str, word: str) -> None:
    victim = next(
        path for path in (done / ".dvc/cache/files/md5").rglob("*") if path.is_file() and path.suffix != ".dir"
    )
    if damage == "remove":
        victim.unlink()
    else:
        victim.chmod(0o644)
        victim.write_text("changed")
    assert word in publish(done, repo_root, code=2)
    assert not store_files(done)


def test_publish_refuses_more_than_git_should_hold(
    tmp_path: Path, repo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load(repo_root / "tools" / "publish.py")
    path = module.object_path(tmp_path, "5d41402abc4b2a76b9719d911017c592")
    path.parent.mkdir(parents=True)
    path.write_text("hello")
    assert module.collect(["5d41402abc4b2a76b9719d911017c592"], tmp_path) == ["5d41402abc4b2a76b9719d911017c592"]
    monkeypatch.setattr(module, "LIMIT", 4)
    with pytest.raises(module.RefusedError, match="the store may hold"):
        module.collect(["5d41402abc4b2a76b9719d911017c592"], tmp_path)


def test_the_committed_store_is_in_line_with_the_committed_lock(repo_root: Path, tmp_path: Path) -> None:
    """In a clone: what was set and run since the last commit is not published yet."""
    if not (repo_root / ".git").exists():
        pytest.skip("a source archive: there is no commit")
    run(tmp_path, "git", "clone", "--quiet", "--shared", str(repo_root), "clone")
    publish(tmp_path / "clone", repo_root, "--check")


def test_no_test_reads_the_settings_of_the_working_tree(repo_root: Path) -> None:
    """Otherwise a person's own parameters make tests fail. `tests/settings.py` holds those of the tests."""
    reads = re.compile(r"""\b(?:ROOT|REPO|repo_root)\b[\s/),.(f]*(?:joinpath\()?["'](?:params\.yaml|profiles\b)""")
    assert reads.search('read_yaml(ROOT / f"profiles/{name}.yaml")') and reads.search('repo_root / "params.yaml"')
    assert not reads.search('root / "params.yaml"') and not reads.search('SETTINGS / "params.yaml"')
    files = [path for path in (repo_root / "tests").rglob("*.py") if path != Path(__file__).resolve()]
    assert len(files) > 100
    assert [path.name for path in files if reads.search(path.read_text(encoding="utf-8"))] == []


def test_make_without_a_target_lists_all_of_them(repo_root: Path) -> None:
    output = run(repo_root, "make")
    phony = re.search(r"^\.PHONY: (.*)$", (repo_root / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    listed = re.findall(r"^  make ([a-z-]+) ", output, re.MULTILINE)
    assert listed == phony[1].split()


@pytest.mark.parametrize(("user", "root"), [(0, ["--allow-root"]), (1000, [])])
def test_the_notebook_opens_with_the_flags_given_also_for_root(
    repo_root: Path, tmp_path: Path, user: int, root: list[str]
) -> None:
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    (tmp_path / "params.yaml").write_text("profile: mini\n")
    for name, work in (("id", f"echo {user}"), ("papermill", ":"), ("jupyter", "printf '%s\\n' \"$@\" > called")):
        (programs / name).write_text(f"#!/bin/sh\n{work}\n")
        (programs / name).chmod(0o755)
    flags = "NOTEBOOK_FLAGS=--no-browser --port 9999"
    run(tmp_path, "make", "-f", str(repo_root / "Makefile"), "-o", "setup", "notebook", "VENV=venv", flags)
    called = (tmp_path / "called").read_text().split()
    assert called == ["lab", *root, "--no-browser", "--port", "9999", ".work/notebook/report.ipynb"]


def test_setup_without_python_says_so(repo_root: Path, tmp_path: Path) -> None:
    output = run(repo_root, "make", "setup", f"VENV={tmp_path / 'venv'}", "PYTHON=no-such-python", code=2)
    assert "Python 3.11 is needed" in output
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(
    ("case", "code"),
    [("", 0), ("<skipped/>", 1), ("<failure/>", 1), (None, 1)],
    ids=["passed", "skipped", "failed", "absent"],
)
@pytest.mark.parametrize("name", ["", "[1]", "@group", "[a@b]@group"])
def test_must_run_wants_each_listed_test_to_pass(
    tmp_path: Path, repo_root: Path, case: str | None, code: int, name: str
) -> None:
    cases = "" if case is None else f'<testcase classname="tests.unit.test_x" name="test_y{name}">{case}</testcase>'
    (tmp_path / "junit.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    (tmp_path / "list.txt").write_text("# why\ntests/unit/test_x.py::test_y\n")
    script = repo_root / ".ci" / "must_run.py"
    output = run(tmp_path, sys.executable, str(script), "list.txt", "junit.xml", code=code)
    assert ("tests/unit/test_x.py::test_y" in output) == bool(code)


@pytest.mark.parametrize(("folder", "code"), [("", 0), ("somewhere", 1)], ids=["no data here", "data here"])
def test_a_skip_for_want_of_data_counts_where_there_is_data(
    tmp_path: Path, repo_root: Path, folder: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLSEAVE_TEST_DATA", folder)
    reason = '<skipped message="CLSEAVE_TEST_DATA names no folder of test data"/>'
    (tmp_path / "junit.xml").write_text(
        f'<testsuite><testcase classname="tests.unit.test_x" name="test_y">{reason}</testcase></testsuite>'
    )
    (tmp_path / "list.txt").write_text("tests/unit/test_x.py\n")
    run(tmp_path, sys.executable, str(repo_root / ".ci" / "must_run.py"), "list.txt", "junit.xml", code=code)


def test_a_skip_for_want_of_a_system_package_fails_ci_unless_another_run_has_the_test(
    tmp_path: Path, repo_root: Path
) -> None:
    case = '<testsuite><testcase classname="tests.unit.test_x" name="test_y">{}</testcase></testsuite>'
    skipped = case.format('<skipped message="needs chromium (Debian: chromium)"/>')
    for name, text in (("bare.xml", skipped), ("full.xml", case.format("")), ("list.txt", "")):
        (tmp_path / name).write_text(text)
    must_run = (sys.executable, str(repo_root / ".ci" / "must_run.py"), "list.txt")
    output = run(tmp_path, *must_run, "bare.xml", code=1)
    assert "must run, but is skipped for want of a package: tests/unit/test_x.py::test_y" in output
    run(tmp_path, *must_run, "bare.xml", "full.xml")
    run(tmp_path, *must_run, "full.xml", "bare.xml")


@pytest.mark.needs_package("dpkg", "dpkg-query")
def test_the_bare_path_of_ci_holds_git_and_make_and_nothing_that_is_installed_beside_them(
    tmp_path: Path, repo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = tmp_path / "more"
    more.mkdir()
    for name in ("chromium", "qemu-x86_64-static", "git"):
        (more / name).write_text("#!/bin/sh\n")
        (more / name).chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([os.environ["PATH"], str(more)]))
    run(tmp_path, "bash", str(repo_root / ".ci" / "bare_path"), "bare")
    monkeypatch.setenv("PATH", str(tmp_path / "bare"))
    found = {name: shutil.which(name) for name in ("sh", "sed", "git", "make")}
    assert None not in found.values(), found
    others = ("chromium", "qemu-x86_64-static", "localedef", "python3", "curl", "gcc")
    assert [name for name in others if shutil.which(name)] == []


def test_ci_runs_the_fast_tests_on_the_bare_path_and_the_others_with_all_packages(repo_root: Path) -> None:
    script = (repo_root / ".ci" / "run").read_text()
    fast, others = re.findall(r"(?:^env .* \\\n +)?make test .*$", script, re.MULTILINE)
    assert 'PATH="$temporary/bare"' in fast and "LOCPATH=" in fast and "-m " not in fast
    assert "-m '$chosen'" in others and "env " not in others
    assert re.findall(r"chosen='(.*)'", script) == [
        "(slow or needs_package) and not full",
        "slow or needs_package or full",
    ]
    assert "must_run.py .ci/must-run.txt .work/junit-fast.xml .work/junit-slow.xml" in script


@pytest.mark.parametrize(
    ("made", "code"),
    [("a: {cmd: x}, gone: {cmd: y}", 0), ("a: {cmd: z}", 1), ("b: {cmd: x}", 1)],
    ids=["with the entry of a stage that is gone", "another command", "absent"],
)
def test_the_lock_file_of_ci_holds_each_committed_stage(tmp_path: Path, repo_root: Path, made: str, code: int) -> None:
    (tmp_path / "made").write_text(f"stages: {{{made}}}\n")
    (tmp_path / "committed").write_text("stages: {a: {cmd: x}}\n")
    output = run(tmp_path, sys.executable, str(repo_root / ".ci" / "same_lock.py"), "made", "committed", code=code)
    assert ("1 stages agree" in output, "made: a differs from committed" in output) == (code == 0, code == 1)


def copy_conftest(folder: Path, repo_root: Path, marker: str) -> None:
    """Our conftest.py, without our package, for tests of a toy folder."""
    (folder / "conftest.py").write_text((repo_root / "tests" / "conftest.py").read_text())
    (folder / "clseave/foundation/process").mkdir(parents=True)
    (folder / "clseave/foundation/process/numerics.py").write_text("pin = int\n")
    (folder / "pytest.ini").write_text(f"[pytest]\nmarkers = {marker}\npythonpath = .\n")


def test_a_missing_package_is_named_and_each_reason_is_one_line(tmp_path: Path, repo_root: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "import pytest\n"
        "@pytest.mark.needs_package('nice-things', 'no-such-program')\n"
        "@pytest.mark.parametrize('number', range(3))\n"
        "def test_program(number): raise SystemExit\n"
        "@pytest.mark.needs_package('etc', 'sh', '/no/such/file')\n"
        "def test_file(): raise SystemExit\n"
        "@pytest.mark.needs_package('dash', 'sh', '/proc/self/status')\n"
        "def test_here(): pass\n"
    )
    copy_conftest(tmp_path, repo_root, "needs_package")
    output = run(tmp_path, sys.executable, "-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider")
    assert "\nskipped 3: needs no-such-program (Debian: nice-things)\n" in output
    assert "\nskipped 1: needs /no/such/file (Debian: etc)\n" in output
    assert "1 passed, 4 skipped" in output and output.count("skipped") == 3


@pytest.mark.slow
def test_a_group_of_tests_stays_in_one_process(tmp_path: Path, repo_root: Path) -> None:
    lines = 'import pytest\n{}\n@pytest.mark.parametrize("number", range(6))\ndef test_one(number): pass\n'
    mark = 'pytestmark = [pytest.mark.xdist_group("shared")]'
    (tmp_path / "test_grouped.py").write_text(lines.format(mark))
    (tmp_path / "test_alone.py").write_text(lines.format(""))
    copy_conftest(tmp_path, repo_root, "xdist_group(name)")
    flags = ("-v", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider")
    output = run(tmp_path, sys.executable, "-m", "pytest", *flags)
    found = set(re.findall(r"\[(gw\d)\].*PASSED (test_\w+)\.py", output))
    assert len([file for _, file in found if file == "test_grouped"]) == 1, output
    # Which process takes the others depends on which starts first.
    assert "scheduling tests via ByFile" in output and "12 passed" in output
