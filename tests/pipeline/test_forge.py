"""What a public forge reads: the workflow, the templates, the hooks before a commit, the container."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
HOOKS = YAML(typ="safe").load(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]


def test_the_workflow_runs_the_same_checks_with_the_same_python():
    workflow = YAML(typ="safe").load(ROOT / ".github/workflows/ci.yml")
    (job,) = workflow["jobs"].values()
    assert "bash .ci/run" in [step.get("run") for step in job["steps"]]
    (python,) = [step["with"]["python-version"] for step in job["steps"] if "python-version" in step.get("with", {})]
    assert f'requires-python = "=={python}.*"' in (ROOT / "pyproject.toml").read_text()
    assert job["steps"][0]["with"]["fetch-depth"] == 0  # the base of the checks is in the history
    assert set(workflow["permissions"].values()) == {"read"}


@pytest.mark.parametrize("path", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.name)
def test_the_forms_of_issues_are_whole(path):
    form = YAML(typ="safe").load(path)
    if path.name == "config.yml":
        return
    assert {"name", "description", "body"} <= set(form)
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids)) and all(field["attributes"]["label"] for field in form["body"])


def test_a_pull_request_is_asked_whether_it_changes_results():
    text = (ROOT / ".github/pull_request_template.md").read_text()
    assert "**Does it change results?**" in text
    assert "### Does it change results?" in (ROOT / "CONTRIBUTING.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {word for line in re.findall(r"`make ([a-z -]+)`", text) for word in line.split()}
    assert named and named <= targets


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_before_a_commit_can_be_run(hook, tmp_path):
    program, *options = hook["entry"].split()
    (tmp_path / "sound.py").write_text('"""A module."""\n')
    (tmp_path / "empty.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}\n')
    name = "empty.ipynb" if "ipynb" in hook.get("files", "") else "sound.py"
    found = Path(program).name
    assert program == f".venv/bin/{found}" and hook["language"] == "system"
    subprocess.run(
        [str(Path(sys.executable).with_name(found)), *options, str(tmp_path / name)],
        check=True,
        capture_output=True,
        cwd=ROOT,
    )


def test_the_container_has_what_the_readme_asks_for_and_its_commands_are_targets():
    text, readme = (ROOT / "Containerfile").read_text(), (ROOT / "README.md").read_text()
    assert "Python 3.11, git and make" in readme
    assert "python:3.11" in text and re.search(r"install .* git make", text)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {"setup", "reproduce", "test"} <= targets
    assert 'CMD ["make", "reproduce"]' in text and "make setup" in text and "clseave make test" in text


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_has_no_outputs_and_its_code_is_python(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            compile("".join(cell["source"]), path.name, "exec")
