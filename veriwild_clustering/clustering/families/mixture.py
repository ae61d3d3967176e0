"""Gaussian mixtures; each image goes to its most probable component."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.families.family import Arrays, Assigned, Family, Params, centred_rows
from veriwild_clustering.clustering.solvers.gaussian_em import Mixture
from veriwild_clustering.clustering.solvers.mixture_fit import MixtureFitter
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOISE, Partition, canonical_labels
from veriwild_clustering.core.vectors.blocks import row_blocks

__all__ = ["GaussianMixtureFamily"]

_OWN = {
    "covariance_type": ("full",),
    "init_params": ("kmeans",),
    "n_init": (1,),
    "warm_start": (False,),
    "weights_init": (None,),
    "means_init": (None,),
    "precisions_init": (None,),
}
"""Values with which this package's EM does the fitting."""
_FITTED = ("weights_", "means_", "precisions_cholesky_")


@dataclass(frozen=True)
class GaussianMixtureFamily(Family):
    """Mixture of Gaussians fitted by expectation-maximisation [1]_: O(n * k * d²) per iteration and full covariances.

    Parameters are those of `sklearn.mixture.GaussianMixture` with its defaults, `n_components` under the name
    `n_clusters`. Full covariances with the default start come from a chain of mixtures, each from the one with a
    component fewer by the split that gains most [2]_; on more than 50,000 rows, from so many, and a step over all
    finishes them. Products are float32 where the variances of all directions lie within four orders of magnitude. All
    else, a `random_state` that is no int, and data with too few rows per component go to scikit-learn in float64.
    Confidence is the posterior of the component. New rows go to the component with the greatest posterior among
    those that hold a cluster.

    References
    ----------
    .. [1] Dempster, A. P., Laird, N. M., Rubin, D. B. (1977). Maximum likelihood from incomplete data via the EM
       algorithm. doi:10.1111/j.2517-6161.1977.tb01600.x
    .. [2] Verbeek, J. J., Vlassis, N., Kröse, B. (2003). Efficient greedy learning of Gaussian mixture models.
       doi:10.1162/089976603762553004
    """

    name: str = "gaussian_mixture"
    varying: ClassVar[frozenset[str]] = frozenset({"n_clusters"})
    revision: ClassVar[int] = 3

    def estimator(self) -> Any:
        """Return scikit-learn's GaussianMixture."""
        from sklearn.mixture import GaussianMixture

        return GaussianMixture()

    def defaults(self) -> dict[str, Any]:
        """Return the parameters of GaussianMixture with `n_components` called `n_clusters`."""
        defaults = super().defaults()
        return {"n_clusters": defaults.pop("n_components"), **defaults}

    def build(self, params: Params) -> Any:
        """Return an unfitted GaussianMixture with these parameters."""
        renamed = {"n_components" if key == "n_clusters" else key: value for key, value in params.items()}
        return self.estimator().set_params(**renamed)

    def fit_many(self, descriptor: Descriptor, settings: Sequence[Params]) -> Iterator[Partition]:
        """Yield a partition per setting, in their order; fitted by rising number of clusters, which share a chain."""
        found: dict[int, Partition] = {}
        rising = iter(sorted(range(len(settings)), key=lambda place: settings[place].get("n_clusters", 0)))
        for wanted in range(len(settings)):
            while wanted not in found:
                place = next(rising)
                found[place] = self._fit_one(descriptor, settings[place])
            yield found.pop(wanted)

    def _fit_one(self, descriptor: Descriptor, params: Params) -> Partition:
        started = perf_counter()
        full = {**self.defaults(), **params}
        if not (all(full[key] in values for key, values in _OWN.items()) and isinstance(full["random_state"], int)):
            [partition] = super().fit_many(descriptor, [params])
            return partition
        fitter = _mixtures(descriptor, full["random_state"], full["reg_covar"])
        fitted = fitter.fit(full["n_clusters"], tol=full["tol"], max_iter=full["max_iter"])
        labels, components = canonical_labels(fitted.labels)
        return Partition(
            descriptor.expand(labels, fill=NOISE),
            descriptor,
            self.name,
            params={**params, **fitted.resolved},
            confidence=descriptor.expand(fitted.posterior, fill=0),
            state=_state(fitted.mixture, components, "full"),
            seconds=perf_counter() - started,
        )

    def fit(self, vectors: NDArray[np.float32], params: Params) -> tuple[NDArray, NDArray, Arrays, Params]:
        """Return labels, posteriors and the fitted mixture as arrays."""
        model = self.build(params)
        labels, components = canonical_labels(model.fit_predict(vectors.astype(np.float64)))
        mixture = Mixture(*(getattr(model, name) for name in _FITTED))
        state = _state(mixture, components, model.covariance_type)
        posterior = _posteriors(model, vectors, components)
        return labels, np.take_along_axis(posterior, labels[:, None], axis=1)[:, 0], state, {}

    def remember(self, partition: Partition) -> dict[str, NDArray[Any]]:
        """Return the fitted mixture as arrays."""
        return dict(partition.state)

    def assign(self, memory: Arrays, params: Params, vectors: NDArray[np.float32]) -> Assigned:  # noqa: ARG002
        """Return the most probable cluster of each row and its posterior."""
        model = self.estimator().set_params(covariance_type=str(memory["covariance_type"]))
        for name in _FITTED:
            setattr(model, name, memory[name.rstrip("_")])
        posterior = _posteriors(model, vectors, memory["cluster_component"])
        return posterior.argmax(axis=1).astype(np.int32), posterior.max(axis=1).astype(np.float32)


@lru_cache(maxsize=1)
def _mixtures(descriptor: Descriptor, random_state: int, reg_covar: float) -> MixtureFitter:
    """Return the mixtures of a descriptor, the last ones remembered."""
    return MixtureFitter(centred_rows(descriptor), random_state, reg_covar=reg_covar)


def _state(mixture: Mixture, components: NDArray[np.int64], covariance_type: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a partition from which new rows are placed."""
    return {**mixture._asdict(), "cluster_component": components, "covariance_type": np.array(covariance_type)}


def _posteriors(model: Any, vectors: NDArray[np.float32], components: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the posterior of the given components for each row, block by block."""
    posterior = np.empty((len(vectors), len(components)))
    for rows in row_blocks(len(vectors), 8 * (vectors.shape[1] + len(model.weights_))):
        posterior[rows] = model.predict_proba(vectors[rows].astype(np.float64))[:, components]
    return posterior
