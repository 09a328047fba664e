"""The rate of requests, which all threads keep together."""

import threading
import time

from clseave.translation.answers import ServiceError


class Pace:
    """The rate of all threads together, and pauses that all of them keep."""

    def __init__(self, per_second: float):
        """At most `per_second` calls of `wait` return in a second."""
        self.stopped = threading.Event()
        self._interval = 1 / per_second
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may go out. Raises when the run is stopped."""
        while True:
            if self.stopped.is_set():
                raise ServiceError("stopped")
            with self._lock:
                now = time.monotonic()
                delay = self._next - now
                if delay <= 0:
                    self._next = now + self._interval
                    return
            self.stopped.wait(delay)

    def pause(self, seconds: float) -> None:
        """No request from now on for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)
