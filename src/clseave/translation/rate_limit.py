"""Rate limit of requests, shared by all threads."""

import threading
import time

from clseave.translation.answers import ServiceError


class Pace:
    """A rate limit and pauses that apply to all threads together."""

    def __init__(self, per_second: float):
        """Let at most `per_second` calls of `wait` return per second."""
        self.stopped = threading.Event()
        self._interval = 1 / per_second
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Block until the next request may be sent. ServiceError when the run has been stopped."""
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
        """Send no request for the next `seconds`."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)
