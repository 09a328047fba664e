"""Check all settings, and their prerequisites, before any work.

Reads:  params.yaml and the profile it names, as files; DVC's settings; local models that the profile names.
Writes: a constant stamp that every other stage depends on, if `--out` names a file for it; logs what was checked.
Thesis: none.
Cost:   a second.
"""

import logging
from pathlib import Path
from typing import Any

from clseave.foundation.files.formats import write_text
from clseave.foundation.process import cli
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import Params
from clseave.preflight import prerequisites

log = logging.getLogger(__name__)


def count_keys(content: Any) -> int:
    """Count the keys in nested mappings and lists."""
    if isinstance(content, dict):
        return len(content) + sum(map(count_keys, content.values()))
    return sum(map(count_keys, content)) if isinstance(content, list) else 0


def describe(values: Params, *paths: Path) -> str:
    """Return a line on what was checked: the files at `paths` with their numbers of keys, and the main values."""
    files = " and ".join(f"{path} ({count_keys(params.read_yaml(path))} keys)" for path in paths)
    chosen = f"languages {', '.join(values.languages)}; seeds {', '.join(map(str, values.seeds))}"
    counts = f"{len(values.baselines)} baselines; {len(values.evaluations)} evaluations"
    return f"no error in {files}: profile {values.profile}; {chosen}; {counts}; DVC remote {values.profile}"


def main(argv: list[str] | None = None) -> None:
    """Validate params.yaml and the profile; UserError names file, key, value and allowed values."""
    args = cli.parse(argv, __doc__, [], optional=["out"], defaults={"params": "params.yaml", "profiles": "profiles"})
    values, profile = params.check(args.params, args.profiles)
    prerequisites.check(values, profile, args.profiles.parent / ".dvc")
    if args.out:
        write_text(args.out, "checked\n")
    log.info(describe(values, args.params, args.profiles / f"{values.profile}.yaml"))
