"""Images: what is known of the dataset, of its rows, and their thumbnails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, JsonValue

from veriwild_clustering.apps.page.preparation.thumbnails import SIZES, Thumbnail
from veriwild_clustering.apps.page.problems import BadRequestError, NotFoundError
from veriwild_clustering.apps.page.services.schemas import Model, Page, conditions_of, plain_value
from veriwild_clustering.apps.page.workspace import Workspace

__all__ = [
    "SIZES",
    "DatasetOverview",
    "ImageDetail",
    "ImageRecord",
    "checked_row",
    "dataset_overview",
    "image_detail",
    "image_page",
    "record_of",
    "rows_where",
    "thumbnail_of",
    "thumbnail_tag",
]

_MAX_VALUES = 50
_FEW_NUMBERS = 12


class ColumnInfo(Model):
    """A column of the image table."""

    name: str
    kind: Literal["category", "number", "text"]
    n_missing: int
    values: list[JsonValue] = Field(default=[], description="Of a category: its values, the most frequent first.")
    low: float | None = Field(default=None, description="Of numbers: the smallest.")
    high: float | None = Field(default=None, description="Of numbers: the largest.")


class DescriptorInfo(Model):
    """A descriptor of the dataset."""

    name: str
    n_features: int
    n_usable: int = Field(description="Images that have a usable vector.")


class LayoutInfo(Model):
    """A map of the images."""

    name: str
    n_dims: int
    ready: bool = Field(description="Whether it has been made; else it is when it is first asked for.")


class DatasetOverview(Model):
    """What the dataset is."""

    n_images: int
    origin: str = Field(description="What the data are, in a sentence.")
    has_images: bool = Field(description="Whether the image files are at hand.")
    columns: list[ColumnInfo]
    descriptors: list[DescriptorInfo]
    descriptor: str = Field(description="The descriptor that is mapped and grouped.")
    layouts: list[LayoutInfo]
    partitions: list[str] = Field(description="The one to be shown first is the first.")
    weights: dict[str, float] = Field(description="What is searched by default.")


class ImageRecord(Model):
    """A row of the image table."""

    row: int
    path: str
    record: dict[str, JsonValue] = Field(description="The columns of the image table; null where not known.")


class Membership(Model):
    """Where an image lies in a partition."""

    partition: str
    version: int
    cluster: int = Field(description="-1 is noise.")
    name: str
    confidence: float


class ImageDetail(ImageRecord):
    """All that is known of an image."""

    clusters: list[Membership]
    outlier_score: float | None = Field(description="Null while it is worked out, or where nothing is known.")
    is_outlier: bool
    outlier_reason: str


def dataset_overview(workspace: Workspace) -> DatasetOverview:
    """Return what the dataset is."""
    dataset = workspace.dataset
    return DatasetOverview(
        n_images=len(dataset),
        origin=dataset.origin,
        has_images=dataset.image_store is not None,
        columns=workspace.remember("columns", lambda: [_column(str(n), c) for n, c in dataset.images.items()]),
        descriptors=[DescriptorInfo(name=d.name, n_features=d.n_features, n_usable=d.n_valid) for d in dataset],
        descriptor=workspace.descriptor.name,
        layouts=[
            LayoutInfo(name=name, n_dims=int(name[-2]), ready=workspace.is_ready(name)) for name in workspace.layouts
        ],
        partitions=workspace.partition_names,
        weights=workspace.default_weights,
    )


def image_page(
    workspace: Workspace, *, offset: int, limit: int, where: Mapping[str, Any] | None = None, partition: str = ""
) -> Page[ImageRecord]:
    """Return rows of the image table that meet all conditions; `cluster` is that of the partition."""
    if not where:
        total, rows = len(workspace.dataset), np.arange(*slice(offset, offset + limit).indices(len(workspace.dataset)))
    else:
        found = np.flatnonzero(rows_where(workspace, where, partition=partition))
        total, rows = len(found), found[offset : offset + limit]
    return Page[ImageRecord](total=total, items=[record_of(workspace, int(row)) for row in rows])


def rows_where(workspace: Workspace, where: Mapping[str, Any], *, partition: str = "") -> NDArray[np.bool_]:
    """Return which images meet all conditions, shape (n_images,).

    Raises
    ------
    BadRequestError
        If a column is not known, or a value is of another kind than its column's.
    """
    from veriwild_clustering.search.filters import matching

    try:
        return matching(workspace.table(where, partition=partition), conditions_of(where))
    except (ValueError, TypeError) as error:
        raise BadRequestError(str(error), field="where") from error


def image_detail(workspace: Workspace, row: int) -> ImageDetail:
    """Return all that is known of an image."""
    row = checked_row(workspace, row)
    found = workspace.outliers(workspace.default_partition) if workspace.knows_outliers else None
    return ImageDetail(
        **dict(record_of(workspace, row)),
        clusters=[_membership(workspace, name, row) for name in workspace.partition_names],
        outlier_score=plain_value(found.scores[row]) if found else None,
        is_outlier=bool(found.is_outlier[row]) if found else False,
        outlier_reason=str(found.reasons[row]) if found else "",
    )


def thumbnail_of(workspace: Workspace, row: int, *, size: int = 128) -> Thumbnail:
    """Return the thumbnail of an image; a grey tile with a cross where it cannot be read."""
    return workspace.thumbnails.get(checked_row(workspace, row), _checked_size(size))


def thumbnail_tag(workspace: Workspace, row: int, *, size: int = 128) -> str:
    """Return what tells a thumbnail from one of another image, or of another size, without making it."""
    return workspace.thumbnails.tag(checked_row(workspace, row), _checked_size(size))


def checked_row(workspace: Workspace, row: int) -> int:
    """Return the number of a row.

    Raises
    ------
    NotFoundError
        If there is no such row.
    """
    if not 0 <= row < len(workspace.dataset):
        raise NotFoundError(f"There is no row {row}: the dataset has {len(workspace.dataset):,} images.", field="row")
    return row


def record_of(workspace: Workspace, row: int) -> ImageRecord:
    """Return a row of the image table."""
    images = workspace.dataset.images
    record = {str(name): plain_value(images[name].iloc[row]) for name in images.columns}
    return ImageRecord(row=row, path=str(record.get("path") or ""), record=record)


def _checked_size(size: int) -> int:
    if size not in SIZES:
        raise BadRequestError(f"`size` must be one of {', '.join(map(str, SIZES))}. Got {size}.", field="size")
    return size


def _membership(workspace: Workspace, name: str, row: int) -> Membership:
    partition = workspace.partition(name)
    cluster = int(partition.labels[row])
    return Membership(
        partition=name,
        version=workspace.library.current(name),
        cluster=cluster,
        name=partition.cluster_name(cluster),
        confidence=float(partition.confidence[row]),
    )


def _column(name: str, values: pd.Series[Any]) -> ColumnInfo:
    known = values.dropna()
    n_missing = len(values) - len(known)
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    n_distinct = known.nunique()
    if is_number and n_distinct > _FEW_NUMBERS:
        low, high = float(known.min()), float(known.max())
        return ColumnInfo(name=name, kind="number", n_missing=n_missing, low=plain_value(low), high=plain_value(high))
    if 0 < n_distinct <= _MAX_VALUES:
        distinct = [plain_value(value) for value in known.value_counts().index]
        return ColumnInfo(name=name, kind="category", n_missing=n_missing, values=distinct)
    return ColumnInfo(name=name, kind="text", n_missing=n_missing)
