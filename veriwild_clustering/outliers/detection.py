"""Outlier detection: any PyOD detector over a descriptor, its scores brought to one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.outliers.calibration import tail_evidence
from veriwild_clustering.outliers.scores import OutlierScores

__all__ = ["detect_outliers"]

_MIN_ROWS = 10
_MIN_NEIGHBORS, _NEIGHBOR_SHARE = 50, 0.02


def detect_outliers(
    descriptor: Descriptor,
    detectors: Any = None,
    *,
    contamination: float | None = None,
    normalize: bool = True,
    max_fit: int = 10_000,
    random_state: int | None = 0,
    progress: bool | None = None,
) -> OutlierScores:
    """Score how unlike the rest each image is, by one or several PyOD detectors.

    Parameters
    ----------
    descriptor : Descriptor
        The vectors to look at.
    detectors : PyOD detector or sequence of them, optional
        They are cloned, never changed. By default ECOD (extreme features) and the mean distance to 50 neighbours, or to
        2 % of the images if that is more: so many because bad images tend to resemble each other.
    contamination : float in [0, 0.5], optional
        Share of the images to flag. By default the scores decide.
    normalize : bool, default=True
        Scale each vector to unit length first, so that its direction alone counts. Turn it off for vectors whose
        length matters.
    max_fit : int, default=10000
        With more usable rows than this, the detectors are fitted to a random sample of so many and score the others
        as new images; recorded in `params["approximation"]`.
    random_state : int or None, default=0
        Seed of the sample and of detectors that are random and have no seed of their own.
    progress : bool, optional
        Whether to show a progress bar; by default where somebody watches.

    Returns
    -------
    OutlierScores
        Its `scores` are the mean over the detectors of −log10 of the probability that an ordinary image scores as
        high. Images without a usable vector keep their row: they are flagged and have no score.

    Raises
    ------
    TypeError
        If a detector is not a PyOD detector.
    ValueError
        If there is no detector, fewer than ten usable rows, no variation among them, or a parameter out of range.

    Notes
    -----
    The defaults cost O(m² d) for the fit and O(n m d) for the other rows, where m = min(n, max_fit) rows and
    d features. Ranks are comparable between detectors, their own scores are not: see `consensus` for joining
    descriptors.

    References
    ----------
    .. [1] Li, Z. et al. (2022). ECOD: unsupervised outlier detection using empirical cumulative distribution
       functions. IEEE TKDE. https://doi.org/10.1109/TKDE.2022.3159580
    .. [2] Zhao, Y., Nasrullah, Z., Li, Z. (2019). PyOD: a Python toolbox for scalable outlier detection. JMLR 20(96).
       https://jmlr.org/papers/v20/19-011.html

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, detect_outliers
    >>> vectors = np.random.default_rng(0).normal(loc=3, size=(200, 8))
    >>> vectors[7] = -vectors[7]
    >>> found = detect_outliers(Descriptor("osnet", vectors))
    >>> found.ranking()[0], found.reasons[7]
    (np.int64(7), 'far from its neighbours in osnet: KNN score in the top 0.5 %')
    """
    check_int("max_fit", max_fit, low=_MIN_ROWS)
    if contamination is not None:
        check_real("contamination", contamination, low=0, high=0.5)
    usable = np.flatnonzero(descriptor.valid)
    if len(usable) < _MIN_ROWS:
        raise ValueError(
            f"{descriptor.name!r} must have at least {_MIN_ROWS} usable rows to tell the unusual from the usual. "
            f"Got {len(usable)} instead."
        )
    approximate = len(usable) > max_fit
    rng = np.random.default_rng(random_state)
    fit_rows = np.sort(rng.choice(usable, max_fit, replace=False)) if approximate else usable
    models = _prepared_detectors(detectors, n_rows=len(fit_rows), random_state=random_state)
    parts = {}
    for name, model in track(models.items(), description=f"outliers in {descriptor.name}", show=progress):
        scores = _decision_scores(model, descriptor, fit_rows, normalize=normalize)
        if not np.isfinite(scores[usable]).all():
            raise ValueError(f"{name} gave scores of {descriptor.name!r} that are not finite.")
        parts[f"{descriptor.name}: {name}"] = descriptor.expand(tail_evidence(scores[usable]), fill=np.nan)
    params = {
        "descriptor": descriptor.name,
        "detectors": tuple(" ".join(repr(model).split()) for model in models.values()),
        "normalize": normalize,
        "random_state": random_state,
    }
    if approximate:
        params["approximation"] = f"detectors fitted to {max_fit:,} of {len(usable):,} rows"
    return OutlierScores(pd.DataFrame(parts), contamination, params)


def _prepared_detectors(detectors: Any, *, n_rows: int, random_state: int | None) -> dict[str, Any]:
    """Return unfitted, seeded copies of the detectors by name: the class, numbered where it occurs again."""
    from pyod.models.base import BaseDetector
    from sklearn.base import clone

    given = _default_detectors(n_rows) if detectors is None else detectors
    given = list(given) if isinstance(given, Sequence) else [given]
    if not given:
        raise ValueError("`detectors` must have at least one PyOD detector. Got none instead.")
    models: dict[str, Any] = {}
    for detector in given:
        if not isinstance(detector, BaseDetector):
            raise TypeError(
                f"`detectors` must be PyOD detectors such as pyod.models.knn.KNN(). Got {detector!r} instead."
            )
        model = clone(detector)
        if "random_state" in model.get_params() and model.get_params()["random_state"] is None:
            model.set_params(random_state=random_state)
        kind = type(model).__name__
        seen = sum(name.split()[0] == kind for name in models)
        models[f"{kind} {seen + 1}" if seen else kind] = model
    return models


def _default_detectors(n_rows: int) -> list[Any]:
    """Return two detectors that look at different things: the features one by one, and the neighbours."""
    from pyod.models.ecod import ECOD
    from pyod.models.knn import KNN

    n_neighbors = min(max(_MIN_NEIGHBORS, int(_NEIGHBOR_SHARE * n_rows)), n_rows - 1)
    return [ECOD(), KNN(n_neighbors=n_neighbors, method="mean")]


def _decision_scores(
    model: Any, descriptor: Descriptor, fit_rows: NDArray[np.int64], *, normalize: bool
) -> NDArray[np.float64]:
    """Fit `model` to some rows and return the scores of all usable ones, NaN elsewhere."""
    scores = np.full(len(descriptor), np.nan)
    vectors = _vectors(descriptor, fit_rows, normalize=normalize)
    if (vectors == vectors[0]).all():
        scaled = " once scaled to unit length" if normalize else ""
        raise ValueError(f"The usable vectors of {descriptor.name!r} are all equal{scaled}: nothing can stand out.")
    scores[fit_rows] = model.fit(vectors).decision_scores_
    others = np.setdiff1d(np.flatnonzero(descriptor.valid), fit_rows, assume_unique=True)
    for start in range(0, len(others), len(fit_rows)):
        rows = others[start : start + len(fit_rows)]
        scores[rows] = model.decision_function(_vectors(descriptor, rows, normalize=normalize))
    return scores


def _vectors(descriptor: Descriptor, rows: NDArray[np.int64], *, normalize: bool) -> NDArray[np.float32]:
    """Return the vectors of some rows, scaled to unit length if wanted."""
    from sklearn.preprocessing import normalize as to_unit_length

    block = descriptor.vectors[rows]
    return to_unit_length(block, copy=False) if normalize else block
