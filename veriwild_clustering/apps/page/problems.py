"""What the page cannot do: errors that name the part of the request they are about."""

from __future__ import annotations

from veriwild_clustering.core.validation import DatasetError

__all__ = ["BadRequestError", "BusyError", "NotFoundError", "UnavailableError"]


class NotFoundError(LookupError):
    """There is no such image, partition, cluster, layout or column."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class BadRequestError(ValueError):
    """A request that cannot be meant: the message says what is wrong and what to do."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class BusyError(RuntimeError):
    """Long work that is under way already, or for which there is no room now."""


class UnavailableError(DatasetError):
    """What this dataset, or this machine, does not have: images, a descriptor, the weights of a network."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field
