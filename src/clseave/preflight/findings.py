"""Checks of a machine and their findings: run concurrently, independent of each other, printed as an aligned list."""

import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import Literal

from clseave.foundation.errors import UserError

State = Literal["ok", "missing", "note"]
WIDTH, STATE, TOPIC, ARROW = 110, 9, 13, "      -> "  # widths of a line and of its first two columns; prefix of a fix


@dataclass(frozen=True)
class Finding:
    """The result of a check, with the one command or action that fixes it."""

    state: State
    found: str
    fix: str = ""


@dataclass(frozen=True)
class Check:
    """A requirement and the function that checks it; `look` returns None when the requirement does not apply.

    `late` is the finding when the check, which waits for a host or a disk, exceeds the time limit; None: no time limit.
    """

    topic: str
    look: Callable[[], Finding | None]
    late: Finding | None = None


def run_checks(checks: Sequence[Check], seconds: float) -> dict[str, Finding]:
    """Return the findings by topic, in the order of `checks`; wait at most `seconds` for checks with a time limit."""
    found: dict[str, Finding | None] = {check.topic: check.late for check in checks}
    deadline = time.monotonic() + seconds

    def look(check: Check) -> None:
        found[check.topic] = _safely(check)

    # Daemon threads: a name server that never answers must not keep the program from exiting.
    waiting = [Thread(target=look, args=(check,), daemon=True) for check in checks if check.late]
    for thread in waiting:
        thread.start()
    for check in checks:
        if not check.late:
            look(check)
    for thread in waiting:
        thread.join(max(0.0, deadline - time.monotonic()))
    return {topic: finding for topic, finding in list(found.items()) if finding}


def _safely(check: Check) -> Finding | None:
    """Run one check; turn any error in it into a finding."""
    try:
        return check.look()
    except UserError as error:
        return Finding("note", f"not checked: {error}")
    except Exception as error:
        return Finding("missing", f"the check itself failed: {type(error).__name__}: {error}", "report this line")


def missing(found: Mapping[str, Finding]) -> int:
    """Return the number of requirements that are not met."""
    return sum(finding.state == "missing" for finding in found.values())


def aligned(found: Mapping[str, Finding]) -> list[str]:
    """Return state, topic and text of each finding, then its fix, wrapped to `WIDTH` except for longer words."""
    lines = []
    for topic, finding in found.items():
        start = f"{finding.state:<{STATE}}{topic:<{TOPIC}}"
        lines += _wrapped(finding.found, start, " " * (STATE + TOPIC))
        if finding.fix:
            lines += _wrapped(finding.fix, ARROW, " " * len(ARROW))
    return lines


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
