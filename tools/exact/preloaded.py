"""A server that has the libraries loaded and forks for each stage: `prove_exact.py --preload` starts one per machine.

Under emulation an interpreter needs half a minute to load torch and transformers, longer than most stages of profile
`tiny` need for their own work. The libraries are loaded through the stages' own imports; the stages' modules are then
dropped, so that each fork loads them itself. A fork registers in the list of processes with its command line.

It prints the port on which it listens (on 127.0.0.1 only). A request is one line of JSON, `[log, script, argument,
...]`; the response is the script's exit code, or nothing when the fork was killed. When its standard input is closed,
because the process that started it has ended, the server and its forks end too.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

import sitecustomize  # the module in this folder

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from preload.server import load, run

del sys.path[0]


def answer(connection: socket.socket) -> None:
    """In a fork: run the command of one request, with its output in the log, and exit."""
    code = 1
    try:
        log, *command = json.loads(connection.makefile().readline())
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sitecustomize.sign(os.environ["EXACT_PROCESSES"], os.environ["EXACT_CPU"], command)
        code = run(*command)
        connection.sendall(f"{code}\n".encode())
    finally:
        os._exit(code)


def main() -> None:
    """Load the libraries, print the port, and fork for each request until standard input is closed."""
    if Path("src", "clseave").is_dir():
        load(Path("src").resolve())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the forks
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
    os.killpg(0, signal.SIGKILL)  # this process leads the group of its forks


if __name__ == "__main__":
    main()
