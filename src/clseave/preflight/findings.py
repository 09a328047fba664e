"""Checks of a machine and what they find: run side by side, none stops another, told as an aligned list."""

import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import Literal

from clseave.foundation.errors import UserError

State = Literal["ok", "missing", "note"]
WIDTH, STATE, TOPIC, ARROW = 110, 9, 13, "      -> "  # columns of a line and its first two words; before a remedy


@dataclass(frozen=True)
class Finding:
    """What one check saw, and the one command or action that fixes it."""

    state: State
    found: str
    fix: str = ""


@dataclass(frozen=True)
class Check:
    """One need. `look` gives None where there is no such need.

    `late` is the finding of a check that waits for a host or a disk, when it takes too long; a check without one is
    waited for.
    """

    topic: str
    look: Callable[[], Finding | None]
    late: Finding | None = None


def run_checks(checks: Sequence[Check], seconds: float) -> dict[str, Finding]:
    """Findings by topic, in the order of `checks`. Nobody waits longer than `seconds` for those that may be late."""
    found: dict[str, Finding | None] = {check.topic: check.late for check in checks}
    deadline = time.monotonic() + seconds

    def look(check: Check) -> None:
        found[check.topic] = _safely(check)

    # Daemons: a name server that never answers must not keep the program from ending.
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
    """One check; whatever goes wrong in it is its finding."""
    try:
        return check.look()
    except UserError as error:
        return Finding("note", f"not looked at: {error}")
    except Exception as error:
        return Finding("missing", f"the check itself failed: {type(error).__name__}: {error}", "report this line")


def missing(found: Mapping[str, Finding]) -> int:
    """How many needs are not met."""
    return sum(finding.state == "missing" for finding in found.values())


def aligned(found: Mapping[str, Finding]) -> list[str]:
    """State, topic and text of each finding, then what fixes it; no line is wider than `WIDTH`, but for a long word."""
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
