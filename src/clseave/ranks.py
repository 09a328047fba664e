"""Which of how many processes this one is, as torchrun's environment says, and which stages take more than one.

Without torchrun there is one process. Nothing here loads torch: a stage that refuses does so in its first moment.
"""

import os
import time
from collections.abc import Mapping

from clseave.errors import UserError

LAUNCHED = "TORCHELASTIC_RUN_ID"  # torchrun sets it; a scheduler may set the other variables for its own ends
SHARED = ("clseave", "clteave")  # the stages whose processes share each batch
GRACE_S = 2.0  # how much longer each of the others waits before it speaks: torchrun ends it meanwhile

BATCH_NORM = (
    "the batch norm of its head takes mean and variance over a whole batch, and each process would see a part of it "
    "only, which is another model"
)
SAME_FILES = "each process would do the same work and write the same files"
REASONS = {"finetune_clip_ve": BATCH_NORM, "finetune_baseline": BATCH_NORM}


def size(environment: Mapping[str, str] = os.environ) -> int:
    """How many processes torchrun has started, on all machines; 1 without it."""
    return _number(environment, "WORLD_SIZE", 1)


def rank(environment: Mapping[str, str] = os.environ) -> int:
    """The number of this process among all, from 0."""
    return _number(environment, "RANK", 0)


def local_rank(environment: Mapping[str, str] = os.environ) -> int:
    """The number of this process among those of its machine, from 0: also that of its GPU."""
    return _number(environment, "LOCAL_RANK", 0)


def first(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is the one that logs, validates and writes."""
    return rank(environment) == 0


def one_machine(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether all processes are on this machine."""
    return _number(environment, "LOCAL_WORLD_SIZE", 1) == size(environment)


def _number(environment: Mapping[str, str], name: str, alone: int) -> int:
    """A number of torchrun's environment."""
    return int(environment.get(name, alone)) if LAUNCHED in environment else alone


def require_one(name: str, environment: Mapping[str, str] = os.environ) -> None:
    """UserError when a stage or command is started as several processes and is not made for it."""
    count = size(environment)
    if count > 1 and name not in SHARED:
        raise UserError(
            f"{name}: found {count} processes, expected one: {REASONS.get(name, SAME_FILES)}: start it with `python`, "
            f"not with `torchrun`, which is for {' and '.join(SHARED)}"
        )


def let_first_speak(*, cause: bool) -> None:
    """Before an error is shown: where all fail alike, or one because of another, one message is enough.

    torchrun ends all processes as soon as one has failed, so those that wait stay silent. Longest waits the process
    whose error may be the consequence (`cause` False), such as a connection that another one has closed.
    """
    if size() > 1:
        time.sleep(GRACE_S * ((not first()) + 2 * (not cause)))
