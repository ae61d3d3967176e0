"""The HTML report: one page that stands alone and tells what was chosen, why, and what the clusters hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.validation import check_int, check_rows
from veriwild_clustering.reporting.figures.galleries import Album
from veriwild_clustering.reporting.figures.maps import check_projection
from veriwild_clustering.reporting.pages.interactive import map_fragment
from veriwild_clustering.reporting.pages.page import plotly_js, write_page
from veriwild_clustering.reporting.pages.sections import (
    board_section,
    chosen_section,
    clusters_section,
    comparison_section,
    images_section,
    maps_section,
    outliers_section,
)

if TYPE_CHECKING:
    from veriwild_clustering.evaluation.choice.choosing import Choice
    from veriwild_clustering.evaluation.leaderboard import Leaderboard
    from veriwild_clustering.outliers.scores import OutlierScores

__all__ = ["write_report"]


def write_report(
    path: str | Path,
    dataset: Dataset,
    board: Leaderboard,
    *,
    choice: Choice,
    outliers: OutlierScores | None = None,
    projections: Descriptor | Sequence[Descriptor] = (),
    descriptions: pd.DataFrame | None = None,
    interactive: bool = True,
    n_images: int = 8,
    max_outliers: int = 40,
    max_points: int = 1000,
    title: str = "Clusters of vehicle images",
    random_state: int = 0,
    progress: bool | None = None,
) -> Path:
    """Write a report as one HTML file that loads nothing from the network.

    Parameters
    ----------
    path : str or Path
        The file to write; replaced as a whole or not at all.
    dataset : Dataset
        The images; its `origin` opens the report.
    board : Leaderboard
        All partitions with their scores.
    choice : Choice
        The partition to report, with the reasons and the ranking that led to it.
    outliers : OutlierScores, optional
        Adds the outliers, most abnormal first, with their reasons.
    projections : Descriptor or sequence of Descriptor, optional
        Adds a map for each; of two or three features.
    descriptions : DataFrame, optional
        Text per cluster (columns `cluster` and `text`); by default that of `describe`.
    interactive : bool, default=True
        Whether the first projection is drawn as an interactive map as well: some 5 MB of plotly.js and 3 kB per point.
    n_images : int, default=8
        Exemplars and borderline images per cluster.
    max_outliers : int, default=40
        Outliers to show.
    max_points : int, default=1000
        Points of the interactive map.
    title : str, optional
        Heading of the report.
    random_state : int, default=0
        Seed of the samples.
    progress : bool, optional
        Whether to show progress bars; by default where somebody watches.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    ValueError
        If dataset, chosen partition, projections or outliers do not have the same number of images, or a projection
        does not have two or three features.
    DatasetError
        If the file cannot be written.

    Notes
    -----
    Reads O(n_clusters * n_images + max_outliers + max_points) images. All text that comes from data is escaped and
    the page forbids itself every request (Content-Security-Policy).

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor, choose, leaderboard, sweep, write_report
    >>> vectors = np.random.default_rng(0).normal(size=(60, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 20, axis=0)
    >>> dataset = Dataset(pd.DataFrame({"path": [f"{i}.jpg" for i in range(60)]}), {"toy": Descriptor("toy", vectors)})
    >>> board = leaderboard(sweep(dataset["toy"], {"kmeans": {"n_clusters": [2, 3, 4]}}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_report(f"{folder}/report.html", dataset, board, choice=choose(board, min_size=2))
    ...     print(page.read_text(encoding="utf-8")[:15])
    <!doctype html>
    """
    partition = choice.partition
    check_rows("choice.partition.labels", partition.labels, len(dataset))
    check_int("n_images", n_images, low=1)
    check_int("max_outliers", max_outliers, low=1)
    projections = [projections] if isinstance(projections, Descriptor) else list(projections)
    for projection in projections:
        check_projection(projection, partition)
    if outliers is not None:
        check_rows("outliers.is_outlier", outliers.is_outlier, len(dataset))
    album = Album(dataset, progress=progress)
    sections = {
        "chosen": chosen_section(board, choice),
        "maps": maps_section(projections, partition, outliers),
        "clusters": clusters_section(album, partition, descriptions, n_images=n_images, random_state=random_state),
        "descriptors": comparison_section(board, choice),
        "images": images_section(dataset.images),
        "outliers": None if outliers is None else outliers_section(album, outliers, max_outliers),
        "leaderboard": board_section(board, choice),
    }
    explorer = None
    if projections and interactive:
        explorer = map_fragment(
            projections[0], partition, dataset=dataset, max_points=max_points, thumbnail_size=72,
            random_state=random_state, progress=progress,
        )  # fmt: skip
    return write_page(
        path, "report.html", scripts=True, language="en", start="chosen", **sections, title=title,
        origin=dataset.origin, summary=_summary(dataset, board, partition), interactive=explorer,
        anchors=[name for name, section in sections.items() if section], plotly_js=plotly_js() if explorer else None,
    )  # fmt: skip


def _summary(dataset: Dataset, board: Leaderboard, partition: Partition) -> str:
    images = dataset.images
    known = "vehicle_id" in images and images["vehicle_id"].notna().any()
    vehicles = f" of {images['vehicle_id'].nunique():,} vehicles" if known else ""
    noise = f", {partition.noise_fraction:.1%} left as noise" if partition.noise_fraction else ""
    return (
        f"{len(dataset):,} images{vehicles}, {len(board.partitions):,} partitions compared; "
        f"the chosen one has {partition.n_clusters} clusters{noise}."
    )
