"""A process that has the libraries of the stages loaded, and forks for each command that client.py hands to it.

    python server.py FOLDER SOURCE

It listens on FOLDER/socket. The libraries are loaded as the code in SOURCE imports them; that code itself is not
kept, so each fork loads it anew. A fork takes over working folder, umask, environment, parent and standard streams of
the client, and refuses when a variable differs that a library may have read when it was loaded here. When the client
ends first, its fork is killed; when this process is killed, so are its forks. When its standard input ends, with the
process that started it, it ends as soon as its last fork has.
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

# Variables that no library reads while it is loaded; all others must be the same here and there.
LATE = re.compile(r"(DVC|CLSEAVE)_|(PATH|PWD|OLDPWD|SHLVL|_)$")
FORK_SAFE = {"jemalloc_bg_thd"}  # threads that their library sets up anew in a fork: that of pyarrow's memory
PARENT_DEATH = 1  # PR_SET_PDEATHSIG


def load(source: Path) -> None:
    """Import what the stages below a folder import, with the settings of its run.py, and forget its own code."""
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
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # colorama wraps them
    gc.freeze()
    gc.enable()


def become(script: str, *arguments: str) -> None:
    """Run a script in this process as `python SCRIPT ARGUMENT...` would; it ends by SystemExit or another exception."""
    tempfile.tempdir = None  # TMPDIR is read anew
    # Unlike that of `random`, these states are the same in all forks.
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if torch := sys.modules.get("torch"):
        torch.default_generator.seed()
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).resolve().parent)
    runpy.run_path(script, run_name="__main__")


def run(*command: str) -> int:
    """Return the exit code of a command that this process becomes, after what an interpreter does at its end.

    But for the taking apart of all modules, which takes longer than many a stage: call `os._exit` with the code.
    """
    code: object = 0
    try:
        try:
            become(*command)
        except (Exception, KeyboardInterrupt):
            code = 1
            sys.excepthook(*sys.exc_info())  # it may end by SystemExit
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
    """What the process listens to: requests, its standard input, and for each fork the client and the end."""

    listener: socket.socket
    started: dict[str, str]  # the environment before anything was loaded
    forks: dict[int, int] = field(default_factory=dict)  # process by the descriptor that tells its end
    clients: dict[int, socket.socket] = field(default_factory=dict)  # by the same descriptor

    def serve(self) -> list[str] | None:
        """None when all is done; in a fork the command that it is to become."""
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        poll.register(0, 0)  # a closed other end is always told
        listening = True
        while listening or self.forks:
            handle = poll.poll()[0][0]  # one at a time: what is done for it may close others
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
        """Tell a client how its fork ended."""
        _, status = os.waitpid(self.forks.pop(end), 0)
        os.close(end)
        with self.clients.pop(end) as client, contextlib.suppress(OSError):  # the client may be gone
            client.sendall(f"{status}\n".encode())

    def take_over(self, client: socket.socket) -> list[str]:
        """In a fork: take over what the client would have inherited; gives its command. Ends where that cannot be."""
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
        """Return names of the variables that differ from those with which the libraries were loaded."""
        names = sorted(self.started.keys() | environment.keys())
        return [one for one in names if self.started.get(one) != environment.get(one) and not LATE.match(one)]

    def inherit(self, request: dict[str, Any]) -> None:
        """Working folder, umask, environment, and parent, which `process.single_instance` asks for."""
        os.chdir(request["folder"])
        os.umask(request["umask"])
        loaded = {name: value for name, value in os.environ.items() if self.started.get(name) != value}
        os.environ.clear()
        os.environ.update(request["environment"] | loaded)
        own, parent = os.getpid(), os.getppid
        os.getppid = lambda: request["parent"] if os.getpid() == own else parent()


def fault() -> str:
    """Why this process must not fork; empty where it may."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    names.remove(Path("/proc/self/comm").read_text().strip())
    if odd := set(names) - FORK_SAFE:
        return f"a library started a thread while it was loaded: {', '.join(sorted(odd))}"
    torch = sys.modules.get("torch")
    return "a library initialised CUDA while it was loaded" if torch and torch.cuda.is_initialized() else ""


def main() -> list[str]:
    """Listen, load, serve; returns in forks, with the command that it is to become."""
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
