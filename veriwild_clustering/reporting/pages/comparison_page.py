"""A page that compares two partitions: where the images of each cluster go, and what its parts look like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.validation import check_int, check_rows
from veriwild_clustering.evaluation.agreement import agreement
from veriwild_clustering.interpretation.comparisons import PartitionComparison, compare_partitions
from veriwild_clustering.interpretation.exemplars import exemplars
from veriwild_clustering.reporting.figures.comparison import OTHERS, flows, plot_flow
from veriwild_clustering.reporting.figures.galleries import Album
from veriwild_clustering.reporting.figures.style import palette
from veriwild_clustering.reporting.pages.page import chart, write_page
from veriwild_clustering.reporting.pages.wording import Wording, wording

__all__ = ["write_comparison_page"]

_FLOW_SIZE = (7.2, 3.4)  # inches, and a little higher with each cluster


def write_comparison_page(
    path: str | Path,
    first: Partition,
    second: Partition,
    *,
    dataset: Dataset,
    language: str = "en",
    columns: Sequence[str] | None = None,
    n_images: int = 6,
    max_clusters: int = 20,
    progress: bool | None = None,
) -> Path:
    """Write a page that tells which cluster of one partition is which clusters of another, as one HTML file.

    Parameters
    ----------
    path : str or Path
        The file to write; replaced as a whole or not at all.
    first, second : Partition
        Two partitions of the same images: the clusters of the first are told in those of the second.
    dataset : Dataset
        The images; its `origin` opens the page.
    language : {"en", "ru"}, default="en"
        The language of the page. Colours, types, views and the like are translated; other values stay.
    columns : sequence of str, optional
        The attributes that may tell the parts of a cluster apart; by default those that `profile` finds.
    n_images : int, default=6
        Exemplars of each cluster that is split, and of each of its parts.
    max_clusters : int, default=20
        Clusters of each partition to tell of, the largest first; the others are one in the table and the chart.
    progress : bool, optional
        Whether to show progress bars; by default where somebody watches.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    ValueError
        If dataset and partitions do not have the same number of images, or an option is out of range.
    DatasetError
        If the file cannot be written.

    Notes
    -----
    Reads at most 5 * n_images * max_clusters images, since a cluster has four named parts at most; one pass over the
    vectors of the first partition's descriptor and what `compare_partitions` costs. All text that comes from data is
    escaped and the page forbids itself every request and every script (Content-Security-Policy).

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor, Partition, write_comparison_page
    >>> dataset = Dataset(pd.DataFrame({"path": list("abcd")}))
    >>> space = Descriptor("toy", np.array([[0.0], [1], [8], [9]]))
    >>> one, other = Partition([0, 0, 0, 0], space, "one"), Partition([0, 0, 1, 1], space, "other")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_comparison_page(f"{folder}/comparison.html", one, other, dataset=dataset)
    ...     print(page.read_text(encoding="utf-8")[:15])
    <!doctype html>
    """
    words = wording(language)
    for name, partition in {"first": first, "second": second}.items():
        check_rows(f"{name}.labels", partition.labels, len(dataset))
    check_int("n_images", n_images, low=1)
    check_int("max_clusters", max_clusters, low=1)
    comparison = compare_partitions(first, second, dataset.images, columns=columns, language=language)
    texts = comparison.texts.head(max_clusters)
    named = comparison.table.query("named and cluster < @max_clusters")
    splits = _splits(Album(dataset, size=128, progress=progress), comparison, named, words=words, n_images=n_images)
    whole = ~texts["cluster"].isin([split["number"] for split in splits])
    hidden = first.n_clusters - len(texts)
    return write_page(
        path, "comparison.html", language=language, t=words, start="comparison", title=words["compared"],
        names=[first.name, second.name], origin=dataset.origin, pairs=_figures(first, second, words),
        texts=[words.keep(text) for text in texts["text"][whole]], splits=splits,
        flow=_flow(first, second, words, max_clusters=max_clusters),
        cells=_cells(flows(first, second, max_clusters), words),
        cut=words.say("cut_clusters", shown=len(texts), total=words.count(first.n_clusters)) if hidden else "",
    )  # fmt: skip


def _figures(first: Partition, second: Partition, words: Wording) -> list[dict[str, str]]:
    facts = [{"name": words["images"], "value": words.count(len(first))}]
    for name, partition in {"clusters_first": first, "clusters_second": second}.items():
        noise = words.percent(partition.noise_fraction, decimals=1)
        facts.append({"name": words[name], "value": words.count(partition.n_clusters)})
        if partition.noise_fraction:
            facts[-1]["note"] = words.say("and_noise", share=noise)
    ari = agreement([first, second]).to_numpy()[0, 1]
    return [*facts, {"name": words["ari"], "value": words.decimal(ari)}]


def _flow(first: Partition, second: Partition, words: Wording, *, max_clusters: int) -> dict[str, Any]:
    n_bars = min(max(first.n_clusters, second.n_clusters), max_clusters)
    figure, _ = plot_flow(
        first, second, max_clusters=max_clusters, min_share=0, title=words.say("flow", n=words.count(len(first))),
        label=lambda cluster, size: f"{_cluster(cluster, words)} · {words.count(size)}",
        figsize=(_FLOW_SIZE[0], _FLOW_SIZE[1] + 0.15 * n_bars),
    )  # fmt: skip
    return chart(figure, words["flow_alt"])


def _cluster(cluster: int, words: Wording) -> str:
    return {NOISE: words["noise"], OTHERS: words["others"]}.get(cluster, str(cluster))


def _cells(counts: pd.DataFrame, words: Wording) -> dict[str, Any]:
    """Return how the images of each cluster are spread over those of the other partition, as shares of the row."""
    lines = [
        {"name": _cluster(cluster, words), "cells": [_cell(n, n / line.sum(), words) for n in line]}
        for cluster, line in zip(counts.index.to_numpy(), counts.to_numpy(), strict=True)
    ]
    return {"columns": [_cluster(cluster, words) for cluster in counts.columns.to_numpy()], "lines": lines}


def _cell(count: int, share: float, words: Wording) -> dict[str, Any] | None:
    if not count:
        return None
    return {"share": round(100 * share, 1), "text": words.percent(share), "count": words.count(count)}


def _splits(
    album: Album, comparison: PartitionComparison, named: pd.DataFrame, *, words: Wording, n_images: int
) -> list[dict[str, Any]]:
    """Return the clusters of the first partition that have several named parts: what is said of them, and images."""
    first, vehicles = comparison.first, album.dataset.images.get("vehicle_id")
    split = named[named.groupby("cluster")["part"].transform("size") > 1]
    parts: dict[int, list[dict[str, Any]]] = {}
    typical_rows = _typical_of(split, comparison, vehicles, n_images=n_images)
    for part, rows in zip(split.to_dict("records"), typical_rows, strict=True):
        part_name = comparison.second.numbered_name(part["part"])
        name = words.say(
            "part_noise" if part["part"] == NOISE else "part",
            part=part_name, count=words.count(part["count"]), share=words.percent(part["share"]),
        )  # fmt: skip
        parts.setdefault(part["cluster"], []).append({"name": name, "tiles": album.tiles(rows)})
    typical = exemplars(first, n=n_images, groups=vehicles) if parts else {}
    colors = palette(first.n_clusters)
    return [
        {
            "number": cluster,
            "name": words.say("cluster", cluster=first.numbered_name(cluster)),
            "color": colors[cluster],
            "text": words.keep(comparison.texts["text"].iloc[cluster]),
            "tiles": album.tiles(typical[cluster]),
            "parts": own,
        }
        for cluster, own in parts.items()
    ]


def _typical_of(
    parts: pd.DataFrame, comparison: PartitionComparison, vehicles: pd.Series[Any] | None, *, n_images: int
) -> list[NDArray[np.int64]]:
    """Return the images nearest to the centre of each part, in the space of the first partition."""
    first, second = comparison.first, comparison.second
    cells = np.full(len(first), NOISE)
    for position, (cluster, part) in enumerate(zip(parts["cluster"], parts["part"], strict=True)):
        cells[(first.labels == cluster) & (second.labels == part)] = position
    clusters = Partition(cells, first.descriptor, "parts")
    typical = exemplars(clusters, n=n_images, groups=vehicles)
    # A partition numbers its clusters by size.
    return [typical[int(clusters.labels[np.argmax(cells == position)])] for position in range(len(parts))]
