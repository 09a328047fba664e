"""Fail when a test that must run was skipped, failed or is gone.

Usage: must_run.py LIST JUNIT_XML... The list has a pytest node-id prefix in each line; `#` starts a comment. A prefix
selects a file, a class, a test, or all parameters of a test. A test that was skipped because a system package is
missing must pass in another of the files, listed or not. A test that was skipped because CLSEAVE_TEST_DATA is not set
counts as passed, unless it is set now.

Exit codes: 0 all passed, 1 otherwise, with a line for each fault.
"""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

PACKAGE = "(Debian: "  # in the reason that tests/conftest.py gives
GROUP = re.compile(r"@\w+$")
NO_PACKAGE = "skipped for want of a package"


def node_id(case: ElementTree.Element) -> str:
    """Return a test case's pytest node id: JUnit joins its parts by dots, and xdist appends `@` and a group."""
    parts = case.get("classname", "").split(".")
    end = next((i for i, part in enumerate(parts) if part.startswith("test_")), len(parts) - 1)
    return "::".join(["/".join(parts[: end + 1]) + ".py", *parts[end + 1 :], GROUP.sub("", case.get("name", ""))])


def results(files: Sequence[str]) -> dict[str, str]:
    """Return the outcome of every test: passed, skipped, failure or error; passed if it passed in any file."""
    outcomes: dict[str, str] = {}
    for file in files:
        for case in ElementTree.parse(file).iter("testcase"):
            marks = [child for child in case if child.tag in {"skipped", "failure", "error"}]
            outcome = marks[0].tag if marks and not without_data(marks[0]) else "passed"
            if outcome == "skipped" and PACKAGE in marks[0].get("message", ""):
                outcome = NO_PACKAGE
            if outcomes.get(node_id(case)) != "passed":
                outcomes[node_id(case)] = outcome
    return outcomes


def without_data(mark: ElementTree.Element) -> bool:
    """Return whether a test was skipped because this machine lacks the test data."""
    skipped = mark.tag == "skipped" and "CLSEAVE_TEST_DATA" in mark.get("message", "")
    return skipped and not os.environ.get("CLSEAVE_TEST_DATA")


def covers(prefix: str, name: str) -> bool:
    """Return whether a node id is at or below a prefix; `a.py::test_x` does not cover `a.py::test_xy`."""
    return name == prefix or any(name.startswith(prefix + joint) for joint in ("::", "[", "/"))


def faults(prefixes: Sequence[str], outcomes: dict[str, str]) -> list[str]:
    """Return a line for each prefix without tests, and for each of its tests that did not pass."""
    lines = [f"must run, but is {outcome}: {name}" for name, outcome in outcomes.items() if outcome == NO_PACKAGE]
    for prefix in prefixes:
        chosen = {name: outcome for name, outcome in outcomes.items() if covers(prefix.rstrip("/"), name)}
        if not chosen:
            lines.append(f"must run, but is absent: {prefix}")
        lines += [f"must run, but is {outcome}: {name}" for name, outcome in chosen.items() if outcome != "passed"]
    return list(dict.fromkeys(lines))


def main(argv: Sequence[str]) -> int:
    """Compare the list with the outcomes; return an exit code as in the module's docstring."""
    wanted = [line.partition("#")[0].strip() for line in Path(argv[0]).read_text(encoding="utf-8").splitlines()]
    prefixes = [line for line in wanted if line]
    lines = faults(prefixes, results(argv[1:]))
    print("\n".join(lines) or f"{len(prefixes)} entries of {argv[0]} ran and passed")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
