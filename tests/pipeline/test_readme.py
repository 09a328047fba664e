"""What README.md shows comes from files: its table and its picture are those of the repository."""

import subprocess
import sys

import pytest


def test_readme_shows_the_current_results_and_pipeline(repo_root):
    command = [sys.executable, "src/readme.py", "--check"]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_stale_block_is_found_and_a_missing_marker_named():
    import readme

    text = "a\n<!-- results: generated -->\nold\n<!-- /results -->\nb\n"
    assert readme.block(text, "results", "new\n") == text.replace("old", "new")
    with pytest.raises(ValueError, match="lacks the markers"):
        readme.block("nothing here", "results", "new")
