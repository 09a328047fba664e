"""Hashes of data and code: values that a person can check with other tools."""

import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from clseave.foundation.process import fingerprint

ROOT = Path(__file__).resolve().parents[3]
# What the cards promise: the list that `sha256sum` prints, sorted by path, but for records, cards and hidden files.
COMMAND = (
    "find . -type f ! -name README.md ! -name training.json ! -name '.*' -printf '%P\\0' | LC_ALL=C sort -z "
    "| xargs -0 sha256sum | sha256sum"
)
STAGES = ("autoencoder", "backbones", "clseave", "clteave", "finetune_baseline", "finetune_clip_ve")


def fill(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def test_the_hash_of_a_folder_is_what_the_shell_finds(tmp_path):
    fill(tmp_path, b="two", a="one", Z="three", sub__c="four", é="five", sub__README_md="not")
    (tmp_path / "sub" / "README_md").rename(tmp_path / "sub" / "README.md")
    (tmp_path / "README.md").write_text("a card")
    (tmp_path / "training.json").write_text("{}")
    (tmp_path / "sub" / ".gitignore").write_text("what DVC keeps")
    found = subprocess.run(["bash", "-c", COMMAND], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert fingerprint.digest(tmp_path) == found.split()[0]


def test_the_hash_of_some_files_is_that_of_a_folder_without_the_others(tmp_path):
    fill(tmp_path, de="one", en="two")
    before = fingerprint.digest(tmp_path)
    fill(tmp_path, nl="three")
    assert fingerprint.digest([tmp_path / "en", tmp_path / "de"]) == before != fingerprint.digest(tmp_path)


def test_the_hash_of_a_file_is_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert fingerprint.digest(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    "changes", [{"a": "other"}, {"c": "one"}, {"sub__b": "one"}], ids=["content", "one more", "one more below"]
)
def test_another_content_or_name_gives_another_hash(tmp_path, changes):
    before = fingerprint.digest(fill(tmp_path / "x", a="one", b="two"))
    assert fingerprint.digest(fill(tmp_path / "y", b="two", a="one")) == before
    assert fingerprint.digest(fill(tmp_path / "x", **changes)) != before


def test_two_names_cannot_pass_for_one_another(tmp_path):
    one, other = fill(tmp_path / "x", ab="c", d="e"), fill(tmp_path / "y", a="bc", d="e")
    assert fingerprint.digest(one) != fingerprint.digest(other)


@pytest.mark.parametrize("stage", STAGES)
def test_the_code_of_a_stage_is_what_the_pipeline_declares(stage):
    declared = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"][stage]["deps"]
    declared = [path for path in declared if path.startswith("src/")]
    found = [path.relative_to(ROOT).as_posix() for path in fingerprint.code_files(f"clseave.stages.{stage}")]
    inside = {path: [one for one in declared if path == one or path.startswith(f"{one}/")] for path in found}
    others = {path for path, ones in inside.items() if not ones}
    assert {path for path in others if not path.endswith("__init__.py")} == {"src/run.py"}
    assert {one for ones in inside.values() for one in ones} == set(declared)


def source(tmp_path, monkeypatch, text, name="one.py"):
    monkeypatch.setattr(fingerprint, "SOURCE", tmp_path)
    path = tmp_path / name
    path.write_text(text)
    return fingerprint.fingerprint([path])


CODE = '"""Module."""\nclass A:\n    """Class."""\n    x = 1\n\ndef f(a):\n    """Function."""\n    return a + 1\n'


@pytest.mark.parametrize(
    "same",
    [
        CODE.replace("Function.", "Another text."),
        CODE.replace('"""Module."""', '"""Another\n\ntext."""  # with a comment'),
        CODE.replace("def f(a):", "def f(\n    a,\n):").replace("    x = 1", "    x   =   1"),
        CODE.replace('    """Class."""\n', "").replace('"""Module."""\n', ""),
    ],
)
def test_comments_docstrings_and_format_leave_the_fingerprint(tmp_path, monkeypatch, same):
    assert source(tmp_path, monkeypatch, same) == source(tmp_path, monkeypatch, CODE)


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("a + 1", "a + 2"),
        CODE.replace("x = 1", "x = '1'"),
        CODE.replace("def f", "def g"),
        CODE + 'f("text")\n',
        CODE.replace("return", "'a text that is no docstring'\n    return"),
    ],
)
def test_whatever_python_does_otherwise_changes_the_fingerprint(tmp_path, monkeypatch, other):
    assert source(tmp_path, monkeypatch, other) != source(tmp_path, monkeypatch, CODE)


def test_a_renamed_module_changes_the_fingerprint(tmp_path, monkeypatch):
    assert source(tmp_path, monkeypatch, CODE, "one.py") != source(tmp_path, monkeypatch, CODE, "two.py")


def test_the_fingerprint_is_twelve_digits_of_a_real_stage():
    files = fingerprint.code_files("clseave.stages.clseave")
    one, other = fingerprint.fingerprint(files), fingerprint.fingerprint(reversed(files))
    assert one == other and len(one) == 12 and int(one, 16) >= 0
    assert one != fingerprint.fingerprint(fingerprint.code_files("clseave.stages.clteave"))
