"""Threads for requests that are under way while their walk goes on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """So many threads, and nobody waits for one at the end.

    A walk that failed is closed by the garbage collector, in whatever thread that runs: to join
    another there may wait for a lock that the very same thread holds (CPython, threading._stop).
    """
    executor = ThreadPoolExecutor(max_workers=workers)
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
