"""The sections of the report: from results to the values that its template fills in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.evaluation.agreement import agreement
from veriwild_clustering.interpretation.exemplars import exemplars
from veriwild_clustering.interpretation.profiles import profile
from veriwild_clustering.interpretation.sentences import describe
from veriwild_clustering.reporting.charts import plot_outliers, plot_scores
from veriwild_clustering.reporting.comparison import plot_agreement, plot_flow
from veriwild_clustering.reporting.galleries import thumbnail_uris
from veriwild_clustering.reporting.maps import plot_map
from veriwild_clustering.reporting.pages.page import chart, table
from veriwild_clustering.reporting.style import palette

if TYPE_CHECKING:
    from veriwild_clustering.evaluation.choice import Choice
    from veriwild_clustering.evaluation.leaderboard import Leaderboard
    from veriwild_clustering.outliers.scores import OutlierScores

__all__ = [
    "Album",
    "board_section",
    "chosen_section",
    "clusters_section",
    "comparison_section",
    "maps_section",
    "outliers_section",
]

_MAX_BOARD = 500
_MAX_RANKED = 10
_MAX_DESCRIPTORS = 6
_MAX_PROFILES = 6
_MAX_BARS = 4
_MAP_SIZE = (5.3, 4.4)  # inches: two maps side by side on a wide page


@dataclass(frozen=True)
class Album:
    """Tiles of images for the page."""

    dataset: Dataset
    progress: bool | None

    def tiles(self, rows: Iterable[int], captions: Sequence[str] | None = None) -> list[dict[str, str]]:
        """Return thumbnail, alternative text and caption of each row."""
        index = [int(row) for row in rows]
        paths = self.dataset.images["path"].iloc[index].astype(str).to_numpy()
        uris = thumbnail_uris(self.dataset, index, progress=self.progress)
        captions = [""] * len(index) if captions is None else captions
        return [
            {"uri": uri, "alt": f"{path}: {caption}" if caption else path, "caption": caption}
            for uri, path, caption in zip(uris, paths, captions, strict=True)
        ]


def maps_section(
    projections: Sequence[Descriptor], partition: Partition, outliers: OutlierScores | None
) -> list[dict[str, Any]]:
    """Return a map for each projection."""
    return [
        chart(
            plot_map(projection, partition, outliers=outliers, figsize=_MAP_SIZE)[0],
            f"Map of {len(projection)} images by {projection.name}, coloured by the {partition.n_clusters} clusters",
        )
        for projection in projections
    ]


def _position(board: Leaderboard, partition: Partition) -> int | None:
    return next((i for i, other in enumerate(board.partitions) if other is partition), None)


def chosen_section(board: Leaderboard, choice: Choice) -> dict[str, Any]:
    """Return what was chosen: its facts, the reasons, the top of the ranking, the scores around it."""
    partition = choice.partition
    confidence = partition.confidence[partition.clustered]
    facts = [
        ("clusters", f"{partition.n_clusters}"),
        ("noise", f"{partition.noise_fraction:.1%}"),
        ("largest cluster", f"{partition.sizes[0]:,}" if partition.n_clusters else "–"),
        ("smallest cluster", f"{partition.sizes[-1]:,}" if partition.n_clusters else "–"),
        ("median confidence", f"{np.median(confidence):.2f}" if len(confidence) else "–"),
    ]
    shown = list(dict.fromkeys([partition.descriptor.name, *_best_of_descriptors(board, choice)]))[:_MAX_DESCRIPTORS]
    figure, _ = plot_scores(board, chosen=partition, descriptors=shown)
    return {
        "name": partition.name,
        "facts": facts,
        "reasons": list(choice.reasons),
        "ranking": table(choice.ranking.head(_MAX_RANKED).drop(columns="excluded"), marked=_position(board, partition)),
        "scores": chart(figure, "Internal scores against the number of clusters, a row of panels per descriptor"),
    }


def _best_of_descriptors(board: Leaderboard, choice: Choice) -> dict[str, int]:
    """Return the position on the board of each descriptor's best partition in the ranking, best descriptor first."""
    best: dict[str, int] = {}
    for position in choice.ranking.index:
        best.setdefault(board.partitions[position].descriptor.name, int(position))
    return best


def clusters_section(
    album: Album, partition: Partition, descriptions: pd.DataFrame | None, *, n_images: int, random_state: int
) -> list[dict[str, Any]]:
    """Return each cluster: its sentence, its profile and its images."""
    images = album.dataset.images
    described = describe(partition, images) if descriptions is None else descriptions
    texts = dict(zip(described["cluster"], described["text"], strict=True))
    profiles = profile(partition, images)
    kinds = {"Most typical": "exemplar", **({"At the border": "borderline"} if partition.n_clusters > 1 else {})}
    vehicles = images.get("vehicle_id")  # several images of one vehicle would say the same
    picked = {
        name: exemplars(partition, n=n_images, kind=kind, groups=vehicles, random_state=random_state)
        for name, kind in kinds.items()
    }
    return [
        {
            "number": cluster,
            "color": color,
            "size": f"{size:,}",
            "share": f"{size / len(partition):.1%}",
            "text": texts.get(cluster, ""),
            "profiles": _bars(profiles[profiles["cluster"] == cluster]),
            "strips": [(name, album.tiles(rows[cluster])) for name, rows in picked.items()],
        }
        for cluster, (size, color) in enumerate(zip(partition.sizes, palette(partition.n_clusters), strict=True))
    ]


def _bars(part: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the columns in which a cluster differs most from all images, by divergence where values are known."""
    known = part["known"] / (part["known"] + part["missing"])
    divergence = (known * part["share"] * np.log(part["lift"])).groupby(part["column"]).sum()
    shown = divergence.sort_values(ascending=False, kind="stable").index[:_MAX_PROFILES]
    return [_profile(str(column), part[part["column"] == column]) for column in shown]


def _profile(column: str, values: pd.DataFrame) -> dict[str, Any]:
    """Return the most frequent values of a cluster in one column, and how many images have one."""
    known, missing = values[["known", "missing"]].to_numpy()[0]
    bars = [
        {
            "value": str(row["value"]),
            "share": f"{row['share']:.0%}",
            "overall": f"{row['overall_share']:.0%}",
            "lift": f"{row['lift']:.1f}",
        }
        for row in values.head(_MAX_BARS).to_dict("records")
    ]
    return {"column": column, "known": f"known of {known:,} images" if missing else "", "bars": bars}


def comparison_section(board: Leaderboard, choice: Choice) -> dict[str, Any] | None:
    """Return the best partition of each descriptor, and how far they agree; None for a single descriptor."""
    best = _best_of_descriptors(board, choice)
    if len(best) < 2:
        return None
    positions = list(best.values())
    partitions = [board.partitions[position] for position in positions]
    figures = [
        chart(plot_agreement(agreement(partitions))[0], "Agreement (ARI) between the best partitions of descriptors")
    ]
    other = next(p for p in partitions if p.descriptor.name != choice.partition.descriptor.name)
    alt = f"Flow of images from {choice.partition.name} to {other.name}"
    figures.append(chart(plot_flow(choice.partition, other)[0], alt))
    best_rows = board.table.reset_index(drop=True).iloc[positions]
    return {"table": table(best_rows, marked=_position(board, choice.partition)), "figures": figures}


def outliers_section(album: Album, outliers: OutlierScores, max_outliers: int) -> dict[str, Any]:
    """Return the outliers, most abnormal first, with their reasons."""
    flagged = np.flatnonzero(outliers.is_outlier)
    scores: NDArray[np.float64] = np.nan_to_num(np.asarray(outliers.scores, dtype=float), nan=np.inf)
    rows = flagged[np.argsort(-scores[flagged], kind="stable")][:max_outliers]
    shown = f" The {len(rows)} most abnormal are shown." if len(rows) < len(flagged) else ""
    counted = f"{len(flagged):,} of {len(scores):,} images ({len(flagged) / max(1, len(scores)):.1%})"
    return {
        "summary": f"{counted} are flagged by {outliers.detector}.{shown}",
        "figure": chart(plot_outliers(outliers)[0], "Distribution of the outlier scores with the threshold"),
        "tiles": album.tiles(rows, [str(outliers.reasons[row]) for row in rows]),
    }


def board_section(board: Leaderboard, choice: Choice) -> dict[str, Any]:
    """Return the leaderboard, ranked partitions first."""
    rows = board.table.reset_index(drop=True)
    ranked = [position for position in choice.ranking.index if position in rows.index]
    order = [*ranked, *(position for position in rows.index if position not in set(ranked))]
    shown = rows.loc[order[:_MAX_BOARD]]
    cut = f" The first {_MAX_BOARD} of {len(rows):,} are shown." if len(rows) > _MAX_BOARD else ""
    note = (
        f"All {len(rows):,} partitions, those of the ranking first.{cut} Calinski–Harabasz, Davies–Bouldin and "
        "silhouette are computed without noise in the partition's own space: they compare within a descriptor and "
        "beside the noise fraction, so sorting by them sorts within descriptors."
    )
    return {"table": table(shown, marked=_position(board, choice.partition)), "note": note}
