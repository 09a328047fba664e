"""How to have a missing output again without computing it: looked up, and only when something is missing."""

import json
import os
import shlex
from pathlib import Path
from typing import Any


def have_again(path: Path | str, otherwise: str) -> str:
    """What brings back a missing file or folder of an output that DVC's cache, or a remote that is a folder, holds.

    `otherwise` is the answer where neither does, or where there is no DVC repository.
    """
    place = Path(path).absolute()
    root = next((folder for folder in place.parents if (folder / "dvc.lock").is_file()), None)
    try:
        return (_command(root, place) if root else None) or otherwise
    except Exception:  # whatever DVC finds wrong must not hide what is missing
        return otherwise


def _command(root: Path, place: Path) -> str | None:
    """The command for the recorded output at or above a path, if some of its files are missing and can be had."""
    from dvc.repo import Repo  # a second, which only this error has to spend

    with Repo(str(root)) as repo:
        for out in repo.index.outs:
            folder = Path(out.fs_path)
            if not out.use_cache or not out.hash_info or folder not in (place, *place.parents):
                continue
            target = shlex.quote(os.path.relpath(folder))
            if _restores(repo.cache.local, out.hash_info.value, folder):
                return f"run `dvc checkout {target}`, DVC's cache holds it"
            remote = repo.cloud.get_remote_odb(out.remote)
            if remote.fs.protocol == "local" and _restores(remote, out.hash_info.value, folder):
                return f"run `dvc pull {target}`, its remote holds it"
    return None


def _restores(objects: Any, name: str, folder: Path) -> bool:
    """Whether a cache or remote holds all files of an output, of which one at least is missing in the workspace."""
    listed = Path(objects.oid_to_path(name))
    if not listed.is_file():
        return False
    files = {"": name}
    if name.endswith(".dir"):
        files = {row["relpath"]: row["md5"] for row in json.loads(listed.read_text(encoding="utf-8"))}
    return not all((folder / file).exists() for file in files) and all(
        Path(objects.oid_to_path(one)).is_file() for one in files.values()
    )
