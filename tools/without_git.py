"""DVC in a source archive: it refuses to work outside a git repository unless a setting allows it."""

import sys
from pathlib import Path

SETTING = "no_scm"  # in DVC's section `core`


def allow_without_git(start: Path | None = None) -> None:
    """Set `core.no_scm` in `.dvc/config.local` when there is no git repository, and remove it when there is one.

    With the setting DVC has no experiments and no diffs between commits, so it must not remain after a later `git
    init`. Does nothing without a folder `.dvc`: DVC then reports the error itself.
    """
    folder = (start or Path.cwd()).resolve()
    above = [folder, *folder.parents]
    root = next((path for path in above if (path / ".dvc").is_dir()), None)
    if root is None:
        return
    git = any((path / ".git").exists() for path in above)
    local = root / ".dvc" / "config.local"
    is_set = local.is_file() and SETTING in local.read_text(encoding="utf-8")
    if git != is_set:
        return
    from dvc.config import Config  # its import takes a second, needed only in the first run in an archive

    with Config(str(root / ".dvc")).edit("local") as settings:
        if git:
            settings["core"].pop(SETTING, None)
        else:
            settings["core"][SETTING] = True
    done = "a git repository is here now: removed" if git else "no git repository is here: set"
    sys.stderr.write(f"{done} core.{SETTING} in {local.relative_to(root)}\n")
