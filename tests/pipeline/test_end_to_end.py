"""The whole pipeline on profile `tiny`, as a user runs it: real programs in a git repository of its own.

The pipeline runs once; every test then works in a copy of the finished repository, so no test depends on another.
Two of the five languages keep that run short, and stages start with their libraries loaded (`preloaded`).
"""

import csv
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from real_world import place, profile_values, save_models
from ruamel.yaml import YAML

import study
from settings import SETTINGS

# One process makes the finished repository while the other works on tests that need none.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("end_to_end")]

LANGUAGES = ("de", "ja")
DVC = (sys.executable, "-m", "dvc")
OUTPUTS = ("data", "models", "reports")
# What is made and not copied.
MADE = re.compile(r"(store|(data|models|reports|studies/\w+|reports/studies)/mini)/|(.*/)?dvc\.lock$")
UP_TO_DATE = "Data and pipelines are up to date."
ALONE = "stages load their libraries themselves"  # said where the server of loaded libraries cannot help
PREDICTION = ["pair_id", "logits"]  # other tools read these files
CHECK = (
    *(sys.executable, "src/run.py", "check", "--params", "params.yaml", "--profiles", "profiles"),
    *("--out", ".work/checked"),
)


def environment(folder: Path) -> dict[str, str]:
    """Our environment with this interpreter first, and no settings of the user, of git or of another DVC."""
    dropped = ("PYTHONPATH", "PYTEST_", "GIT_", "DVC_")
    return {key: value for key, value in os.environ.items() if not key.startswith(dropped)} | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"DVC_{name}_DIR": str(folder / ".dvc-settings" / name) for name in ("SITE_CACHE", "GLOBAL_CONFIG")},
    }


def start(root: Path, *command: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Run in `root`; exit code, output and errors."""
    done = subprocess.run(
        command,
        cwd=root,
        env=environment(root.parent) | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def run(root: Path, *command: str, code: int = 0, env: dict[str, str] | None = None) -> str:
    """Output and errors together; the exit code must be `code`."""
    found, out, errors = start(root, *command, env=env)
    assert found == code, f"{' '.join(command)}: exit code {found}, expected {code}\n{(out + errors)[-4000:]}"
    return out + errors


def read(root: Path, *command: str) -> str:
    """What a program that ends well writes to its standard output."""
    code, out, errors = start(root, *command)
    assert code == 0, f"{' '.join(command)}: exit code {code}\n{errors}"
    return out


def git(root: Path, *command: str) -> str:
    return read(root, "git", *command)


def dvc(root: Path, *command: str, code: int = 0, env: dict[str, str] | None = None) -> str:
    return run(root, *DVC, *command, code=code, env=env)


def dvc_json(root: Path, *command: str) -> Any:
    return json.loads(read(root, *DVC, *command))


def stages_run(output: str) -> set[str]:
    """Stages whose command DVC started, as `clseave@tiny-de-0`."""
    return set(re.findall(r"Running stage '([^']+)'", output))


def outcomes(root: Path) -> dict[str, str]:
    """What became of each stage in the last run of reproduce.py."""
    rows = json.loads((root / ".work/logs/summary.json").read_text())
    return {name: row["outcome"] for name, row in rows.items()}


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path)


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def edit(path: Path, old: str, new: str) -> None:
    """Replace the one place where a pattern matches; `^` and `$` stand for the ends of a line."""
    text, count = re.subn(old, new, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count == 1, f"{path.name}: {old!r} matches {count} times, this test expects it once"
    path.write_text(text, encoding="utf-8")


def output_files(root: Path) -> list[Path]:
    return sorted(path for folder in OUTPUTS for path in (root / folder).rglob("*") if path.is_file())


def hashes(root: Path) -> dict[str, str]:
    """Of every output, cached or in git."""
    return {str(path.relative_to(root)): hashlib.md5(path.read_bytes()).hexdigest() for path in output_files(root)}


def changed(root: Path, before: dict[str, str]) -> set[str]:
    """Outputs that are gone or have other bytes than before."""
    after = hashes(root)
    return {name for name in before if after.get(name) != before[name]}


def written(root: Path) -> dict[str, int]:
    """When every output was written: a file that was rewritten differs, even with the same bytes."""
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in [*output_files(root), root / "dvc.lock"]}


def assert_clean(root: Path) -> None:
    """Neither git nor DVC sees a difference to the commit."""
    changes = git(root, "status", "--porcelain")
    assert not changes, f"git sees changes:\n{changes}{git(root, 'diff', '--stat')}"
    assert dvc(root, "status", "dvc.yaml").strip() == UP_TO_DATE


def copy_sources(source: Path, root: Path) -> None:
    """A new repository with one commit: what git tracks or would track here, but the tests' settings.

    Profile `tiny`, fewer languages.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in names:
        if name and not MADE.match(name) and (source / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, root / name)
    shutil.copytree(SETTINGS, root, dirs_exist_ok=True)
    edit(root / "params.yaml", r"^profile: \w+$", "profile: tiny")
    lines = "".join(rf"\2- {code}\n" for code in LANGUAGES)
    edit(root / "params.yaml", r"^(languages:.*\n)( *)- \w+\n(?: *- \w+\n)*", rf"\1{lines}")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "config", "user.name", "A test")
    git(root, "config", "user.email", "test@example.org")
    commit(root, "sources")


def commit(root: Path, message: str) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", f"--message={message}")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, repo_root: Path, preloaded: dict[str, str]) -> Path:
    """The repository after `dvc repro` and a commit. Read only. The workers of pytest-xdist share it."""
    shared = tmp_path_factory.getbasetemp()
    shared = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "end-to-end"
    shared.mkdir(exist_ok=True)
    root, done = shared / "finished", shared / "done"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            root.mkdir()
            copy_sources(repo_root, root)
            output = dvc(root, "repro", env=preloaded)
            commit(root, "reproduced")
            done.write_text(output, encoding="utf-8")
    assert done.exists(), "the pipeline did not run to its end, see the first test that failed"
    return root


@pytest.fixture
def work(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the finished repository with a cache of its own, for one test to change."""
    root = tmp_path / "work"
    shutil.copytree(finished, root, symlinks=True)
    yield root
    shutil.rmtree(root, ignore_errors=True)  # DVC's queue worker may still be at its last line


def test_every_stage_ran_and_left_its_reports(finished: Path) -> None:
    stages = read_yaml(finished / "dvc.yaml")["stages"]
    output = (finished.parent / "done").read_text(encoding="utf-8")
    ran = stages_run(output)
    assert {name.partition("@")[0] for name in ran} == set(stages)
    assert ran == set(read_yaml(finished / "dvc.lock")["stages"])
    assert ALONE not in output
    reports = finished / "reports" / "tiny"
    assert (reports / "report.html").stat().st_size > 100_000, "the page embeds its figures"
    names = {entry["name"] for entry in read_yaml(finished / "params.yaml")["evaluations"]}
    names = {name.replace("clteave", f"clteave_{LANGUAGES[0]}") for name in names} | set(LANGUAGES)
    names -= {"independent_en"}
    accuracy = json.loads((reports / "metrics.json").read_text())["accuracy"]
    assert set(accuracy) == names
    assert all(0 <= value <= 1 for value in accuracy.values())


def test_predictions_keep_their_format(finished: Path) -> None:
    examples, independent = (
        [row["pair_id"] for row in read_rows(finished / f"data/tiny/{name}.jsonl")]
        for name in ("examples/test", "independent/examples")
    )
    files = sorted((finished / "reports/tiny/predictions").rglob("*.jsonl"))
    assert len(files) == 2 * len(LANGUAGES) + len(read_yaml(finished / "params.yaml")["evaluations"])
    for file in files:
        rows = read_rows(file)
        assert all(list(row) == PREDICTION for row in rows), file.name
        wanted = independent if file.name.startswith("independent_") else examples
        assert [row["pair_id"] for row in rows] == wanted, file.name
        assert all(len(row["logits"]) == 3 and all(isinstance(one, float) for one in row["logits"]) for row in rows)


def test_every_model_has_a_card_of_its_data_seed_and_weights(finished: Path) -> None:
    from huggingface_hub import ModelCard

    from clseave.foundation.process.fingerprint import digest

    found = set()
    for name, stage in read_yaml(finished / "dvc.lock")["stages"].items():
        folders = [out["path"] for out in stage["outs"] if out["path"].startswith("models/")]
        for folder in folders:
            path = finished / "reports/tiny/cards" / f"{folder.removeprefix('models/tiny/').replace('/', '-')}.md"
            text = path.read_text(encoding="utf-8")
            card, base = ModelCard(text), name.partition("@")[0]
            assert (card.data.license, "generated-data" in card.data.tags) == ("mit", True), folder
            assert card.data.language and f"Made by the stage `{base}`" in text and "seed 0" in text, folder
            rows = dict(re.findall(r"^\| ([\w.]+) \| `([0-9a-f]{64})` \|$", text, re.MULTILINE))
            weights = {key: value for key, value in rows.items() if "." in key}
            assert weights == {key: digest(finished / folder / key) for key in weights} != {}, folder
            inputs = {key: value for key, value in rows.items() if key not in weights}
            arguments = dict(re.findall(r"--(\w+) (\S+)", stage["cmd"]))
            assert inputs == {key: digest(finished / arguments[key]) for key in inputs} != {}, folder
            read = {dep["path"] for dep in stage["deps"] if dep["path"].startswith(("data/", "models/"))}
            assert {arguments[key] for key in inputs} == read - {"data/tiny/checked.txt"}, folder
            for odd in (str(finished), "device:"):
                assert odd not in text, folder
            found.add(path)
    assert len(found) >= 5 + 1 + len(LANGUAGES)  # two backbones, CLIP-VE and controls, autoencoder, students
    assert found == set((finished / "reports/tiny/cards").iterdir())


def test_every_metrics_file_names_its_seed(finished: Path) -> None:
    """The headline metrics of `compare`, which join all seeds, name them all."""
    files = [
        finished / out["path"]
        for stage in read_yaml(finished / "dvc.lock")["stages"].values()
        for out in stage["outs"]
        if re.match(r"reports/.*/(metrics|training)/.*\.json$", out["path"])
    ]
    assert len({path.parent.name for path in files}) >= 3
    assert json.loads((finished / "reports/tiny/metrics.json").read_text())["seeds"] == "0"
    assert {str(path): json.loads(path.read_text()).get("seed") for path in files} == {str(path): 0 for path in files}


def test_a_model_with_one_answer_is_flagged_in_metrics_and_report(finished: Path) -> None:
    """The baseline `majority` is such a model by its making."""
    reports = finished / "reports/tiny"
    scores = json.loads((reports / "metrics/seed0/majority.json").read_text())
    head = json.loads((finished / "models/tiny/majority/seed0/head.json").read_text())
    answers = [sum(column) for column in zip(*scores["confusion"], strict=True)]
    assert answers.count(0) == 2 and scores["constant"] is not None and head, "it gave one answer to every row"
    rows = list(csv.DictReader((reports / "tables/results.csv").read_text().splitlines()))
    assert next(row["constant"] for row in rows if row["evaluation"] == "majority") == scores["constant"]
    page = re.sub(r"<[^>]*>", " ", (reports / "report.html").read_text(encoding="utf-8"))
    shown = re.search(r"majority.{0,200}?yes: (\w+)", page, re.DOTALL | re.IGNORECASE)
    assert shown and shown[1] == scores["constant"]


def test_a_second_run_does_nothing(work: Path) -> None:
    before = written(work)
    output = run(work, sys.executable, "tools/reproduce.py")  # whose last step is a plain `dvc repro`
    assert f"0 of {len(outcomes(work))} stages" in output
    assert set(outcomes(work).values()) == {"skipped"}
    assert (work / "reports/tiny/results.md").read_text(encoding="utf-8").strip() in output
    assert "report: reports/tiny/report.html" in output
    assert written(work) == before
    assert_clean(work)


@pytest.mark.full
def test_two_stages_at_a_time_leave_the_same_bytes(finished: Path, repo_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    copy_sources(repo_root, root)
    output = run(root, sys.executable, "tools/reproduce.py", "--jobs", "2")
    assert set(outcomes(root)) == set(read_yaml(finished / "dvc.lock")["stages"])
    assert set(outcomes(root).values()) == {"ran"}
    assert ALONE not in output
    assert (root / ".work/logs/preload.log").read_text(encoding="utf-8") == ""
    found, wanted = ({k: v for k, v in hashes(one).items() if not k.endswith(".gitignore")} for one in (root, finished))
    assert found == wanted


def test_another_learning_rate_is_one_experiment(work: Path, preloaded: dict[str, str]) -> None:
    rate = read_yaml(work / "params.yaml")["lr"]
    usual = json.loads((work / "reports/tiny/training/clseave-de-seed0.json").read_text())
    output = dvc(work, "exp", "run", "-S", "lr=4e-5", "compare@tiny", env=preloaded)
    trained = ("clseave@tiny-{}-0", "evaluate_clseave@tiny-{}-0-rows0", "evaluate_clseave@tiny-{}-0-rows1")
    students = {stage.format(code) for stage in trained for code in LANGUAGES}
    assert stages_run(output) == {"check@tiny", *students, "compare@tiny"}
    assert set(dvc_json(work, "status", "--json", "dvc.yaml")) == {"cards@tiny", "report@tiny"}, "what is left to run"
    assert "\nlr: 4e-05\n" in (work / "params.yaml").read_text()
    # DVC writes params.yaml anew: it indents lists its own way and drops comments that stand after a list.
    assert git(work, "diff", "--numstat", "params.yaml") == "1\t1\tparams.yaml\n", git(work, "diff", "params.yaml")
    metrics = json.loads((work / "reports/tiny/training/clseave-de-seed0.json").read_text())
    assert metrics["lr"] == pytest.approx(4e-5 * read_yaml(work / "profiles/tiny.yaml")["clseave"]["lr_scale"])

    rates = dvc_json(work, "params", "diff", "--json")["params.yaml"]
    assert {key: tuple(map(float, (row["old"], row["new"]))) for key, row in rates.items()} == {"lr": (rate, 4e-5)}
    assert metrics["dev_mse"] > usual["dev_mse"], "too slow a rate learns less"
    headlines = dvc_json(work, "metrics", "diff", "--json", "--all")["reports/tiny/metrics.json"]
    assert {"accuracy.en", "accuracy_unseen.de", "aer.ja"} <= set(headlines)
    assert {"loss.de", "loss.ja"} <= {name for name, row in headlines.items() if row["old"] != row["new"]}
    assert headlines["accuracy.en"]["old"] == headlines["accuracy.en"]["new"]
    rows = list(csv.DictReader(read(work, *DVC, "exp", "show", "--csv").splitlines()))
    assert {float(row["lr"]) for row in rows} == {rate, 4e-5}
    dvc(work, "plots", "diff", "--targets", "reports/tiny/curves/clseave-de-seed0.csv")
    page = (work / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert "HEAD" in page and "workspace" in page

    git(work, "checkout", "--quiet", "--", ".")
    dvc(work, "checkout")
    assert_clean(work)


@pytest.mark.full
@pytest.mark.needs_data
def test_the_thesis_profile_runs_as_an_experiment(work: Path, test_data: Path, preloaded: dict[str, str]) -> None:
    """Real photos and pairs, small models: `dvc exp run -S profile=thesis` and what it leaves."""
    rows = {"train": 60, "dev": 10, "test": 10}
    small = {"align_words": {"layer": 2}, "clip_ve": {"epochs": 1}, "clseave": {"epochs": 2, "stop_after": 1}}
    (work / "profiles/thesis.yaml").write_text(json.dumps(profile_values(rows, small)))
    place(work / "data/thesis/source", test_data, LANGUAGES, rows)
    save_models(work, test_data, LANGUAGES, full_size=False)
    commit(work, "a small thesis")
    assert not git(work, "ls-files", "data/thesis"), "what the user places is not for git"
    goal = "evaluate_clseave@thesis-de-0-rows0"
    output = dvc(work, "exp", "run", "-S", "profile=thesis", "-S", "lr=4e-5", goal, env=preloaded)
    assert {"check@thesis", "prepare@thesis", "translate@thesis-de", goal} <= stages_run(output)
    metrics = json.loads((work / "reports/thesis/training/clseave-de-seed0.json").read_text())
    assert (metrics["lr"], metrics["epochs_run"]) == (4e-5, 1)
    assert json.loads((work / "reports/thesis/metrics/seed0/de.json").read_text())["rows"] == rows["test"]
    stages = read_yaml(work / "dvc.lock")["stages"]
    assert {"prepare@tiny", "prepare@thesis"} <= set(stages), "the profiles' entries stand side by side"

    # Whoever has the results needs no photo to go on.
    shutil.rmtree(work / "data/thesis/source")
    assert stages_run(dvc(work, "repro", goal)) == set()


def experiment_file(root: Path, name: str, path: str) -> str:
    """A file as the experiment's commit holds it."""
    refs = git(root, "for-each-ref", "--format=%(refname)", "refs/exps").split()
    found = [ref for ref in refs if ref.endswith(f"/{name}")]
    assert len(found) == 1, f"experiment {name} is not there once; there are {refs}"
    return git(root, "show", f"{found[0]}:{path}")


def test_a_queued_experiment_runs_its_own_copy_of_the_code(work: Path) -> None:
    dvc(work, "exp", "run", "--queue", "--name", "queued", "-S", "lr=2e-5", "clseave@tiny-de-0")
    before = written(work)
    with (work / "src/clseave/__init__.py").open("a") as module:
        module.write('raise RuntimeError("imported from the workspace")\n')
    assert "imported from the workspace" in run(work, *CHECK, code=1)
    # A path that an editable installation or the user's shell may have set must not win.
    run(work, *DVC, "exp", "run", "--run-all", env={"PYTHONPATH": str(work / "src")})
    lock = YAML(typ="safe", pure=True).load(experiment_file(work, "queued", "dvc.lock"))["stages"]["clseave@tiny-de-0"]
    hashes = {out["path"]: out["md5"] for out in lock["outs"]}
    md5 = hashes["reports/tiny/training/clseave-de-seed0.json"]
    metrics = json.loads((work / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).read_text())
    assert metrics["lr"] == pytest.approx(2e-5 * read_yaml(work / "profiles/tiny.yaml")["clseave"]["lr_scale"])
    assert written(work) == before
    assert git(work, "status", "--porcelain") == " M src/clseave/__init__.py\n"


def test_a_temporary_experiment_takes_edits_along_and_leaves_the_workspace_alone(
    work: Path, preloaded: dict[str, str]
) -> None:
    module = "src/clseave/report/tables/headline_table.py"
    edit(work / module, r'^        "Text": ', '        "Sentences": ')
    before = written(work)
    output = dvc(work, "exp", "run", "--temp", "--name", "elsewhere", "compare@tiny", env=preloaded)
    assert stages_run(output) == {"compare@tiny"}
    assert written(work) == before
    assert git(work, "status", "--porcelain") == f" M {module}\n"
    assert experiment_file(work, "elsewhere", "reports/tiny/results.md").startswith("| Sentences ")
    assert (work / "reports/tiny/results.md").read_text(encoding="utf-8").startswith("| Text ")


def add_chinese(work: Path) -> set[str]:
    """Add a line to the languages; the stages that are new by it."""
    edit(work / "params.yaml", rf"^( *)- {LANGUAGES[-1]}$", rf"\1- {LANGUAGES[-1]}\n\1- zh")
    new = {"translate@tiny-zh", "align_words@tiny-zh", "clseave@tiny-zh-0"}
    return new | {f"evaluate_clseave@tiny-zh-0-rows{rows}" for rows in (0, 1)}


def test_one_line_adds_the_stages_of_a_language_and_no_student_of_another(work: Path) -> None:
    """What DVC finds out of date; the test below runs it."""
    new = add_chinese(work)
    found = set(dvc_json(work, "status", "--json", "dvc.yaml"))
    assert new <= found
    own = {name.partition("@")[0] for name in new}
    assert {name for name in found - new if name.partition("@")[0] in own} == set(), "stages of other languages"
    edit(work / "params.yaml", r"^ *- zh\n", "")
    assert_clean(work)


@pytest.mark.full
def test_one_line_adds_a_language_and_removing_it_leaves_the_results_as_they_were(work: Path) -> None:
    before, new = hashes(work), add_chinese(work)
    ran = stages_run(dvc(work, "repro"))
    assert new <= ran
    # The autoencoder learns from all languages together, and CLTEAVE from the autoencoder.
    shared = {"check", "autoencoder", "clteave", "evaluate", "cards", "compare", "report"}
    assert {name.partition("@")[0] for name in ran - new} == shared, "stages of other languages ran"
    assert "zh" in json.loads((work / "reports/tiny/metrics.json").read_text())["accuracy"]

    edit(work / "params.yaml", r"^ *- zh\n", "")
    output = dvc(work, "repro")
    warnings = re.findall(r"\d+ files of languages, seeds or models .* are ignored", output)
    assert len(warnings) == 3, output  # of the autoencoder, which finds two, of `cards` and of `compare`
    assert changed(work, before) <= {str(path.relative_to(work)) for path in work.rglob(".gitignore")}

    assert "removed: models/tiny/clseave/zh\n" in run(work, sys.executable, "tools/clean_stale.py")
    made = ("independent", "pretraining")  # by `prepare`, in all languages of the grammar
    assert not [path for path in output_files(work) if "zh" in path.as_posix() and path.parent.name not in made]
    assert "nothing is stale" in run(work, sys.executable, "tools/clean_stale.py")
    readers = {"autoencoder@tiny-0", "cards@tiny", "compare@tiny", "report@tiny"}  # of folders that hold less now
    assert stages_run(dvc(work, "repro")) <= readers
    assert changed(work, before) <= {str(path.relative_to(work)) for path in work.rglob(".gitignore")}


def test_the_report_shows_no_model_that_params_do_not_name(work: Path, preloaded: dict[str, str]) -> None:
    """What a language leaves behind when it is removed from params.yaml is passed over."""
    for path in ("training/clseave-{}-seed0.json", "curves/clseave-{}-seed0.csv"):
        shutil.copy(work / "reports/tiny" / path.format("ja"), work / "reports/tiny" / path.format("zh"))
    before = hashes(work)
    assert stages_run(dvc(work, "repro", env=preloaded)) == {"compare@tiny"}
    assert changed(work, before) == set()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (r"^lr: .*$", "lr: 1.0e-4\nrate: 1.0e-4", ["rate", "unknown key", "languages"]),
        (r"^lr: .*$", "lr: fast", ["lr", "'fast'", "number"]),
        (r"^lr: .*$", "lr: 2.0", ["lr", "2.0", "less than 1"]),
        (r"^profile: .*$", "profile: nosuch", ["profile", "'nosuch'", "mini", "tiny"]),
        (r"^( *)- ja$", r"\1- xx", ["languages.1", "'xx'", "ja, ko, nl"]),
        (r"^( *- name: en\b.*\n +text_encoder: ).*$", r"\1bert",
         ["evaluations.0.text_encoder", "'bert'", "clip_ve, clseave/de"]),
    ],
    ids=["unknown key", "not a number", "out of range", "no such profile", "no such language", "no such model"],
)  # fmt: skip
def test_a_bad_value_is_one_line(finished: Path, tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    root = tmp_path / "root"
    for name in ("src", "profiles"):
        shutil.copytree(finished / name, root / name)
    shutil.copy(finished / "params.yaml", root)
    edit(root / "params.yaml", old, new)
    output = run(root, *CHECK, code=2)
    assert output.count("\n") == 1 and output.startswith("error: params.yaml: "), output
    assert [word for word in words if word not in output] == [], output


def test_a_bad_value_stops_before_any_work(work: Path, preloaded: dict[str, str]) -> None:
    before = hashes(work)
    edit(work / "params.yaml", r"^lr: .*$", "lr: 2.0")
    output = dvc(work, "repro", code=255, env=preloaded)
    assert stages_run(output) == {"check@tiny"}
    assert "error: params.yaml: lr: found 2.0" in output
    assert "Traceback" not in output
    assert changed(work, before) <= {"data/tiny/checked.txt"}
    git(work, "checkout", "--quiet", "params.yaml")
    assert stages_run(dvc(work, "repro")) == set()
    assert_clean(work)


def test_a_failing_stage_says_why_and_harms_nothing(work: Path, preloaded: dict[str, str]) -> None:
    lost = work / "models/tiny/mbert/model.safetensors"
    lost.unlink()
    before = hashes(work)
    command = read_yaml(work / "dvc.lock")["stages"]["clseave@tiny-de-0"]["cmd"]
    output = run(work, "sh", "-c", command, code=2, env=preloaded)
    assert output.startswith("error: models/tiny/mbert holds no BertModel") and output.count("\n") == 1, output
    assert hashes(work) == before

    output = dvc(work, "repro", "--single-item", "clseave@tiny-de-0", code=255, env=preloaded)
    assert "error: models/tiny/mbert holds no BertModel" in output
    own = ("models/tiny/clseave/de/", "reports/tiny/curves/clseave-de", "reports/tiny/training/clseave-de")
    assert {name for name in changed(work, before) if not name.startswith(own)} == set(), "others' outputs changed"

    assert stages_run(dvc(work, "repro")) == set(), "everything comes back from the cache"
    assert_clean(work)


def test_a_clone_pulls_what_was_pushed(work: Path, tmp_path: Path) -> None:
    dvc(work, "push")
    assert (work / ".dvc/stores/tiny/files").is_dir()
    assert not (work / "store").exists(), "only `make publish` may write the store"
    assert "is not of profile mini" in run(work, sys.executable, "tools/publish.py", code=2)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(work), str(clone))
    dvc(clone, "remote", "modify", "--local", "tiny", "url", str(work / ".dvc/stores/tiny"))
    dvc(clone, "pull")
    assert_clean(clone)
    assert hashes(clone) == hashes(work)


def test_the_picture_of_the_pipeline_shows_every_stage(work: Path) -> None:
    picture = dvc(work, "dag", "--md", "--collapse-foreach-matrix")
    shown = set(re.findall(r'\["?([a-z_]+)"?\]', picture))
    assert shown == set(read_yaml(work / "dvc.yaml")["stages"]), picture


class Loads(HTMLParser):
    """Collects what a page would fetch from elsewhere; `<a href>` is a link, not a load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.pictures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            self.pictures += (value or "").startswith("data:image/")
            loads = key in ("src", "srcset", "poster", "data", "xlink:href", "background") or (
                key == "href" and tag not in ("a", "area")
            )
            if loads and not (value or "").startswith(("data:", "#")):
                self.found.append(f"<{tag} {key}={value}>")


def test_the_report_loads_nothing(finished: Path) -> None:
    page = (finished / "reports/tiny/report.html").read_text(encoding="utf-8")
    loads = Loads()
    loads.feed(page)
    assert loads.found == []
    assert loads.pictures > 0, "the figures are part of the page"
    assert re.findall(r"@import[^;]*|url\(\s*[\"']?(?!data:|#)[^)]*", page) == []


STUDIES = sorted(path.parent.name for path in (Path(__file__).resolve().parents[2] / "studies").glob("*/dvc.yaml"))


def shrink(folder: Path) -> list[str]:
    """The first and the last variant of a study, in one language and seed; their names."""
    settings = read_yaml(folder / "params.yaml")
    language = settings["languages"][0]
    variants = [settings["variants"][place] for place in (0, -1)]
    variants = [one | ({"languages": language} if "languages" in one else {}) for one in variants]
    names = [one["name"] for one in variants]
    way = settings["contrasts"][0]["system"]["judged"]
    sides = [{"variant": name, "judged": way} for name in names]
    contrast = {"name": "both", "question": "Is there a difference?", "system": sides[0], "other": sides[1]}
    small = {"seeds": [0], "languages": [language], "variants": variants, "references": settings["references"]}
    (folder / "params.yaml").write_text(json.dumps(settings | small | {"contrasts": [contrast]}))
    (folder / "answer.md.j2").write_text(
        f'Found by {folder.name}: {{{{ accuracy("{names[0]}", "{way}") }}}}, {{{{ difference("both") }}}}.'
    )
    return names


def test_studies_run_beside_the_pipeline_and_their_answers_reach_the_report(
    work: Path, preloaded: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One as `make study` runs it, the others by `dvc repro` alone."""
    variants = {name: shrink(work / "studies" / name) for name in STUDIES}
    commit(work, "small studies")
    assert UP_TO_DATE in dvc(work, "repro"), "the main pipeline does not run studies"
    first, *others = STUDIES
    output = run(work, sys.executable, "tools/study.py", first)
    assert f"{first}: results in reports/studies/tiny/{first}" in output and ALONE not in output
    ran = {stage.partition(":")[2] for stage, outcome in outcomes(work).items() if outcome == "ran"}
    assert {stage.partition("@")[0] for stage in ran} >= {first, "summarise"} and "" not in ran
    output = dvc(work, "repro", *(f"studies/{name}/dvc.yaml" for name in others), env=preloaded)
    ran = {tuple(stage.partition("@")[0].split("/dvc.yaml:")) for stage in stages_run(output)}
    assert ran >= {(f"studies/{name}", stage) for name in others for stage in (name, "summarise")}
    assert {file.partition("/")[0] for file, *_ in ran} == {"studies"}, "stages of the main pipeline ran"
    with monkeypatch.context() as patch:
        patch.chdir(work)
        for name in others:
            study.take(name, "tiny")
    assert UP_TO_DATE in dvc(work, "status", *(f"studies/{name}/dvc.yaml" for name in STUDIES))

    assert stages_run(dvc(work, "repro", env=preloaded)) == {"report@tiny"}
    page = (work / "reports/tiny/report.html").read_text(encoding="utf-8")
    assert page.count("Is there a difference?") >= len(STUDIES) and "Older than this page" not in page
    for name in STUDIES:
        results = work / "reports/studies/tiny" / name
        rows = list(csv.DictReader((results / "results.csv").read_text().splitlines()))
        assert list(dict.fromkeys(row["variant"] for row in rows)) == [*variants[name], "clseave"], name
        answer = (results / "answer.md").read_text()
        assert answer.startswith(f"Found by {name}: ") and answer.split(",")[0] in page
