"""Rank and number of processes in torchrun's environment, and the stages that may run as several processes.

Without torchrun there is one process. Nothing here imports torch, so that a stage can refuse at once. That a single
process reports a failure is implemented here, because torch's `record` imports torch and makes torchrun print a long
table for each failed process.
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
# Seconds that a failed process sleeps so that one process reports: the reporting process, a process with the same
# error, a process with an unexpected error. torchrun usually ends the last two meanwhile; else they report as well.
STAYS_S, SILENT_S, SURPRISED_S = 5.0, 60.0, 10.0

BATCH_NORM = (
    "the batch norm of its head takes mean and variance over a whole batch, and each process would see a part of it "
    "only, which is another model"
)
SAME_FILES = "each process would do the same work and write the same files"
REASONS = {"finetune_clip_ve": BATCH_NORM, "finetune_baseline": BATCH_NORM}


def size(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of processes that torchrun started on all machines; 1 without torchrun."""
    return _number(environment, "WORLD_SIZE", 1)


def rank(environment: Mapping[str, str] = os.environ) -> int:
    """Return the rank of this process among all, from 0."""
    return _number(environment, "RANK", 0)


def local_rank(environment: Mapping[str, str] = os.environ) -> int:
    """Return the rank of this process on its machine, from 0, which is also the number of its GPU."""
    return _number(environment, "LOCAL_RANK", 0)


def first(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process is the one that logs, validates and writes."""
    return rank(environment) == 0


def one_machine(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether all processes run on this machine."""
    return _number(environment, "LOCAL_WORLD_SIZE", 1) == size(environment)


def _number(environment: Mapping[str, str], name: str, alone: int) -> int:
    """Return a number of torchrun's environment; `alone` without torchrun."""
    return int(environment.get(name, alone)) if LAUNCHED in environment else alone


def require_one(name: str, environment: Mapping[str, str] = os.environ) -> None:
    """Raise UserError when a stage or command is started as several processes but does not support it."""
    count = size(environment)
    if count > 1 and name not in SHARED:
        raise UserError(
            f"{name}: found {count} processes, expected one: {REASONS.get(name, SAME_FILES)}: start it with `python`, "
            f"not with `torchrun`, which is for {' and '.join(SHARED)}"
        )


def print_once(message: object) -> None:
    """Print an error; of the processes of one machine with the same error, only the first prints it.

    An abstract socket named by the error belongs to one process and is released when that process ends, so it serves as
    a lock: the first process binds it, prints, and stays a moment; the others sleep until torchrun ends them.
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


def wait_for_cause() -> None:
    """Sleep before showing an unexpected error: if another process's failure caused it, torchrun ends this one
    meanwhile.
    """
    if size() > 1:
        time.sleep(SURPRISED_S)
