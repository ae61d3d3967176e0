"""What asking takes: requests, tokens and money, estimated before, counted meanwhile, and never above a limit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from veriwild_clustering.core.html import card

__all__ = ["Budget", "Prices", "Reservation", "Usage", "text_tokens"]

_BYTES_PER_TOKEN = 4
_MARGIN = 1.25  # on what questions have been seen to take beyond the estimate


def text_tokens(*texts: str) -> int:
    """Return about how many tokens texts have: one per four bytes of UTF-8."""
    return -(-sum(len(text.encode("utf-8", "replace")) for text in texts) // _BYTES_PER_TOKEN)


@dataclass(frozen=True)
class Prices:
    """Money per million tokens, in whatever currency.

    Parameters
    ----------
    input, output : float
        Of what is sent and of what comes back.
    """

    input: float = 0.0
    output: float = 0.0

    def of(self, n_input: float, n_output: float) -> float:
        """Return what so many tokens cost."""
        return (n_input * self.input + n_output * self.output) / 1e6


@dataclass(frozen=True)
class Usage:
    """What questions take, or took.

    Parameters
    ----------
    n_prompts : int
        Questions.
    n_known : int
        Of them answered already, or equal to another.
    n_requests : int
        Requests to the server.
    n_input_tokens, n_output_tokens : int
        Tokens sent and received.
    cost : float or None
        Money, in the currency of the prices; None without prices.
    """

    n_prompts: int
    n_known: int
    n_requests: int
    n_input_tokens: int
    n_output_tokens: int
    cost: float | None = None

    def __str__(self) -> str:
        money = "" if self.cost is None else f", costs {self.cost:,.2f}"
        return (
            f"{self.n_prompts:,} questions, {self.n_known:,} of them known: {self.n_requests:,} requests, "
            f"{self.n_input_tokens:,} tokens sent, {self.n_output_tokens:,} received{money}"
        )

    def _repr_html_(self) -> str:
        rows: dict[str, object] = {
            "questions": f"{self.n_prompts:,}",
            "known": f"{self.n_known:,}",
            "requests": f"{self.n_requests:,}",
            "tokens sent": f"{self.n_input_tokens:,}",
            "tokens received": f"{self.n_output_tokens:,}",
        }
        if self.cost is not None:
            rows["costs"] = f"{self.cost:,.2f}"
        return card("Questions", rows)


@dataclass
class Reservation:
    """Room for one request, at the most that it may take; `settle` says what it took.

    Parameters
    ----------
    n_input, n_output : int
        Tokens.
    refusal : str
        Why there was no room; "" where there was.
    settled : bool
        Whether somebody said what it took.
    """

    n_input: int
    n_output: int
    refusal: str = ""
    settled: bool = False

    def settle(self, n_input: int, n_output: int) -> None:
        """Note what the request took."""
        self.n_input, self.n_output, self.settled = n_input, n_output, True


@dataclass
class Budget:
    """Counts requests and tokens, and grants no request beyond a limit, whoever asks at once.

    Parameters
    ----------
    max_requests : int, optional
        Requests that may be sent, repetitions counted.
    max_cost : float, optional
        Money that may be spent: a request is sent only if there is room for the most that it may take.
    prices : Prices, optional
        Needed for `max_cost`.
    """

    max_requests: int | None = None
    max_cost: float | None = None
    prices: Prices | None = None

    def __post_init__(self) -> None:
        self.n_requests = self.n_input = self.n_output = 0
        self._reserved, self._factor, self._n_under_way = 0.0, 1.0, 0
        self._settled = threading.Condition()

    @contextmanager
    def request(self, *, n_input: int, n_output: int) -> Iterator[Reservation]:
        """Give room for one request of at most so many tokens; what it took is counted on leaving.

        A request that was not settled, since no answer came, counts with the most: it may well be on the bill. Where a
        server counts more tokens than was estimated, the next requests are taken to need so many more.
        """
        with self._settled:
            expected = ceil(n_input * self._factor)
            most = self._price(expected, n_output)
            while self._may_fit_later(most):
                self._settled.wait()
            reservation = Reservation(expected, n_output, self._refusal(most))
            if not reservation.refusal:
                self.n_requests += 1
                self._n_under_way += 1
                self._reserved += most
        try:
            yield reservation
        finally:
            if not reservation.refusal:
                with self._settled:
                    self._n_under_way -= 1
                    self._reserved = self._reserved - most if self._n_under_way else 0.0  # no rest of rounding
                    self.n_input += reservation.n_input
                    self.n_output += reservation.n_output
                    if reservation.settled:
                        self._factor = max(self._factor, _MARGIN * reservation.n_input / max(1, n_input))
                    self._settled.notify_all()

    @property
    def cost(self) -> float:
        """Money spent, 0 without prices."""
        return self._price(self.n_input, self.n_output)

    def _price(self, n_input: float, n_output: float) -> float:
        return self.prices.of(n_input, n_output) if self.prices else 0.0

    def _may_fit_later(self, most: float) -> bool:
        """Tell whether there will be room if the requests under way take less than the most they may."""
        if self.max_cost is None or not self._n_under_way:
            return False
        return self.cost + most <= self.max_cost < self.cost + self._reserved + most

    def _refusal(self, most: float) -> str:
        if self.max_requests is not None and self.n_requests >= self.max_requests:
            return "over the limit of requests"
        if self.max_cost is not None and self.cost + self._reserved + most > self.max_cost:
            return "over the limit of cost"
        return ""
