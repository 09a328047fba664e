"""A server that has the libraries loaded and forks for each stage: `prove_exact.py --preload` starts one per machine.

Under emulation an interpreter needs half a minute to load torch and transformers, and most stages of profile `tiny`
need less than that for their own work. The libraries are loaded as the stages' own imports load them; the stages' code
is not kept, so each fork loads it anew. A fork signs the list with the command line that it stands for.

It prints the port on which it listens (on 127.0.0.1 only). A request is one line of JSON, `[log, script, argument,
...]`; the answer is the script's exit code, or nothing when the fork was killed. When its standard input ends, with
whoever started it, so do it and its forks.
"""

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback
from pathlib import Path

import sitecustomize  # the one beside this file


def preload(package: Path) -> None:
    """Pin the numerics, import what the stages below a package's folder import, and forget the package itself."""
    sys.path.insert(0, str(package.parent))
    importlib.import_module(f"{package.name}.numerics").pin()
    for path in sorted((package / "stages").glob("[!_]*.py")):
        importlib.import_module(f"{package.name}.stages.{path.stem}")
    for name in [name for name in sys.modules if name.partition(".")[0] == package.name]:
        del sys.modules[name]
    del sys.path[0]


def run_script(script: str, *arguments: str) -> int:
    """The exit code of a script that runs in this process as `python SCRIPT ARGUMENT...` would run it."""
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(Path(script).resolve().parent))
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            sys.stderr.write(f"{end.code}\n")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def answer(connection: socket.socket) -> None:
    """In a fork: run what one request asks for, with its output in the log, and end."""
    code = 1
    try:
        log, *command = json.loads(connection.makefile().readline())
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sitecustomize.sign(os.environ["EXACT_PROCESSES"], os.environ["EXACT_CPU"], command)
        code = run_script(*command)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        connection.sendall(f"{code}\n".encode())
    finally:
        os._exit(code)


def main() -> None:
    """Load, print the port, and fork for each request until killed, or until the standard input ends."""
    if (package := Path("src", "clseave")).is_dir():
        preload(package.resolve())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.create_server(("127.0.0.1", 0)) as server:
        sys.stdout.write(f"{server.getsockname()[1]}\n")
        sys.stdout.flush()
        while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:
            connection, _ = server.accept()
            with contextlib.closing(connection):
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    server.close()
                    answer(connection)
    os.killpg(0, signal.SIGKILL)  # it leads a group of its own


if __name__ == "__main__":
    main()
