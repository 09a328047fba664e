"""The pipeline checked against the code: what DVC cannot see, above all that declared dependencies equal imports."""

import ast
import importlib
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from clseave.foundation.process import ranks
from settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "clseave"
PROFILES = sorted(path.stem for path in (SETTINGS / "profiles").glob("*.yaml"))

# The packages in reading order: each imports only packages above it.
ORDER = (
    "foundation", "miniature", "corpora", "statistics", "models", "training", "word_alignment", "translation",
    "objectives", "backbones", "e5", "inference", "variants", "single_stream", "comparison", "report", "cards",
    "preflight", "demonstration", "stages", "commands", "studies",
)  # fmt: skip

PROGRAMS = ("stages", "commands", "studies")  # packages of what `src/run.py` starts, and of nothing else
STAGE_LINES, NOUN_LINES, FUNCTION_LINES = 130, 260, 40
# What may be longer, and why: "path" or "path::function".
LONGER: dict[str, str] = {
    "src/clseave/foundation/settings/schema.py": "one class for each group of values",
    "src/clseave/corpora/snli_ve.py": "one corpus in five forms, side by side",
}
# First parts of paths: a command's argument below one of them must be declared.
DECLARED_FOLDERS = {"data", "models", "reports", "profiles", "notebooks", "docs", "src"}

# What the user places is no dependency: who has pulled what was made from it can work on without it. `prepare` and
# `translate` write its hashes into what they make.
USERS_OWN = re.compile(r"data/[a-z]+/source")

needs_pipeline = pytest.mark.skipif(not (ROOT / "dvc.yaml").exists(), reason="dvc.yaml is not written yet")


@dataclass(frozen=True)
class Stage:
    """One resolved stage of dvc.yaml."""

    name: str
    cmd: str
    deps: frozenset[str]
    outs: tuple[str, ...]
    metrics: tuple[str, ...]  # those of the outs that DVC's commands show as metrics
    remotes: dict[str, str | None] = field(hash=False)  # of cached outs
    params: dict[str, frozenset[str]] = field(hash=False)  # top-level keys by file

    @property
    def base(self) -> str:
        """The name without its matrix values."""
        return self.name.partition("@")[0]

    @property
    def module(self) -> str:
        """The module that its command runs: two stages may share one, as `evaluate` and `evaluate_clseave` do."""
        return self.cmd.partition(" src/run.py ")[2].split()[0]


@cache
def resolve(profile: str, launcher: str = "python") -> tuple[Stage, ...]:
    """The stages as DVC itself reads them with `profile` and `launcher` set, from a copy of the pipeline's files.

    Building the graph also makes DVC check that outputs neither repeat nor overlap and that there is no cycle.
    """
    import tempfile

    from dvc.repo import Repo

    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        shutil.copytree(SETTINGS / "profiles", copy / "profiles")
        shutil.copy(ROOT / "dvc.yaml", copy)
        params = (SETTINGS / "params.yaml").read_text(encoding="utf-8")
        params, count = re.subn(r"^profile: .*$", f"profile: {profile}", params, flags=re.MULTILINE)
        assert count == 1
        params, count = re.subn(r"^launcher: .*$", f"launcher: {launcher}", params, flags=re.MULTILINE)
        assert count == 1
        (copy / "params.yaml").write_text(params, encoding="utf-8")
        subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
        with Repo.init(str(copy)) as repo:
            assert repo.index.graph is not None
            return tuple(read_stage(stage) for stage in repo.index.stages)


def read_stage(stage) -> Stage:
    """Our view of a DVC stage."""
    from dvc.dependency import ParamsDependency

    params = {
        dep.def_path: frozenset(key.split(".")[0] for key in dep.params)
        for dep in stage.deps
        if isinstance(dep, ParamsDependency)
    }
    return Stage(
        name=stage.name,  # `addressing` would hold the path from here to the copy
        cmd=stage.cmd if isinstance(stage.cmd, str) else "\n".join(stage.cmd),
        deps=frozenset(dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)),
        outs=tuple(out.def_path for out in stage.outs),
        metrics=tuple(out.def_path for out in stage.outs if out.metric),
        remotes={out.def_path: out.remote for out in stage.outs if out.use_cache},
        params=params,
    )


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_path(name: str) -> Path | None:
    """The file of a module of ours; None for a package or a name inside a module."""
    path = ROOT / "src" / Path(*name.split(".")).with_suffix(".py")
    return path if path.is_file() else None


def imported_files(code: ast.AST) -> set[Path]:
    """Our files that a piece of code imports, at any depth of functions and blocks."""
    names: set[str] = set()
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    ours = {name for name in names if name.split(".")[0] == "clseave"}
    return {path for path in map(module_path, ours) if path}


def closure(start: set[Path]) -> set[Path]:
    """Files reached from `start` by imports: itself, and the packages' own files, included."""
    found: set[Path] = set()
    pending = list(start)
    while pending:
        path = pending.pop()
        if path not in found:
            found.add(path)
            pending.extend(imported_files(tree(path)))
            pending.extend(folder / "__init__.py" for folder in path.parents if PACKAGE in (folder, *folder.parents))
    return found


def notebook_imports(path: Path) -> set[Path]:
    """Our files that the code cells of a notebook import."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    source = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    lines = [line for line in "\n".join(source).splitlines() if not line.lstrip().startswith(("%", "!"))]
    return imported_files(ast.parse("\n".join(lines)))


def package(path: Path) -> str:
    """The package of one of our files: the folder below `src/clseave`."""
    return path.relative_to(PACKAGE).parts[0]


def code_of(stage: str, also: set[Path]) -> set[str]:
    """What dvc.yaml must list for a stage: its module, the objectives that it imports, and the folders of all else."""
    start = {PACKAGE / "stages" / f"{stage}.py", *imported_files(tree(ROOT / "src" / "run.py")), *also}
    reached = {path for path in closure(start) if path.parent != PACKAGE and path.name != "__init__.py"}
    files = {path for path in reached if package(path) in ("stages", "objectives")}
    folders = {PACKAGE / package(path) for path in reached - files}
    return {path.relative_to(ROOT).as_posix() for path in files | folders}


def stage_file(stage: Stage) -> Path:
    return PACKAGE / "stages" / f"{stage.module}.py"


def one_of_each(profile: str = "mini") -> list[Stage]:
    """The first stage of every matrix."""
    return list({stage.base: stage for stage in reversed(resolve(profile))}.values())


def keys_of(path: Path) -> set[str]:
    """The top-level keys that a stage module reads: the fields of the views that it loads."""
    module = importlib.import_module(f"clseave.stages.{path.stem}")
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    views = [call.args[2] for call in calls if ast.unparse(call.func) == "params.load"]
    return {key for view in views for key in eval(ast.unparse(view), vars(module)).model_fields}


def read_yaml(path: Path) -> dict:
    return YAML(typ="safe", pure=True).load(path)


def nouns() -> list[Path]:
    """All modules but stages, commands and those that only describe a package."""
    found = (path for path in PACKAGE.rglob("*.py") if path.stem != "__init__")
    return sorted(path for path in found if package(path) not in PROGRAMS)


def stage_modules() -> list[Path]:
    return sorted(path for path in (PACKAGE / "stages").glob("*.py") if path.stem != "__init__")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def in_git(path: str) -> bool:
    """Whether git tracks a path, or would on the next `git add`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", path]
    return bool(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)


def touches(one: str, other: str) -> bool:
    """Whether one path is, holds or lies in the other."""
    first, second = Path(one), Path(other)
    return first == second or first in second.parents or second in first.parents


# (a) commands and modules


@needs_pipeline
@pytest.mark.parametrize("profile", PROFILES)
def test_each_command_calls_the_module_of_its_stage(profile: str) -> None:
    for stage in resolve(profile):
        assert stage.cmd.split()[:2] == ["python", "src/run.py"], f"{stage.name}: is `launcher: python` the default?"
        assert stage.base == stage.module or stage.base.startswith(f"{stage.module}_"), stage.name
        assert stage_file(stage).is_file(), f"{stage.name}: no {stage_file(stage).name}"
        assert "main" in {node.name for node in tree(stage_file(stage)).body if isinstance(node, ast.FunctionDef)}
        assert re.match(rf"{stage.base}@{profile}(-|$)", stage.name), f"{stage.name}: matrix without the profile"


@needs_pipeline
@pytest.mark.parametrize("profile", PROFILES)
def test_the_launcher_starts_the_stages_that_several_processes_share_and_no_other(profile: str) -> None:
    text = "torchrun --standalone --nproc-per-node 2"
    others = {stage.name: stage for stage in resolve(profile, text)}
    for stage in resolve(profile):
        launched = stage.cmd.replace("python", text, 1) if stage.base in ranks.SHARED else stage.cmd
        assert others[stage.name].cmd == launched, stage.name
    assert len(others) == len(resolve(profile))


@pytest.mark.skipif(not (ROOT / "dvc.lock").exists(), reason="nothing was run yet")
def test_commands_are_those_of_the_last_run() -> None:
    """What the pipeline computes does not depend on how its commands are put together."""
    lock = read_yaml(ROOT / "dvc.lock")["stages"]

    def work(cmd: str) -> str:  # without the launcher, which is a setting
        return cmd[cmd.index(" src/run.py") :]

    stages = [stage for stage in resolve("mini") if stage.name in lock]
    assert {stage.name: work(lock[stage.name]["cmd"]) for stage in stages} == {
        stage.name: work(stage.cmd) for stage in stages
    }


@needs_pipeline
def test_each_stage_module_has_a_stage() -> None:
    assert {stage.module for stage in resolve("mini")} == {path.stem for path in stage_modules()}


@needs_pipeline
@pytest.mark.parametrize("profile", PROFILES)
def test_paths_in_commands_are_declared(profile: str) -> None:
    for stage in resolve(profile):
        declared = [*stage.deps, *stage.outs, *stage.params]
        for word in stage.cmd.split()[2:]:
            if "/" in word and Path(word).parts[0] in DECLARED_FOLDERS and not USERS_OWN.fullmatch(word):
                assert any(touches(word, path) for path in declared), f"{stage.name}: {word} is not declared"


# (b) code dependencies


@needs_pipeline
@pytest.mark.parametrize("profile", PROFILES)
def test_code_dependencies_equal_the_import_closure(profile: str) -> None:
    """DVC does not follow imports. What only the report's fingerprint covers is all of the package."""
    faults = []
    for stage in one_of_each(profile):
        listed = {dep for dep in stage.deps if dep.startswith("src/")}
        if listed == {"src/clseave"}:
            continue
        notebooks = [notebook_imports(ROOT / dep) for dep in stage.deps if dep.endswith(".ipynb")]
        reached = code_of(stage.module, set().union(*notebooks))
        faults += [f"{stage.base}: add {path}" for path in sorted(reached - listed)]
        faults += [f"{stage.base}: remove {path}" for path in sorted(listed - reached)]
    assert not faults, "\n".join(faults)


def test_the_script_that_no_stage_lists_holds_no_logic() -> None:
    """`src/run.py` is a dependency of no stage: it puts its folder on the path and calls the package."""
    code = tree(ROOT / "src" / "run.py")
    assert not [node for node in ast.walk(code) if isinstance(node, ast.FunctionDef | ast.For | ast.While | ast.Lambda)]
    assert len(code.body) <= 8


@needs_pipeline
def test_a_change_of_what_describes_results_trains_nothing() -> None:
    trained = {
        stage.base: stage.deps for stage in one_of_each() if any(out.startswith("models/") for out in stage.outs)
    }
    assert len(trained) == 6
    for name, deps in trained.items():
        described = {
            f"src/clseave/{room}" for room in ("statistics", "comparison", "report", "cards", "preflight", "commands")
        }
        assert not described & deps, name


@needs_pipeline
def test_the_pipeline_is_read_in_one_sitting() -> None:
    assert len((ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()) <= 450
    if (ROOT / "dvc.lock").exists():
        assert len((ROOT / "dvc.lock").read_text(encoding="utf-8").splitlines()) <= 5000


# (c) parameters


@needs_pipeline
@pytest.mark.parametrize("profile", PROFILES)
def test_each_declared_parameter_exists_and_each_parameter_is_declared(profile: str) -> None:
    declared: dict[str, set[str]] = {"params.yaml": set(), f"profiles/{profile}.yaml": set()}
    for stage in resolve(profile):
        for file, keys in stage.params.items():
            assert file in declared, f"{stage.name}: parameters of {file}"
            declared[file] |= keys
    # What dvc.yaml itself interpolates, as its matrices do, need not be declared by a stage.
    chooses = set(re.findall(r"\$\{(?!item\b)(\w+)", (ROOT / "dvc.yaml").read_text(encoding="utf-8")))
    for file, keys in declared.items():
        present = set(read_yaml(ROOT / file))
        assert keys - present == set(), f"{file}: declared, but absent"
        unused = present - keys - (chooses if file == "params.yaml" else set())
        assert unused == set(), f"{file}: declared by no stage"


@needs_pipeline
@pytest.mark.parametrize("profile", PROFILES)
def test_each_stage_declares_the_parameters_that_it_reads(profile: str) -> None:
    for stage in one_of_each(profile):
        declared = set().union(*stage.params.values()) if stage.params else set()
        assert declared == keys_of(stage_file(stage)), stage.base


def test_stages_read_no_other_parameters_than_their_keys() -> None:
    for path in stage_modules():
        attributes = {
            node.attr
            for file in closure({path})
            if file.name != "params.py"
            for node in ast.walk(tree(file))
            if isinstance(node, ast.Attribute)
        }
        assert keys_of(path) <= attributes, f"{path.name}: keys that nothing reads"
    for path in nouns():
        assert "params.load(" not in path.read_text(encoding="utf-8"), f"{path.name}: only stages read parameters"


# (d) files


@needs_pipeline
@pytest.mark.parametrize("profile", PROFILES)
def test_each_output_has_one_producer(profile: str) -> None:
    counts = Counter(out for stage in resolve(profile) for out in stage.outs)
    assert [out for out, count in counts.items() if count > 1] == []


@needs_pipeline
@pytest.mark.parametrize("profile", PROFILES)
def test_each_dependency_is_produced_or_in_git(profile: str) -> None:
    outs = {out for stage in resolve(profile) for out in stage.outs}
    deps = {dep for stage in resolve(profile) for dep in stage.deps}
    missing = [dep for dep in sorted(deps) if not any(touches(dep, out) for out in outs) and not in_git(dep)]
    assert missing == []


@needs_pipeline
@pytest.mark.parametrize("profile", PROFILES)
def test_each_stage_depends_on_the_check(profile: str) -> None:
    stages = resolve(profile)
    (stamp,) = next(stage for stage in stages if stage.base == "check").outs
    producers = {out: stage for stage in stages for out in stage.outs}

    @cache
    def checked(stage: Stage) -> bool:
        deps = [dep for dep in stage.deps if not dep.startswith("src/")]
        above = {producers[out] for dep in deps for out in producers if touches(dep, out)}
        return stamp in stage.deps or any(checked(other) for other in above)

    assert [stage.name for stage in stages if stage.base != "check" and not checked(stage)] == []


@needs_pipeline
@pytest.mark.parametrize("profile", PROFILES)
def test_cached_outputs_go_to_the_remote_of_their_profile(profile: str) -> None:
    """Otherwise `dvc push` of another profile would fill the store that is committed in git."""
    wrong = [f"{stage.name}: {out}" for stage in resolve(profile) for out, to in stage.remotes.items() if to != profile]
    assert wrong == []
    config = (ROOT / ".dvc" / "config").read_text(encoding="utf-8")
    assert f"['remote \"{profile}\"']" in config


@needs_pipeline
@pytest.mark.parametrize("profile", PROFILES)
def test_only_the_headlines_are_metrics_of_dvc(profile: str) -> None:
    """`dvc exp show` has a column for each number of each metrics file."""
    assert [path for stage in resolve(profile) for path in stage.metrics] == [f"reports/{profile}/metrics.json"]


@needs_pipeline
@pytest.mark.parametrize("profile", PROFILES)
def test_git_holds_no_cached_output(profile: str) -> None:
    """DVC refuses to write an output that git tracks; it is only found out by a run from nothing."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    tracked = listed.stdout.splitlines()
    cached = [out for stage in resolve(profile) for out in stage.remotes]
    assert cached
    assert [path for path in tracked if any(touches(path, out) for out in cached)] == []


@pytest.mark.skipif(not (ROOT / "dvc.lock").exists(), reason="nothing was run yet")
def test_git_ignores_every_cached_output_that_was_made() -> None:
    """Otherwise `git add` takes data along: DVC writes these lines, and a commit can forget them."""
    lock = YAML(typ="safe").load((ROOT / "dvc.lock").read_text(encoding="utf-8"))
    made = {out["path"] for stage in lock["stages"].values() for out in stage.get("outs", [])}
    cached = sorted(made & {out for profile in PROFILES for stage in resolve(profile) for out in stage.remotes})
    assert cached
    ignored = subprocess.run(["git", "check-ignore", *cached], check=True, cwd=ROOT, capture_output=True, text=True)
    assert sorted(set(cached) - set(ignored.stdout.splitlines())) == []


# (d2) unfinished work lies outside the outputs: tests/unit/foundation/test_cli.py

# (e) direction of imports


def test_order_lists_every_package() -> None:
    found = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert (sorted(found), [path.name for path in PACKAGE.glob("*.py")]) == (sorted(ORDER), ["__init__.py"])


def test_packages_import_only_packages_above_them() -> None:
    faults = []
    for path in PACKAGE.rglob("*.py"):
        for other in imported_files(tree(path)):
            if path.parent != PACKAGE and ORDER.index(package(other)) > ORDER.index(package(path)):
                faults.append(f"{path.relative_to(PACKAGE)} imports {other.relative_to(PACKAGE)}")
    assert faults == []


def test_a_package_has_about_a_dozen_modules_at_most_and_says_what_it_is_for() -> None:
    folders = [path.parent for path in PACKAGE.rglob("__init__.py") if path.parent.name not in PROGRAMS]
    sizes = {folder.name: len([path for path in folder.glob("*.py") if path.stem != "__init__"]) for folder in folders}
    assert {name: size for name, size in sizes.items() if size > 13} == {}
    for folder in set(folders) - {PACKAGE}:  # whose own module offers the Python interface
        assert len((folder / "__init__.py").read_text(encoding="utf-8").splitlines()) <= 3, folder.name


def test_nothing_imports_a_stage() -> None:
    for path in [*nouns(), *stage_modules()]:
        assert not [other for other in imported_files(tree(path)) if other.parent.name == "stages"], path.name


# (f) budgets


def lengths() -> Iterator[tuple[str, int, int]]:
    """Name, length and limit of every file and function."""
    for path in [*nouns(), *stage_modules()]:
        limit = STAGE_LINES if path.parent.name == "stages" else NOUN_LINES
        yield path.relative_to(ROOT).as_posix(), len(path.read_text(encoding="utf-8").splitlines()), limit
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]:
        for function in functions(path):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            yield f"{path.relative_to(ROOT).as_posix()}::{function.name}", length, FUNCTION_LINES


def test_files_and_functions_keep_their_budget() -> None:
    longer = {name: length for name, length, limit in lengths() if length > limit}
    assert {name: length for name, length in longer.items() if name not in LONGER} == {}
    assert set(LONGER) <= set(longer), "no longer needed in LONGER"


# (g) docstrings


def test_modules_and_public_names_have_docstrings() -> None:
    bare = []
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]:
        code = tree(path)
        holders = [code, *(node for node in ast.walk(code) if isinstance(node, ast.ClassDef))]
        named = [node for holder in holders for node in holder.body if hasattr(node, "name")]
        for node in [code, *(node for node in named if not node.name.startswith("_"))]:
            if not ast.get_docstring(node):
                bare.append(f"{path.relative_to(ROOT)}: {getattr(node, 'name', 'module')}")
    assert bare == []


def test_stage_modules_say_what_they_read_write_and_cost() -> None:
    for path in stage_modules():
        text = ast.get_docstring(tree(path)) or ""
        starts = [word for word in ("Reads:", "Writes:", "Thesis:", "Cost:") if not re.search(rf"^{word}", text, re.M)]
        assert starts == [], path.name


# (h) words that do not belong


def test_no_absolute_path_and_no_unfinished_mark() -> None:
    kinds = ("*.py", "*.yaml", "*.toml", "*.md", "*.cff", "Makefile", ".ci/*", ".dvc/config")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *kinds]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    unfinished = re.compile(r"\b(?:TO" + "DO|FIX" + r"ME)\b")
    absolute = re.compile(r"(?<![\w./~}])/(?:home|root|Users|tmp|mnt|work|opt|var)/")
    faults = []
    for name in filter(None, listed.split("\0")):
        if name.startswith("store/") or not (ROOT / name).is_file():
            continue
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        # Tests may say which paths must not appear.
        bad = [unfinished] if name.startswith("tests/") else [unfinished, absolute]
        for number, line in enumerate(lines, 1):
            if any(pattern.search(line) for pattern in bad):
                faults.append(f"{name}:{number}: {line.strip()}")
    assert faults == [], "\n".join(faults)


def test_the_interpreter_is_the_pinned_one() -> None:
    assert sys.version_info[:2] == (3, 11)
