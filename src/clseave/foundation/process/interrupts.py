"""Ctrl-C ends a program with one line instead of a traceback, even while its libraries are loading."""

import signal
import sys
from types import TracebackType

from clseave.foundation.process import ranks

CODE = 128 + signal.SIGINT  # the exit code a shell reports for a signal


def end_in_one_line() -> None:
    """Install a hook that ends this program with one line and exit code 130 on an unhandled KeyboardInterrupt."""
    sys.excepthook = _show


def _show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Report an unhandled exception as Python does, except for an interrupt."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends the program at once
    if ranks.first():  # of several processes, only the first prints
        sys.stderr.write("interrupted: run the same command again to go on\n")
    raise SystemExit(CODE)
