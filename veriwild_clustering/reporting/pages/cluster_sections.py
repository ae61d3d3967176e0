"""The parts of the pages of clusters: from their summaries to the values that the templates fill in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.partition import NOISE
from veriwild_clustering.interpretation.evidence.attributes import vehicle_codes
from veriwild_clustering.interpretation.language.languages import language_of
from veriwild_clustering.interpretation.sentences import say_claims
from veriwild_clustering.interpretation.summaries import ClusterSummaries
from veriwild_clustering.reporting.figures.galleries import Album
from veriwild_clustering.reporting.figures.style import palette
from veriwild_clustering.reporting.pages.attribute_bars import (
    difference_bars,
    hour_columns,
    share_bars,
    telling_columns,
)
from veriwild_clustering.reporting.pages.wording import Wording

if TYPE_CHECKING:
    from veriwild_clustering.outliers.scores import OutlierScores

__all__ = ["ClusterBook", "page_name"]

_TILE = 160  # pixels: sharp at the width of a column of tiles

_MAX_ATTRIBUTES = 6
_MAX_VALUES = 5
_MAX_CAMERAS = 10
_MAX_DIFFERENCES = 8
_MAX_OF_NEIGHBOR = 4
_IN_SOURCES = ("camera", "hours")


def page_name(cluster: int) -> str:
    """Return the name of the file that tells of a cluster."""
    return f"cluster_{cluster:03d}.html"


@dataclass(frozen=True)
class ClusterBook:
    """What the index and the pages of the first `n_pages` clusters say."""

    dataset: Dataset
    summaries: ClusterSummaries
    words: Wording
    outliers: OutlierScores | None
    n_pages: int

    def index(self, *, n_noise: int, random_state: int) -> dict[str, Any]:
        """Return the index: every cluster with its medoid, its size and its claims; a sample of the noise."""
        words, partition = self.words, self.summaries.partition
        medoids = self.summaries.exemplars.query("rank == 0")["row"].to_numpy()[: self.n_pages]
        colors = palette(partition.n_clusters)
        facts = self.summaries.table.head(self.n_pages).to_dict("records")
        cards = [
            {
                "name": self._name(cluster),
                "color": colors[cluster],
                "tile": tile,
                "size": f"{words['images']}: {words.count(fact['size'])} ({words.percent(fact['share'], decimals=1)})",
                "text": words.keep(self._claims(cluster)),
                "link": page_name(cluster),
            }
            for cluster, (fact, tile) in enumerate(zip(facts, self._tiles(medoids), strict=True))
        ]
        hidden = partition.n_clusters - self.n_pages
        noise = np.random.default_rng(random_state).permutation(partition.members(NOISE))
        return {
            "language": words.language, "t": words, "start": "clusters", "title": words["clusters_of"],
            "name": partition.name, "origin": self.dataset.origin, "pairs": self._totals(), "cards": cards,
            "cut": words.say("no_pages", n=words.count(hidden)) if hidden else "",
            "noise_note": words.say("noise_note", n=words.count(len(noise))), "noise": self._tiles(noise[:n_noise]),
        }  # fmt: skip

    def cluster(self, cluster: int, *, max_outliers: int) -> dict[str, Any]:
        """Return the page of one cluster."""
        words = self.words
        fact = self.summaries.table.iloc[cluster].to_dict()
        headings = [words[name] for name in ("attribute", "share", "here_within", "all_images", "lift")]
        return {
            "language": words.language, "t": words, "start": "cluster", "title": self._name(cluster),
            "number": cluster, "color": palette(cluster + 1)[cluster], "links": self._ways(cluster),
            "text": words.keep(fact["text"]), "pairs": self._figures(fact), "exemplars": self._exemplars(cluster),
            "borderline": self._borderline(cluster), "share_headings": headings,
            "attributes": self._attributes(cluster), **self._sources(cluster),
            "neighbor": self._neighbor(cluster, int(fact["nearest"])),
            "outliers": self._outliers(cluster, max_outliers),
        }  # fmt: skip

    def _tiles(self, rows: Any, captions: Sequence[str] | None = None) -> list[dict[str, str]]:
        return Album(self.dataset, size=_TILE, progress=False).tiles(rows, captions)

    def _name(self, cluster: int) -> str:
        return self.words.say("cluster", cluster=self.summaries.partition.numbered_name(cluster))

    def _claims(self, cluster: int) -> str:
        """Return the claims as a sentence of their own, without the name and the size that stand beside it."""
        said = say_claims(_of(self.summaries.claims, cluster), language_of(self.words.language))
        return f"{said[:1].upper()}{said[1:]}."

    def _link(self, cluster: int) -> dict[str, str]:
        return {"link": page_name(cluster)} if 0 <= cluster < self.n_pages else {}

    def _totals(self) -> list[dict[str, str]]:
        words, partition, images = self.words, self.summaries.partition, self.dataset.images
        facts = {"images": words.count(len(partition))}
        if n_vehicles := int(vehicle_codes(images).max(initial=-1)) + 1:
            facts["vehicles"] = words.count(n_vehicles)
        facts["clusters"] = words.count(partition.n_clusters)
        facts["noise"] = words.percent(partition.noise_fraction, decimals=1)
        if self.outliers is not None:
            facts["flagged"] = words.count(len(self._flagged))
        return [{"name": words[name], "value": value} for name, value in facts.items()]

    def _ways(self, cluster: int) -> list[tuple[str, str]]:
        """Return the links to the index and to the clusters before and after."""
        ways = [(self.words["all_clusters"], "index.html")]
        ways += [(f"← {self._name(cluster - 1)}", page_name(cluster - 1))] if cluster else []
        return ways + ([(f"{self._name(cluster + 1)} →", page_name(cluster + 1))] if cluster + 1 < self.n_pages else [])

    def _figures(self, fact: dict[Any, Any]) -> list[dict[str, str]]:
        words = self.words
        share = words.percent(fact["share"], decimals=1)
        facts = [
            {"name": words["images"], "value": words.count(fact["size"]), "note": words.say("of_all", share=share)},
            {"name": words["spread"], "value": words.decimal(fact["spread"]), "note": words["spread_note"]},
            {"name": words["confidence"], "value": words.decimal(fact["confidence"])},
        ]
        if pd.notna(fact["n_vehicles"]):
            facts.insert(1, {"name": words["vehicles"], "value": words.count(fact["n_vehicles"])})
        if pd.notna(fact["vehicle_purity"]):
            interval = words.span(fact["vehicle_purity_low"], fact["vehicle_purity_high"])
            note = words.say("purity_note", span=interval, chance=words.percent(fact["vehicle_purity_chance"]))
            facts.append({"name": words["purity"], "value": words.percent(fact["vehicle_purity"]), "note": note})
        if fact["nearest"] >= 0:
            nearest = int(fact["nearest"])
            facts.append({"name": words["nearest"], "value": self._name(nearest), **self._link(nearest)})
        if self.outliers is not None:
            n_flagged = len(self._flagged_in(fact["cluster"]))
            note = words.percent(n_flagged / fact["size"], decimals=1)
            facts.append({"name": words["flagged"], "value": words.count(n_flagged), "note": note})
        return facts

    def _exemplars(self, cluster: int) -> list[dict[str, str]]:
        rows = _of(self.summaries.exemplars, cluster)["row"].to_numpy()
        vehicles = self._vehicles(rows)
        return self._tiles(rows, [" · ".join(filter(None, [self.words["medoid"], vehicles[0]])), *vehicles[1:]])

    def _vehicles(self, rows: Any) -> list[str]:
        if "vehicle_id" not in self.dataset.images:
            return [""] * len(rows)
        vehicles = self.dataset.images["vehicle_id"].iloc[rows]
        return ["" if pd.isna(one) or one == "" else self.words.say("vehicle", vehicle=one) for one in vehicles]

    def _borderline(self, cluster: int) -> list[dict[str, str]]:
        doubtful = _of(self.summaries.borderline, cluster)
        farther = doubtful["other_distance"] / doubtful["distance"].where(doubtful["distance"] > 0) - 1
        captions = [
            self.words.say("farther", other=other, share=self.words.percent(share, decimals=1))
            for other, share in zip(doubtful["other"], farther, strict=True)
        ]
        tiles = self._tiles(doubtful["row"], captions)
        return [tile | self._link(other) for tile, other in zip(tiles, doubtful["other"], strict=True)]

    def _attributes(self, cluster: int) -> list[dict[str, Any]]:
        profile = _of(self.summaries.profile, cluster)
        shown = telling_columns(profile[~profile["column"].isin(_IN_SOURCES)], _MAX_ATTRIBUTES)
        return [share_bars(values, self.words, n=_MAX_VALUES) for _, values in shown]

    def _sources(self, cluster: int) -> dict[str, Any]:
        everywhere = self.summaries.sources
        own = _of(everywhere, cluster)
        cameras = own[own["column"] == "camera"]
        return {
            "cameras": [share_bars(cameras, self.words, n=_MAX_CAMERAS) | {"name": ""}] if len(cameras) else [],
            "hours": hour_columns(everywhere[everywhere["column"] == "hour"], cluster, self.words),
        }

    def _neighbor(self, cluster: int, nearest: int) -> dict[str, Any] | None:
        """Return what tells a cluster from the nearest one, and images of both."""
        if nearest < 0:
            return None
        differences = _of(self.summaries.differences, cluster)
        clear = differences[differences["clear"]].head(_MAX_DIFFERENCES)
        colors = palette(max(cluster, nearest) + 1)
        sides = [
            {
                "name": self.words.say("typical_of", cluster=side),
                "color": colors[side],
                "tiles": self._tiles(_of(self.summaries.exemplars, side)["row"].head(_MAX_OF_NEIGHBOR)),
                "link": self._link(side).get("link", "") if side != cluster else "",
            }
            for side in (cluster, nearest)
        ]
        headings = [self.words[name] for name in ("attribute", "share", "here", "there", "difference")]
        return {
            "number": nearest, "title": self.words.say("differences", other=nearest), "headings": headings,
            "differences": difference_bars(clear, self.words), "sides": sides,
        }  # fmt: skip

    @cached_property
    def _flagged(self) -> NDArray[np.int64]:
        """The rows that are flagged, most abnormal first."""
        if self.outliers is None:
            return np.empty(0, dtype=np.int64)
        ranking = self.outliers.ranking()
        return ranking[self.outliers.is_outlier[ranking]]

    def _flagged_in(self, cluster: int) -> NDArray[np.int64]:
        return self._flagged[self.summaries.partition.labels[self._flagged] == cluster]

    def _outliers(self, cluster: int, max_outliers: int) -> dict[str, Any] | None:
        rows = self._flagged_in(cluster)
        if self.outliers is None or not len(rows):
            return None
        shown = rows[:max_outliers]
        counts = {"shown": self.words.count(len(shown)), "total": self.words.count(len(rows))}
        return {
            "cut": self.words.say("outliers_cut", **counts) if len(shown) < len(rows) else "",
            "tiles": self._tiles(shown, [self.words.reason(str(reason)) for reason in self.outliers.reasons[shown]]),
        }


def _of(table: pd.DataFrame, cluster: int) -> pd.DataFrame:
    return table[table["cluster"] == cluster]
