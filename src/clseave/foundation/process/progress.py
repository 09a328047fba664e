"""Progress of long loops, with the time left: a bar on a terminal; elsewhere, as in a log file, a line every minute."""

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

LINE_S = 60.0  # seconds between two lines


def time_left(todo: float, speed: float) -> str:
    """The estimated time for what is still to do, of which `speed` is done in a second: "about 1:02:03 left"."""
    if speed <= 0:
        return "time left unknown"
    return f"about {timedelta(seconds=round(max(0, todo) / speed))} left"


def line(what: str, unit: str, *, done: int, total: int, before: int, seconds: float) -> str:
    """A line of progress: `done` of `total`, `before` of which an earlier run did, the others in these seconds."""
    speed = (done - before) / seconds if seconds > 0 else 0.0
    return f"{what}: {done:,} of {total:,} {unit}, {time_left(total - done, speed)}"


def stage_prefix() -> str:
    """The stage as DVC names it, such as "clseave@mini-de-0: "; empty where DVC did not start this process."""
    name = os.environ.get(single_instance.VARIABLE)
    return f"{name}: " if name else ""


class Lines(tqdm):
    """Progress as lines of the log."""

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Log a line; tqdm calls this whenever it would draw its bar anew, and with an empty text to clear it."""
        state = self.format_dict
        if msg is None:
            numbers = {"done": state["n"], "total": state["total"], "before": state["initial"]}
            log.info(line(state["prefix"], state["unit"], seconds=state["elapsed"], **numbers))
        return True


def bar(
    rows: Iterable[Any] | None = None, *, desc: str, total: int, unit: str, initial: int = 0, leave: bool = True
) -> tqdm:
    """A tqdm bar, of which `initial` was done before; of several processes the first one shows it."""
    settings = {"desc": desc, "total": total, "unit": unit, "initial": initial, "leave": leave}
    if not ranks.first():
        return tqdm(rows, disable=True)
    if sys.stderr.isatty():
        return tqdm(rows, **settings | {"desc": stage_prefix() + desc, "unit": f" {unit}"})
    times = {"mininterval": LINE_S, "maxinterval": LINE_S, "delay": LINE_S, "miniters": 1}
    return Lines(rows, file=io.StringIO(), **settings, **times)
