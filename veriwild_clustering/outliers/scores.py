"""Outlier scores: one number per image, what it is composed of, where outliers begin, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.html import card
from veriwild_clustering.core.validation import check_real, check_rows, frozen_params
from veriwild_clustering.outliers.calibration import bootstrap_thresholds, joint_evidence, outlier_threshold
from veriwild_clustering.outliers.reasons import QUALITY_GROUP, VECTOR_GROUP, missing_sources, outlier_reasons

__all__ = ["OutlierScores"]


@dataclass(frozen=True, eq=False, repr=False)
class OutlierScores:
    """One score per image, higher is more abnormal, with what it was composed of and where outliers begin.

    Parameters
    ----------
    table : DataFrame
        One row per image, one column "descriptor: detector" or "quality: end measure" per part, with −log10 of the
        probability that an ordinary image scores as high; NaN where the image has no usable vector or measure.
    contamination : float in [0, 0.5], optional
        Share of the scored images to flag. By default the scores decide, see Notes.
    params : mapping, optional
        The parameters that made it.
    groups : sequence of str, optional
        What each column looks at, "vectors" (the default for all) or "quality". Each group counts once.
    findings : sequence of str, optional
        What is known about each image beside its scores, "" for nothing. An image with a finding is flagged.
    random_state : int or None, default=0
        Seed of the bootstrap that gives the intervals.

    Attributes
    ----------
    scores : array of shape (n_images,), float64
        Mean of the parts that are known, or with two groups the mean of what each of them says; NaN where none is.
    threshold : float
        Images with a greater score are outliers.
    is_outlier : array of shape (n_images,), bool
        Flagged images: those above the threshold, those with a finding, and those that lack all parts of a source,
        which is a descriptor or the quality measures.
    threshold_interval : tuple of two floats
        In which 95 % of the thresholds lie that samples of the images lead to, drawn with replacement.
    n_outliers_interval : tuple of two ints
        How many of these images are flagged at the upper and at the lower end of that interval.
    reasons : array of shape (n_images,), object
        Why, the damage first, tied to the parts that stand out most; "" for images that are not flagged.

    Raises
    ------
    ValueError
        If the table has no column or two of one name, no row is scored, `contamination` is out of range, or `groups`
        or `findings` have another length.

    Notes
    -----
    Without `contamination`, the threshold is the one at which ordinary images make up at most a tenth of the flagged
    ones in expectation (Benjamini–Hochberg on a normal tail fitted to the square roots of the scores). O(n log n) for
    n images; intervals and reasons are worked out when they are asked for, intervals in two hundred passes.

    A reason names the measure that stands out among at least 99 % of the images. Where one damage moves several
    measures, the one that accounts for the others is named: in the dark contrast, entropy and sharpness are low too.

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
    _: KW_ONLY
    groups: Sequence[str] = ()
    findings: Sequence[str] | NDArray[np.object_] = ()
    random_state: int | None = 0
    scores: NDArray[np.float64] = field(init=False)
    threshold: float = field(init=False)
    is_outlier: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        if self.contamination is not None:
            check_real("contamination", self.contamination, low=0, high=0.5)
        if self.table.shape[1] == 0 or not self.table.columns.is_unique:
            raise ValueError(f"`table` must have columns of different names. Got {list(self.table.columns)} instead.")
        n_images, n_parts = self.table.shape
        groups = tuple(self.groups) or (VECTOR_GROUP,) * n_parts
        if len(groups) != n_parts or not {*groups} <= {VECTOR_GROUP, QUALITY_GROUP}:
            raise ValueError(
                f"`groups` must say {VECTOR_GROUP!r} or {QUALITY_GROUP!r} for each of the {n_parts} columns. "
                f"Got {groups} instead."
            )
        findings = np.array(list(self.findings) or [""] * n_images, dtype=object)
        check_rows("findings", findings, n_images)
        scores = joint_evidence(self.table, groups)
        known = np.isfinite(scores)
        if not known.any():
            raise ValueError("`table` must have a scored image. Got missing values alone instead.")
        threshold = outlier_threshold(scores[known], contamination=self.contamination)
        # A missing score compares as False: such images are flagged because they lack something.
        lacking = missing_sources(self.table).any(axis=1).to_numpy()
        object.__setattr__(self, "params", frozen_params({**self.params, "contamination": self.contamination}))
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "findings", findings)
        object.__setattr__(self, "scores", scores)
        object.__setattr__(self, "threshold", threshold)
        object.__setattr__(self, "is_outlier", (scores > threshold) | lacking | (findings != ""))

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        return f"OutlierScores({self.detector!r}, {self.n_outliers} of {len(self)} images flagged)"

    def _repr_html_(self) -> str:
        (low, high), (fewest, most) = self.threshold_interval, self.n_outliers_interval
        flagged = f"{self.n_outliers:,} of {len(self):,} images ({self.n_outliers / len(self):.1%})"
        rows = {
            "flagged": f"{flagged}; {fewest:,} to {most:,} within the interval of the threshold",
            "threshold": f"{self.threshold:.2f}, 95 % interval {low:.2f} to {high:.2f} (mean −log10 of the tail "
            "probabilities)",
            "parts": ", ".join(self.table.columns),
        }
        top = self.ranking()[:5]
        worst = pd.DataFrame({"row": top, "score": self.scores[top].round(2), "reason": self.reasons[top]})
        return card("Outliers", rows, body=worst.to_html(index=False))

    @property
    def detector(self) -> str:
        """Names of the detectors, each once; all quality measures are one."""
        named = zip(self.table.columns, self.groups, strict=True)
        return " + ".join(
            dict.fromkeys(group if group == QUALITY_GROUP else name.rpartition(": ")[2] for name, group in named)
        )

    @property
    def n_outliers(self) -> int:
        """Number of flagged images."""
        return int(np.count_nonzero(self.is_outlier))

    @cached_property
    def reasons(self) -> NDArray[np.object_]:
        """Why each image is flagged; "" for the others."""
        above = self.scores > self.threshold
        return outlier_reasons(self.table, self.groups, above=above, findings=np.asarray(self.findings))

    @cached_property
    def threshold_interval(self) -> tuple[float, float]:
        """Central 95 % of the thresholds of bootstrap samples."""
        known = self.scores[np.isfinite(self.scores)]
        thresholds = bootstrap_thresholds(known, contamination=self.contamination, random_state=self.random_state)
        low, high = np.quantile(thresholds, [0.025, 0.975])
        return float(low), float(high)

    @property
    def n_outliers_interval(self) -> tuple[int, int]:
        """Numbers of images flagged at the upper and at the lower end of the interval of the threshold."""
        anyway = self.is_outlier & ~(self.scores > self.threshold)
        low, high = self.threshold_interval
        fewest, most = (int(np.count_nonzero(anyway | (self.scores > end))) for end in (high, low))
        return fewest, most

    def ranking(self) -> NDArray[np.int64]:
        """Return the rows, most abnormal first; images without a score come last."""
        return np.argsort(-self.scores, kind="stable")
