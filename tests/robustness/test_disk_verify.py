"""`make verify` on a small pipeline: every byte of cache, remote and workspace, and the commands that it prints."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_pipeline import commit, copy, make
from test_infrastructure import load, publish, reproduce, run

# A pipeline for each damage; the group shares what is made once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("disk_verify")]

MADE = "out/mini/first/a.txt"  # holds "mini", one of two files of a folder
victims = pytest.mark.parametrize(
    "victim",
    [pytest.param(MADE, id="in a folder"), pytest.param("out/mini/middle/ja", id="a file", marks=pytest.mark.full)],
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Path:
    """A small pipeline on profile `mini`, with its store in git."""
    root = make(tmp_path_factory.mktemp("small"), repo_root, "mini")
    publish(root, repo_root)
    commit(root)
    return root


@pytest.fixture
def work(finished: Path, tmp_path: Path) -> Path:
    return copy(finished, tmp_path)


def verify(root: Path, repo_root: Path, code: int, *flags: str) -> str:
    return run(root, sys.executable, str(repo_root / "tools" / "verify.py"), *flags, code=code)


def dvc(root: Path, *command: str, code: int = 0) -> str:
    return run(root, sys.executable, "-m", "dvc", *command, code=code)


def name_of(root: Path, repo_root: Path, path: str) -> str:
    """The name of the object of a file, as the part of a path below a cache or store."""
    name = load(repo_root / "tools" / "publish.py").md5(root / path)
    return f"files/md5/{name[:2]}/{name[2:]}"


def cached(root: Path, repo_root: Path, path: str = MADE) -> Path:
    return root / ".dvc/cache" / name_of(root, repo_root, path)


def stored(root: Path, repo_root: Path, path: str = MADE) -> Path:
    return root / "store" / name_of(root, repo_root, path)


def flip(path: Path) -> None:
    """Turn a bit as a bad disk does: length, rights and time stamps stay."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def fixes(output: str) -> list[str]:
    return re.findall(r"^  fix: (.*)$", output, re.MULTILINE)


def fix(root: Path, repo_root: Path, output: str) -> None:
    """Run what is printed, in a shell, from the top; then all is as it was."""
    commands = fixes(output)
    assert commands
    for command in commands:
        run(root, "bash", "-c", command.replace("make publish", f"python {repo_root / 'tools/publish.py'}"))
    assert verify(root, repo_root, 0).startswith("verify: sound (")
    assert run(root, "git", "status", "--porcelain") == ""
    assert (root / MADE).read_text() == "mini"
    assert dvc(root, "repro").strip().endswith("Data and pipelines are up to date.")


def test_what_is_sound_is_one_line_with_counts(work: Path, repo_root: Path) -> None:
    output = verify(work, repo_root, 0)
    assert output == "verify: sound (5 outputs, 6 objects in the cache, 6 in remote mini)\n"


def test_dvc_itself_does_not_see_a_turned_bit(work: Path, repo_root: Path) -> None:
    """Why this program is there. When this fails, DVC has learnt it."""
    dvc(work, "status")  # it notes the time stamps
    flip(cached(work, repo_root))
    flip(work / MADE)
    assert dvc(work, "status").strip() == "Data and pipelines are up to date."


@victims
def test_a_turned_bit_in_the_cache(work: Path, repo_root: Path, victim: str) -> None:
    path = cached(work, repo_root, victim)
    flip(path)
    output = verify(work, repo_root, 1)
    stage, out = ("first@mini", "out/mini/first") if victim == MADE else ("middle@mini-ja", victim)
    assert output.splitlines() == [
        f"{out} ({stage}):",
        f"  cache: {path.relative_to(work)}: damaged",
        f"  fix: rm -rf {path.relative_to(work)} && dvc pull {out}",
        "verify: 1 faults (5 outputs, 6 objects in the cache, 6 in remote mini): run the commands after `fix:`, "
        "from the top, and again",
    ]
    fix(work, repo_root, output)


@victims
def test_a_turned_bit_in_the_workspace(work: Path, repo_root: Path, victim: str) -> None:
    flip(work / victim)
    output = verify(work, repo_root, 1)
    assert f"  workspace: {victim}: differs from dvc.lock\n  fix: rm -rf {victim} && dvc checkout out/mini/" in output
    fix(work, repo_root, output)


def test_a_turned_bit_in_an_output_that_is_in_git(work: Path, repo_root: Path) -> None:
    flip(work / "reports/mini/results.md")
    output = verify(work, repo_root, 1)
    assert fixes(output) == ["git restore reports/mini/results.md"]
    fix(work, repo_root, output)


def test_a_turned_bit_in_the_store(work: Path, repo_root: Path) -> None:
    path = stored(work, repo_root)
    flip(path)
    output = verify(work, repo_root, 1)
    assert f"  remote mini: {path.relative_to(work)}: damaged\n" in output
    assert fixes(output) == [f"git restore {path.relative_to(work)}"]
    fix(work, repo_root, output)


def test_the_same_turned_bit_in_cache_and_workspace(work: Path, repo_root: Path) -> None:
    """What a checkout from a damaged cache makes: two bad files that agree."""
    path = cached(work, repo_root)
    flip(path)
    (work / MADE).unlink()
    dvc(work, "checkout")
    assert (work / MADE).read_text() != "mini"
    output = verify(work, repo_root, 1)
    assert fixes(output) == [f"rm -rf {MADE} {path.relative_to(work)} && dvc pull out/mini/first"]
    fix(work, repo_root, output)


@pytest.mark.parametrize("damage", ["turned", "gone"])
def test_a_damaged_list_of_a_folder(work: Path, repo_root: Path, damage: str) -> None:
    (path,) = (work / ".dvc/cache").rglob("*.dir")
    flip(path) if damage == "turned" else path.unlink()
    output = verify(work, repo_root, 1)
    assert f"cache: {path.relative_to(work)}: {'damaged' if damage == 'turned' else 'missing'}" in output
    fix(work, repo_root, output)


def test_without_a_remote_the_workspace_or_the_stage_gives_it_back(work: Path, repo_root: Path) -> None:
    shutil.rmtree(work / "store")
    (work / ".gitignore").write_text((work / ".gitignore").read_text() + "/store\n")
    commit(work)
    path, folder = cached(work, repo_root), next((work / ".dvc/cache").rglob("*.dir"))
    path.unlink()
    flip(folder)
    output = verify(work, repo_root, 1)
    assert "nothing was pushed to remote mini yet" in output
    assert fixes(output) == [f"rm -rf {folder.relative_to(work)} && dvc commit first@mini"]
    fix(work, repo_root, output)

    flip(path)
    flip(work / MADE)
    output = verify(work, repo_root, 1)
    (command,) = fixes(output)
    assert command.endswith(" && dvc repro --force --single-item first@mini")
    fix(work, repo_root, output)


def test_everything_damaged_at_once(work: Path, repo_root: Path) -> None:
    flip(cached(work, repo_root))
    cached(work, repo_root, "out/mini/middle/ko").unlink()
    flip(work / "out/mini/middle/de")
    (work / "out/mini/first/b.txt").unlink()
    (work / "out/mini/first/more.txt").write_text("does not belong here")
    stored(work, repo_root, "out/mini/middle/ja").unlink()
    output = verify(work, repo_root, 1)
    assert "workspace: out/mini/first/more.txt: does not belong there" in output
    assert "verify: 4 faults " in output
    fix(work, repo_root, output)


@pytest.mark.parametrize("place", ["cache", "store"])
def test_a_missing_object(work: Path, repo_root: Path, place: str) -> None:
    path = (cached if place == "cache" else stored)(work, repo_root)
    path.unlink()
    output = verify(work, repo_root, 1)
    assert f"{path.relative_to(work)}: missing" in output
    fix(work, repo_root, output)


def test_an_object_more_is_counted_and_a_damaged_one_found(work: Path, repo_root: Path) -> None:
    """Of another run or profile: nothing is wrong with it. What a killed DVC leaves is told."""
    extra = work / ".dvc/cache/files/md5/5d/41402abc4b2a76b9719d911017c592"
    extra.parent.mkdir(parents=True, exist_ok=True)
    extra.write_text("hello")
    (extra.parent / "x7tmp.tmp").write_text("half")
    assert verify(work, repo_root, 0) == (
        "verify: sound (5 outputs, 7 objects in the cache, 6 in remote mini, "
        "1 files that are no objects, as a killed run leaves them)\n"
    )
    extra.write_text("hullo")
    output = verify(work, repo_root, 1)
    assert output.startswith("of another run or profile:\n  cache: .dvc/cache/files/md5/5d/41402abc4b2a76b9719d911017")
    (extra.parent / "x7tmp.tmp").unlink()
    fix(work, repo_root, output)


def test_a_remote_folder_outside_git_is_filled_by_a_push(work: Path, repo_root: Path) -> None:
    (work / "params.yaml").write_text("profile: thesis\nseed: 1\n")
    reproduce(work, repo_root)
    assert "nothing was pushed to remote thesis yet" in verify(work, repo_root, 0)
    dvc(work, "push")
    commit(work)
    remote = work / ".dvc/stores/thesis/files/md5"
    for damage in (Path.unlink, flip):
        damage(next(path for path in sorted(remote.rglob("*")) if path.is_file() and path.suffix != ".dir"))
        output = verify(work, repo_root, 1)
        (command,) = fixes(output)
        assert command.startswith("install -D -m 644 .dvc/cache/files/md5/")
        run(work, "bash", "-c", command)
        assert verify(work, repo_root, 0).startswith("verify: sound (5 outputs, ")


def test_a_fresh_clone_is_told_to_pull(work: Path, repo_root: Path, tmp_path: Path) -> None:
    run(tmp_path, "git", "clone", "--quiet", str(work), "clone")
    output = verify(tmp_path / "clone", repo_root, 1)
    assert "no cached output is here: a fresh clone?\n  fix: make pull\n" in output


def test_what_is_not_in_the_lock_is_counted(work: Path, repo_root: Path) -> None:
    text = (work / "dvc.yaml").read_text()
    (work / "dvc.yaml").write_text(text.replace("[de, ja, ko]", "[de, ja, ko, nl]"))
    assert "1 outputs not in dvc.lock yet)" in verify(work, repo_root, 0)


def test_a_pipeline_that_does_not_parse_and_a_busy_dvc_are_one_line(work: Path, repo_root: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from dvc.repo import Repo\nwith Repo() as one, one.lock: print('held', flush=1), input()",
        ],
        cwd=work,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    output = verify(work, repo_root, 2)
    assert output == "verify: another dvc is at work here: wait for it, then run again\n"
    holder.communicate("\n", timeout=30)
    (work / "params.yaml").write_text("seed: 1\n")
    output = verify(work, repo_root, 2)
    assert output.startswith("verify: ") and output.count("\n") == 1 and "profile" in output


def test_the_name_of_a_folder_is_the_one_that_dvc_gives(work: Path, repo_root: Path) -> None:
    sys.path.insert(0, str(repo_root / "tools"))
    module = load(repo_root / "tools" / "verify.py")
    (path,) = (work / ".dvc/cache").rglob("*.dir")
    members = {row["relpath"]: row["md5"] for row in json.loads(path.read_text())}
    assert module.folder_name(members) == path.parent.name + path.name
