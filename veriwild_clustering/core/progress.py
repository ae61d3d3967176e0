"""One progress bar for all long work: shown in a terminal and in a notebook, silent elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["track"]

T = TypeVar("T")


def _is_watched() -> bool:
    """Tell whether somebody sees the bar: a terminal or a live notebook, unless tqdm is told to be silent."""
    if os.environ.get("TQDM_DISABLE", "0") not in {"", "0"}:  # as when a notebook is executed to be kept
        return False
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def track(items: Iterable[T], *, description: str, total: int | None = None, show: bool | None = None) -> Iterator[T]:
    """Yield `items` behind a progress bar; `show=None` decides by whether anybody watches."""
    if not (_is_watched() if show is None else show):
        yield from items
        return
    from tqdm.auto import tqdm

    yield from tqdm(items, desc=description, total=total, leave=False)
