"""Fail when a test that must run was skipped, failed or is gone.

Usage: must_run.py LIST JUNIT_XML... The list holds one pytest node-id prefix a line; `#` starts a comment. A prefix
stands for a file, a class, a test, or all parameters of one. A test that was skipped for want of a system package
must run too, in another of the files, whether the list names it or not. A test that was skipped because no folder of
test data is named (CLSEAVE_TEST_DATA) counts as passed where that is so; with such a folder it must run.

Exit codes: 0 all passed, 1 with a line for each that did not.
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
    """A test case's pytest node id: JUnit joins folders, file and class by dots, and xdist appends `@` and a group."""
    parts = case.get("classname", "").split(".")
    end = next((i for i, part in enumerate(parts) if part.startswith("test_")), len(parts) - 1)
    return "::".join(["/".join(parts[: end + 1]) + ".py", *parts[end + 1 :], GROUP.sub("", case.get("name", ""))])


def results(files: Sequence[str]) -> dict[str, str]:
    """Outcome of every test: passed, skipped, failure or error. A test that passed in one of the files has passed."""
    found: dict[str, str] = {}
    for file in files:
        for case in ElementTree.parse(file).iter("testcase"):
            marks = [child for child in case if child.tag in {"skipped", "failure", "error"}]
            outcome = marks[0].tag if marks and not without_data(marks[0]) else "passed"
            if outcome == "skipped" and PACKAGE in marks[0].get("message", ""):
                outcome = NO_PACKAGE
            if found.get(node_id(case)) != "passed":
                found[node_id(case)] = outcome
    return found


def without_data(mark: ElementTree.Element) -> bool:
    """Whether a test was skipped for want of the data that this machine does not have."""
    skipped = mark.tag == "skipped" and "CLSEAVE_TEST_DATA" in mark.get("message", "")
    return skipped and not os.environ.get("CLSEAVE_TEST_DATA")


def covers(prefix: str, name: str) -> bool:
    """Whether a node id lies at or below a prefix; `a.py::test_x` does not cover `a.py::test_xy`."""
    return name == prefix or any(name.startswith(prefix + joint) for joint in ("::", "[", "/"))


def faults(prefixes: Sequence[str], found: dict[str, str]) -> list[str]:
    """One line for each prefix that no test has, and for each of its tests that did not pass."""
    lines = [f"must run, but is {outcome}: {name}" for name, outcome in found.items() if outcome == NO_PACKAGE]
    for prefix in prefixes:
        outcomes = {name: outcome for name, outcome in found.items() if covers(prefix.rstrip("/"), name)}
        if not outcomes:
            lines.append(f"must run, but is absent: {prefix}")
        lines += [f"must run, but is {outcome}: {name}" for name, outcome in outcomes.items() if outcome != "passed"]
    return list(dict.fromkeys(lines))


def main(argv: Sequence[str]) -> int:
    """Compare the list with what ran; returns the exit code of this module's docstring."""
    wanted = [line.partition("#")[0].strip() for line in Path(argv[0]).read_text(encoding="utf-8").splitlines()]
    prefixes = [line for line in wanted if line]
    lines = faults(prefixes, results(argv[1:]))
    print("\n".join(lines) or f"{len(prefixes)} entries of {argv[0]} ran and passed")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
