"""The disk fails at each write of each stage: full, limited, read-only, forbidden, a file in the way of a folder.

`failing_disk.py` says how. Here: one line that names file, reason, room and remedy; exit code 2; nothing half-written.
"""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_end_to_end import environment, finished, read_yaml

__all__ = ["finished"]  # a fixture

DRIVER = Path(__file__).with_name("failing_disk.py")
NEEDED = ("src", "profiles", "params.yaml", "data", "models", "reports", "notebooks")
FAULTS = ("full", "limit", "read-only", "forbidden", "in the way")
WORDS = {
    "full": "the disk is full",
    "limit": "no file may exceed 0 bytes here",
    "read-only": "the file system is read-only",
    "forbidden": "no right to write in",
    "in the way": "is a file where a folder is expected",
}
# The first of each stage's matrix, and another where that writes something else.
STAGES = (
    "check prepare backbones-clip backbones-mbert encode_images translate translate_back align_words finetune_clip_ve "
    "finetune_baseline-baseline0 finetune_baseline-baseline1 finetune_baseline-baseline2 embed_english autoencoder "
    "clteave clseave cards evaluate compare report"
).split()

# One stage for each other kind of writer: a folder of vectors, a model's safetensors. The report, whose page and
# notebook take long, is with all other stages in the full run.
WRITERS = ("encode_images", "clseave")
EACH_PUSH = "translate"  # the stage with rows, on which each push tries every fault


@dataclass(frozen=True)
class Disk:
    """A folder, and whether it is a file system of its own, of `size` bytes."""

    folder: Path
    mounted: bool


def make_disk(size: str) -> Iterator[Disk]:
    """A small file system in memory where mounting is allowed, else a plain folder; other users may enter it."""
    folder = Path(tempfile.mkdtemp(prefix="disk-"))
    folder.chmod(0o755)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "none", str(folder)]
    may_mount = os.geteuid() == 0 and shutil.which("mount")
    mounted = bool(may_mount) and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield Disk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def disk(finished: Path) -> Iterator[Disk]:
    """A disk of its own with the finished pipeline's files; without git and DVC."""
    for made in make_disk("256m"):
        for name in NEEDED:
            source = finished / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, made.folder / name)
        (made.folder / ".tmp").mkdir()
        yield made


def stage_names(root: Path, wanted: str) -> str:
    """The first stage in dvc.lock of that name, as `backbones@tiny-clip` for `backbones-clip`."""
    base, _, item = wanted.partition("-")
    names = [name for name in read_yaml(root / "dvc.lock")["stages"] if name.partition("@")[0] == base]
    return next(name for name in names if not item or name.endswith(f"-{item}"))


def hashes(folder: Path) -> dict[str, str]:
    """Of every file below, by its path."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in found}


def remove(path: Path) -> None:
    """As DVC does before it starts a stage."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def own(root: Path) -> dict[str, str]:
    """Variables of a stage whose temporary files lie on the same disk."""
    return {"TMPDIR": str(root / ".tmp"), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(root / ".tmp")}


def fail_at_each_write(disk: Disk, command: list[str], faults: Sequence[str], python: dict[str, str]) -> list[dict]:
    """Run a stage by the driver; it must itself end well. What every child said, and what it left."""
    plan = disk.folder / ".tmp/plan.json"
    report = disk.folder / ".tmp/report.jsonl"  # written when the disk is as it was again
    values = {"report": str(report), "faults": faults, "mounted": disk.mounted, "environment": own(disk.folder)}
    plan.write_text(json.dumps(values))
    done = subprocess.run(
        ["/bin/sh", "-c", shlex.join(["exec", "python", str(DRIVER), str(plan), *command])],
        cwd=disk.folder,
        env=environment(disk.folder.parent) | python,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0 and "load their libraries themselves" not in done.stderr, done.stderr[-4000:]
    return [json.loads(line) for line in report.read_text().splitlines()]


def test_no_stage_is_left_out(repo_root: Path) -> None:
    stages = read_yaml(repo_root / "dvc.yaml")["stages"]
    modules = {name: stage["cmd"].split()[2] for name, stage in stages.items()}
    assert {modules[name.partition("-")[0]] for name in STAGES} == set(modules.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wanted", "faults"),
    [
        *(pytest.param(stage, FAULTS[:1], id=f"{stage}-full") for stage in WRITERS),
        *(
            pytest.param(stage, FAULTS, id=stage, marks=() if stage == EACH_PUSH else pytest.mark.full)
            for stage in STAGES
        ),
    ],
)
def test_each_write_of_a_stage_fails_in_one_line_and_leaves_nothing_half_written(  # noqa: PLR0917 -- fixtures
    finished: Path,
    disk: Disk,
    preloaded: dict[str, str],
    wanted: str,
    faults: Sequence[str],
    request: pytest.FixtureRequest,
) -> None:
    name = stage_names(finished, wanted)
    entry = read_yaml(finished / "dvc.lock")["stages"][name]
    outs = [row["path"] for row in entry["outs"]]
    for out in outs:
        remove(disk.folder / out)
    rows = fail_at_each_write(disk, shlex.split(entry["cmd"])[2:], faults, preloaded)
    whole = {name: found for name, found in hashes(finished).items() if name.startswith(tuple(outs))}
    assert {name: hashes(disk.folder).get(name) for name in whole} == whole, "the stage itself went on undisturbed"
    assert {row["fault"] for row in rows} == set(faults)
    for row in rows:
        check_failure(row, outs, whole)
    writes = sum(row["fault"] == FAULTS[0] for row in rows)
    request.node.user_properties += [("writes", writes), ("failures", len(rows))]  # for docs/RELIABILITY.md


def check_failure(row: dict, outs: list[str], whole: dict[str, str]) -> None:
    """One line, exit code 2; each output is whole or absent."""
    case = f"{row['fault']} at {row['write']} ({row['kind']}):\n{row['said']}"
    assert row["code"] == 2, case
    assert "Traceback" not in row["said"], case
    errors = [line for line in row["said"].splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and row["said"].endswith(f"{errors[0]}\n"), case
    assert " cannot be written: " in errors[0] and WORDS[row["fault"]] in errors[0], case
    assert " free in " in errors[0] and errors[0].endswith("then run the same command again"), case
    assert row["in_place"] == [], f"{case}\nwritten in place"
    if row["fault"] == "in the way":  # the test itself removed files
        return
    new = {name: found for name, found in row["changed"].items() if found is not None}
    assert [name for name in new if name.endswith(".tmp") or ".tmp/" in name] == [], f"{case}\nleftovers"
    made = {name: found for name, found in new.items() if name.startswith(tuple(outs))}
    assert {name: whole.get(name) for name in made} == made, f"{case}\nhalf-written"
    for out in outs:
        own = {name for name in whole if name.startswith(f"{out}/")}
        assert not own & made.keys() or own <= made.keys(), f"{case}\n{out} is not whole"


@pytest.mark.slow
def test_no_room_for_temporary_files_either(finished: Path, disk: Disk) -> None:
    """The report's notebook runs in a kernel with files of its own."""
    command = read_yaml(finished / "dvc.lock")["stages"]["report@tiny"]["cmd"]
    before = hashes(disk.folder / "reports")
    limit = (lambda: None) if disk.mounted else limit_files
    if disk.mounted:
        fill(disk.folder)
    done = subprocess.run(
        shlex.split(command),
        cwd=disk.folder,
        env=environment(disk.folder.parent) | own(disk.folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=limit,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ") and "Traceback" not in done.stderr, done.stderr
    assert ("the disk is full" if disk.mounted else "no file may exceed") in done.stderr
    assert hashes(disk.folder / "reports") == before


def limit_files() -> None:
    """No file may grow."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def fill(folder: Path) -> None:
    """Take all the room of a file system."""
    with (folder / ".filler").open("wb") as stream:
        status = os.fstatvfs(stream.fileno())
        os.posix_fallocate(stream.fileno(), 0, status.f_bavail * status.f_frsize)
