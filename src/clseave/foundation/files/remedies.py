"""How to restore a missing output without computing it: looked up only when something is missing."""

import json
import os
import shlex
from pathlib import Path
from typing import Any


def restore_command(path: Path | str, otherwise: str) -> str:
    """Return the command that restores a missing file or folder from DVC's cache or from a remote that is a local
    folder.

    Return `otherwise` when neither holds it, or when there is no DVC repository.
    """
    place = Path(path).absolute()
    root = next((folder for folder in place.parents if (folder / "dvc.lock").is_file()), None)
    try:
        return (_command(root, place) if root else None) or otherwise
    except Exception:  # an error of DVC must not hide the message about the missing file
        return otherwise


def _command(root: Path, place: Path) -> str | None:
    """Return the command that restores the DVC output at or above `place`, or None.

    None when no file of the output is missing, or neither cache nor remote holds all of them.
    """
    from dvc.repo import Repo  # its import takes a second, needed for this error only

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
    """Return whether a cache or remote holds all files of an output, and one of them is missing in the workspace."""
    listed = Path(objects.oid_to_path(name))
    if not listed.is_file():
        return False
    files = {"": name}
    if name.endswith(".dir"):
        files = {row["relpath"]: row["md5"] for row in json.loads(listed.read_text(encoding="utf-8"))}
    return not all((folder / file).exists() for file in files) and all(
        Path(objects.oid_to_path(one)).is_file() for one in files.values()
    )
