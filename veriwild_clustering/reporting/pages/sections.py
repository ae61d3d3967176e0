"""The sections of the report: from results to the values that its template fills in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.evaluation.agreement import agreement
from veriwild_clustering.images.duplicates import near_duplicates
from veriwild_clustering.images.quality.measures import QUALITY
from veriwild_clustering.interpretation.exemplars import exemplars
from veriwild_clustering.interpretation.profiles import profile
from veriwild_clustering.interpretation.sentences import describe
from veriwild_clustering.reporting.figures.charts import plot_outliers, plot_scores
from veriwild_clustering.reporting.figures.comparison import plot_agreement, plot_flow
from veriwild_clustering.reporting.figures.galleries import Album
from veriwild_clustering.reporting.figures.maps import plot_map
from veriwild_clustering.reporting.figures.style import palette
from veriwild_clustering.reporting.pages.attribute_bars import known_of, telling_columns
from veriwild_clustering.reporting.pages.page import chart, table
from veriwild_clustering.reporting.pages.wording import wording

if TYPE_CHECKING:
    from veriwild_clustering.evaluation.choice.choosing import Choice
    from veriwild_clustering.evaluation.leaderboard import Leaderboard
    from veriwild_clustering.outliers.scores import OutlierScores

__all__ = [
    "board_section",
    "chosen_section",
    "clusters_section",
    "comparison_section",
    "images_section",
    "maps_section",
    "outliers_section",
]

_MAX_BOARD = 500
_MAX_RANKED = 10
_MAX_DESCRIPTORS = 6
_MAX_PROFILES = 6
_MAX_BARS = 4
_MAX_COUNTED = 12
_MEASURED = ("measured_color", "light", "focus")
_SHOWN_QUALITY = ("brisque", "sharpness", "noise")
_WORSE = {"high": "higher is worse", "low": "lower is worse", "both": "both ends are bad"}
_MAP_SIZE = (5.3, 4.4)  # inches: two maps side by side on a wide page


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
            "name": partition.numbered_name(cluster),
            "color": color,
            "size": f"{size:,}",
            "share": f"{size / len(partition):.1%}",
            "text": texts.get(cluster, ""),
            "profiles": _profiles(profiles[profiles["cluster"] == cluster]),
            "strips": [(name, album.tiles(rows[cluster])) for name, rows in picked.items()],
        }
        for cluster, (size, color) in enumerate(zip(partition.sizes, palette(partition.n_clusters), strict=True))
    ]


def _profiles(part: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the most frequent values of a cluster in the columns that tell most of it."""
    return [
        {
            "column": column,
            "known": known_of(values, wording("en")),
            "bars": [
                {
                    "value": str(row["value"]),
                    "share": f"{row['share']:.0%}",
                    "overall": f"{row['overall_share']:.0%}",
                    "lift": f"{row['lift']:.1f}",
                }
                for row in values.head(_MAX_BARS).to_dict("records")
            ],
        }
        for column, values in telling_columns(part, _MAX_PROFILES)
    ]


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


def images_section(images: pd.DataFrame) -> dict[str, Any] | None:
    """Return what was measured of the images: colour, light and focus, damage, repetition; None if nothing was."""
    measured = [column for column in _MEASURED if column in images and images[column].notna().any()]
    facts = []
    if "image_status" in images:
        unusable = images["image_status"].notna() & (images["image_status"] != "ok")
        facts.append(_fact("cannot be decoded", unusable.sum(), len(images)))
    if "phash" in images and images["phash"].notna().any():
        facts.append(_fact("look like an earlier image", len(near_duplicates(images["phash"])), len(images)))
    facts += [
        {"name": f"median {column}", "value": f"{images[column].median():.3g}", "note": _WORSE[QUALITY[column].bad]}
        for column in _SHOWN_QUALITY
        if column in images and images[column].notna().any()
    ]
    bars = [{"name": column.replace("_", " "), "bars": _counts(images[column])} for column in measured]
    return {"facts": facts, "bars": bars} if measured or len(facts) > 1 else None


def _fact(name: str, count: int, total: int) -> dict[str, str]:
    return {"name": name, "value": f"{count:,}", "note": f"{count / max(1, total):.1%}"}


def _counts(values: pd.Series[Any]) -> list[dict[str, str]]:
    """Return how often the most frequent values occur, as a share of those known."""
    counts = values.value_counts()
    return [
        {"value": str(value), "share": f"{count / counts.sum():.1%}", "count": f"{count:,}"}
        for value, count in counts.head(_MAX_COUNTED).items()
    ]


def outliers_section(album: Album, outliers: OutlierScores, max_outliers: int) -> dict[str, Any]:
    """Return the outliers, most abnormal first, with their reasons."""
    ranking = outliers.ranking()
    flagged = ranking[outliers.is_outlier[ranking]]
    # What is not scored cannot be used at all: it comes first.
    flagged = flagged[np.argsort(~np.isnan(outliers.scores[flagged]), kind="stable")]
    rows = flagged[:max_outliers]
    shown = f" The {len(rows)} most abnormal are shown." if len(rows) < len(flagged) else ""
    counted = f"{len(flagged):,} of {len(outliers):,} images ({len(flagged) / max(1, len(outliers)):.1%})"
    (low, high), (fewest, most) = outliers.threshold_interval, outliers.n_outliers_interval
    threshold = (
        f"The threshold is {outliers.threshold:.2f}, with a 95 % interval of {low:.2f} to {high:.2f} in which "
        f"{fewest:,} to {most:,} images are flagged."
    )
    return {
        "summary": f"{counted} are flagged by {outliers.detector}. {threshold}{shown}",
        "figure": chart(plot_outliers(outliers)[0], "Distribution of the outlier scores with the threshold"),
        "reasons": _counts(pd.Series([_kind(reason) for reason in outliers.reasons[flagged]], dtype=object)),
        "tiles": album.tiles(rows, [str(reason) for reason in outliers.reasons[rows]]),
    }


def _kind(reason: str) -> str:
    """Return what comes first in a reason, without the figures and names that are those of one image."""
    return re.split(r"(?<=near-duplicate) |[:;]", reason, maxsplit=1)[0]


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
