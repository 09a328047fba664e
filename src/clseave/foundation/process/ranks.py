"""Which of how many processes this one is, as torchrun's environment says, and which stages take more than one.

Without torchrun there is one process. Nothing here loads torch: a stage that refuses does so in its first moment.
That one process reports for all is our own: torchrun shows what torch's `record` writes in a table of many lines, once
for each process that failed, and `record` loads torch.
"""

import hashlib
import os
import socket
import sys
import time
from collections.abc import Mapping

from clseave.foundation.errors import UserError

LAUNCHED = "TORCHELASTIC_RUN_ID"  # torchrun sets it; a scheduler may set the other variables for its own ends
SHARED = ("clseave", "clteave")  # the stages whose processes share each batch
# For how long a process that has failed stays; one that another speaks for; and one with an unexpected error. torchrun
# ends the last two before that time is over, or else they say what they have to say.
STAYS_S, SILENT_S, SURPRISED_S = 5.0, 60.0, 10.0

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


def tell(message: object) -> None:
    """Write a line on a failure; of the processes of one machine that fail alike the first one does.

    The others wait for torchrun, which ends all as soon as one has failed. The name of a socket that is no file
    belongs to one process, and is free again when that ends: so it stays a moment, for those that come later.
    """
    line = f"error: {message}\n"
    with socket.socket(socket.AF_UNIX) as claim:
        if size() > 1:
            try:
                claim.bind(f"\0clseave-{os.getppid()}-{hashlib.sha256(line.encode()).hexdigest()[:16]}")
            except OSError:
                time.sleep(SILENT_S)
        sys.stderr.write(line)
        sys.stderr.flush()
        if size() > 1:
            time.sleep(STAYS_S)


def let_cause_speak() -> None:
    """Before an unexpected error is shown: it may follow from another process's end, which torchrun then knows."""
    if size() > 1:
        time.sleep(SURPRISED_S)
