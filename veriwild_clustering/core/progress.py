"""One progress bar for all long work: shown in a terminal and in a notebook, silent elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm.auto import tqdm

__all__ = ["track"]

T = TypeVar("T")


def _is_watched() -> bool:
    """Tell whether somebody sees the bar: a terminal, or a live notebook kernel."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def track(items: Iterable[T], *, description: str, total: int | None = None, show: bool | None = None) -> Iterator[T]:
    """Yield `items` behind a progress bar; `show=None` decides by whether anybody watches."""
    visible = _is_watched() if show is None else show
    yield from tqdm(items, desc=description, total=total, disable=not visible, leave=False)
