"""English phrases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from veriwild_clustering.interpretation.language.grammar import Claim, Contrast, Language, Part

__all__ = ["English"]

_WORDINGS = {
    "aspect": "with width / height {}",
    "blockiness": "with JPEG blockiness {}",
    "brightness": "with brightness {}",
    "brisque": "with BRISQUE {}",
    "camera": "from camera {}",
    "color": "{}",
    "contrast": "with contrast {}",
    "dark_share": "with a share of dark pixels {}",
    "entropy": "with entropy {} bits",
    "focus": "{} (focus)",
    "folder": "in folder {}",
    "glare_share": "with a share of glaring pixels {}",
    "height": "with height {} px",
    "hours": "taken at {} h",
    "light": "{} (light)",
    "measured_color": "{} (measured)",
    "model": "model {}",
    "noise": "with noise {} grey levels",
    "sharpness": "with sharpness {}",
    "time_of_day": "{} (time of day)",
    "type": "{}",
    "view": "{} view",
    "width": "with width {} px",
}
_LABELS = {
    "aspect": "width / height",
    "brisque": "BRISQUE",
    "color": "colour",
    "hours": "hour",
    "measured_color": "measured colour",
}


class English(Language):
    """Claims in English."""

    quotes = ("“", "”")
    nothing = "no known attribute stands out"
    under, over = "under", "over"

    def attribute(self, column: str) -> str:
        """Colour."""
        return _LABELS.get(column, column.replace("_", " "))

    def value(self, column: str, value: Any) -> str:  # noqa: ARG002 - values of the image table are English
        """Black."""
        return str(value)

    def reason(self, reason: str) -> str:
        """Blurred: sharpness in the lowest 0.2 %."""
        return reason

    def head(self, cluster: str, size: int, *, share: float, n_vehicles: int | None) -> str:
        """Cluster 1 (40 images, 33.3 %, 20 vehicles)."""
        facts = [_counted(size, "image"), f"{100 * share:.1f} %"]
        if n_vehicles:
            facts.append(_counted(n_vehicles, "vehicle"))
        return f"Cluster {cluster} ({', '.join(facts)})"

    def claim(self, claim: Claim) -> str:
        """82 % black (3.8 times its share overall)."""
        known = "" if claim.known is None else f" of the {claim.known:,} known"
        named = _named(claim.column, claim.value)
        return f"{self.percent(claim.share)}{known} {named} ({claim.lift:.1f} times its share overall)"

    def place(self, spread: float, nearest: str | None, contrast: Contrast | None) -> str:
        """Spread 0.95 times the average; nearest to cluster 5, told from it by colour: 82 % black here, 0 % there."""
        text = f"Spread {spread:.2f} times the average"
        if nearest is not None:
            text += f"; nearest to cluster {nearest}"
        if contrast is not None:
            here, there = self.percent(contrast.here), self.percent(contrast.there)
            text += f", told from it by {self.attribute(contrast.column)}: "
            text += f"{here} {_named(*contrast[:2])} here, {there} there{_where_known(contrast)}"
        return text

    def vehicles(self, purity: float, chance: float) -> str:
        """54 % of its vehicles seen more than once lie wholly in it (1 % by chance)."""
        whole, expected = self.percent(purity), self.percent(chance)
        return f"{whole} of its vehicles seen more than once lie wholly in it ({expected} by chance)"

    def partition(self, algorithm: str, descriptor: str) -> str:
        """kmeans on osnet."""
        return f"{algorithm} on {descriptor}"

    def subject(self, cluster: str, partition: str, size: int) -> str:
        """Cluster 3 of kmeans on osnet (100 images)."""
        return f"Cluster {cluster} of {partition} ({_counted(size, 'image')})"

    def kept(self, subject: str, part: Part, other: str, *, of_part: float) -> str:
        """Cluster 3 of … is cluster 1 (97 %) of … and makes 45 % of it."""
        return f"{subject} is {self._listed([part])} of {other} and makes {self.percent(of_part)} of it."

    def split(self, subject: str, parts: Sequence[Part], other: str, *, asked: bool) -> str:
        """Cluster 3 of … is clusters 1 (62 %) and 4 (36 %) of …, split by colour: cluster 1 is 91 % white, …"""
        text = f"{subject} is {self._listed(parts)} of {other}"
        told = [(part, part.contrast) for part in parts if part.contrast is not None]
        if not asked:
            return f"{text}."
        if not told:
            return f"{text}, split by no known attribute."
        said = [
            f"{self._place(part)} is {self.percent(contrast.here)} {_named(*contrast[:2])}{_where_known(contrast)}"
            for part, contrast in told
        ]
        return f"{text}, split by {self.attribute(told[0][1].column)}: {', '.join(said)}."

    def scattered(self, subject: str, n_parts: int, other: str, *, most: float) -> str:
        """Cluster 3 of … is scattered over 14 clusters of …, at most 8 % of it in one."""
        return f"{subject} is scattered over {n_parts} clusters of {other}, at most {self.percent(most)} of it in one."

    def _place(self, part: Part) -> str:
        return "the noise" if part.cluster < 0 else f"cluster {self.numbered(part.cluster, part.name)}"

    def _listed(self, parts: Sequence[Part]) -> str:
        clusters = [
            f"{self.numbered(part.cluster, part.name)} ({self.percent(part.share)})"
            for part in parts
            if part.cluster >= 0
        ]
        noise = [f"noise ({self.percent(part.share)})" for part in parts if part.cluster < 0]
        if clusters:
            clusters[0] = f"cluster{'s' if len(clusters) > 1 else ''} {clusters[0]}"
        return _joined([*clusters, *noise])


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _named(column: str, value: Any) -> str:
    return _WORDINGS.get(column, f"with {column} {{}}").replace("{}", str(value))


def _where_known(contrast: Contrast) -> str:
    return " (where known)" if contrast.partly else ""


def _joined(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
