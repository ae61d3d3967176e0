"""Small matrix products side by side: threads of our own in place of those that BLAS would share one product among."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

__all__ = ["as_done", "each", "threads"]

T = TypeVar("T")

_pool: ContextVar[ThreadPoolExecutor | None] = ContextVar("_pool", default=None)


@contextmanager
def threads() -> Iterator[int]:
    """Within, `each` works on as many items at once as BLAS has threads, each with one of BLAS's; gives that number."""
    from threadpoolctl import threadpool_info, threadpool_limits

    n_threads = max((one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"), default=1)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        token = _pool.set(pool if n_threads > 1 else None)
        try:
            yield n_threads
        finally:
            _pool.reset(token)


def each(function: Callable[[Any], T], items: Iterable[Any]) -> list[T]:
    """Return the function of each item; a free thread takes the next one."""
    return list(as_done(function, items))


def as_done(function: Callable[[Any], T], items: Iterable[Any]) -> Iterator[T]:
    """Yield the function of each item, in their order, as soon as it is there."""
    pool = _pool.get()
    return map(function, items) if pool is None else pool.map(function, items)
