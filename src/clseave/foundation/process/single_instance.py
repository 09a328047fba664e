"""A stage that DVC starts works alone: it ends when DVC does, and waits for one that an earlier DVC left behind.

DVC removes a stage's outputs before it starts the stage, and its own locks forget a DVC that was killed: without this
an orphan would write into the next run. Nothing is done for a stage that a person starts. Of the processes that
torchrun starts for one stage each ends with DVC and with torchrun, and the first, which alone writes, stands for all.
"""

import fcntl
import logging
import os
import select
import shutil
import signal
import threading
from collections.abc import Mapping
from pathlib import Path

from clseave.foundation.process import ranks

log = logging.getLogger(__name__)

VARIABLE = "DVC_STAGE"  # DVC sets it for the command of a stage, and for nothing else
_held: list[int] = []  # locks last as long as the process


def stand_alone(environment: Mapping[str, str], locks: Path) -> None:
    """End with DVC, and be the only process at work on this stage; `locks` is a folder for its lock file."""
    if ranks.size(environment) > 1:
        end_with(os.getppid())  # torchrun, which does not end them when it is killed itself
    if name := environment.get(VARIABLE):
        end_with(launcher())
        if ranks.first(environment) and not lock(locks / f"{name.replace('/', '_')}.lock"):
            remove_outputs(name)  # what the other wrote after DVC had removed them for us


def launcher() -> int:
    """The process that started this stage: the nearest above it that is not part of the stage, as DVC's shell is."""
    process = os.getppid()
    while process > 1 and f"{VARIABLE}=".encode() in _read(process, "environ"):
        process = int(_read(process, "stat").rpartition(b") ")[2].split()[1])
    return process


def _read(process: int, name: str) -> bytes:
    """A file of /proc; empty when the process is gone or another user's."""
    try:
        return Path(f"/proc/{process}/{name}").read_bytes()
    except OSError:
        return b""


def end_with(process: int) -> None:
    """Kill this process as soon as that one ends. Not a signal of the kernel: DVC's shell may stand between the two."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGKILL)
        return
    threading.Thread(target=_watch, args=(handle,), daemon=True).start()


def _watch(handle: int) -> None:
    """Wait for the end of a process, which makes its handle readable."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.poll()
    os.kill(os.getpid(), signal.SIGKILL)


def lock(path: Path) -> bool:
    """Take a lock until this process ends; False when another process had to end first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    _held.append(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except BlockingIOError:
        free = False
        other = os.pread(handle, 20, 0).decode(errors="replace").strip()
        log.warning("%s: process %s of an earlier run is still at work: waiting for its end", path.stem, other)
        fcntl.flock(handle, fcntl.LOCK_EX)
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return free


def remove_outputs(name: str) -> None:
    """Remove the outputs of a stage of the pipeline in the working folder, as DVC does before it starts one."""
    from dvc.repo import Repo  # a second, which nearly no run has to spend

    with Repo() as repo:
        for out in repo.stage.load_one(name=name).outs:
            path = Path(out.fs_path)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
