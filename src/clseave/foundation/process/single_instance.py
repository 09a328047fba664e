"""Single instance of each stage: a stage started by DVC ends with DVC, and first waits for an orphan of a killed DVC.

DVC removes a stage's outputs before it starts the stage, and loses its own locks when it is killed: without this
module, an orphan would write into the next run. Stages that a person starts are not affected. Of the processes that
torchrun starts for one stage, each ends with DVC and with torchrun, and only the first, which writes, takes the lock.
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
_held: list[int] = []  # file descriptors of locks, open until the process ends


def ensure_single(environment: Mapping[str, str], locks: Path) -> None:
    """End with DVC, and wait until this is the only process of its stage; `locks` is the folder for its lock file."""
    if ranks.size(environment) > 1:
        exit_with_process(os.getppid())  # torchrun: when it is killed, it does not end its processes
    if name := environment.get(VARIABLE):
        exit_with_process(launcher())
        if ranks.first(environment) and not lock(locks / f"{name.replace('/', '_')}.lock"):
            remove_outputs(name)  # the orphan may have written them after DVC had removed them


def launcher() -> int:
    """Return the process that started this stage: the nearest ancestor outside the stage, skipping the shell of DVC."""
    process = os.getppid()
    while process > 1 and f"{VARIABLE}=".encode() in _read(process, "environ"):
        process = int(_read(process, "stat").rpartition(b") ")[2].split()[1])
    return process


def _read(process: int, name: str) -> bytes:
    """Return the content of a file in /proc; empty when the process is gone or belongs to another user."""
    try:
        return Path(f"/proc/{process}/{name}").read_bytes()
    except OSError:
        return b""


def exit_with_process(process: int) -> None:
    """Kill this process as soon as `process` ends.

    The kernel's parent-death signal would not do: the shell of DVC may be between the two.
    """
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGKILL)
        return
    threading.Thread(target=_watch, args=(handle,), daemon=True).start()


def _watch(handle: int) -> None:
    """Wait until a process ends, which makes its file descriptor readable, then kill this process."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.poll()
    os.kill(os.getpid(), signal.SIGKILL)


def lock(path: Path) -> bool:
    """Take a lock until this process ends. Return False when it first had to wait for another process."""
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
    """Remove the outputs of a stage of the pipeline in the working folder, as DVC does before it starts a stage."""
    from dvc.repo import Repo  # its import takes a second, rarely needed

    with Repo() as repo:
        for out in repo.stage.load_one(name=name).outs:
            path = Path(out.fs_path)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
