"""`make seeds`: the settings of the copy, and the table that it writes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import seeds  # noqa: E402


def test_only_the_seeds_of_the_settings_change():
    text = "languages:\n- de\nseeds:  # of fine-tuning\n- 0\nve_models:\n- clip_ve\n"
    assert seeds.with_seeds(text, [0, 3]) == text.replace("- 0\n", "- 0\n- 3\n")
    assert seeds.with_seeds(seeds.with_seeds(text, [0, 3]), [0]) == text


def test_settings_without_seeds_are_refused():
    with pytest.raises(ValueError, match="seeds"):
        seeds.with_seeds("languages:\n- de\n", [0])


def test_the_settings_of_this_repository_take_other_seeds():
    text = (ROOT / "tests/fixtures/settings/params.yaml").read_text(encoding="utf-8")
    assert "- 0\n- 1\n- 2\n" in seeds.with_seeds(text, [0, 1, 2])


def test_a_row_for_each_seed_and_evaluation_that_judged_something(tmp_path):
    for seed, name, rows in [(0, "en", 4), (0, "independent_en", 0), (1, "en", 4)]:
        score = {"rows": rows, "accuracy": 0.5 + seed / 4, "accuracy_seen": 0.5, "swap_accuracy": None}
        path = tmp_path / f"seed{seed}/{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(score))
    common = {"evaluation": "en", "rows": 4, "seen": 0.5, "unseen": None, "swap_accuracy": None}
    assert seeds.rows_of(tmp_path, [0, 1]) == [
        common | {"seed": 0, "accuracy": 0.5},
        common | {"seed": 1, "accuracy": 0.75},
    ]


def test_changes_that_are_not_committed_are_refused(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.py").write_text("")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "a"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "src/a.py").write_text("changed = 1\n")
    made = subprocess.run(
        [sys.executable, ROOT / "tools/seeds.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert made.returncode == 2 and "commit the changes in src" in made.stderr and not (tmp_path / ".work").exists()
