"""What README.md shows comes from files: its table and its picture are those of the repository."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import readme

LINES = 150


def shown(text: str, name: str) -> str:
    """The text between the markers of one block."""
    return text.partition(f"<!-- {name}: generated -->\n")[2].partition(f"<!-- /{name} -->")[0].strip()


@pytest.fixture(scope="module")
def text(repo_root: Path) -> str:
    return (repo_root / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def stages(repo_root: Path) -> readme.Graph:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repo_root)
        return readme.stage_graph()


def test_the_table_is_that_of_the_results(repo_root: Path, text: str) -> None:
    """Those committed, or those about to be: an experiment in the workspace does not make the README stale."""
    table = shown(text, "results")
    head = subprocess.run(
        ["git", "show", f"HEAD:{readme.RESULTS}"], cwd=repo_root, capture_output=True, text=True, check=False
    )
    workspace = repo_root / readme.RESULTS
    known = [head.stdout.strip(), workspace.read_text(encoding="utf-8").strip() if workspace.exists() else ""]
    assert table and table in known, "README.md is stale: run `make readme`"


def test_the_picture_is_that_of_the_pipeline(text: str, stages: readme.Graph) -> None:
    assert shown(text, "pipeline") == readme.picture(stages), "README.md is stale: run `make readme`"


def test_every_stage_of_dvc_yaml_belongs_to_exactly_one_box(repo_root: Path, stages: readme.Graph) -> None:
    declared = YAML(typ="safe", pure=True).load(repo_root / "dvc.yaml")["stages"]
    placed = [stage for members in readme.BOXES.values() for stage in members]
    assert sorted(placed) == sorted(declared)
    assert set(stages) == set(declared), "DVC sees other stages"
    assert len(readme.BOXES) == 8


def test_the_arrows_between_boxes_are_those_between_stages(stages: readme.Graph) -> None:
    """Each arrow is one of the stages; an arrow of the stages that is not drawn follows from those that are."""
    box_of = {stage: box for box, members in readme.BOXES.items() for stage in members}
    between = {(box_of[stage], box_of[after]) for stage, afters in stages.items() for after in afters}
    between = {(box, after) for box, after in between if box != after}
    lines = readme.picture(stages).splitlines()
    named = {name: box for name, box in zip((f"box{i}" for i in range(1, 9)), readme.BOXES, strict=True)}
    drawn = {(named[box], named[after]) for line in lines for box, after in re.findall(r"(\w+) --> (\w+)", line)}
    assert drawn <= between
    graph = {box: {after for before, after in drawn if before == box} for box in readme.BOXES}
    assert all(after in readme.reachable(graph, box) for box, after in between)
    assert not any(box in readme.reachable(graph, box) for box in graph), "a cycle"


def test_the_table_of_boxes_names_their_stages(text: str) -> None:
    section = text.partition("\n## The pipeline\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| \*\*(.+?)\*\* \| (.+?) \|", section, flags=re.MULTILINE)
    assert {box: tuple(re.findall(r"`(\w+)`", cell)) for box, cell in rows} == readme.BOXES


def test_arrows_by_hand() -> None:
    """a and b share a box: the arrow a -> b vanishes, and a -> d follows from b -> c -> d."""
    stages: readme.Graph = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}
    graph = readme.box_graph(stages, {"one": ("a", "b"), "two": ("c",), "three": ("d",)})
    assert graph == {"one": {"two", "three"}, "two": {"three"}, "three": set()}
    assert readme.without_shortcuts(graph) == {"one": {"two"}, "two": {"three"}, "three": set()}


@pytest.mark.parametrize(
    ("boxes", "named"),
    [
        ({"one": ("a",)}, "b"),  # without a box
        ({"one": ("a", "b"), "two": ("b",)}, "b"),  # in two boxes
        ({"one": ("a", "b", "gone")}, "gone"),  # no stage
    ],
)
def test_a_stage_that_is_not_in_exactly_one_box_is_named(boxes: dict[str, tuple[str, ...]], named: str) -> None:
    with pytest.raises(ValueError, match=rf"correct {named}$"):
        readme.box_graph({"a": {"b"}, "b": set()}, boxes)


def test_a_block_is_replaced_and_a_missing_marker_named() -> None:
    text = "a\n<!-- results: generated -->\nold\n<!-- /results -->\nb\n"
    assert readme.block(text, "results", "new\n") == text.replace("old", "new")
    assert shown(text, "results") == "old"
    with pytest.raises(ValueError, match="lacks the markers"):
        readme.block("nothing here", "results", "new")


def test_the_readme_is_short_and_shows_pictures_that_exist(repo_root: Path, text: str) -> None:
    assert len(text.splitlines()) <= LINES
    pictures = re.findall(r'<img [^>]*src="([^"]+)"', text)
    assert pictures and all((repo_root / path).is_file() for path in pictures)


@pytest.mark.slow
def test_using_a_model_works_as_shown(repo_root: Path, tmp_path: Path) -> None:
    """Both blocks of "Use a model" in a new clone, whose models are pulled from its own store."""
    clone, site = tmp_path / "clone", {"DVC_SITE_CACHE_DIR": str(tmp_path / "dvc")}
    subprocess.run(["git", "clone", "--quiet", str(repo_root), str(clone)], check=True)

    def run(*command: str, **more: str) -> str:
        env = os.environ | site | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"} | more
        done = subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("dvc", "pull", "--quiet", "models/mini/clip", "data/mini/images", *map(str, encoders(clone)))
    section = (clone / "README.md").read_text(encoding="utf-8").partition("\n## Use a model\n")[2].partition("\n## ")[0]
    shell, code = (re.search(rf"```{name}\n(.+?)```", section, flags=re.DOTALL)[1] for name in ("sh", "python"))
    first, second = run("bash", "-ec", shell.replace("source .venv/bin/activate && ", "")).splitlines()
    assert first.startswith("entailment") and second.startswith("contradiction")
    printed = run(sys.executable, "-c", code, PYTHONPATH="src")
    assert re.findall(r"label='(\w+)'", printed) == ["entailment", "contradiction"]


def encoders(clone: Path) -> list[Path]:
    """The text encoders of all languages with the first seed."""
    languages = YAML(typ="safe", pure=True).load(clone / "params.yaml")["languages"]
    return [Path("models/mini/clip_ve/seed0"), *(Path(f"models/mini/clseave/{one}/seed0") for one in languages)]
