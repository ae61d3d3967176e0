"""Parameters that many routes share, with their limits and descriptions."""

from __future__ import annotations

import json
from typing import Annotated, Any, NoReturn

from fastapi import Depends, Path, Query, Request
from pydantic import TypeAdapter, ValidationError

from veriwild_clustering.apps.page.problems import BadRequestError
from veriwild_clustering.apps.page.services.schemas import MAX_LIMIT, MAX_ROW, Where
from veriwild_clustering.apps.page.workspace import Workspace

__all__ = [
    "AnyPartition",
    "Limit",
    "Offset",
    "OpenWorkspace",
    "PartitionId",
    "Row",
    "WhereText",
    "asked_partition",
    "parsed_where",
]

_ID = r"^[a-z0-9][a-z0-9_-]{0,63}$"
_where: TypeAdapter[dict[str, Any]] = TypeAdapter(Where)


def _workspace(request: Request) -> Workspace:
    workspace: Workspace = request.app.state.workspace
    return workspace


OpenWorkspace = Annotated[Workspace, Depends(_workspace)]
Row = Annotated[int, Path(ge=0, le=MAX_ROW, description="Row of the image table.")]
PartitionId = Annotated[str, Path(pattern=_ID, description="Name of a saved partition.")]
AnyPartition = Annotated[
    str | None, Query(pattern=_ID, description="Name of a saved partition; by default the first of the list.")
]
Offset = Annotated[int, Query(ge=0, le=MAX_ROW, description="How many to leave out.")]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many to return.")]
WhereText = Annotated[
    str,
    Query(
        max_length=8_000,
        description='Conditions by column, as JSON: {"color": ["white", "grey"], "width": {"low": 100}}.',
        examples=['{"is_outlier": false}'],
    ),
]


def asked_partition(workspace: Workspace, name: str | None) -> str:
    """Return the name of a partition that exists; raises NotFoundError otherwise."""
    if name is None:
        return workspace.default_partition
    workspace.partition(name)
    return name


def parsed_where(text: str) -> dict[str, Any]:
    """Return conditions out of a query string.

    Raises
    ------
    BadRequestError
        If it is no JSON object of conditions.
    """
    if not text:
        return {}
    try:
        return _where.validate_python(json.loads(text, parse_constant=_refuse))
    except ValidationError as error:
        raise BadRequestError(f"`where` is not possible: {error.errors()[0]['msg']}.", field="where") from error
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"`where` must be a JSON object: {error}.", field="where") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
