"""What every test shares. The first lines pin the numerics: numpy and torch read their environment when they load."""

import os
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
assert not {"numpy", "torch"} & set(sys.modules), "numpy or torch was loaded before the numeric pins: find the plug-in"
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tools")]

from clseave.foundation.process import numerics

numerics.pin()
# Stages that tests start as programs import the same code.
os.environ["PYTHONPATH"] = str(ROOT / "src")

import hypothesis
import pytest

# Draws are the same in every run, so that a change fails for what it changed; `HYPOTHESIS_PROFILE=default` draws anew.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# A shell starts background jobs with Ctrl-C ignored, which tests send to themselves and to programs they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture(scope="session")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A PATH on which `python` starts a stage with its libraries loaded, as `make reproduce` does (tools/preload)."""
    from test_end_to_end import environment

    import preload

    folder = tmp_path_factory.mktemp("preloaded")
    with preload.libraries(ROOT / "src", environment(folder), folder / "log") as served:
        yield {"PATH": served["PATH"]}
    assert (folder / "log").read_text(encoding="utf-8") == ""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose program or file is missing, with the name of the Debian package that has it."""
    for mark in item.iter_markers("needs_package"):
        package, *needed = mark.args
        for name in needed:
            if not (shutil.which(name) or Path(name).is_file()):
                pytest.skip(f"needs {name} (Debian: {package})")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadgroup`, one process for each file that marks its tests as one `xdist_group`.

    xdist 3.8 appends the group to a private attribute that pytest 9.2 no longer reads: without this, each test is a
    group of its own.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    class ByFile(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            text = (config.rootpath / file).read_text(encoding="utf-8")
            grouped = re.search(r"^pytestmark = .*\bxdist_group\(", text, re.MULTILINE)
            return file if grouped else super()._split_scope(nodeid)

    return ByFile(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each reason for which tests were skipped."""
    reports = terminalreporter.getreports("skipped")
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in reports)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"skipped {count}: {reason}")
