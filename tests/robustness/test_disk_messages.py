"""Writing whole or not at all, and what is said when it cannot be."""

import errno
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from clseave.foundation.errors import UserError
from clseave.foundation.files import atomic as disk
from clseave.foundation.files.atomic import atomic, whole_folder
from clseave.foundation.files.formats import write_json, write_jsonl, write_text


def system_error(number: int, name: Path | str | None = None) -> OSError:
    return OSError(number, os.strerror(number), *([] if name is None else [str(name)]))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "this user's quota is used up"),
        (errno.EFBIG, "the file system takes no file of that size"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EIO, "the disk reports an error"),
        (errno.EACCES, "no right to write in "),
        (errno.EPERM, "`chmod u+w "),
        (errno.EISDIR, "a folder stands where a file is expected"),
    ],
)
def test_each_reason_names_file_reason_room_and_remedy(tmp_path: Path, number: int, words: str) -> None:
    path = tmp_path / "new" / "file.txt"
    with pytest.raises(UserError) as caught, atomic(path):
        raise system_error(number)
    line = str(caught.value)
    assert line.startswith(f"{path} cannot be written: ") and words in line
    assert re.search(r"\d+\.\d [kMG]B free in ", line) and "\n" not in line
    assert os.listdir(tmp_path) == []


def test_a_limit_on_file_sizes_is_named(tmp_path: Path) -> None:
    """In a process of its own: a limit holds for all that it writes."""
    code = (
        "import resource; from clseave.foundation.files.formats import write_text\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))\n"
        "write_text('small.txt', 'x' * 2048)\n"
        "try: write_text('large.txt', 'x' * 2049)\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("UserError large.txt cannot be written: no file may exceed 2.0 kB here ("), (
        done.stdout
    )
    assert "`ulimit -f unlimited`" in done.stdout
    assert os.listdir(tmp_path) == ["small.txt"]


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    for path in (tmp_path / "data" / "file.txt", tmp_path / "data" / "deep" / "er" / "file.txt"):
        with pytest.raises(UserError, match=rf"{tmp_path}/data is a file where a folder is expected .*: move it away"):
            write_text(path, "x")
        with pytest.raises(UserError, match="is a file where a folder is expected"), whole_folder(path):
            pytest.fail("the block is not entered")
    with pytest.raises(UserError, match=rf"{tmp_path}/data is a file where a folder is expected"):
        with whole_folder(tmp_path / "data"):
            pytest.fail("the block is not entered")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="a folder stands where a file is expected"):
        write_text(tmp_path / "folder", "x")
    assert sorted(os.listdir(tmp_path)) == ["data", "folder"]


LIBRARIES = {
    "safetensors": ["from safetensors.numpy import save_file", "save_file({'a': numpy.zeros(999)}, path)"],
    "tokenizers": [
        "from tokenizers import Tokenizer, models",
        "Tokenizer(models.WordLevel({'a' * 2048: 0})).save(str(path))",
    ],
    "zip": ["import zipfile", "with zipfile.ZipFile(path, 'w') as archive: archive.writestr('a', bytes(4096))"],
    "torch": ["import torch", "with open(path, 'wb') as stream: torch.save(torch.zeros(999), stream)"],
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_a_library_says_in_its_own_way_is_understood(tmp_path: Path, library: str) -> None:
    first, code = LIBRARIES[library]
    program = (
        f"{first}\n"
        "import resource; import numpy; from clseave.foundation.files.atomic import atomic\n"
        "try:\n"
        "    with atomic('made') as path:\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n"
        f"        {code}\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("UserError made cannot be written: no file may exceed 1.0 kB here ("), done.stdout
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_read_meanwhile_is_not_blamed_on_the_written_one(tmp_path: Path) -> None:
    """Rows may come from a generator that reads."""
    (tmp_path / "a_folder").mkdir()

    def rows():
        yield {"a": 1}
        with open(tmp_path / "a_folder", "rb") as stream:
            yield {"a": stream.read()}

    with pytest.raises(IsADirectoryError):
        write_jsonl(tmp_path / "out" / "rows.jsonl", rows())
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "out" / "x"):
        raise system_error(errno.ENOENT, tmp_path / "input")
    with pytest.raises(UserError, match=r"^as it was$"), atomic(tmp_path / "out" / "x"):
        raise UserError("as it was") from system_error(errno.ENOSPC)
    assert os.listdir(tmp_path) == ["a_folder"]


def test_an_error_that_hides_a_full_disk_is_seen_through(tmp_path: Path) -> None:
    """torch and zipfile fail once more while they clean up, and that is what arrives."""
    with pytest.raises(UserError, match="the disk is full"), atomic(tmp_path / "x"):
        try:
            raise system_error(errno.ENOSPC)
        finally:
            raise RuntimeError("unexpected pos 704 vs 598")


def test_errors_that_no_writer_met_are_explained_or_left_alone(tmp_path: Path) -> None:
    assert disk.explain(ValueError("a mistake of ours")) is None
    assert disk.explain(system_error(errno.ENOENT, "x")) is None
    assert disk.explain(system_error(errno.EACCES, "x")) is None, "reading may be what is forbidden"
    line = disk.explain(system_error(errno.ENOSPC, tmp_path / "cache.bin"))
    assert line is not None and line.startswith(f"{tmp_path}/cache.bin cannot be written: the disk is full (")
    line = disk.explain(FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"))
    assert line is not None and "the disk is full" in line


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "clip"
    with pytest.raises(ZeroDivisionError), whole_folder(folder) as made:
        write_text(made / "config.json", "{}")
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []
    with whole_folder(folder) as made:
        write_text(made / "config.json", "old")
        write_text(made / "stale.json", "old")
        assert made.parent == folder.parent and not folder.exists()
    with pytest.raises(ZeroDivisionError), whole_folder(folder) as made:
        write_text(made / "config.json", "new")
        raise ZeroDivisionError
    assert sorted(os.listdir(folder)) == ["config.json", "stale.json"] and os.listdir(folder.parent) == ["clip"]
    with whole_folder(folder) as made:
        write_text(made / "config.json", "new")
    assert os.listdir(folder) == ["config.json"] and (folder / "config.json").read_text() == "new"
    assert os.listdir(folder.parent) == ["clip"]


@pytest.mark.parametrize("write", [atomic, whole_folder])
def test_nothing_is_left_of_folders_that_were_made_for_nothing(tmp_path: Path, write) -> None:
    (tmp_path / "models").mkdir()
    with pytest.raises(ZeroDivisionError), write(tmp_path / "models" / "mini" / "deep" / "clip"):
        raise ZeroDivisionError
    assert os.listdir(tmp_path / "models") == []
    with pytest.raises(UserError, match="cannot be written"), write(tmp_path / "models" / "mini" / "clip"):
        raise OSError(errno.ENOSPC, "")
    assert os.listdir(tmp_path) == ["models"] and os.listdir(tmp_path / "models") == []
    with pytest.raises(ZeroDivisionError), write(tmp_path / "models" / "mini" / "clip"):
        (tmp_path / "models" / "mini" / "of another.txt").touch()
        raise ZeroDivisionError
    assert os.listdir(tmp_path / "models" / "mini") == ["of another.txt"]


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """And nothing else: a process that is at work keeps its own."""
    code = (
        "import os, signal, sys; from clseave.foundation.files.atomic import atomic, whole_folder\n"
        "from contextlib import ExitStack\n"
        "with atomic('a.txt') as one, whole_folder('b') as two:\n"
        "    one.write_text('half'); two.mkdir(); (two / 'x').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert done.returncode == -9 and len(os.listdir(tmp_path)) == 2
    kept = {f".a.txt.{os.getppid()}.tmp", ".a.txt.notes.tmp", "a.txt.tmp"}
    for name in kept:
        (tmp_path / name).write_text("")
    write_text(tmp_path / "a.txt", "whole")
    with whole_folder(tmp_path / "b") as made:
        write_json(made / "x", 1)
    assert set(os.listdir(tmp_path)) == kept | {"a.txt", "b"}


def test_the_limit_of_this_process_is_none(tmp_path: Path) -> None:
    """What the tests above take for granted."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
