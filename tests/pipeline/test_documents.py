"""The documents checked against the repository: what they name exists, what they quote is so, links lead somewhere."""

import ast
import dataclasses
import json
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import clseave
from clseave.foundation.rows import records
from settings import SETTINGS, committed

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
CARDS = ("data/README.md", "models/README.md", "reports/README.md")
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / name for name in CARDS))
    if path.exists()
)
HISTORY = ("docs/LOG.md",)  # may name what is gone
CURRENT = [name for name in DOCUMENTS if name not in HISTORY]
LINE, METHOD_LINES = 160, 215
SUFFIXES = tuple(
    ".py .md .yaml .json .jsonl .csv .tsv .zip .ipynb .html .j2 .toml .txt .lock .safetensors .svg .png".split()
)
MADE = ("dvc.lock", "store")  # by `dvc repro` and `make publish`
# What the thesis prints or what follows from it, beside the values of reports/expected.yaml.
PUBLISHED = {"71.56 %", "72.45 %", "6.0 %"}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(name: str) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text(name), flags=re.DOTALL | re.MULTILINE)


def blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text(name), flags=re.DOTALL | re.MULTILINE)


def spans(name: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`\n]+)`", prose(name))


def pattern(path: str) -> str:
    """A path whose `${...}`, `<...>` and `{...}` match anything."""
    return re.sub(r"\$\{[^}]*\}|<[^>]*>|\{[^}]*\}", "*", path).rstrip("/")


@cache
def read_yaml(name: str) -> Any:
    return YAML(typ="safe", pure=True).load(ROOT / name)


@cache
def read_settings(name: str) -> Any:
    """As committed: the documents describe what is shipped."""
    return YAML(typ="safe", pure=True).load(committed(name))


@cache
def stages() -> dict[str, Any]:
    return read_yaml("dvc.yaml")["stages"]


def paths_of(stage: dict[str, Any], *groups: str) -> list[str]:
    """Paths under `deps`, `outs` and the like, as dvc.yaml writes them."""
    entries = [entry for group in groups for entry in stage.get(group, [])]
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def matrix(stage: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The values of a stage's matrix; languages and seeds stay open, so that changing them breaks no document."""
    chosen = {}
    for key, values in stage["matrix"].items():
        if key == "profile":
            chosen[key] = sorted(path.stem for path in (SETTINGS / "profiles").glob("*.yaml"))
        elif key in ("language", "seed"):
            chosen[key] = ["*"]
        else:
            chosen[key] = read_settings("params.yaml")[values[2:-1]] if isinstance(values, str) else values
    return (dict(zip(chosen, row, strict=True)) for row in product(*chosen.values()))


def fill(path: str, values: dict[str, Any]) -> str:
    """A path of dvc.yaml with the values of its matrix."""

    def value(match: re.Match[str]) -> str:
        found: Any = values
        for key in match[1].split("."):
            found = found[key]
        return str(found)

    return re.sub(r"\$\{(?:item\.)?([\w.]+)\}", value, path)


@cache
def outputs() -> frozenset[str]:
    """Patterns of all outputs of the pipeline."""
    return frozenset(
        fill(path, values)
        for stage in stages().values()
        for path in paths_of(stage, "outs", "metrics", "plots")
        for values in matrix(stage)
    )


@cache
def tracked() -> frozenset[str]:
    """Files that git tracks, or would on the next `git add`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return frozenset(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines())


@cache
def ignored(path: str) -> bool:
    """Whether git leaves a path out on purpose, as `.venv`."""
    if path in (".git", ".dvc/cache"):
        return True
    return subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False).returncode == 0


def same_parts(one: str, other: str) -> bool:
    """Whether two patterns agree as far as the shorter one goes."""
    return all(fnmatchcase(a, b) or fnmatchcase(b, a) for a, b in zip(one.split("/"), other.split("/"), strict=False))


def exists(path: str) -> bool:
    """Whether a path is, or holds, a file of the repository, or is, holds or lies in an output of the pipeline."""
    path, depth = pattern(path), pattern(path).count("/")
    if path.split("/")[0] in MADE or any(same_parts(path, out) for out in outputs()):
        return True
    return any(file.count("/") >= depth and same_parts(path, file) for file in tracked()) or (
        "*" not in path and ignored(path)
    )


@cache
def all_code() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(SOURCE.rglob("*.py")))


def file_name_exists(name: str) -> bool:
    """Whether a name without a folder is that of a file, of an output, or of what the code writes into an output."""
    names = {Path(path).name for path in tracked() | outputs()}
    return any(fnmatchcase(pattern(name), known) for known in names) or f'"{name}"' in all_code() or name in MADE


def defines(module: Path, names: list[str]) -> bool:
    """Whether a module defines a name, and that name's class the next one."""
    body: list[ast.stmt] = ast.parse(module.read_text(encoding="utf-8")).body
    for name in names:
        for node in body:
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            simple = {target.id for target in targets if isinstance(target, ast.Name)}
            if getattr(node, "name", None) == name or name in simple:
                body = getattr(node, "body", [])
                break
        else:
            return False
    return True


def in_code(dotted: str) -> bool:
    """Whether `package.module.name`, with or without `clseave.` before it, is in the code."""
    folder, parts = SOURCE / "clseave", dotted.removeprefix("clseave.").split(".")
    while parts and (folder / parts[0]).is_dir():
        folder /= parts.pop(0)
    if not parts:
        return True
    module = folder / f"{parts[0]}.py"
    return module.is_file() and defines(module, parts[1:])


def module_name(stem: str) -> str:
    """The dotted name of the module of that file name, as the documents write it."""
    path = next((SOURCE / "clseave").rglob(f"{stem}.py")).relative_to(SOURCE / "clseave")
    return ".".join(path.with_suffix("").parts)


MISSING = object()


def parameter(dotted: str, profiles: tuple[str, ...] = ("mini", "thesis")) -> Any:
    """The value of a key of params.yaml or of a profile; MISSING when there is none."""
    for name in ("params.yaml", *(f"profiles/{profile}.yaml" for profile in profiles)):
        value = read_settings(name)
        for key in dotted.split("."):
            value = value.get(key, MISSING) if isinstance(value, dict) else MISSING
        if value is not MISSING:
            return value
    return MISSING


def fault(span: str) -> str | None:
    """Why a span in backticks is wrong; None when it is right, or names neither a path, nor code, nor a parameter."""
    if " " in span or "://" in span or span in SUFFIXES or span.startswith("-"):
        return None
    path = span.rstrip("/")
    top = {known.split("/")[0] for known in tracked() | outputs()} | set(MADE)
    if "/" in path:
        rooted = path.split("/")[0] in top or path.endswith(SUFFIXES)
        return f"{span}: no such path" if rooted and not exists(path) else None
    if path.endswith(SUFFIXES) or span.endswith("/"):
        return None if file_name_exists(path) or exists(path) else f"{span}: no such file"
    dotted = path.removesuffix("()")
    first = dotted.split(".")[0]
    known = any((SOURCE / "clseave" / name).exists() for name in (first, f"{first}.py"))
    ours = first == "clseave" or known or parameter(first) is not MISSING
    if re.fullmatch(r"\w+(\.\w+)+", dotted) and ours and not in_code(dotted) and parameter(dotted) is MISSING:
        return f"{span}: neither in the code nor a parameter"
    return None


def slug(heading: str) -> str:
    """GitHub's anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def stage_table() -> dict[str, list[str]]:
    """The cells of METHOD.md's table of stages, by stage."""
    _, _, after = text("docs/METHOD.md").partition("\n| Stage | Module | Reads | Writes |\n|---|---|---|---|\n")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in after.partition("\n\n")[0].splitlines()]
    return {row[0].strip("`"): row[1:] for row in rows}


def quoted(cell: str) -> set[str]:
    return {pattern(span) for span in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("name", CURRENT)
def test_what_stands_in_backticks_exists(name: str) -> None:
    assert [problem for problem in map(fault, spans(name)) if problem] == []


@pytest.mark.parametrize(
    "span",
    ["src/clseave/nothing.py", "nothing.py", f"{module_name('pooling')}.nothing", "clseave.nothing", "clip_ve.nothing",
     "data/nothing", "models/thesis/nothing/seed0", "reports/mini/nothing.md", "clseave.stages.nothing",
     f"{module_name('student')}.Student.nothing"],
)  # fmt: skip
def test_the_check_itself_finds_what_does_not_exist(span: str) -> None:
    assert fault(span)


@pytest.mark.parametrize("name", CURRENT)
def test_quoted_values_are_those_of_the_profile(name: str) -> None:
    """`key: value` in backticks: of profile thesis in a part with that heading, else of mini."""
    faults = []
    for part in re.split(r"^(?=## )", prose(name), flags=re.MULTILINE):
        profile = "thesis" if part.startswith("## Profile `thesis`") else "mini"
        for span in re.findall(r"`([^`\n]+)`", part):
            match = re.fullmatch(r"(\w+(?:\.\w+)+|sampler): (\S+)", span)
            found = parameter(match[1], (profile,)) if match else None
            if match and YAML(typ="safe", pure=True).load(match[2]) != found:
                faults.append(f"{profile}: {span}: now {found}")
    assert faults == []


@pytest.mark.parametrize("name", [name for name in CURRENT if name != "README.md"])
def test_percentages_are_published_ones(name: str) -> None:
    """Our own results are generated; typed by hand they would go stale."""
    expected = read_yaml("reports/expected.yaml")["values"]
    known = PUBLISHED | {f"{entry['value']:.2f} %" for entry in expected if entry["unit"] == "percent"}
    found = re.findall(r"\d+\.\d+ ?%", prose(name))
    assert [value for value in found if value not in known and f"{value[:-2]} %" not in known] == []


def test_method_lists_every_stage_with_what_it_reads_and_writes() -> None:
    table = stage_table()
    assert list(table) == list(stages())
    for name, (module, reads, writes) in table.items():
        stage = stages()[name]
        assert module == f"`clseave.stages.{stage['cmd'].split()[2]}`", name
        deps = {pattern(path) for path in paths_of(stage, "deps") if path.split("/")[0] != "src"}
        assert quoted(reads) == deps, f"{name}: Reads"
        outs = {pattern(path) for path in paths_of(stage, "outs", "metrics", "plots")}
        assert quoted(writes) == outs, f"{name}: Writes"


def test_the_tests_that_hold_the_promises_exist() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py")))
    named = {span for span in spans("docs/RELIABILITY.md") if re.fullmatch(r"test_\w+", span)}
    assert named and {name for name in named if f"def {name}(" not in code} == set()


def test_every_promise_says_which_run_of_ci_holds_it() -> None:
    tables = [part.strip() for part in text("docs/RELIABILITY.md").split("\n\n") if "| Promise |" in part]
    assert len(tables) > 10
    for table in tables:
        head, rule, *rows = table.splitlines()
        assert head.endswith("| Run |") and rule.startswith("|---"), head
        assert rows
        for row in rows:
            run = row.rstrip("| ").rpartition(" | ")[2]
            assert "each push" in run or run in ("full", "the same"), f"{run!r} of: {row[:100]}"


def test_method_stays_short() -> None:
    assert len(text("docs/METHOD.md").splitlines()) <= METHOD_LINES


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_resolve(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(name)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent.joinpath(file).resolve() if file else ROOT / name
        assert path.is_relative_to(ROOT), f"{name}: {target} leaves the repository"
        assert exists(path.relative_to(ROOT).as_posix()), f"{name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in map(slug, headings), f"{name}: {target}: no such heading"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_lines_are_short_and_no_path_is_absolute(name: str) -> None:
    for number, line in enumerate(text(name).splitlines(), start=1):
        assert len(line) <= LINE or line.startswith("|"), f"{name}:{number}: {len(line)} characters"
        visible = re.sub(r"<!--.*?-->", "", line)
        found = re.search(r"(?:^|[\s(\"'`=])((?:/|~/|[A-Z]:\\)[A-Za-z]\S*)", visible)
        assert not found, f"{name}:{number}: {found and found[1]}"


@pytest.mark.parametrize("name", CURRENT)
def test_python_blocks_import_what_exists(name: str) -> None:
    for block in blocks(name, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "clseave":
                for alias in node.names:
                    offered = node.module == "clseave" and alias.name in clseave.__all__
                    assert offered or in_code(f"{node.module}.{alias.name}"), f"{name}: {node.module}.{alias.name}"
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "/" in node.value:
                assert exists(node.value), f"{name}: {node.value}"


def test_example_rows_have_the_fields_of_their_type() -> None:
    kinds = [records.Example, records.Translation, records.Alignment]
    rows = [json.loads(block) for block in blocks("data/README.md", "json")]
    for kind, row in zip(kinds, rows, strict=True):
        assert list(row) == [field.name for field in dataclasses.fields(kind)]
        english = row.get("hypothesis") or row.get("source") or " ".join(row["source_words"])
        assert row["hypothesis_id"] == records.hypothesis_id(english)
        kind(**row)
