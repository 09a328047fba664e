"""Compute one shard of a stage's work, with the stage's arguments from dvc.yaml. Any scheduler can start it.

  %(prog)s encode_images@thesis 1/4

The stage is named as in `dvc repro`; the part from `@` on may be omitted when it is unique. Stages with shards:
encode_images, translate, translate_back, align_words. When all shards have ended, `dvc repro` reuses their results,
computes what is missing, and writes the output. The stage's inputs must exist: run or pull the earlier stages first.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from clseave.foundation.errors import UserError
from clseave.foundation.process import cli, shards

STAGES = ("encode_images", "translate", "translate_back", "align_words")


def parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    made = cli.parser(__doc__)
    made.add_argument("stage", metavar="STAGE", help="as in dvc.yaml, for example translate@thesis-de")
    made.add_argument("shard", metavar="I/N", help="the I-th of N shards, counted from 1")
    return made


def choose(wanted: str, commands: dict[str, str]) -> str:
    """Return the one stage that `wanted` names. UserError when none or several match; it lists the possible names."""
    found = [name for name in commands if wanted in (name, name.partition("@")[0])]
    if len(found) == 1:
        return found[0]
    raise UserError(
        f"stage: found {wanted!r}, expected one of {', '.join(found or commands)}: the stages with shards in the "
        "profile and languages of params.yaml"
    )


def read_commands() -> tuple[str, dict[str, str]]:
    """Return the root of the repository, and the commands of the stages with shards in dvc.yaml, by name.

    UserError when dvc.yaml cannot be read.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            stages = [stage for stage in repo.index.stages if getattr(stage, "name", None)]
            commands = {stage.name: stage.cmd for stage in stages if stage.name.partition("@")[0] in STAGES}
            return repo.root_dir, commands
    except DvcException as error:
        raise UserError(f"dvc.yaml cannot be read: {error}") from error


def main(argv: Sequence[str] | None = None) -> None:
    """Replace this process by the stage's, so that signals and the exit code are the stage's."""
    options = parser().parse_args(argv)
    shard = shards.parse(options.shard)
    root, commands = read_commands()
    words = shlex.split(commands[choose(options.stage, commands)])
    os.chdir(root)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *words[words.index("src/run.py") :], "--shard", str(shard)])
