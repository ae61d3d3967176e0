"""What the services of all subjects share: pages of a list, values of the image table, conditions on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from veriwild_clustering.apps.page.problems import BadRequestError
from veriwild_clustering.reporting.viewer.records import plain_value

__all__ = [
    "MAX_LIMIT",
    "MAX_ROW",
    "Limit",
    "Model",
    "Offset",
    "Page",
    "RowNumber",
    "Where",
    "conditions_of",
    "plain_value",
]

T = TypeVar("T")

MAX_LIMIT = 500
MAX_ROW = 2**31 - 1
_MAX_CONDITIONS = 32

RowNumber = Annotated[int, Field(ge=0, le=MAX_ROW, strict=True)]
Offset = Annotated[int, Field(ge=0, le=MAX_ROW)]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]
Where = Annotated[
    dict[str, JsonValue],
    Field(
        max_length=_MAX_CONDITIONS,
        description='Conditions by column, all of which hold: a value, a list of values, or {"low": .., "high": ..} '
        "with both ends included, one of which may be missing. Beside the columns of the image table: `cluster`, "
        "`is_outlier` and `outlier_score`.",
        examples=[{"color": ["white", "grey"], "width": {"low": 100}}],
    ),
]


class Model(BaseModel):
    """What all schemas have in common: no field but those that are known, and no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Page(Model, Generic[T]):
    """A part of a list."""

    total: int = Field(description="How many there are in all.")
    items: list[T]


def conditions_of(where: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return conditions as `matching` takes them: ranges as tuples.

    Raises
    ------
    BadRequestError
        If an object is no range.
    """
    if not where:
        return None
    return {column: _condition(column, asked) for column, asked in where.items()}


def _condition(column: str, asked: Any) -> Any:
    if not isinstance(asked, Mapping):
        return asked
    if not asked or not asked.keys() <= {"low", "high"}:
        raise BadRequestError(
            f'The condition on {column!r} must be a value, a list, or {{"low": .., "high": ..}}. Got {asked!r}.',
            field="where",
        )
    return asked.get("low"), asked.get("high")
