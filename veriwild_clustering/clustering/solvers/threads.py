"""Small matrix products side by side: threads of our own in place of those that BLAS would share one product among."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

__all__ = ["each", "in_order", "threads"]

T = TypeVar("T")

_pool: ContextVar[tuple[ThreadPoolExecutor, int] | None] = ContextVar("_pool", default=None)


@contextmanager
def threads() -> Iterator[None]:
    """Within, `each` and `in_order` work on as many items at once as BLAS has threads, each with one of BLAS's."""
    from threadpoolctl import threadpool_info, threadpool_limits

    n_threads = max((one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"), default=1)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        token = _pool.set((pool, n_threads) if n_threads > 1 else None)
        try:
            yield
        finally:
            _pool.reset(token)


def each(function: Callable[[Any], T], items: Iterable[Any]) -> list[T]:
    """Return the function of each item; a free thread takes the next one."""
    current = _pool.get()
    return list(map(function, items) if current is None else current[0].map(function, items))


def in_order(function: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
    """Return the function of each item, as `each` does; each thread takes a run of them, which costs less."""
    current = _pool.get()
    if current is None or len(items) < 2:
        return list(map(function, items))
    pool, n_threads = current
    step = -(-len(items) // n_threads)
    runs = pool.map(lambda start: list(map(function, items[start : start + step])), range(0, len(items), step))
    return [result for run in runs for result in run]
