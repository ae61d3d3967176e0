"""Threads that work through numbered tasks, and what is left undone when one of them raises."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

__all__ = ["worked_off"]


def worked_off(n_tasks: int, work: Callable[[int, threading.Event], None], *, n_threads: int) -> Generator[None]:
    """Yield once per task done; `work` is called with its number and an event that tells when to stop.

    Tasks begin in order. Where one raises, or whoever reads this stops, no further task begins; those under way are
    awaited, and the first error is raised.
    """
    stop, finished = threading.Event(), SimpleQueue[BaseException | None]()
    numbers, lock = iter(range(n_tasks)), threading.Lock()

    def run() -> None:
        while not stop.is_set():
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                work(number, stop)
            except BaseException as error:  # whatever it is, it belongs to the thread that waits for the work
                stop.set()
                finished.put(error)
                return
            finished.put(None)

    with ThreadPoolExecutor(max(1, min(n_threads, n_tasks))) as pool:
        try:
            for _ in range(min(n_threads, n_tasks)):
                pool.submit(run)
            for _ in range(n_tasks):
                error = finished.get()
                if error is not None:
                    raise error
                yield
        finally:
            stop.set()
