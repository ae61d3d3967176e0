"""When to try again: what the server asks for, else later and later, and nobody before a pause is over."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from veriwild_clustering.core.validation import check_int, check_real

__all__ = ["Patience", "Pause", "asked_wait", "exhausted_wait"]

_LONGEST_BACKOFF = 30.0
_PERIOD = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Patience:
    """How long to wait for an answer, and how often to ask for it.

    Parameters
    ----------
    n_tries : int, default 5
        Requests per question before it is given up.
    timeout : float, default 60
        Seconds within which an answer must be complete.
    first_wait : float, default 0.5
        Seconds before the second request, on average three quarters of it; each further wait is twice as long, at most
        30 seconds.
    max_wait : float, default 300
        The longest that a server may ask to wait; where it asks for more, asking ends.
    random_state : int, optional
        Seed of the waits.

    Raises
    ------
    TypeError, ValueError
        If a value is out of range.
    """

    n_tries: int = 5
    timeout: float = 60.0
    first_wait: float = 0.5
    max_wait: float = 300.0
    random_state: int | None = None

    def __post_init__(self) -> None:
        check_int("n_tries", self.n_tries, low=1)
        check_real("timeout", self.timeout, low=0.001)
        check_real("first_wait", self.first_wait, low=0)
        check_real("max_wait", self.max_wait, low=0)

    def generator(self) -> random.Random:
        """Return what draws the waits."""
        return random.Random(self.random_state)  # noqa: S311

    def wait_after(self, attempt: int, generator: random.Random) -> float:
        """Return the seconds to wait after the given try, counted from 0."""
        longest = min(self.first_wait * 2.0**attempt, _LONGEST_BACKOFF)
        return longest * generator.uniform(0.5, 1)


class Pause:
    """A time before which nobody sends anything, shared by all who ask."""

    def __init__(self) -> None:
        self._until = time.monotonic()
        self._lock = threading.Lock()

    def extend(self, seconds: float) -> None:
        """Let nobody send anything for so many seconds from now."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    def wait(self, stop: threading.Event) -> None:
        """Wait until the pause is over, or `stop` is set."""
        while (left := self._until - time.monotonic()) > 0 and not stop.wait(left):
            pass


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date."""
    if (milliseconds := _number(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "").strip()
    if not text or (seconds := _number(text)) is not None:
        return seconds if text else None
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(aware.tzinfo)).total_seconds())


def exhausted_wait(headers: Mapping[str, str]) -> float:
    """Return the seconds until a limit of requests or tokens that is used up begins anew, 0 where none is."""
    used_up = [
        what for what in ("requests", "tokens") if _number(headers.get(f"x-ratelimit-remaining-{what}", "")) == 0
    ]
    return max((_period(headers.get(f"x-ratelimit-reset-{what}", "")) for what in used_up), default=0.0)


def _period(text: str) -> float:
    """Return the seconds of `6m0s`, `20ms` or `3`; 0 for anything else."""
    number = _number(text)
    if number is not None:
        return number
    return sum(float(amount) * _SECONDS[unit] for amount, unit in _PERIOD.findall(text))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
