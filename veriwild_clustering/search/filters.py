"""Which images meet conditions on columns of the image table: plain values, lists and ranges, never an expression."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Condition", "conditions", "matching"]

_LISTS = (list, set, frozenset, np.ndarray, pd.Series, pd.Index)
_KINDS = {
    "string": "text",
    "boolean": "true or false",
    "integer": "numbers",
    "floating": "numbers",
    "mixed-integer-float": "numbers",
    "datetime64": "times",
    "datetime": "times",
    "date": "times",
}


@dataclass(frozen=True)
class Condition:
    """What the value in one column must be: one of some values, or within a range.

    Parameters
    ----------
    column : str
        The column.
    values : tuple, optional
        The values that match, as Python's own types, or `Timestamp`s in a column of times; None for a range.
    low, high : optional
        The ends of a range, both included, None where it is open: numbers, or `Timestamp`s in a column of times.

    Examples
    --------
    >>> import pandas as pd
    >>> Condition("width", low=100).matches(pd.DataFrame({"width": [64.0, 128.0, None]})).tolist()
    [False, True, False]
    """

    column: str
    values: tuple[Any, ...] | None = None
    low: Any = None
    high: Any = None

    @property
    def is_time(self) -> bool:
        """Whether it is of times."""
        return any(isinstance(value, pd.Timestamp) for value in (self.low, self.high, *(self.values or ())))

    def matches(self, images: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which images meet the condition, shape (n_images,); a missing value never does."""
        column = _times(images[self.column]) if self.is_time else images[self.column]
        if self.values is not None:
            return np.asarray(column.isin(self.values) & column.notna(), dtype=bool)
        if not self.is_time:
            column = pd.to_numeric(_uncategorised(column))
        inside = column.notna()
        if self.low is not None:
            inside &= column >= self.low
        if self.high is not None:
            inside &= column <= self.high
        return np.asarray(inside.fillna(value=False), dtype=bool)


def conditions(images: pd.DataFrame, where: Mapping[str, Any] | None) -> list[Condition]:
    """Return what is asked for, column by column, checked against the image table.

    Parameters
    ----------
    images : DataFrame
        The image table, or one with further columns such as the clusters of a partition.
    where : mapping of str to object, optional
        By column a value, a list or set of values, or a tuple (low, high) as a range with both ends, of which one may
        be None. Ranges are of numbers or times; an end "2017-03-02" takes in that whole day, and what names no time
        zone is UTC. None is no condition.

    Returns
    -------
    list of Condition
        One per column.

    Raises
    ------
    ValueError
        If a column is unknown, or a value is of another kind than the column's.

    Examples
    --------
    >>> import pandas as pd
    >>> conditions(pd.DataFrame({"color": ["red"], "width": [64]}), {"color": "red", "width": (32, None)})
    [Condition(column='color', values=('red',), low=None, high=None),
     Condition(column='width', values=None, low=32, high=None)]
    """
    if where is not None and not isinstance(where, Mapping):
        raise ValueError(f"`where` must be a mapping from columns to values. Got {where!r} instead.")
    return [_condition(images, column, asked) for column, asked in (where or {}).items()]


def matching(images: pd.DataFrame, where: Mapping[str, Any] | None) -> NDArray[np.bool_]:
    """Return which images meet all conditions.

    Parameters
    ----------
    images : DataFrame
        The image table, or one with further columns.
    where : mapping of str to object, optional
        By column a value, a list of values or a range, as `conditions` takes them.

    Returns
    -------
    array of shape (n_images,), bool
        Missing values never match.

    Raises
    ------
    ValueError
        If a column is unknown, or a value is of another kind than the column's.

    Examples
    --------
    >>> import pandas as pd
    >>> from veriwild_clustering.search.filters import matching
    >>> images = pd.DataFrame({"color": ["red", "white", None], "width": [64, 128, 32]})
    >>> matching(images, {"color": ["red", "white"], "width": (100, None)}).tolist()
    [False, True, False]
    """
    met = np.ones(len(images), dtype=bool)
    for condition in conditions(images, where):
        met &= condition.matches(images)
    return met


def _condition(images: pd.DataFrame, column: str, asked: Any) -> Condition:
    if column not in images.columns:
        known = [str(name) for name in images.columns]
        near = get_close_matches(str(column), known, n=3)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"Known: {', '.join(known)}."
        raise ValueError(f"Unknown column {column!r}. {hint}")
    kind = _kind(images[column])
    if isinstance(asked, tuple):
        return _range(images[column], column, asked, kind=kind)
    values = list(asked) if isinstance(asked, _LISTS) else [asked]
    if not values:
        raise ValueError(f"The condition on {column!r} names no value, so no image could meet it. Leave it out.")
    return Condition(column, tuple(_checked(images[column], column, value, kind=kind) for value in values))


def _range(values: pd.Series, column: str, asked: tuple[Any, ...], *, kind: str) -> Condition:
    if len(asked) != 2 or (asked[0] is None and asked[1] is None):
        raise ValueError(f"A range of {column!r} must be (low, high), one of them None at most. Got {asked!r} instead.")
    low, high = asked
    if kind == "times" or (kind == "text" and _times(values).notna().equals(values.notna())):
        low, high = _moment(column, low, is_end=False), _moment(column, high, is_end=True)
    elif kind == "numbers":
        low, high = (None if end is None else _checked(values, column, end, kind=kind) for end in asked)
    else:
        raise ValueError(f"{column!r} holds {kind}, which has no ranges: name a value or a list of values.")
    if low is not None and high is not None and low > high:
        raise ValueError(f"The range of {column!r} ends before it begins. Got {asked!r}.")
    return Condition(column, None, low, high)


def _kind(values: pd.Series) -> str:
    """Return what a column holds, in a word that errors can use."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.cat.categories.to_series()
    inferred = pd.api.types.infer_dtype(values, skipna=True)
    return _KINDS.get(inferred, "no values" if inferred == "empty" else "values of several kinds")


def _checked(values: pd.Series, column: str, value: Any, *, kind: str) -> Any:
    """Return a value as Python's own type if it is of the column's kind."""
    value = value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value
    is_flag = isinstance(value, bool)
    fits = {
        "text": isinstance(value, str),
        "true or false": is_flag,
        "numbers": isinstance(value, (int, float)) and not is_flag and abs(value) <= sys.float_info.max,
    }
    if kind == "times":
        return _moment(column, value, is_end=False)
    if fits.get(kind, isinstance(value, (str, Real))):
        return value
    known = [str(item) for item in values.dropna().unique()[:10_000]]
    near = get_close_matches(str(value), known, n=3) or known[:3]
    examples = f", such as {', '.join(near)}" if near else ""
    raise ValueError(f"{column!r} holds {kind}{examples}. Got {value!r} instead.")


def _moment(column: str, value: Any, *, is_end: bool) -> pd.Timestamp | None:
    """Return a time; the end of the day, the hour or the minute that is named, where it ends a range."""
    if value is None:
        return None
    try:
        moment = pd.NaT if isinstance(value, (bool, Real)) else pd.Timestamp(value)
        if isinstance(moment, pd.Timestamp):
            if moment.tz is not None:
                return moment.tz_convert(None)
            is_span = isinstance(value, str) or (isinstance(value, date) and not isinstance(value, datetime))
            return pd.Period(str(value)).end_time if is_end and is_span else moment
    except (ValueError, TypeError):
        pass
    raise ValueError(f"{column!r} holds times, such as '2017-03-01 08:30'. Got {value!r} instead.")


def _times(values: pd.Series) -> pd.Series:
    return pd.to_datetime(_uncategorised(values), errors="coerce", format="ISO8601", utc=True).dt.tz_localize(None)


def _uncategorised(values: pd.Series) -> pd.Series:
    """Return the values of a categorical column as such: its categories need have no order, or another one."""
    return pd.Series(np.asarray(values)) if isinstance(values.dtype, pd.CategoricalDtype) else values
