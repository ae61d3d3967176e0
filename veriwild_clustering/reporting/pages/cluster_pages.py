"""A page per cluster and an index of them: what each cluster holds, with its images and figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.validation import check_int, check_rows
from veriwild_clustering.interpretation.summaries import summarize
from veriwild_clustering.reporting.pages.cluster_sections import ClusterBook, page_name
from veriwild_clustering.reporting.pages.page import write_page
from veriwild_clustering.reporting.pages.wording import wording

if TYPE_CHECKING:
    from veriwild_clustering.outliers.scores import OutlierScores

__all__ = ["write_cluster_pages"]


def write_cluster_pages(
    folder: str | Path,
    dataset: Dataset,
    partition: Partition,
    *,
    language: str = "en",
    columns: Sequence[str] | None = None,
    n_exemplars: int = 12,
    outliers: OutlierScores | None = None,
    max_outliers: int = 24,
    max_clusters: int = 200,
    random_state: int = 0,
    progress: bool | None = None,
) -> list[Path]:
    """Write a page for each cluster and an index of all, HTML files that load nothing from the network.

    Parameters
    ----------
    folder : str or Path
        Where the pages go; made if need be. Pages of the same name are replaced, pages of clusters that are no
        more are removed, other files stay.
    dataset : Dataset
        The images; its `origin` opens the index.
    partition : Partition
        The clusters.
    language : {"en", "ru"}, default="en"
        The language of the pages. Colours, types, views and the like are translated; other values stay.
    columns : sequence of str, optional
        The attributes to speak of; by default those that `profile` finds.
    n_exemplars : int, default=12
        Typical and borderline images per cluster, so many of each.
    outliers : OutlierScores, optional
        Adds the flagged images of each cluster, most abnormal first, with their reasons.
    max_outliers : int, default=24
        Outliers to show per cluster.
    max_clusters : int, default=200
        Smaller clusters than the first so many get no page.
    random_state : int, default=0
        Seed of the sample of noise.
    progress : bool, optional
        Whether to show a progress bar; by default where somebody watches.

    Returns
    -------
    list of Path
        `index.html` and a file `cluster_<number>.html` per cluster.

    Raises
    ------
    ValueError
        If dataset, partition or outliers do not have the same number of images, or an option is out of range.
    DatasetError
        If a file cannot be written.

    Notes
    -----
    A page holds at most 2 * n_exemplars + max_outliers + 8 thumbnails of some 5 kB, however many images there are; the
    cost beyond that is that of `summarize`. All text that comes from data is escaped and the pages forbid themselves
    every request and every script (Content-Security-Policy).

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor, Partition, write_cluster_pages
    >>> dataset = Dataset(pd.DataFrame({"path": list("abcd"), "type": ["bus", "bus", "car", "car"]}))
    >>> partition = Partition([0, 0, 1, 1], Descriptor("toy", np.array([[0.0], [1], [8], [9]])), "by hand")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pages = write_cluster_pages(folder, dataset, partition)
    >>> [page.name for page in pages]
    ['index.html', 'cluster_000.html', 'cluster_001.html']
    """
    check_rows("partition.labels", partition.labels, len(dataset))
    check_int("n_exemplars", n_exemplars, low=1)
    check_int("max_outliers", max_outliers, low=1)
    check_int("max_clusters", max_clusters, low=1)
    if outliers is not None:
        check_rows("outliers.is_outlier", outliers.is_outlier, len(dataset))
    summaries = summarize(partition, dataset.images, columns=columns, n_images=n_exemplars, language=language)
    book = ClusterBook(
        dataset, summaries, wording(language), outliers=outliers, n_pages=min(max_clusters, partition.n_clusters)
    )
    folder = Path(folder)
    clusters = track(range(book.n_pages), description="cluster pages", show=progress)
    pages = [
        write_page(folder / page_name(c), "cluster.html", **book.cluster(c, max_outliers=max_outliers))
        for c in clusters
    ]
    # The index last: what it links to is there.
    index = write_page(
        folder / "index.html", "cluster_index.html", **book.index(n_noise=n_exemplars, random_state=random_state)
    )
    _remove_pages_from(book.n_pages, folder)
    return [index, *pages]


def _remove_pages_from(cluster: int, folder: Path) -> None:
    """Remove what an earlier partition of more clusters has left."""
    for page in folder.glob("cluster_*.html"):
        number = page.stem.removeprefix("cluster_")
        if number.isdecimal() and int(number) >= cluster and page.name == page_name(int(number)):
            page.unlink()
