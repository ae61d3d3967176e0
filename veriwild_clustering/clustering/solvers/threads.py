"""Small matrix products side by side: threads of our own in place of those that BLAS would share one product among."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

__all__ = ["each", "threads"]

T = TypeVar("T")

_pool: ContextVar[ThreadPoolExecutor | None] = ContextVar("_pool", default=None)


@contextmanager
def threads() -> Iterator[None]:
    """Within, `each` works on as many items at once as BLAS has threads, each with one of BLAS's."""
    from threadpoolctl import threadpool_info, threadpool_limits

    n_threads = max((one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"), default=1)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        token = _pool.set(pool if n_threads > 1 else None)
        try:
            yield
        finally:
            _pool.reset(token)


def each(function: Callable[[Any], T], items: Iterable[Any]) -> list[T]:
    """Return the function of each item; a free thread takes the next one."""
    pool = _pool.get()
    return list(map(function, items) if pool is None else pool.map(function, items))
