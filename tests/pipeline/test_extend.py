"""docs/EXTEND.md word for word, in a copy of the repository: its changes, its tests, a training with the new loss."""

import json
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


def in_copy(folder, *command):
    """The output of a command in the copy."""
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


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
    """Apply all blocks of a guide; run its tests; return the other commands."""
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
            else:
                others.append(line)
    files = ["src/clseave/objectives", "src/clseave/models", "src/clseave/foundation/settings", "tests/unit"]
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


def test_a_block_that_does_not_fit_the_code_fails(copy):
    with pytest.raises(AssertionError, match="is there 0 times"):
        apply(copy, "--- src/clseave/models/pretrained.py\n NO_SUCH_TABLE = {\n+    1: 2,\n")
