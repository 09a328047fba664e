"""docs/EXTEND.md word for word, in a copy of the repository: its changes, its tests, and what can be made with them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import small_students

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow

BLOCK = re.compile(r"^( *)```(\w+)(?: (\S+))?\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def guide(title):
    """The blocks of a guide: (kind, path or None, content)."""
    text = (ROOT / "docs/EXTEND.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]
    return [(kind, path or None, dedent(body)) for _, kind, path, body in BLOCK.findall(section)]


def apply(folder, block):
    """Change a file as a `diff` block says, whose lines before the change must be in it exactly once."""
    first, *lines = block.splitlines()
    path = folder / first.removeprefix("--- ")
    before = "".join(line[1:] + "\n" for line in lines if not line.startswith("+"))
    after = "".join(line[1:] + "\n" for line in lines if not line.startswith("-"))
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{path}: {before!r} is there {text.count(before)} times"
    path.write_text(text.replace(before, after), encoding="utf-8")


def in_copy(folder, *command, environment=None, log=False):
    """The output of a command in the copy, or what it logs."""
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env=os.environ | (environment or {}),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stderr if log else done.stdout


@pytest.fixture
def copy(tmp_path):
    """What git tracks of code and tests."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "src", "tests", "tools", "profiles", "*.yaml", "*.toml", "studies/*/*.yaml"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


def follow(folder, title):
    """Apply all blocks of a guide; run its tests and scripts; return the other commands."""
    others = []
    for kind, path, body in guide(title):
        if kind == "diff":
            apply(folder, body)
        elif kind == "python":
            (folder / path).write_text(body, encoding="utf-8")
    for kind, _, body in guide(title):
        for line in body.splitlines() if kind == "sh" else []:
            if line.startswith("pytest "):
                assert " passed" in in_copy(folder, "-m", *line.split(), "-p", "no:cacheprovider")
            elif " python " in line:
                name, _, value = line.split()[0].partition("=")
                in_copy(folder, *line.split()[2:], environment={name: value})
            else:
                others.append(line)
    files = ["src/clseave", "tests/unit"]
    in_copy(folder, "-m", "ruff", "check", "--quiet", *files)
    in_copy(folder, "-m", "ruff", "format", "--check", "--quiet", *files)
    return others


def test_another_loss_trains_a_student(copy):
    assert follow(copy, "Another loss") == ["make check", "dvc exp run -S profiles/mini.yaml:clseave.loss=cosine"]
    inputs = small_students.make(copy / "inputs", dropout=0.0)
    profile = json.loads((inputs / "small.yaml").read_text())
    profile["clseave"]["loss"] = "cosine"
    (inputs / "small.yaml").write_text(json.dumps(profile))
    in_copy(copy, "src/run.py", "clseave", *small_students.argv(inputs, "clseave", "made"))
    record = json.loads((inputs / "made/clseave/training.json").read_text())
    assert record["parameters"]["clseave"]["loss"] == "cosine"
    curve = (inputs / "made.csv").read_text().splitlines()
    column = curve[0].split(",").index("train_cosine_distance")
    first, *_, last = (float(row.split(",")[column]) for row in curve[1:])
    assert 0 < last < first < 2


def test_the_loss_of_the_guide_is_refused_without_its_first_step(tmp_path):
    inputs = small_students.make(tmp_path / "inputs", dropout=0.0)
    profile = json.loads((inputs / "small.yaml").read_text())
    profile["clseave"]["loss"] = "cosine"
    (inputs / "small.yaml").write_text(json.dumps(profile))
    command = [sys.executable, ROOT / "src/run.py", "clseave", *small_students.argv(inputs, "clseave", "made")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "clseave.loss" in done.stderr and "'cosine'" in done.stderr, done.stderr


def test_another_student_passes_all_tests_of_students(copy):
    before = in_copy(copy, "-m", "pytest", "-q", "--collect-only", "tests/unit/models/test_text_encoders.py")
    assert follow(copy, "Another student") == []
    after = in_copy(copy, "-m", "pytest", "-q", "--collect-only", "tests/unit/models/test_text_encoders.py")
    assert after.count("[electra]") >= 6 and "electra" not in before


def stage(folder, name, *more, **paths):
    """Run a stage in the copy with the profile `tiny`; paths are below `made`."""
    given = {"profile": "tests/fixtures/settings/profiles/tiny.yaml", "params": "params.yaml"}
    given |= {key: f"made/{path}" for key, path in paths.items()}
    in_copy(folder, "src/run.py", name, *more, *(part for key, path in given.items() for part in (f"--{key}", path)))


def rows(path):
    """The rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def corpus(folder):
    """Make the corpus of the profile `tiny`."""
    stage(
        folder, "prepare", examples="examples", independent="independent", hypotheses="en.jsonl", images="images",
        text="texts", counts="counts.json", source="source", downloads="downloads", problems="problems",
    )  # fmt: skip
    return {path.name: path.read_bytes() for path in sorted((folder / "made").rglob("*")) if path.is_file()}


def test_another_language_is_spoken_and_aligned(copy):
    before = corpus(copy)
    assert follow(copy, "Another language") == ["make check", "make reproduce"]
    for file in (ROOT / "tests/golden").iterdir():
        lines = (copy / "tests/golden" / file.name).read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if not line.startswith("fr\t")] == file.read_text(encoding="utf-8").splitlines()
    assert len((copy / "tests/golden/sentences.fr.tsv").read_text(encoding="utf-8").splitlines()) == 51
    assert "languages de, nl, ja, ko, zh, fr" in in_copy(copy, "src/run.py", "check", log=True)
    after = corpus(copy)
    assert {name: after[name] for name in before} == before  # the corpus of the other languages is the same
    assert set(after) - set(before) == {"fr.txt", "fr.jsonl"}
    stage(copy, "translate", "--language", "fr", hypotheses="en.jsonl", source="source", store="store", out="fr.jsonl")
    french = rows(copy / "made/fr.jsonl")
    assert len(french) == len(rows(copy / "made/en.jsonl"))
    stage(
        copy, "backbones", "--backbone", "mbert", text="texts", out="mbert", curve="mbert.csv", checkpoints="unfinished"
    )
    stage(
        copy, "align_words", "--language", "fr", mbert="mbert", translations="fr.jsonl", out="aligned.jsonl",
        metrics="aer.json", checkpoints="unfinished",
    )  # fmt: skip
    aligned = {row["hypothesis_id"]: row for row in rows(copy / "made/aligned.jsonl")}
    assert len(aligned) == len(french)
    assert all(" ".join(aligned[row["hypothesis_id"]]["target_words"]) == row["text"] for row in french)


def test_a_language_without_a_file_is_refused(copy):
    (change,) = [body for kind, _, body in guide("Another language") if kind == "diff"]
    apply(copy, change)
    done = subprocess.run(
        [sys.executable, "src/run.py", "check"], cwd=copy, capture_output=True, text=True, check=False
    )
    allowed = "allowed with profiles/mini.yaml: de, ja, ko, nl, zh"
    assert (done.returncode, done.stderr) == (2, f"error: params.yaml: languages.5: found 'fr', {allowed}\n")


def test_a_gap_in_the_file_of_a_language_is_named_before_any_work(copy):
    ((path, body),) = [(path, body) for _, path, body in guide("Another language") if path and path.endswith("/fr.py")]
    assert body.count('2: "deux/number", ') == 1
    (copy / path).write_text(body.replace('2: "deux/number", ', ""), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "src/run.py", "prepare"], cwd=copy, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "error: languages/fr.py: numbers: no 2, expected 1, 2, 3\n")


def test_a_block_that_does_not_fit_the_code_fails(copy):
    with pytest.raises(AssertionError, match="is there 0 times"):
        apply(copy, "--- src/clseave/models/pretrained.py\n NO_SUCH_TABLE = {\n+    1: 2,\n")
