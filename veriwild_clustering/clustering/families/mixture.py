"""Gaussian mixtures; each image goes to its most probable component."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.families.family import Arrays, Assigned, Family, Params
from veriwild_clustering.clustering.families.kmeans import nested_kmeans
from veriwild_clustering.clustering.solvers.mixture_fit import fit_rows
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
    `n_clusters`. Full covariances with the default start are fitted from the most likely of several k-means partitions,
    each component only to the rows that it has a share in; on more than 50,000 rows, on so many to convergence and then
    on all by two further steps. Products are float32 where the variances of all directions lie within four orders of
    magnitude. All else, or a `random_state` that is no int, goes to scikit-learn in float64.
    Confidence is the posterior of the component. New rows go to the component with the greatest posterior among
    those that hold a cluster.

    References
    ----------
    .. [1] Dempster, A. P., Laird, N. M., Rubin, D. B. (1977). Maximum likelihood from incomplete data via the EM
       algorithm. doi:10.1111/j.2517-6161.1977.tb01600.x
    """

    name: str = "gaussian_mixture"
    varying: ClassVar[frozenset[str]] = frozenset({"n_clusters"})
    revision: ClassVar[int] = 2

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
        """Yield a partition per setting, in their order; the k-means starts are shared along the number of clusters."""
        for params in settings:
            started = perf_counter()
            full = {**self.defaults(), **params}
            fitted = None
            if all(full[key] in values for key, values in _OWN.items()) and isinstance(full["random_state"], int):
                chain = nested_kmeans(descriptor, full["random_state"])
                options = {key: full[key] for key in ("n_clusters", "tol", "max_iter", "reg_covar")}
                fitted = fit_rows(chain, **options)
            if fitted is None:
                yield from super().fit_many(descriptor, [params])
                continue
            labels, components = canonical_labels(fitted.labels)
            state = {**fitted.mixture._asdict(), "cluster_component": components, "covariance_type": np.array("full")}
            yield Partition(
                descriptor.expand(labels, fill=NOISE),
                descriptor,
                self.name,
                params={**params, **fitted.resolved},
                confidence=descriptor.expand(fitted.posterior, fill=0),
                state=state,
                seconds=perf_counter() - started,
            )

    def fit(self, vectors: NDArray[np.float32], params: Params) -> tuple[NDArray, NDArray, Arrays, Params]:
        """Return labels, posteriors and the fitted mixture as arrays."""
        model = self.build(params)
        labels, components = canonical_labels(model.fit_predict(vectors.astype(np.float64)))
        state = {name.rstrip("_"): getattr(model, name) for name in _FITTED}
        state |= {"cluster_component": components, "covariance_type": np.array(model.covariance_type)}
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


def _posteriors(model: Any, vectors: NDArray[np.float32], components: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the posterior of the given components for each row, block by block."""
    posterior = np.empty((len(vectors), len(components)))
    for rows in row_blocks(len(vectors), 8 * (vectors.shape[1] + len(model.weights_))):
        posterior[rows] = model.predict_proba(vectors[rows].astype(np.float64))[:, components]
    return posterior
