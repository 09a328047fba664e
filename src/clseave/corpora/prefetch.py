"""Threads that work ahead of their reader, for work that waits for disks or releases the interpreter lock."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

THREADS = min(8, len(os.sched_getaffinity(0)))

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(function: Callable[[Item], Result], items: Iterable[Item], depth: int) -> Iterator[Result]:
    """Yield `function` of each item in order, computed by threads up to `depth` items ahead of the reader."""
    pool = ThreadPoolExecutor(THREADS)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
