"""What every test shares. The first lines pin the numerics: numpy and torch read their environment when they load."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
assert not {"numpy", "torch"} & set(sys.modules), "numpy or torch was loaded before the numeric pins: find the plug-in"
sys.path.insert(0, str(ROOT / "src"))

from clseave import numerics

numerics.pin()
# Stages that tests start as programs import the same code.
os.environ["PYTHONPATH"] = str(ROOT / "src")

import pytest


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data named by CLSEAVE_TEST_DATA; the test is skipped without it."""
    name = os.environ.get("CLSEAVE_TEST_DATA")
    if not name:
        pytest.skip("CLSEAVE_TEST_DATA names no folder of test data")
    folder = Path(name)
    if not folder.is_dir():
        pytest.fail(f"CLSEAVE_TEST_DATA: {folder} is not a folder")
    return folder
