"""Outliers: the most abnormal images with the reasons."""

from __future__ import annotations

from collections import Counter

import numpy as np
from pydantic import Field

from veriwild_clustering.apps.page.services.schemas import Model, plain_value
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.clustering.editing import marked_outliers

__all__ = ["OutlierPage", "outlier_page", "outlier_reasons", "short_reasons"]


class OutlierItem(Model):
    """An abnormal image."""

    row: int
    path: str
    score: float | None
    is_outlier: bool
    reason: str
    marked: bool = Field(description="Whether it was marked by hand.")
    cluster: int


class OutlierPage(Model):
    """A part of the outliers, the most abnormal first."""

    total: int
    items: list[OutlierItem]
    n_outliers: int = Field(description="Images that are flagged.")
    source: str = Field(description="Where the scores come from.")


def outlier_reasons(workspace: Workspace, *, partition: str = "") -> dict[str, int]:
    """Return how many images are flagged for each reason, the most frequent first."""
    found = workspace.outliers(partition or workspace.default_partition)
    flagged = found.reasons[found.is_outlier]
    counts = Counter(short for reason in flagged for short in dict.fromkeys(short_reasons(str(reason))))
    return dict(counts.most_common())


def short_reasons(reason: str) -> list[str]:
    """Return the reasons that a text names, without their figures.

    Examples
    --------
    >>> short_reasons("too dark: dark share in the highest 1 %; far from its neighbours in osnet: KNN")
    ['too dark', 'far from its neighbours in osnet']
    """
    return [part.partition(":")[0].strip() for part in reason.split(";") if part.strip()]


def outlier_page(
    workspace: Workspace,
    *,
    offset: int,
    limit: int,
    min_score: float | None = None,
    reason: str | None = None,
    partition: str = "",
) -> OutlierPage:
    """Return the flagged images; with `min_score` all with that score or more, flagged or not; of one reason alone."""
    name = partition or workspace.default_partition
    shown, found = workspace.partition(name), workspace.outliers(name)
    ranking = found.ranking
    chosen = found.is_outlier if min_score is None else np.nan_to_num(found.scores, nan=-np.inf) >= min_score
    ranking = ranking[chosen[ranking]]
    if reason is not None:
        ranking = ranking[[reason in short_reasons(str(text)) for text in found.reasons[ranking]]]
    marked, paths = marked_outliers(shown), workspace.dataset.images["path"]
    rows = ranking[offset : offset + limit].tolist()
    return OutlierPage(
        total=len(ranking),
        items=[
            OutlierItem(
                row=row,
                path=str(paths.iloc[row]),
                score=plain_value(found.scores[row]),
                is_outlier=bool(found.is_outlier[row]),
                reason=str(found.reasons[row]),
                marked=bool(np.isin(row, marked)),
                cluster=int(shown.labels[row]),
            )
            for row in rows
        ],
        n_outliers=int(found.is_outlier.sum()),
        source=found.source,
    )
