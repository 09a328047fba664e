"""Progress of long loops with the estimated time left: a bar on a terminal, otherwise one log line per minute."""

import io
import logging
import os
import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from tqdm import tqdm

from clseave.foundation.process import ranks, single_instance

log = logging.getLogger(__name__)

LINE_S = 60.0  # seconds between two log lines


def time_left(todo: float, speed: float) -> str:
    """Return the estimated time for `todo` units at `speed` units per second, such as "about 1:02:03 left"."""
    if speed <= 0:
        return "time left unknown"
    return f"about {timedelta(seconds=round(max(0, todo) / speed))} left"


def line(what: str, unit: str, *, done: int, total: int, before: int, seconds: float) -> str:
    """Return a line of progress: `done` of `total`; `before` were done by an earlier run, the others in `seconds`."""
    speed = (done - before) / seconds if seconds > 0 else 0.0
    return f"{what}: {done:,} of {total:,} {unit}, {time_left(total - done, speed)}"


def stage_prefix() -> str:
    """Return the stage's name in DVC, such as "clseave@mini-de-0: "; empty when DVC did not start this process."""
    name = os.environ.get(single_instance.VARIABLE)
    return f"{name}: " if name else ""


class Lines(tqdm):
    """A tqdm bar that logs lines instead of drawing."""

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Log a line; tqdm calls this to redraw its bar, with an empty text to clear it."""
        state = self.format_dict
        if msg is None:
            numbers = {"done": state["n"], "total": state["total"], "before": state["initial"]}
            log.info(line(state["prefix"], state["unit"], seconds=state["elapsed"], **numbers))
        return True


def bar(
    rows: Iterable[Any] | None = None, *, desc: str, total: int, unit: str, initial: int = 0, leave: bool = True
) -> tqdm:
    """Return a tqdm bar that starts at `initial`; of several processes, only the first shows it."""
    settings = {"desc": desc, "total": total, "unit": unit, "initial": initial, "leave": leave}
    if not ranks.first():
        return tqdm(rows, disable=True)
    if sys.stderr.isatty():
        return tqdm(rows, **settings | {"desc": stage_prefix() + desc, "unit": f" {unit}"})
    times = {"mininterval": LINE_S, "maxinterval": LINE_S, "delay": LINE_S, "miniters": 1}
    return Lines(rows, file=io.StringIO(), **settings, **times)
