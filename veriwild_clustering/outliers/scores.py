"""Outlier scores: one number per image, what it is composed of, where outliers begin, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.html import card
from veriwild_clustering.core.validation import check_real, frozen_params
from veriwild_clustering.outliers.calibration import outlier_threshold

__all__ = ["OutlierScores"]

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


@dataclass(frozen=True, eq=False, repr=False)
class OutlierScores:
    """One score per image, higher is more abnormal, with what it was composed of and where outliers begin.

    Parameters
    ----------
    table : DataFrame
        One row per image, one column "descriptor: detector" per part, with −log10 of the probability that an ordinary
        image scores as high; NaN where the image has no usable vector in that descriptor.
    contamination : float in [0, 0.5], optional
        Share of the scored images to flag. By default the scores decide, see Notes.
    params : mapping, optional
        The parameters that made it.

    Attributes
    ----------
    scores : array of shape (n_images,), float64
        Mean of the parts that are known; NaN where none is.
    threshold : float
        Images with a greater score are outliers.
    is_outlier : array of shape (n_images,), bool
        Flagged images: those above the threshold and those that lack a usable vector.
    reasons : array of shape (n_images,), object
        Why, tied to the part that stands out most; "" for images that are not flagged.

    Raises
    ------
    ValueError
        If the table has no column or two of one name, no row is scored, or `contamination` is out of range.

    Notes
    -----
    Without `contamination`, the threshold is the one at which ordinary images make up at most a tenth of the flagged
    ones in expectation (Benjamini–Hochberg on a normal tail fitted to the square roots of the scores).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import OutlierScores
    >>> evidence = np.append(np.linspace(0.1, 1, 98), [8, np.nan])
    >>> found = OutlierScores(pd.DataFrame({"osnet: KNN": evidence}))
    >>> for row in np.flatnonzero(found.is_outlier):
    ...     print(row, found.reasons[row])
    98 far from its neighbours in osnet: KNN score in the top 1 %
    99 no usable vector in osnet
    """

    table: pd.DataFrame
    contamination: float | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    scores: NDArray[np.float64] = field(init=False)
    threshold: float = field(init=False)
    is_outlier: NDArray[np.bool_] = field(init=False)
    reasons: NDArray[np.object_] = field(init=False)

    def __post_init__(self) -> None:
        if self.contamination is not None:
            check_real("contamination", self.contamination, low=0, high=0.5)
        if self.table.shape[1] == 0 or not self.table.columns.is_unique:
            raise ValueError(f"`table` must have columns of different names. Got {list(self.table.columns)} instead.")
        scores = self.table.mean(axis=1).to_numpy(dtype=np.float64)
        known = np.isfinite(scores)
        if not known.any():
            raise ValueError("`table` must have a scored image. Got missing values alone instead.")
        threshold = outlier_threshold(scores[known], contamination=self.contamination)
        # A missing score compares as False: such images are flagged by the second half alone.
        flagged = (scores > threshold) | self.table.isna().any(axis=1).to_numpy()
        object.__setattr__(self, "params", frozen_params({**self.params, "contamination": self.contamination}))
        object.__setattr__(self, "scores", scores)
        object.__setattr__(self, "threshold", threshold)
        object.__setattr__(self, "is_outlier", flagged)
        object.__setattr__(self, "reasons", _reasons(self.table, flagged))

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        return f"OutlierScores({self.detector!r}, {self.n_outliers} of {len(self)} images flagged)"

    def _repr_html_(self) -> str:
        rows = {
            "flagged": f"{self.n_outliers:,} of {len(self):,} images ({self.n_outliers / len(self):.1%})",
            "threshold": f"{self.threshold:.2f} (mean −log10 of the tail probabilities)",
            "parts": ", ".join(self.table.columns),
        }
        top = self.ranking()[:5]
        worst = pd.DataFrame({"row": top, "score": self.scores[top].round(2), "reason": self.reasons[top]})
        return card("Outliers", rows, body=worst.to_html(index=False))

    @property
    def detector(self) -> str:
        """Names of the detectors, each once."""
        return " + ".join(dict.fromkeys(column.rpartition(": ")[2] for column in self.table.columns))

    @property
    def n_outliers(self) -> int:
        """Number of flagged images."""
        return int(np.count_nonzero(self.is_outlier))

    def ranking(self) -> NDArray[np.int64]:
        """Return the rows, most abnormal first; images without a score come last."""
        return np.argsort(-self.scores, kind="stable")


def _reasons(table: pd.DataFrame, flagged: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Say for each flagged image which part stands out most, and in which share of the images it is."""
    reasons = np.full(len(table), "", dtype=object)
    parts = [str(column) for column in table.columns]
    share = (table.rank(ascending=False, method="max") / table.count()).to_numpy()
    rows = np.flatnonzero(flagged)
    for row, evidence in zip(rows, table.to_numpy()[rows], strict=True):
        missing = np.flatnonzero(np.isnan(evidence))
        if len(missing):
            lacking = dict.fromkeys(parts[column].rpartition(": ")[0] for column in missing)
            reasons[row] = f"no usable vector in {', '.join(lacking)}"
            continue
        column = int(np.argmax(evidence))
        space, _, detector = parts[column].rpartition(": ")
        meaning = _MEANINGS.get(detector.split()[0], "unusual")
        reasons[row] = f"{meaning} in {space}: {detector} score in the top {100 * share[row, column]:.2g} %"
    return reasons
