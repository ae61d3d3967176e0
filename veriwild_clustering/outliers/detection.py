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
from veriwild_clustering.core.vectors.blocks import release, row_blocks
from veriwild_clustering.outliers.calibration import tail_evidence
from veriwild_clustering.outliers.neighborhood import SampledKNN, graph_scores, is_euclidean_knn, reads_graph
from veriwild_clustering.outliers.scores import OutlierScores
from veriwild_clustering.outliers.tails import ecod_scores

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
        With more usable rows than this, ECOD still takes all of them, and so do KNN and LOF of at most 64 Euclidean
        neighbours where the rows fit in 1 GiB; other detectors are fitted to a random sample of so many rows and score
        the others as new images. What is approximate is recorded in `params["approximation"]`.
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
    The defaults cost O(d n log n) and O(n m d), where n rows, m = min(n, max_fit) of them and d features; memory beyond
    a copy of the m rows is that of blocks. KNN by default asks how far 2 % of the images lie away: a quantile of
    distances, which a sample estimates as well as all rows, while 2 % of 416,314 neighbours fit in no graph.
    Ranks are comparable between detectors, their own scores are not: see `consensus` for joining descriptors.

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
    n_usable = descriptor.n_valid
    if n_usable < _MIN_ROWS:
        raise ValueError(
            f"{descriptor.name!r} must have at least {_MIN_ROWS} usable rows to tell the unusual from the usual. "
            f"Got {n_usable} instead."
        )
    rng = np.random.default_rng(random_state)
    fitted = np.sort(rng.choice(n_usable, max_fit, replace=False)) if n_usable > max_fit else np.arange(n_usable)
    models = _prepared_detectors(detectors, n_rows=len(fitted), random_state=random_state)
    space = _Space(descriptor, fitted, normalize=normalize, progress=progress)
    parts, approximations = {}, []
    for name, model in models.items():
        # The default number of neighbours is a share of the rows that KNN is fitted to: so many of all are in no graph.
        scores, approximation = space.scores(name, model, may_read_graph=detectors is not None)
        if not np.isfinite(scores).all():
            raise ValueError(f"{name} gave scores of {descriptor.name!r} that are not finite.")
        parts[f"{descriptor.name}: {name}"] = descriptor.expand(tail_evidence(scores), fill=np.nan)
        approximations += [f"{name}: {approximation}"] if approximation else []
    params = {
        "descriptor": descriptor.name,
        "detectors": tuple(" ".join(repr(model).split()) for model in models.values()),
        "normalize": normalize,
        "random_state": random_state,
    }
    if approximations:
        params["approximation"] = "; ".join(approximations)
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


class _Space:
    """The usable rows as the detectors see them, and which of them they are fitted to."""

    def __init__(
        self, descriptor: Descriptor, fitted: NDArray[np.int64], *, normalize: bool, progress: bool | None
    ) -> None:
        self.descriptor, self.fitted, self.normalize, self.progress = descriptor, fitted, normalize, progress
        self.sample = self._scaled(descriptor.vectors[np.flatnonzero(descriptor.valid)[fitted]])
        release(descriptor.vectors)
        if (self.sample == self.sample[0]).all():
            scaled = " once scaled to unit length" if normalize else ""
            raise ValueError(f"The usable vectors of {descriptor.name!r} are all equal{scaled}: nothing can stand out.")

    def scores(self, name: str, model: Any, *, may_read_graph: bool) -> tuple[NDArray[np.float64], str | None]:
        """Return the scores of all usable rows, and how they are approximate."""
        from pyod.models.ecod import ECOD

        n_usable = self.descriptor.n_valid
        if len(self.fitted) == n_usable:
            return np.asarray(model.fit(self.sample).decision_scores_), None
        if type(model) is ECOD:
            return ecod_scores(self.descriptor, normalize=self.normalize, progress=self.progress), None
        if may_read_graph and reads_graph(model, self.descriptor):
            return graph_scores(model, self._all_rows(), progress=self.progress)
        model = SampledKNN(model) if is_euclidean_knn(model) else model
        scores = np.empty(n_usable)
        scores[self.fitted] = model.fit(self.sample).decision_scores_
        others = np.ones(n_usable, dtype=bool)
        others[self.fitted] = False
        total = len(list(row_blocks(n_usable, 4 * self.descriptor.n_features)))
        shown = f"{name} of {self.descriptor.name}"
        for rows, block in track(self.descriptor.blocks(), description=shown, total=total, show=self.progress):
            new = others[rows]
            if new.any():
                scores[rows][new] = model.decision_function(self._scaled(block[new]))
        return scores, f"fitted to {len(self.fitted):,} of {n_usable:,} rows"

    def _scaled(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the rows at unit length, if wanted."""
        from sklearn.preprocessing import normalize as to_unit_length

        return to_unit_length(block) if self.normalize else block

    def _all_rows(self) -> Descriptor:
        """Return the usable rows as a descriptor of their own, which neighbour graphs are remembered by."""
        if not self.normalize:
            return self.descriptor
        vectors = np.empty((self.descriptor.n_valid, self.descriptor.n_features), dtype=np.float32)
        for rows, block in self.descriptor.blocks():
            vectors[rows] = self._scaled(block)
        return Descriptor(f"{self.descriptor.name} at unit length", vectors)
