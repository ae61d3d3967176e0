"""Checks of arguments that every public entry point shares, with one wording for their errors."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DatasetError",
    "check_choice",
    "check_int",
    "check_known_names",
    "check_real",
    "check_rows",
    "frozen_params",
    "reason_of",
]


class DatasetError(ValueError):
    """Input data that cannot be used: the message says what is wrong, where, and what to do."""


def check_int(name: str, value: Any, *, low: int, high: int | None = None, high_name: str = "") -> int:
    """Return `value` as an int in [low, high), or raise naming the parameter and the value."""
    span = f"[{low}, {high_name or ('inf' if high is None else high)})"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError(f"`{name}` must be an int in {span}. Got {value!r} instead.")
    number = int(value)
    if number < low or (high is not None and number >= high):
        raise ValueError(f"`{name}` must be an int in {span}. Got {value!r} instead.")
    return number


def check_real(name: str, value: Any, *, low: float, high: float = np.inf) -> float:
    """Return `value` as a finite float in [low, high], or raise naming the parameter and the value."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"`{name}` must be a number in [{low:g}, {high:g}]. Got {value!r} instead.")
    number = float(value)
    if not (np.isfinite(number) and low <= number <= high):
        raise ValueError(f"`{name}` must be a number in [{low:g}, {high:g}]. Got {value!r} instead.")
    return number


def check_choice(name: str, value: Any, allowed: Collection[str]) -> str:
    """Return `value` if it is one of `allowed`, or raise listing them."""
    if value not in allowed:
        listed = ", ".join(repr(choice) for choice in allowed)
        raise ValueError(f"`{name}` must be one of {listed}. Got {value!r} instead.")
    return str(value)


def check_known_names(what: str, names: Iterable[str], known: Collection[str]) -> None:
    """Raise if any of `names` is not among the `known` ones."""
    unknown = [name for name in names if name not in known]
    if unknown:
        listed = ", ".join(repr(name) for name in sorted(known))
        raise ValueError(f"Unknown {what} {', '.join(map(repr, unknown))}. Known: {listed}.")


def check_rows(name: str, values: Any, n_images: int) -> NDArray[Any]:
    """Return `values` as a one-dimensional array with one entry per image, or raise."""
    array = np.asarray(values)
    if array.ndim != 1 or len(array) != n_images:
        raise ValueError(
            f"`{name}` must have one entry per image, shape ({n_images},). Got shape {array.shape} instead."
        )
    return array


def frozen_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return `params` with NumPy scalars turned into Python ones, so that they compare and write as JSON."""
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in params.items()}


def reason_of(error: BaseException) -> str:
    """Return the first line of what an error says, without its full stop, or its kind where it says nothing."""
    return (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
