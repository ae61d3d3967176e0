"""The image table as payloads of a Qdrant collection, and conditions on it as filters, one to one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Hashable, Sequence
from datetime import UTC, datetime
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.search.filters import Condition

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["FINGERPRINT", "filter_of", "fingerprints", "key_of", "payloads", "schema_of", "with_times"]

FINGERPRINT = "_fingerprint"

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+")
_TIME = "-as-time"
_WRITTEN_TIMES = frozenset({"string", "date", "datetime"})  # kinds that may hold them
_EXACT = 2**53  # beyond, float64 skips whole numbers, and ranges are of float64
_LARGEST = float(np.finfo(np.float64).max)  # JSON has no infinity


def with_times(images: pd.DataFrame) -> pd.DataFrame:
    """Return the table with times under names of their own: what is written as text stays beside them."""
    from pandas.api import types

    columns: dict[Hashable, pd.Series] = {}
    for name, column in images.reset_index(drop=True).items():
        if types.is_datetime64_any_dtype(column):
            columns[f"{name}{_TIME}"] = column
            continue
        columns[name] = column
        written = column.astype(object)
        if types.infer_dtype(written, skipna=True) in _WRITTEN_TIMES:
            times = pd.to_datetime(written, errors="coerce", format="ISO8601", utc=True)
            if times.notna().equals(column.notna()):
                columns[f"{name}{_TIME}"] = times
    return pd.DataFrame(columns)


def payloads(images: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one payload per row; a missing value has no key there, so no condition matches it."""
    contents: list[dict[str, Any]] = [{} for _ in range(len(images))]
    for column in images:
        name, known = _name(column), images[column].notna().to_numpy()
        for row, value in zip(np.flatnonzero(known), images[column][known].astype(object), strict=True):
            contents[row][name] = _plain(value)
    return contents


def fingerprints(vectors: NDArray[np.float32], contents: Sequence[dict[str, Any]]) -> list[str]:
    """Return what tells whether a point already holds this vector and this payload."""
    return [
        hashlib.blake2b(vector.tobytes() + json.dumps(content, sort_keys=True).encode(), digest_size=12).hexdigest()
        for vector, content in zip(vectors, contents, strict=True)
    ]


def schema_of(column: pd.Series) -> models.PayloadSchemaType:
    """Return what kind of index serves conditions on a column."""
    from pandas.api import types
    from qdrant_client import models

    kinds = models.PayloadSchemaType
    if types.is_bool_dtype(column):
        return kinds.BOOL
    if types.is_datetime64_any_dtype(column):
        return kinds.DATETIME
    if types.is_numeric_dtype(column):
        return kinds.INTEGER if types.is_integer_dtype(column) else kinds.FLOAT
    return kinds.KEYWORD


def filter_of(
    conditions: Sequence[Condition], *, allowed: NDArray[np.int64] | None, excluded: NDArray[np.int64]
) -> models.Filter | None:
    """Return all conditions as one filter, with the rows that alone are allowed and those that are excluded."""
    from qdrant_client import models

    must: list[Any] = [_field(condition) for condition in conditions]
    if allowed is not None:
        must.append(models.HasIdCondition(has_id=allowed.tolist()))
    must_not: list[Any] = [models.HasIdCondition(has_id=excluded.tolist())] if len(excluded) else []
    return models.Filter(must=must, must_not=must_not) if must or must_not else None


def key_of(column: Hashable) -> str:
    """Return the path to a column in the payload: in quotes a dot is a dot, not a way into the value."""
    name = _name(column)
    return name if _PLAIN_NAME.fullmatch(name) else f'"{name}"'


def _field(condition: Condition) -> models.FieldCondition | models.Filter:
    """Return one condition: a range with both ends, or any of some values."""
    from qdrant_client import models

    if condition.values is None:
        return _range(condition.column, condition.low, condition.high)
    alternatives: list[Any] = []
    if texts := [value for value in condition.values if isinstance(value, str)]:
        alternatives.append(models.FieldCondition(key=key_of(condition.column), match=models.MatchAny(any=texts)))
    for value in condition.values:
        if isinstance(value, bool) or (isinstance(value, int) and abs(value) > _EXACT):
            match = models.MatchValue(value=value)
            alternatives.append(models.FieldCondition(key=key_of(condition.column), match=match))
        elif not isinstance(value, str):  # a match is of whole numbers alone: 3 is to find 3.0
            alternatives.append(_range(condition.column, value, value))
    return alternatives[0] if len(alternatives) == 1 else models.Filter(should=alternatives)


def _range(column: str, low: Any, high: Any) -> models.FieldCondition:
    from qdrant_client import models

    if not isinstance(low, datetime) and not isinstance(high, datetime):
        return models.FieldCondition(key=key_of(column), range=models.Range(gte=low, lte=high))
    gte, lte = (None if end is None else datetime.fromisoformat(_plain(end)) for end in (low, high))
    return models.FieldCondition(key=key_of(f"{column}{_TIME}"), range=models.DatetimeRange(gte=gte, lte=lte))


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it: times in UTC to the microsecond, as the database keeps them."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return min(max(float(value), -_LARGEST), _LARGEST)
    if isinstance(value, datetime):
        time = pd.Timestamp(value)
        time = time.tz_localize(UTC) if time.tzinfo is None else time.tz_convert(UTC)
        return time.to_pydatetime(warn=False).isoformat()
    return str(value)


def _name(column: Hashable) -> str:
    name = str(column)
    if '"' in name or name == FINGERPRINT:
        raise ValueError(f"Column {name!r} cannot go into a Qdrant collection: rename it or leave it out of `columns`.")
    return name
