"""Run a stage as src/run.py does, and let the disk fail at each of its writes: `failing_disk.py PLAN STAGE ...`.

Whenever the stage is about to open a file for writing, to make a folder or to hand one to a library that writes by
itself (safetensors, tokenizers), this process forks. For the child the disk then fails, for real where the system
allows it, and it goes on: what it says, its exit code and what it leaves are noted. Then all is put back and the stage
itself goes on, to the next write. So one run of a stage shows every failure, without the work before it done again.

PLAN is a JSON file: `report` (a file for one JSON line per failure), `faults` (the first of them at every write, but
at every seventh of a stage with many; the others at every seventh), `mounted` (whether the working folder is a file
system of its own), `environment` (the stage's variables beside ours).
"""

import ctypes
import errno
import hashlib
import json
import os
import resource
import runpy
import select
import shutil
import signal
import sys
import time
from concurrent import futures
from pathlib import Path

HERE = Path.cwd()
BACKUP, FILLER = HERE / ".backup", HERE / ".filler"
LEFT_ALONE = {".backup", ".filler", ".tmp", "src", ".git", ".dvc"}
NOBODY = 65534
NEW_NAMESPACE, REMOUNT, BIND, READ_ONLY, PRIVATE, RECURSIVE = 0x20000, 32, 4096, 1, 1 << 18, 16384
LONGEST = 90  # seconds that a child may take to give up
MANY, EVERY = 20, 7  # writes


class AtOnce(futures.Executor):
    """Works when it is asked to: a fork takes along the one thread that called it, and would wait for the others."""

    def __init__(self, *_workers, **_names):
        pass

    def submit(self, function, /, *args, **named):
        done = futures.Future()
        try:
            done.set_result(function(*args, **named))
        except BaseException as error:
            done.set_exception(error)
        return done


class Driver:
    """Counts the writes of a stage, and forks at them."""

    def __init__(self, plan: dict):
        self.plan, self.count, self.quiet = plan, 0, False
        self.injected = 0  # an error number that every write meets in a child
        self.child, self.kind = False, ""

    def audit(self, event: str, args: tuple) -> None:
        """What Python calls before it opens a file or makes a folder."""
        if self.quiet or event not in ("open", "os.mkdir") or not isinstance(args[0], str | bytes | os.PathLike):
            return
        path = Path(os.path.abspath(os.fsdecode(args[0])))
        if event == "open" and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            self.at("file", path)
        elif event == "os.mkdir" and path.parent.is_dir() and not path.exists():
            self.at("folder", path)

    def at(self, kind: str, path: Path) -> None:
        """A write: fork once for each fault."""
        if not path.is_relative_to(HERE) or path.relative_to(HERE).parts[0] in LEFT_ALONE or self.quiet:
            return
        if self.injected:
            raise OSError(self.injected, os.strerror(self.injected), str(path))
        self.count, self.kind = self.count + 1, kind
        first, *others = self.plan["faults"]
        often, rarely = self.count <= MANY or self.count % EVERY == 1, self.count % EVERY == 1
        for fault in [*([first] if often else ()), *(others if rarely else ())]:
            self.quiet = True
            before = snapshot()
            keep(before)
            reading, writing = os.pipe()
            sys.stdout.flush()
            sys.stderr.flush()
            child = os.fork()
            if not child:
                self.child = True
                os.dup2(writing, 2)
                os.set_inheritable(2, True)
                os.close(reading)
                self.fail(fault, path)
                return
            os.close(writing)
            said, code = wait(child, reading)
            FILLER.unlink(missing_ok=True)
            note(self.plan["report"], before, {"write": str(path.relative_to(HERE)), "kind": kind, "fault": fault,
                                               "code": code, "said": said})  # fmt: skip
            put_back(before)
            self.quiet = False

    def fail(self, fault: str, path: Path) -> None:
        """In the child: from here on the disk does this; where it cannot be made to, each write meets the error."""
        self.quiet = True
        if fault == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        elif fault == "full" and self.plan["mounted"]:
            fill(FILLER)
        elif fault == "read-only" and self.plan["mounted"]:
            make_read_only(HERE)
        elif fault == "forbidden" and os.geteuid() == 0:
            os.seteuid(NOBODY)
        elif fault == "in the way":
            put_in_the_way(path if self.kind == "folder" else path.parent)
        else:
            numbers = {"full": errno.ENOSPC, "read-only": errno.EROFS, "forbidden": errno.EACCES}
            self.injected, self.quiet = numbers[fault], False
            raise OSError(self.injected, os.strerror(self.injected), str(path))


def wait(child: int, reading: int) -> tuple[str, int]:
    """What a child says on its standard error, and its exit code; -9 when it had to be killed."""
    said, end = b"", time.monotonic() + LONGEST
    while time.monotonic() < end and select.select([reading], [], [], max(0, end - time.monotonic()))[0]:
        block = os.read(reading, 65536)
        if not block:
            break
        said += block
    else:
        os.kill(child, signal.SIGKILL)
    os.close(reading)
    return said.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def files() -> dict[str, Path]:
    """Every file and folder of the working folder that a stage may change."""
    tops = [path for path in HERE.iterdir() if path.name not in LEFT_ALONE]
    found = [one for top in tops for one in (top, *(top.rglob("*") if top.is_dir() else ()))]
    return {str(path.relative_to(HERE)): path for path in found}


def snapshot() -> dict[str, tuple]:
    """What tells that a file was changed, also in place."""
    found = {}
    for name, path in files().items():
        status = path.stat()
        found[name] = (status.st_ino,) if path.is_dir() else (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def keep(before: dict[str, tuple]) -> None:
    """A second name for every file: a whole write makes a new file and leaves the old one as it is."""
    for name in before:
        (BACKUP / name).parent.mkdir(parents=True, exist_ok=True)
        if (HERE / name).is_dir():
            (BACKUP / name).mkdir(exist_ok=True)
        else:
            os.link(HERE / name, BACKUP / name)


def put_back(before: dict[str, tuple]) -> None:
    """Everything as it was before the child, files with the same inode, so that open ones stay connected."""
    for name, path in sorted(files().items(), reverse=True):
        if path.exists() and (name not in before or path.is_dir() != (BACKUP / name).is_dir()):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in sorted(before):
        now, old = HERE / name, BACKUP / name
        if old.is_dir():
            now.mkdir(exist_ok=True)
        elif not now.exists() or now.stat().st_ino != old.stat().st_ino:
            now.unlink(missing_ok=True)
            os.link(old, now)
    shutil.rmtree(BACKUP)


def note(report: str, before: dict[str, tuple], row: dict) -> None:
    """Add a line: what the child said, and every file that is new, gone or changed, with its hash."""
    after = snapshot()
    odd = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    row["changed"] = {
        name: hashlib.md5((HERE / name).read_bytes()).hexdigest() if (HERE / name).is_file() else None
        for name in sorted(odd)
        if not (HERE / name).is_dir()
    }
    row["in_place"] = [name for name in odd if name in before and name in after and before[name][0] == after[name][0]]
    with open(report, "a", encoding="utf-8") as lines:
        lines.write(json.dumps(row) + "\n")


def fill(path: Path) -> None:
    """Take all the room that there is."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    status = os.fstatvfs(handle)
    os.posix_fallocate(handle, 0, status.f_bavail * status.f_frsize)
    os.close(handle)


def make_read_only(folder: Path) -> None:
    """For this process alone, the file system mounted there cannot be written."""
    libc = ctypes.CDLL(None, use_errno=True)
    steps = [
        libc.unshare(NEW_NAMESPACE),
        libc.mount(None, b"/", None, RECURSIVE | PRIVATE, None),
        libc.mount(None, os.fsencode(folder), None, REMOUNT | BIND | READ_ONLY, None),
    ]
    if any(steps):
        raise SystemExit(f"cannot be made read-only: {os.strerror(ctypes.get_errno())}")


def put_in_the_way(path: Path) -> None:
    """A file where a folder is or would be."""
    shutil.rmtree(path, ignore_errors=True)
    path.write_text("in the way")


def watch_libraries(driver: Driver) -> None:
    """Libraries that write in Rust open their files unseen by Python."""
    import safetensors.numpy
    import safetensors.torch
    import tokenizers

    def watched(function, place: int):
        def call(*args, **settings):
            driver.at("library", Path(os.path.abspath(os.fsdecode(args[place]))))
            return function(*args, **settings)

        return call

    for module in (safetensors.numpy, safetensors.torch):
        module.serialize_file = watched(module.serialize_file, 1)
    tokenizers.Tokenizer.save = watched(tokenizers.Tokenizer.save, 1)


def main() -> None:
    """Install the driver and become the stage."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    os.environ.update(plan["environment"])
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in os.environ
    driver = Driver(plan)
    sys.path.insert(0, str(HERE / "src"))
    from clseave.foundation.process import numerics

    numerics.pin()
    watch_libraries(driver)
    futures.ThreadPoolExecutor = AtOnce
    sys.argv = ["src/run.py", *sys.argv[2:]]
    sys.addaudithook(driver.audit)
    try:
        runpy.run_path("src/run.py", run_name="__main__")
    except SystemExit as end:
        if not driver.child:
            raise
        sys.stderr.flush()
        os._exit(int(end.code or 0))  # without the time that libraries take to end


if __name__ == "__main__":
    main()
