"""What a language must be able to say of a cluster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = ["Claim", "Contrast", "Language", "Part"]


class Claim(NamedTuple):
    """A value that is more frequent in a cluster than overall; `known` counts the images it is about if not all."""

    column: str
    value: Any
    share: float
    lift: float
    known: int | None


class Contrast(NamedTuple):
    """A value whose share differs between two groups; `partly` if it is not known for every image."""

    column: str
    value: Any
    here: float
    there: float
    partly: bool


class Part(NamedTuple):
    """The part of a cluster that lies in one cluster of another partition, −1 for its noise."""

    cluster: int
    share: float
    contrast: Contrast | None
    name: str = ""


class Language(ABC):
    """The phrases of a language."""

    nothing: str  # in place of claims
    under: str  # before 1 %: shares are never rounded to 0
    over: str  # before 99 %: nor to 100
    quotes: tuple[str, str]

    def numbered(self, cluster: int, name: str = "") -> str:
        """Write the number of a cluster, with its name if it has one."""
        return f"{cluster} {name.join(self.quotes)}" if name else str(cluster)

    def percent(self, share: float) -> str:
        """Write a share in percent; "0" and "100" say that there is no exception."""
        if 0.995 <= share < 1:
            return f"{self.over} 99 %"
        return f"{self.under} 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"

    @abstractmethod
    def attribute(self, column: str) -> str:
        """Name an attribute."""

    @abstractmethod
    def value(self, column: str, value: Any) -> str:
        """Write a value beneath the name of its attribute."""

    @abstractmethod
    def reason(self, reason: str) -> str:
        """Say why an image is an outlier, given what outlier scores say in English."""

    @abstractmethod
    def head(self, cluster: str, size: int, *, share: float, n_vehicles: int | None) -> str:
        """Name a cluster, given as `numbered` writes it, with its size."""

    @abstractmethod
    def claim(self, claim: Claim) -> str:
        """State a claim."""

    @abstractmethod
    def place(self, spread: float, nearest: str | None, contrast: Contrast | None) -> str:
        """Say how far a cluster spreads, which is nearest and what tells it from that one."""

    @abstractmethod
    def vehicles(self, purity: float, chance: float) -> str:
        """Say how many vehicles lie wholly in a cluster."""

    @abstractmethod
    def partition(self, algorithm: str, descriptor: str) -> str:
        """Name a partition."""

    @abstractmethod
    def kept(self, subject: str, part: Part, other: str, *, of_part: float) -> str:
        """Say that a cluster is mainly one of another partition, and how much of that one it makes."""

    @abstractmethod
    def split(self, subject: str, parts: Sequence[Part], other: str, *, asked: bool) -> str:
        """Say into which parts a cluster falls and, if asked, what tells them apart."""

    @abstractmethod
    def scattered(self, subject: str, n_parts: int, other: str, *, most: float) -> str:
        """Say that no cluster of the other partition holds much of a cluster."""

    @abstractmethod
    def subject(self, cluster: str, partition: str, size: int) -> str:
        """Name a cluster of a partition, at the beginning of a sentence."""
