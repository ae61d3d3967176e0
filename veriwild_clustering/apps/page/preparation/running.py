"""Long work that is under way: the same is not begun twice, and no more than a few at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from veriwild_clustering.apps.page.problems import BusyError

__all__ = ["Running"]


class Running:
    """The keys of what is under way.

    Parameters
    ----------
    most : int
        How many may run at once, so that threads are left for everybody else.

    Examples
    --------
    >>> running = Running(most=2)
    >>> with running.claimed("a", already="Wait.", too_many="Later."), running.claimed("b", already="", too_many=""):
    ...     running.n_running
    2
    """

    def __init__(self, *, most: int = 2) -> None:
        self._most, self._lock = most, Lock()
        self._keys: set[str] = set()

    @property
    def n_running(self) -> int:
        """How many are under way."""
        return len(self._keys)

    @contextmanager
    def claimed(self, key: str, *, already: str, too_many: str) -> Iterator[None]:
        """Hold a key while the block runs; BusyError, with one of the messages, if that is not possible now."""
        with self._lock:
            if key in self._keys:
                raise BusyError(already)
            if len(self._keys) >= self._most:
                raise BusyError(too_many)
            self._keys.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._keys.discard(key)
