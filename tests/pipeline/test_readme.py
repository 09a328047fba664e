"""What README.md shows comes from files: its table and its picture are those of the repository."""

import subprocess
import sys

import pytest

import readme


def shown(text: str, name: str) -> str:
    """What stands between the markers of one block."""
    return text.partition(f"<!-- {name}: generated -->\n")[2].partition(f"<!-- /{name} -->")[0].strip()


def test_the_table_is_that_of_the_results(repo_root):
    """Those committed, or those about to be: an experiment in the workspace does not make the README stale."""
    table = shown((repo_root / "README.md").read_text(encoding="utf-8"), "results")
    head = subprocess.run(
        ["git", "show", f"HEAD:{readme.RESULTS}"], cwd=repo_root, capture_output=True, text=True, check=False
    )
    workspace = repo_root / readme.RESULTS
    known = [head.stdout.strip(), workspace.read_text(encoding="utf-8").strip() if workspace.exists() else ""]
    assert table and table in known, "README.md is stale: run `make readme`"


def test_the_picture_is_that_of_the_pipeline(repo_root):
    command = [sys.executable, "-m", "dvc", "dag", "--md", "--collapse-foreach-matrix"]
    drawn = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=True).stdout
    assert shown((repo_root / "README.md").read_text(encoding="utf-8"), "pipeline") == drawn.strip()


def test_a_block_is_replaced_and_a_missing_marker_named():
    text = "a\n<!-- results: generated -->\nold\n<!-- /results -->\nb\n"
    assert readme.block(text, "results", "new\n") == text.replace("old", "new")
    assert shown(text, "results") == "old"
    with pytest.raises(ValueError, match="lacks the markers"):
        readme.block("nothing here", "results", "new")
