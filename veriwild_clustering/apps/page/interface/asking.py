"""What a person is told when a service refuses: a warning in plain words, while the page stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from html import escape
from typing import Any, NamedTuple

from veriwild_clustering.apps.page.problems import BusyError, NotFoundError

__all__ = ["Refresh", "choice_label", "kindly", "parse_rows", "warn"]


class Refresh(NamedTuple):
    """What brings a tab up to date when it is opened: a function, what it reads, and what it fills."""

    function: Callable[..., Any]
    inputs: list[Any]
    outputs: list[Any]


def kindly(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the callback with refusals shown as warnings; nothing on the page changes then."""

    @wraps(function)
    def careful(*inputs: Any) -> Any:
        import gradio

        try:
            return function(*inputs)
        except (OSError, ValueError, TypeError, NotFoundError, BusyError) as error:
            warn(str(error))
            return gradio.skip()

    return careful


def warn(message: str) -> None:
    """Show a warning; the message may hold what somebody typed, so it is escaped."""
    import gradio

    gradio.Warning(escape(message), title="That did not work", duration=15)


def parse_rows(text: str | None, *, name: str = "Rows") -> list[int]:
    """Return the row numbers in a text, such as "3, 17 20".

    Raises
    ------
    ValueError
        If something else stands there.

    Examples
    --------
    >>> parse_rows("3, 17 20")
    [3, 17, 20]
    """
    parts = (text or "").replace(",", " ").replace(";", " ").split()
    wrong = [part for part in parts if not (part.isascii() and part.isdigit() and len(part) < 10)]
    if wrong:
        raise ValueError(f"{name} must be numbers of rows, such as 3, 17. Got {wrong[0]!r} instead.")
    return list(dict.fromkeys(map(int, parts)))


def choice_label(name: str, *, version: int) -> str:
    """Return how a partition is called in a list."""
    return name if version == 1 else f"{name}, version {version}"
