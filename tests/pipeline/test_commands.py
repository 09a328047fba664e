"""Every command in the documentation is run by a test, or its line or page says that it needs what tests have not."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in (
        "*.md",
        "docs/*.md",
        "models/*.md",
        "studies/*.md",
        "studies/*/*.md",
        "benchmarks/*.md",
        "examples/*/*.md",
    )
    for path in ROOT.glob(pattern)
)
BLOCK = re.compile(r"^( *)```sh\b[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
# Commands of the shell, of git and file tools, and settings of DVC, which prepare what a command needs.
SHELL = r"(source|cd|mkdir|cp|ln|git clone|rsync|export|dvc config|dvc remote add) "
# A command's start, and the file that runs it, with a piece of how it does.
RUN_BY = [
    (r"make setup", ".ci/run", "make setup"),
    (r"make reproduce", ".ci/run", "reproduce DVC_FLAGS"),
    (r"make test", ".ci/run", "make test"),
    (r"make pull", ".ci/run", 'in_clone "$temporary/pulled" pull'),
    (r"make check$", "tests/pipeline/test_end_to_end.py", '"check", "--params"'),
    (r"make check-(data|thesis)", "tests/stages/test_own_data.py", "check_thesis.main"),
    (r"make study", "tests/pipeline/test_end_to_end.py", "tools/study.py"),
    (r"make studies", "tests/pipeline/test_end_to_end.py", "tools/study.py"),
    (r"make plots", "tests/pipeline/test_plots.py", "plots"),
    (r"make shard", "tests/pipeline/test_slurm.py", "shard"),
    (r"make verify", "tests/robustness/test_remotes.py", "verify"),
    (r"make push", "tests/robustness/test_remotes.py", "push"),
    (r"make bench$|make bench BENCH_FLAGS=\"--repeats", "tests/stages/test_bench.py", "bench"),
    (r"python benchmarks/scale.py", "tests/stages/test_scale_benchmark.py", "scale"),
    (
        r"python -m zipfile|python src/run.py predict --model models/mini",
        "tests/pipeline/test_readme.py",
        "## Use a model",
    ),
    (r"python src/run.py predict --model models/own", "tests/stages/test_own_data.py", "predict.main"),
    (r"python src/run.py export", "tests/unit/commands/test_export.py", "export"),
    (r"python bundle/onnx/predict.py", "tests/stages/test_real_corpus.py", "onnx/predict.py"),
    (r"pytest -q tests/unit", "tests/pipeline/test_extend.py", '"pytest "'),
    (r"PYTHONPATH=src:tests/unit python", "tests/pipeline/test_extend.py", '" python "'),
    (r"dvc repro", "tests/pipeline/test_end_to_end.py", 'dvc(work, "repro"'),
    (r"dvc exp run -S (lr|languages|launcher)?", "tests/pipeline/test_end_to_end.py", '"exp", "run", "-S"'),
    (r"dvc exp run --queue", "tests/pipeline/test_end_to_end.py", '"exp", "run", "--queue"'),
    (r"dvc exp show", "tests/pipeline/test_end_to_end.py", '"exp", "show"'),
    (r"dvc (metrics|plots|params) diff", "tests/pipeline/test_end_to_end.py", '"metrics", "diff"'),
    (r"dvc remote modify", "tests/pipeline/test_end_to_end.py", '"remote", "modify"'),
    (r"dvc get", "tests/robustness/test_remotes.py", '"get"'),
    (r"bash examples/slurm/submit.sh", "tests/pipeline/test_slurm.py", "submit.sh"),
    (r"CLSEAVE_LOGGERS=\S+ make", "tests/unit/training/test_loggers.py", "CLSEAVE_LOGGERS"),
]
# What a line says of a command that no test runs.
NEEDS = re.compile(r"#.*\bneeds (the network|a GPU|two GPUs|a cluster|a browser)\b")


def commands(page):
    """The commands of a page's shell blocks: continued lines joined, comments kept, a comment alone before each."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for _, body in BLOCK.findall(text):
        above = ""
        for line in body.replace("\\\n", " ").splitlines():
            if line.strip().startswith("#"):
                above = line.strip()
                continue
            for part in filter(None, (one.strip() for one in line.split(" && "))):
                yield " ".join([*part.split(), above]).strip()


ALL = [(page, command) for page in PAGES for command in commands(page)]


def found_by(command):
    """The entry of RUN_BY for a command."""
    return next((one for one in RUN_BY if re.match(one[0], command.partition(" #")[0].strip())), None)


@pytest.mark.parametrize(("page", "command"), ALL)
def test_a_command_is_run_by_a_test_or_says_what_it_needs(page, command):
    assert re.match(SHELL, command) or NEEDS.search(command) or found_by(command), f"{page}: no test runs {command!r}"


@pytest.mark.parametrize(("start", "file", "piece"), RUN_BY)
def test_the_tests_named_here_run_them(start, file, piece):
    assert piece in (ROOT / file).read_text(encoding="utf-8")
    assert [command for _, command in ALL if re.match(start, command.partition(" #")[0].strip())], "no page has it"


def test_pages_have_commands():
    assert len(ALL) > 60
    assert found_by("make nothing") is None and found_by("make check PROFILE=x") is None
