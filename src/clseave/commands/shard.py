"""Do one share of a stage's work, with the arguments that dvc.yaml gives the stage. Any scheduler can start it.

  %(prog)s encode_images@thesis 1/4

The stage is named as `dvc repro` names it; without what follows the `@` where there is but one. Stages that can be
shared out: encode_images, translate, translate_back, align_words. When all shares have ended, `dvc repro` finds what
they did, does what is missing, and writes the output. Its inputs must be there: run or pull the stages before it first.
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
    """Return the command's options."""
    made = cli.parser(__doc__)
    made.add_argument("stage", metavar="STAGE", help="as in dvc.yaml, for example translate@thesis-de")
    made.add_argument("shard", metavar="I/N", help="the I-th of N shares, counted from 1")
    return made


def choose(wanted: str, commands: dict[str, str]) -> str:
    """Return the one stage that is meant. UserError says which there are."""
    found = [name for name in commands if wanted in (name, name.partition("@")[0])]
    if len(found) == 1:
        return found[0]
    raise UserError(
        f"stage: found {wanted!r}, expected one of {', '.join(found or commands)}: those that can be shared out in the "
        "profile and languages of params.yaml"
    )


def read_commands() -> tuple[str, dict[str, str]]:
    """Return the root of the repository, and the commands of the stages that can be shared out, as DVC reads dvc.yaml.

    UserError when it cannot be read.
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
    """Become the stage's own process, so that signals and the exit code are the stage's."""
    options = parser().parse_args(argv)
    shard = shards.parse(options.shard)
    root, commands = read_commands()
    words = shlex.split(commands[choose(options.stage, commands)])
    os.chdir(root)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *words[words.index("src/run.py") :], "--shard", str(shard)])
