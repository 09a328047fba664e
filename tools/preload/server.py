"""A process that has the libraries of the stages loaded, and forks for each command that client.py sends.

    python server.py FOLDER SOURCE

It listens on FOLDER/socket. The libraries are loaded through the imports of the code in SOURCE; that code itself is
dropped, so that each fork loads it again. A fork takes over working folder, umask, environment, parent and standard
streams of the client. It refuses when a variable differs that a library may have read at import. When the client ends
first, its fork is killed; when this process is killed, so are its forks. When its standard input is closed, because the
process that started it has ended, it exits after its last fork.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import re
import runpy
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Variables that no library reads at import; all others must be equal in server and client.
LATE = re.compile(r"(DVC|CLSEAVE)_|(PATH|PWD|OLDPWD|SHLVL|_)$")
FORK_SAFE = {"jemalloc_bg_thd"}  # threads that their library restarts in a fork: pyarrow's memory allocator
PARENT_DEATH = 1  # PR_SET_PDEATHSIG


def load(source: Path) -> None:
    """Import what the stages in a folder import, with the environment of its run.py, then drop the folder's own
    modules.
    """
    before = list(sys.path)
    sys.path[0] = str(source)
    gc.disable()
    run = importlib.import_module("run")
    run.set_environment()
    for path in sorted((source / "clseave" / "stages").glob("[!_]*.py")):
        importlib.import_module(f"clseave.stages.{path.stem}")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("clseave", "run")]:
        del sys.modules[name]
    sys.path[:], sys.excepthook = before, sys.__excepthook__
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # undo colorama's wrappers
    gc.freeze()
    gc.enable()


def become(script: str, *arguments: str) -> None:
    """Run a script in this process as `python SCRIPT ARGUMENT...` would; raise what it raises, also SystemExit."""
    tempfile.tempdir = None  # so that TMPDIR is read again
    # Reseed, as all forks share these states; Python reseeds `random` itself after a fork.
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if torch := sys.modules.get("torch"):
        torch.default_generator.seed()
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).resolve().parent)
    runpy.run_path(script, run_name="__main__")


def run(*command: str) -> int:
    """Run a command in this process, perform the usual clean-up of an interpreter, and return the exit code.

    Only the teardown of all modules, which takes longer than many stages, is omitted: exit by `os._exit` with the code.
    """
    code: object = 0
    try:
        try:
            become(*command)
        except (Exception, KeyboardInterrupt):
            code = 1
            sys.excepthook(*sys.exc_info())  # may raise SystemExit
    except SystemExit as end:
        code = end.code
    if not isinstance(code, int | None):
        sys.stderr.write(f"{code}\n")
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code or 0


@dataclass
class Server:
    """The sources of events: requests, standard input, and for each fork its client and its end."""

    listener: socket.socket
    started: dict[str, str]  # the environment before any library was loaded
    forks: dict[int, int] = field(default_factory=dict)  # process id by pidfd, which signals its end
    clients: dict[int, socket.socket] = field(default_factory=dict)  # by the same pidfd

    def serve(self) -> list[str] | None:
        """Fork for each request until all is done, then return None; in a fork, return the command to run."""
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        poll.register(0, 0)  # a closed standard input (POLLHUP) is always reported
        listening = True
        while listening or self.forks:
            handle = poll.poll()[0][0]  # one event at a time: handling it may close other descriptors
            if handle == 0:
                listening = False
                poll.unregister(0)
                poll.unregister(self.listener)
            elif handle == self.listener.fileno():
                client = self.listener.accept()[0]
                process = os.fork()
                if not process:
                    return self.take_over(client)
                end = os.pidfd_open(process)
                self.forks[end], self.clients[end] = process, client
                poll.register(end, select.POLLIN)
                poll.register(client, 0)
            elif handle in self.forks:
                with contextlib.suppress(KeyError):
                    poll.unregister(self.clients[handle])
                poll.unregister(handle)
                self.report(handle)
            else:  # a client has ended
                poll.unregister(handle)
                end = next(end for end, client in self.clients.items() if client.fileno() == handle)
                os.kill(self.forks[end], signal.SIGKILL)
        return None

    def report(self, end: int) -> None:
        """Send a client the status with which its fork ended."""
        _, status = os.waitpid(self.forks.pop(end), 0)
        os.close(end)
        with self.clients.pop(end) as client, contextlib.suppress(OSError):  # the client may be gone
            client.sendall(f"{status}\n".encode())

    def take_over(self, client: socket.socket) -> list[str]:
        """In a fork: take over what the client would have inherited and return its command; exit when that is
        impossible.
        """
        ctypes.CDLL(None).prctl(PARENT_DEATH, signal.SIGKILL)
        os.setsid()
        self.listener.close()
        for end, other in self.clients.items():
            os.close(end)
            other.close()
        text, streams, _, _ = socket.recv_fds(client, 1 << 20, 3)
        while not text.endswith(b"\n"):
            more = client.recv(1 << 20)
            if not more:  # the client was killed
                os._exit(1)
            text += more
        request = json.loads(text)
        if different := self.differences(request["environment"]):
            client.sendall(json.dumps({"refused": f"{', '.join(different)} differ"}).encode() + b"\n")
            os._exit(0)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        self.inherit(request)
        client.sendall(json.dumps({"process": os.getpid()}).encode() + b"\n")
        client.close()
        return request["words"]

    def differences(self, environment: dict[str, str]) -> list[str]:
        """Return the names of variables that differ from those at the time the libraries were loaded."""
        names = sorted(self.started.keys() | environment.keys())
        return [name for name in names if self.started.get(name) != environment.get(name) and not LATE.match(name)]

    def inherit(self, request: dict[str, Any]) -> None:
        """Set working folder, umask, environment, and the parent process, which `process.single_instance` reads."""
        os.chdir(request["folder"])
        os.umask(request["umask"])
        loaded = {name: value for name, value in os.environ.items() if self.started.get(name) != value}
        os.environ.clear()
        os.environ.update(request["environment"] | loaded)
        own, parent = os.getpid(), os.getppid
        os.getppid = lambda: request["parent"] if os.getpid() == own else parent()


def fault() -> str:
    """Return why this process must not fork; empty when it may."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    names.remove(Path("/proc/self/comm").read_text().strip())
    if odd := set(names) - FORK_SAFE:
        return f"a library started a thread while it was loaded: {', '.join(sorted(odd))}"
    torch = sys.modules.get("torch")
    return "a library initialised CUDA while it was loaded" if torch and torch.cuda.is_initialized() else ""


def main() -> list[str]:
    """Listen, load the libraries, and serve. Return only in a fork, with the command to run."""
    folder, source, started = Path(sys.argv[1]), Path(sys.argv[2]), dict(os.environ)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen(64)
    sys.stdout.write("\n")
    sys.stdout.flush()
    load(source)
    if why := fault():
        sys.exit(why)
    command = Server(listener, started).serve()
    if command is None:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)
    return command


if __name__ == "__main__":
    os._exit(run(*main()))
