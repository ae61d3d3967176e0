"""What a family of algorithms is: its parameters, their check, fitting a grid of them, and placing new rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.solvers.rows import Rows
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOISE, Partition, canonical_labels
from veriwild_clustering.core.validation import check_int, check_known_names
from veriwild_clustering.core.vectors.geometry import center_square_distances, centroids, own_and_other

__all__ = ["EstimatorFamily", "Family", "centred_rows", "centroid_confidence", "nearest_center"]

Params = Mapping[str, Any]
Arrays = Mapping[str, NDArray[Any]]
Assigned = tuple[NDArray[np.int32], NDArray[np.float32]]


@dataclass(frozen=True)
class Family:
    """Algorithms that share their parameters and can share work between settings.

    Subclasses say which estimator does the work (`estimator`) and override what differs: by default each setting
    is fitted on its own with `fit_predict`, and new rows go to the nearest cluster mean.

    Parameters
    ----------
    name : str
        The key of the family in a grid.
    """

    name: str
    varying: ClassVar[frozenset[str]] = frozenset()
    """Parameters between whose values `fit_many` shares work: settings equal in all others arrive together."""
    revision: ClassVar[int] = 1
    """Raised with each change after which the same parameters give other partitions: those in stores are then stale."""

    def estimator(self) -> Any:
        """Return a new unfitted estimator of the underlying library with its default parameters."""
        raise NotImplementedError

    def defaults(self) -> dict[str, Any]:
        """Return the known parameters with their default values, under the names that a grid uses."""
        return dict(self.estimator().get_params())

    def build(self, params: Params) -> Any:
        """Return an unfitted estimator with these parameters."""
        return self.estimator().set_params(**params)

    @property
    def library(self) -> str:
        """Name and version of the package whose code does the work."""
        package = type(self.estimator()).__module__.partition(".")[0]
        try:
            return f"{package} {version({'sklearn': 'scikit-learn'}.get(package, package))}"
        except PackageNotFoundError:
            return package

    def check(self, params: Params, n_usable: int) -> None:
        """Raise if the parameters cannot be used on `n_usable` rows; fits nothing."""
        check_known_names(f"parameter of {self.name}", params, self.defaults())
        self.check_values({**self.defaults(), **params}, n_usable)
        estimator = self.build(params)
        if hasattr(estimator, "_parameter_constraints"):  # the one way to ask scikit-learn before fitting
            estimator._validate_params()  # noqa: SLF001

    def check_values(self, params: Params, n_usable: int) -> None:
        """Raise if one of the parameters, defaults included, is out of its range."""
        if isinstance(params.get("n_clusters", 0), bool) or params.get("n_clusters") is not None:
            check_int("n_clusters", params["n_clusters"], low=2, high=n_usable, high_name="n_images")

    def fit_many(self, descriptor: Descriptor, settings: Sequence[Params]) -> Iterator[Partition]:
        """Yield a partition of the usable rows for each of the settings, in their order."""
        for params in settings:
            started = perf_counter()
            labels, confidence, state, resolved = self.fit(descriptor.usable(), params)
            yield Partition(
                descriptor.expand(labels, fill=NOISE),
                descriptor,
                self.name,
                params={**params, **resolved},
                confidence=descriptor.expand(confidence, fill=0),
                state=state,
                seconds=perf_counter() - started,
            )

    def fit(self, vectors: NDArray[np.float32], params: Params) -> tuple[NDArray, NDArray, Arrays, Params]:
        """Return canonical labels, confidence, the state to keep, and the parameters found on the way."""
        labels, _ = canonical_labels(self.build(params).fit_predict(vectors))
        centers = centroids(vectors, labels)
        return labels, centroid_confidence(vectors, labels, centers), {"centers": centers}, {}

    def remember(self, partition: Partition) -> dict[str, NDArray[Any]]:
        """Return the arrays from which `assign` places new rows."""
        if "centers" in partition.state:
            return {"centers": partition.state["centers"]}
        descriptor = partition.descriptor
        return {"centers": centroids(descriptor.usable(), partition.labels[descriptor.valid])}

    def assign(self, memory: Arrays, params: Params, vectors: NDArray[np.float32]) -> Assigned:  # noqa: ARG002
        """Return cluster and confidence of new rows, which are usable and lie in the partition's space."""
        return nearest_center(vectors, memory["centers"])


@dataclass(frozen=True)
class EstimatorFamily(Family):
    """Any scikit-learn clusterer: cloned, given its parameters, and asked for `fit_predict`.

    Parameters
    ----------
    name : str
        The key of the family in a grid.
    prototype : scikit-learn clusterer
        Its parameters are the defaults.
    """

    prototype: Any

    def estimator(self) -> Any:
        """Return a clone of the prototype."""
        from sklearn.base import clone

        return clone(self.prototype)


@lru_cache(maxsize=1)
def centred_rows(descriptor: Descriptor) -> Rows:
    """Return the usable rows as solvers want them, those of the last descriptor remembered."""
    return Rows(descriptor.vectors, None if descriptor.valid.all() else descriptor.valid)


def centroid_confidence(
    vectors: NDArray[np.float32], labels: NDArray[np.int32], centers: NDArray[Any]
) -> NDArray[np.float32]:
    """Return 1 − d_own / d_other of each row: its distance to its own center over that to the nearest other one.

    Clipped to [0, 1]; 1 if there is one cluster, 0 for noise. `centers[c]` is that of label c. O(n * k * d).
    """
    clustered = labels >= 0
    confidence = clustered.astype(np.float32)
    if len(centers) > 1:
        for rows, squares in center_square_distances(vectors, centers):
            confidence[rows] = _margin(squares, labels[rows])
    return np.where(clustered, confidence, np.float32(0))


def _margin(squares: NDArray[np.float64], own: NDArray[Any]) -> NDArray[np.float64]:
    """Return 1 − d_own / d_other per row from squared distances; a row that lies on both centers has no margin."""
    to_own, to_other = own_and_other(squares, own)
    ratio = np.divide(to_own, to_other, out=np.ones_like(to_own), where=to_other > 0)
    return np.clip(1 - np.sqrt(ratio), 0, 1)


def nearest_center(vectors: NDArray[np.float32], centers: NDArray[Any]) -> Assigned:
    """Return the nearest center of each row and the confidence of that choice, as `centroid_confidence` has it."""
    labels = np.full(len(vectors), NOISE, dtype=np.int32)
    if len(centers) == 0:
        return labels, np.zeros(len(vectors), dtype=np.float32)
    confidence = np.ones(len(vectors), dtype=np.float32)
    for rows, squares in center_square_distances(vectors, centers):
        labels[rows] = squares.argmin(axis=1)
        if len(centers) > 1:
            confidence[rows] = _margin(squares, labels[rows])
    return labels, confidence
