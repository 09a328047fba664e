"""The studies beside the main pipeline: their graphs, and what follows from their committed results."""

import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from test_graph import (
    PACKAGE,
    ROOT,
    USERS_OWN,
    Stage,
    closure,
    imported_files,
    module_path,
    package,
    read_stage,
    touches,
    tree,
)

import study
from settings import SETTINGS

NAMES = sorted(path.parent.name for path in (ROOT / "studies").glob("*/dvc.yaml"))


@cache
def resolve(name: str) -> tuple[Stage, ...]:
    """The stages of a study and of the main pipeline, as DVC reads them in a copy of their files."""
    import tempfile

    from dvc.repo import Repo

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(SETTINGS / "profiles", copy / "profiles")
        shutil.copy(SETTINGS / "params.yaml", copy)
        shutil.copy(ROOT / "dvc.yaml", copy)
        for file in ("dvc.yaml", "params.yaml"):
            (copy / "studies" / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "studies" / name / file, copy / "studies" / name)
        subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
        with Repo.init(str(copy)) as repo:
            assert repo.index.graph is not None
            return tuple(read_stage(stage) for stage in repo.index.stages if "studies" in stage.path_in_repo)


def code_of(module: Path) -> set[str]:
    """What dvc.yaml must list for a module: it, objectives and stages that it imports, the folders of all else."""
    start = {module, *imported_files(tree(ROOT / "src" / "run.py"))}
    reached = {path for path in closure(start) if path.parent != PACKAGE and path.name != "__init__.py"}
    files = {path for path in reached if package(path) in ("stages", "studies", "objectives")}
    folders = {PACKAGE / package(path) for path in reached - files}
    return {path.relative_to(ROOT).as_posix() for path in files | folders}


@pytest.mark.parametrize("name", NAMES)
def test_code_dependencies_are_the_import_closure(name: str) -> None:
    faults = []
    for stage in {one.base: one for one in resolve(name)}.values():
        listed = {dep for dep in stage.deps if dep.startswith("src/")}
        module = module_path(f"clseave.studies.{stage.module}") or module_path(f"clseave.stages.{stage.module}")
        reached = code_of(module)
        faults += [f"{stage.base}: add {path}" for path in sorted(reached - listed)]
        faults += [f"{stage.base}: remove {path}" for path in sorted(listed - reached)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_in_git_and_below_the_study_and_the_profile(name: str) -> None:
    """Nothing is cached: a remote never holds a study, and `dvc pull` does not ask for one."""
    for stage in resolve(name):
        assert stage.remotes == {}, stage.name
        assert all(out.startswith(f"studies/{name}/mini/") for out in stage.outs), stage.name


@pytest.mark.parametrize("name", NAMES)
def test_paths_in_commands_are_declared(name: str) -> None:
    for stage in resolve(name):
        declared = [*stage.deps, *stage.outs, *stage.params, f"studies/{name}"]
        for word in stage.cmd.split()[2:]:
            if "/" in word and not USERS_OWN.fullmatch(word):
                assert any(touches(word, path) for path in declared), f"{stage.name}: {word}"


@pytest.mark.parametrize("name", NAMES)
def test_every_run_of_the_settings_is_a_stage(name: str) -> None:
    from clseave.variants import settings

    found = settings.read(ROOT / "studies" / name / "params.yaml")
    wanted = {
        f"studies/{name}/mini/runs/{variant.name}-seed{seed}" for variant in found.variants for seed in found.seeds
    }
    outs = {out for stage in resolve(name) for out in stage.outs if "/runs/" in out}
    assert outs == wanted


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_and_the_copies_follow_from_the_results(name: str) -> None:
    if not (ROOT / "studies" / name / "mini" / "results").is_dir():
        pytest.skip(f"the study {name} was not run")
    assert subprocess.run([sys.executable, "tools/study.py", "--check", name], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_report_has_the_chapter(name: str) -> None:
    text = (ROOT / "notebooks/report.ipynb").read_text(encoding="utf-8")
    cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"]]
    for call in (f'show.study("{name}")', f'show.study_figure("{name}")', f'show.study_table("{name}", "tests")'):
        assert call in cells, call


def test_an_unknown_study_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert study.main(["poling"]) == 2
    assert f"studies are {', '.join(NAMES)}" in capsys.readouterr().err


def test_a_repeated_run_is_one_of_each_variant_and_of_several_seeds() -> None:
    name = NAMES[0]
    if not (ROOT / "studies" / name / "dvc.lock").exists():
        pytest.skip(f"the study {name} was not run")
    from clseave.variants import settings

    chosen = study.chosen_runs(name, "mini")
    variants = [one.name for one in settings.read(ROOT / "studies" / name / "params.yaml").variants]
    assert [path.parent.name.rpartition("-")[0] for path, _ in chosen] == variants
    assert len({path.parent.name.rpartition("-")[2] for path, _ in chosen}) > 1 < len({path.name for path, _ in chosen})
    assert all(path.parent.as_posix() in command.split() for path, command in chosen)
