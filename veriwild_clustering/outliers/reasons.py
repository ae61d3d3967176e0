"""Why an image is an outlier, in words: the damage that explains most, then how far off it is in the descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["QUALITY_GROUP", "VECTOR_GROUP", "joined_findings", "missing_sources", "outlier_reasons", "sources_of"]

QUALITY_GROUP, VECTOR_GROUP = "quality", "vectors"

_STANDS_OUT, _SHOWS = 2.0, 1.5  # −log10 of a tail probability: one image in 100, in 30

_MEANINGS = {
    "ABOD": "at the edge of the cloud",
    "COPOD": "extreme in many features",
    "ECOD": "extreme in many features",
    "HBOS": "rare values in many features",
    "IForest": "easily isolated",
    "KNN": "far from its neighbours",
    "LOF": "in a sparser place than its neighbours",
    "PCA": "off the main directions of variation",
}


class _Part(NamedTuple):
    """A column of the table: where it looks, and what for."""

    source: str
    measure: str


class _Damage(NamedTuple):
    """What one end of a quality measure is called, and which other ends it accounts for.

    It takes their place if it shows at all and has at least `share` of their evidence. Entropy, in bits, grows with the
    logarithm of what the other measures count, so it needs less.
    """

    name: str
    accounts_for: tuple[str, ...] = ()
    share: float = 0.3


_NO_DETAIL = ("low contrast", "low entropy", "low sharpness", "high blockiness")  # what is smooth shows its JPEG blocks
_DAMAGES = {
    "high dark_share": _Damage("too dark", ("low brightness", *_NO_DETAIL)),
    "low brightness": _Damage("too dark", _NO_DETAIL),
    "high glare_share": _Damage("glare", ("high brightness", *_NO_DETAIL)),
    "high brightness": _Damage("too bright", _NO_DETAIL),
    "high noise": _Damage("noisy"),
    "low entropy": _Damage("empty frame", ("low contrast", "low sharpness", "high blockiness"), share=0.2),
    "low sharpness": _Damage("blurred", ("low contrast", "high blockiness")),
    "low contrast": _Damage("little contrast"),
    "high blockiness": _Damage("JPEG blocks"),
    "high brisque": _Damage("unnatural"),
}
_SUMMARY = "high brisque"  # reacts to every damage and names none


def sources_of(table: pd.DataFrame) -> list[str]:
    """Return the source of each column: the descriptor, or the quality measures."""
    return [str(column).rpartition(": ")[0] for column in table.columns]


def missing_sources(table: pd.DataFrame) -> pd.DataFrame:
    """Return for each image and each source whether the image lacks all parts of it."""
    sources, unknown = np.array(sources_of(table)), table.isna().to_numpy()
    lacks = {source: unknown[:, sources == source].all(axis=1) for source in dict.fromkeys(sources.tolist())}
    return pd.DataFrame(lacks)


def joined_findings(findings: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return the different findings of each row, shape (n_images, any), one behind the other."""
    joined = np.full(len(findings), "", dtype=object)
    for row in np.flatnonzero((findings != "").any(axis=1)):
        joined[row] = "; ".join(dict.fromkeys(filter(None, findings[row])))
    return joined


def outlier_reasons(
    table: pd.DataFrame, groups: Sequence[str], *, above: NDArray[np.bool_], findings: NDArray[np.object_]
) -> NDArray[np.object_]:
    """Say why an image is flagged: its damage, what was found beside the scores, what it lacks, how far off it is.

    Parameters
    ----------
    table : DataFrame
        −log10 tail probabilities, one column "descriptor: detector" or "quality: end measure" per part.
    groups : sequence of str
        Group of each column: quality or vectors.
    above : array of shape (n_images,), bool
        Images whose score is above the threshold.
    findings : array of shape (n_images,), object
        What is known beside the scores; "" for nothing.

    Returns
    -------
    array of shape (n_images,), object
        "" for images that are not flagged.
    """
    lacking = _lacking(table)
    damage, distance = _of_scores(table, np.array(groups) == QUALITY_GROUP, np.flatnonzero(above))
    reasons = np.full(len(table), "", dtype=object)
    for row in np.flatnonzero(above | (findings != "") | (lacking != "")).tolist():
        said = (damage.get(row), findings[row], lacking[row], distance.get(row))
        reasons[row] = "; ".join(filter(None, said))
    return reasons


def _lacking(table: pd.DataFrame) -> NDArray[np.object_]:
    """Say what an image lacks."""
    missing = missing_sources(table)
    said = np.full(len(table), "", dtype=object)
    for row in np.flatnonzero(missing.any(axis=1)):
        sources = missing.columns[missing.to_numpy()[row]]
        vectors = ", ".join(source for source in sources if source != QUALITY_GROUP)
        said[row] = f"no usable vector in {vectors}" if vectors else "no quality measures"
    return said


def _of_scores(
    table: pd.DataFrame, is_quality: NDArray[np.bool_], rows: NDArray[np.int64]
) -> tuple[dict[int, str], dict[int, str]]:
    """Say for each of the rows what is wrong with the image, and in which descriptors it stands out."""
    parts = [_Part(*str(column).rpartition(": ")[::2]) for column in table.columns]
    evidence, share = np.nan_to_num(table.to_numpy()[rows]), _shares(table, rows)
    named = _named(evidence, parts, is_quality)
    damage, distance = {}, {}
    for row, weight, percent, name in zip(rows.tolist(), evidence, 100 * share, named, strict=True):
        order = [place for place in np.argsort(-weight, kind="stable") if name[place]]
        measures = [(parts[place].measure, percent[place]) for place in order if is_quality[place]]
        detectors = [(parts[place], percent[place]) for place in order if not is_quality[place]]
        damage[row], distance[row] = _say_damage(measures), _say_distance(detectors)
    return damage, distance


def _named(evidence: NDArray[np.float64], parts: Sequence[_Part], is_quality: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Choose the parts to name: those that stand out and that no other accounts for, or else the strongest."""
    column = {part.measure: place for place, part in enumerate(parts) if is_quality[place]}
    named, replaced = evidence >= _STANDS_OUT, np.zeros(evidence.shape, dtype=bool)
    for measure, other in ((one, other) for one in _DAMAGES for other in _DAMAGES[one].accounts_for):
        if measure in column and other in column:
            own, its = evidence[:, column[measure]], evidence[:, column[other]]
            takes = (own >= _SHOWS) & (its >= _SHOWS) & (own >= _DAMAGES[measure].share * its)
            named[:, column[measure]] |= takes & (its >= _STANDS_OUT)
            replaced[:, column[other]] |= takes
    named &= ~replaced
    if _SUMMARY in column:
        named[:, column[_SUMMARY]] &= named[:, is_quality].sum(axis=1) == 1
    none = np.flatnonzero(~named.any(axis=1))
    named[none, evidence[none].argmax(axis=1)] = True
    return named


def _say_damage(measures: Sequence[tuple[str, float]]) -> str:
    """Name each damage once, with the measure that shows it."""
    said: dict[str, str] = {}
    for measure, percent in measures:
        end, _, name = measure.partition(" ")
        damage = _DAMAGES[measure].name if measure in _DAMAGES else f"unusual {name}"
        words = f"{name.replace('_', ' ')} in the {end}est {_digits(percent)} %"
        said.setdefault(damage, f"{damage}: {words}")
    return "; ".join(said.values())


def _say_distance(detectors: Sequence[tuple[_Part, float]]) -> str:
    """Name the detector that stands out most and all descriptors in which it does."""
    if not detectors:
        return ""
    detector = detectors[0][0].measure
    spaces = {part.source: percent for part, percent in detectors if part.measure == detector}
    *first, last = spaces
    listed = f"{', '.join(first)} and {last}" if first else last
    meaning = _MEANINGS.get(detector.split()[0], "unusual")
    return f"{meaning} in {listed}: {detector} score in the top {_digits(max(spaces.values()))} %"


def _shares(table: pd.DataFrame, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each part in which top share of the images the rows are, equals counted in."""
    shares = np.ones((len(rows), table.shape[1]))
    for column, values in enumerate(table.to_numpy().T):
        known = np.sort(values[~np.isnan(values)])
        shares[:, column] = 1 - np.searchsorted(known, values[rows]) / max(1, len(known))
    return shares


def _digits(number: float) -> str:
    return np.format_float_positional(number, precision=2, fractional=False, trim="-")
