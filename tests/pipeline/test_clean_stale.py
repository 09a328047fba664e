"""`make clean-stale` on the pipeline's own dvc.yaml: what goes when the settings name less, and what must stay."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
# What language `zh`, seed 1 and the baseline `majority` leave.
STALE = (
    *("data/mini/hypotheses/zh.jsonl", "models/mini/clseave/zh/seed0/model.safetensors"),
    *("models/mini/clseave/zh/seed0/training.json", "models/mini/clseave/zh/.gitignore"),
    *("models/mini/clip_ve/seed1/model.safetensors", "reports/mini/metrics/seed1/en.json"),
    *("reports/mini/predictions/seed0/independent_zh.jsonl", "reports/mini/metrics/align/zh.json"),
    *("reports/mini/training/majority-seed0.json", "reports/mini/curves/clseave-zh-seed0.csv"),
)
KEPT = (
    *("data/mini/hypotheses/de.jsonl", "data/mini/hypotheses/en.jsonl", "data/mini/hypotheses/.gitignore"),
    *("data/mini/source/photos/1.jpg", "data/mini/examples/zh.txt", "data/mini/README.md", "data/README.md"),
    *("models/mini/clseave/de/seed0/model.safetensors", "models/mini/clip_ve/seed0/README.md", "models/local/clip/x"),
    *("reports/mini/metrics.json", "reports/mini/metrics/seed0/independent_de.json", "reports/expected.yaml"),
    *("data/tiny/hypotheses/zh.jsonl", "reports/tiny/metrics/seed1/en.json", "reports/mini/tables/anything.csv"),
    *("reports/mini/cards/clip.md", "reports/mini/cards/clseave-de-seed0.md"),
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A DVC repository with our pipeline, German alone, no `majority`, and both kinds of files."""
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("profiles", ".dvc"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / ".dvc/config", tmp_path / ".dvc")
    text = (SETTINGS / "params.yaml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^- (?:nl|ja|ko|zh)\n", "", text)
    text = re.sub(r"(?m)^- name: majority\n(?:  .*\n)+", "", text)
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    for name in (*STALE, *KEPT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("content", encoding="utf-8")
    return tmp_path


def clean(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools/clean_stale.py"), *flags]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def files(folder: Path) -> set[str]:
    found = (path for name in ("data", "models", "reports") for path in (folder / name).rglob("*"))
    return {path.relative_to(folder).as_posix() for path in found if not path.is_dir()}


def test_what_no_active_stage_makes_goes_and_all_else_stays(repository: Path) -> None:
    listed = clean(repository, "--dry-run")
    assert listed.returncode == 0 and files(repository) == {*STALE, *KEPT}, listed.stderr
    done = clean(repository)
    assert (done.returncode, done.stderr, files(repository)) == (0, "", set(KEPT))
    assert done.stdout == listed.stdout.replace("stale:", "removed:")
    assert "removed: models/mini/clseave/zh\n" in done.stdout and "removed: reports/mini/metrics/seed1\n" in done.stdout
    assert not (repository / "models/mini/clseave/zh").exists()
    assert clean(repository).stdout == "clean-stale: nothing is stale in profile mini\n"


def test_a_link_is_removed_and_not_what_it_leads_to(repository: Path) -> None:
    (repository / "elsewhere").mkdir()
    (repository / "elsewhere/file").write_text("content")
    shutil.rmtree(repository / "data/mini/source")
    for name in ("models/mini/old", "data/mini/source"):
        (repository / name).symlink_to(repository / "elsewhere")
    assert "removed: models/mini/old\n" in clean(repository).stdout
    assert (repository / "elsewhere/file").exists() and (repository / "data/mini/source").is_symlink()
    assert not (repository / "models/mini/old").is_symlink()


@pytest.mark.parametrize("text", ["profile: mini\n", "profile: [\n"], ids=["keys missing", "not YAML"])
def test_nothing_goes_where_the_settings_cannot_be_read(repository: Path, text: str) -> None:
    (repository / "params.yaml").write_text(text)
    done = clean(repository)
    assert (done.returncode, done.stdout, files(repository)) == (2, "", {*STALE, *KEPT})
    assert done.stderr.startswith("clean-stale: ") and done.stderr.count("\n") == 1
