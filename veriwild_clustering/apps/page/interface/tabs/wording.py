"""How the tabs put figures and corrections into words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veriwild_clustering.apps.page.services.clusters import AttributeProfile, ClusterCard, PartitionInfo
from veriwild_clustering.interpretation.language.languages import language_of

__all__ = ["edit_text", "figures_of", "number_text", "partition_facts", "profile_bars"]

_MAX_COLUMNS = 6
_MAX_VALUES = 4
_NOT_SHOWN = frozenset({"folder", "path"})
_LANGUAGE = language_of("en")


def number_text(value: Any) -> str:
    """Write a number as short as it can be told from others; what is not known is a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) >= 1):
        return f"{value:,.0f}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def partition_facts(info: PartitionInfo) -> str:
    """Say in one line what made a partition."""
    settings = ", ".join(f"{key} {value}" for key, value in info.params.items() if not isinstance(value, (dict, list)))
    made = f"{info.algorithm}{f' ({settings})' if settings else ''} on {info.descriptor}"
    marked = f", {info.n_marked:,} marked by hand" if info.n_marked else ""
    return f"{info.n_clusters:,} clusters, {100 * info.noise_fraction:.1f} % noise{marked}. {made}."


def edit_text(edit: Mapping[str, Any]) -> str:
    """Say what a correction did."""
    kind = edit.get("kind")
    if kind == "rename":
        name = edit.get("name")
        return (
            f"cluster {edit.get('cluster')} was named “{name}”"
            if name
            else f"cluster {edit.get('cluster')} lost its name"
        )
    if kind == "merge":
        return f"clusters {' and '.join(map(str, edit.get('clusters', [])))} were merged"
    n_rows = edit.get("n_rows", len(edit.get("rows", [])))
    images = f"{n_rows:,} image{'s' if n_rows != 1 else ''}"
    return f"{images} marked as outliers" if kind == "mark_outlier" else f"{images} put back into their clusters"


def figures_of(card: ClusterCard) -> list[tuple[str, str]]:
    """Return the figures of a cluster with their names and units."""
    figures = dict(card.figures)
    pairs = [("images", f"{card.size:,}"), ("of all images", f"{100 * card.share:.1f} %")]
    if (spread := figures.get("spread")) is not None:
        pairs.append(("spread", f"{number_text(spread)} × average"))
    if (confidence := figures.get("confidence")) is not None:
        pairs.append(("median confidence", number_text(confidence)))
    if (nearest := figures.get("nearest")) is not None and nearest != -1:
        pairs.append(("nearest cluster", str(nearest)))
    if figures.get("n_vehicles") is not None:
        pairs.append(("vehicles", number_text(figures["n_vehicles"])))
    if isinstance(purity := figures.get("vehicle_purity"), float):
        pairs.append(("vehicles wholly in it", f"{100 * purity:.0f} %"))
    if figures.get("n_marked"):
        pairs.append(("marked by hand", number_text(figures["n_marked"])))
    return pairs


def profile_bars(profile: list[AttributeProfile]) -> list[dict[str, Any]]:
    """Return the attributes that tell a cluster from all images best, the most frequent values of each."""
    telling = sorted((one for one in profile if one.values and one.column not in _NOT_SHOWN), key=_plainness)
    return [
        {
            "name": _LANGUAGE.attribute(attribute.column),
            "bars": [
                {
                    "value": _LANGUAGE.value(attribute.column, one.value),
                    "share": one.share,
                    "overall": one.overall_share,
                }
                for one in sorted(attribute.values, key=lambda one: -one.share)[:_MAX_VALUES]
            ],
        }
        for attribute in telling[:_MAX_COLUMNS]
    ]


def _plainness(attribute: AttributeProfile) -> float:
    """Return how little an attribute differs from all images: minus its largest difference of shares."""
    return -max(abs(one.share - one.overall_share) for one in attribute.values)
