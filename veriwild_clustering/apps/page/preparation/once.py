"""What is worked out once for all threads that ask for it, and forgotten again where there would be too much of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

__all__ = ["Once"]

T = TypeVar("T")


class Once(Generic[T]):
    """Values by key: the first thread that asks for one makes it, others that ask meanwhile wait for it.

    A value whose making raised is made anew for the next that asks. Only the `n_kept` values used last are kept.

    Examples
    --------
    >>> squares = Once(n_kept=2)
    >>> squares.get(3, lambda: 9), squares.get(3, lambda: 0), 4 in squares
    (9, 9, False)
    """

    def __init__(self, *, n_kept: int = 64) -> None:
        self._n_kept = n_kept
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._making: dict[Hashable, Lock] = {}
        self._lock = Lock()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of a key, made by `make` if there is none."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            making = self._making.setdefault(key, Lock())
        with making:
            if key in self._values:  # made while this thread waited
                return self._values[key]
            value = make()
            with self._lock:
                self._values[key] = value
                self._making.pop(key, None)
                while len(self._values) > self._n_kept:
                    self._values.popitem(last=False)
        return value
