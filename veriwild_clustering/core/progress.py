"""One progress bar for all long work: shown in a terminal and in a notebook, silent elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from multiprocessing import parent_process
from typing import TypeVar

__all__ = ["bars", "track"]

T = TypeVar("T")

_asked: ContextVar[bool | None] = ContextVar("bars", default=None)


def track(
    items: Iterable[T],
    *,
    description: str | Callable[[T], str],
    total: int | None = None,
    unit: str = "it",
    per_step: int | None = None,
    show: bool | None = None,
) -> Iterator[T]:
    """Yield `items` behind a progress bar with the time left, under the bars of the loops around it.

    `show=None` does as the `bars` around it says, or else decides by whether anybody watches. The time left needs the
    number of items: `total`, where `items` has no length. A `description` may depend on the item that is worked on.
    The bar counts `unit`s, `per_step` of them in each item.
    """
    show = _asked.get() if show is None else show
    if not (_is_watched() if show is None else show):
        yield from items
        return
    from tqdm.auto import tqdm

    fixed = None if callable(description) else description
    bar = tqdm(items, desc=fixed, total=total, unit=unit, unit_scale=per_step or False, leave=False)
    for item in bar:
        if callable(description):
            bar.set_description(description(item))
        yield item


@contextmanager
def bars(*, show: bool | None) -> Iterator[None]:
    """Show or hide every bar within that is not told itself; None leaves that as it is."""
    token = _asked.set(_asked.get() if show is None else show)
    try:
        yield
    finally:
        _asked.reset(token)


def _is_watched() -> bool:
    """Tell whether somebody sees the bar: a terminal or a live notebook, unless tqdm is told to be silent.

    The bars of worker processes, which share the terminal of the process that started them, would overwrite its own.
    """
    if os.environ.get("TQDM_DISABLE", "0") not in {"", "0"}:  # as when a notebook is executed to be kept
        return False
    return parent_process() is None and (sys.stderr.isatty() or _in_notebook())


def _in_notebook() -> bool:
    kernel = sys.modules.get("ipykernel.kernelapp")
    return kernel is not None and bool(kernel.IPKernelApp.initialized())
