"""The check of all values: what it says of values that are right, and of a key that nothing reads."""

import json
import shutil
import subprocess
import sys

import pytest

from clseave.foundation.errors import UserError
from clseave.foundation.settings import params
from clseave.stages import check
from settings import SETTINGS


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A working folder with settings and a DVC remote, as a checkout has them."""
    shutil.copy(SETTINGS / "params.yaml", tmp_path)
    (tmp_path / "profiles").symlink_to(SETTINGS / "profiles")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("['remote \"mini\"']\n    url = ../store\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_keys_of_nested_groups_are_counted():
    assert check.count_keys({"a": 1, "b": {"c": [{"d": 1}, {"d": [2, {}]}, "e"]}, "f": []}) == 6
    assert check.count_keys(None) == 0


def test_one_line_says_what_was_checked_and_nothing_is_written(checkout, repo_root):
    before = sorted(path.name for path in checkout.iterdir())
    done = subprocess.run(
        [sys.executable, repo_root / "src/run.py", "check"], cwd=checkout, capture_output=True, text=True, check=False
    )
    counts = [check.count_keys(params.read_yaml(path)) for path in ("params.yaml", "profiles/mini.yaml")]
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        f"no error in params.yaml ({counts[0]} keys) and profiles/mini.yaml ({counts[1]} keys): profile mini; "
        "languages de, nl, ja, ko, zh; seeds 0; 4 baselines; 12 evaluations; DVC remote mini\n"
    )
    assert sorted(path.name for path in checkout.iterdir()) == before


def test_the_stamp_is_written_where_a_path_for_it_is_given(checkout):
    check.main(["--out", "stamp"])
    assert (checkout / "stamp").read_text() == "checked\n"


@pytest.mark.parametrize("others", [{}, {"lr": "fast", "seeds": 5}])
def test_a_key_that_nothing_reads_is_named_first_with_the_nearest_one(checkout, others):
    values = params.read_yaml("params.yaml")
    values = {"lrr": values.pop("lr"), **values, **others}
    (checkout / "params.yaml").write_text(json.dumps(values))  # JSON is YAML
    with pytest.raises(UserError) as caught:
        check.main([])
    assert str(caught.value).startswith("params.yaml: lrr: unknown key; did you mean lr?; allowed keys: profile, lr,")
