"""The `python` found by a stage's command: sends the command to the server and exits when the stage exits.

    python -I -S client.py FOLDER PYTHON SCRIPT ARGUMENT...

It starts in milliseconds, as it imports little. Signals that ask a stage to end are forwarded; when this process is
killed, the server kills the stage. When the server cannot run the command, this process becomes the interpreter
`PYTHON`.
"""

import contextlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import IO, NoReturn

SENT_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def hand_over(folder: Path, words: list[str]) -> IO[str]:
    """Send the command and everything it would inherit; return the stream of responses. OSError without a server."""
    mask = os.umask(0)
    os.umask(mask)
    inherited = {
        "words": words,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "umask": mask,
        "parent": os.getppid(),
    }
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(folder / "socket"))
    request = json.dumps(inherited).encode() + b"\n"
    sent = socket.send_fds(connection, [request], [0, 1, 2])
    if sent < len(request):  # nothing more to send is no reason to fail when the stage has already ended
        connection.sendall(request[sent:])
    return connection.makefile()


def become(python: str, words: list[str]) -> NoReturn:
    """Replace this process by a new interpreter."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, which a new program would inherit
        signal.signal(number, signal.SIG_DFL)
    os.execv(python, [python, *words])


def say_once(folder: Path, reason: str) -> None:
    """Write one line on standard error, for the first problem only."""
    with contextlib.suppress(OSError):
        os.close(os.open(folder / "said", os.O_CREAT | os.O_EXCL))
        sys.stderr.write(f"note: {reason}: stages load their libraries themselves\n")
        sys.stderr.flush()


def end_as(status: int) -> NoReturn:
    """Exit with the stage's exit code, or by the signal that ended it."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def main() -> None:
    """Send the command to the server and wait for the stage."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    folder, python, words = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if not words or not words[0].endswith(".py") or any(map(os.isatty, (0, 1, 2))):
        become(python, words)
    try:
        answers = hand_over(folder, words)
        first = json.loads(answers.readline() or '{"refused": "the server with the loaded libraries is gone"}')
    except OSError as error:
        first = {"refused": f"the server with the loaded libraries does not answer ({error})"}
    if "refused" in first:
        say_once(folder, first["refused"])
        become(python, words)

    def send_on(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(first["process"], number)

    for number in SENT_ON:
        signal.signal(number, send_on)
    end_as(int(answers.readline() or signal.SIGKILL))  # no response: the server was killed, and its stages with it


if __name__ == "__main__":
    main()
