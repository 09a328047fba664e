"""Ctrl-C ends a program with one line instead of a traceback, also while its libraries are loaded."""

import signal
import sys
from types import TracebackType

from clseave.foundation.process import ranks

CODE = 128 + signal.SIGINT  # as a shell counts


def end_in_one_line() -> None:
    """From now on a KeyboardInterrupt that nobody handles ends this program with a line and exit code 130."""
    sys.excepthook = _show


def _show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Python's own report of an error that nobody handled, but for an interrupt."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends it at once
    if ranks.first():  # of several processes one speaks
        sys.stderr.write("interrupted: run the same command again to go on\n")
    raise SystemExit(CODE)
