"""K-means along a chain of numbers of clusters, and its mini-batch form, by scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.families.family import Arrays, Family, Params, centred_rows, centroid_confidence
from veriwild_clustering.clustering.solvers.nested_kmeans import NestedKMeans
from veriwild_clustering.clustering.solvers.threads import each, threads
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOISE, Partition, canonical_labels

__all__ = ["KMeansFamily", "MiniBatchKMeansFamily", "nested_kmeans"]


_AT_ONCE = 16  # numbers of clusters that threads share before their partitions are handed out


@lru_cache(maxsize=1)
def nested_kmeans(descriptor: Descriptor, random_state: int) -> NestedKMeans:
    """Return the chain of k-means solutions for a descriptor, the last one remembered."""
    return NestedKMeans(centred_rows(descriptor), random_state)


@dataclass(frozen=True)
class KMeansFamily(Family):
    """Lloyd's k-means [1]_ from a chain of good starts: O(n * k * d) per iteration.

    Parameters are those of `sklearn.cluster.KMeans` with its defaults. With `init="k-means++"` and `n_init="auto"` the
    centers for k clusters come from those for k − 1 on a sample of the rows, by splitting the cluster that gains most
    and moving centers that are hardly missed, and Lloyd's iterations on all rows finish them. Any other `init`
    or `n_init`, or a `random_state` that is no int, goes to scikit-learn, which seeds by k-means++ [2]_. So does
    data with too few distinct rows. New rows go to the nearest center.

    References
    ----------
    .. [1] Lloyd, S. (1982). Least squares quantization in PCM. doi:10.1109/TIT.1982.1056489
    .. [2] Arthur, D., Vassilvitskii, S. (2007). k-means++: the advantages of careful seeding. SODA, 1027-1035.
    """

    name: str = "kmeans"
    varying: ClassVar[frozenset[str]] = frozenset({"n_clusters"})
    revision: ClassVar[int] = 3

    def estimator(self) -> Any:
        """Return scikit-learn's KMeans."""
        from sklearn.cluster import KMeans

        return KMeans()

    def fit_many(self, descriptor: Descriptor, settings: Sequence[Params]) -> Iterator[Partition]:
        """Yield a partition per setting, in their order; starts are shared along the number of clusters."""
        full = [{**self.defaults(), **params} for params in settings]
        if not all(map(_is_nested, full)):
            yield from super().fit_many(descriptor, settings)
            return
        chain = nested_kmeans(descriptor, full[0]["random_state"])
        for start in range(0, len(settings), _AT_ONCE):
            at_once = settings[start : start + _AT_ONCE]
            chain.start(max(params["n_clusters"] for params in at_once))  # once, for all threads
            with threads():
                partitions = each(partial(self._nested, descriptor, chain), at_once)
            for params, partition in zip(at_once, partitions, strict=True):
                yield from super().fit_many(descriptor, [params]) if partition is None else [partition]

    def _nested(self, descriptor: Descriptor, chain: NestedKMeans, params: Params) -> Partition | None:
        """Return the partition that starts from the chain, None where the rows have too few distinct ones."""
        started = perf_counter()
        full = {**self.defaults(), **params}
        fit = chain.fit(full["n_clusters"], max_iter=full["max_iter"], tol=full["tol"])
        if fit is None:
            return None
        labels, order = canonical_labels(fit.found.labels)
        centers = (fit.centers + chain.rows.mean)[order]
        confidence = np.concatenate(
            [centroid_confidence(block, labels[rows], centers) for rows, block in descriptor.blocks()]
        )
        return Partition(
            descriptor.expand(labels, fill=NOISE),
            descriptor,
            self.name,
            params=params,
            confidence=descriptor.expand(confidence, fill=0),
            state={"centers": centers.astype(np.float32)},
            seconds=perf_counter() - started,
        )

    def fit(self, vectors: NDArray[np.float32], params: Params) -> tuple[NDArray, NDArray, Arrays, Params]:
        """Return labels, confidence and the centers that k-means itself settled on."""
        fitted = self.build(params).fit(vectors)
        labels, order = canonical_labels(fitted.labels_)
        centers = fitted.cluster_centers_[order]
        return labels, centroid_confidence(vectors, labels, centers), {"centers": centers}, {}


def _is_nested(params: Params) -> bool:
    """Tell whether the parameters leave the start to the chain."""
    return (
        isinstance(params["random_state"], int)
        and isinstance(params["init"], str)
        and params["init"] == "k-means++"
        and isinstance(params["n_init"], str)
    )


@dataclass(frozen=True)
class MiniBatchKMeansFamily(KMeansFamily):
    """K-means on random batches of rows [1]_: less exact, and cheaper where rows are many.

    Parameters are those of `sklearn.cluster.MiniBatchKMeans` with its defaults. New rows go to the nearest center.

    References
    ----------
    .. [1] Sculley, D. (2010). Web-scale k-means clustering. doi:10.1145/1772690.1772862
    """

    name: str = "minibatch_kmeans"
    varying: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1

    def estimator(self) -> Any:
        """Return scikit-learn's MiniBatchKMeans."""
        from sklearn.cluster import MiniBatchKMeans

        return MiniBatchKMeans()

    def fit_many(self, descriptor: Descriptor, settings: Sequence[Params]) -> Iterator[Partition]:
        """Yield a partition per setting, each fitted on its own."""
        return Family.fit_many(self, descriptor, settings)

    def check_values(self, params: Params, n_usable: int) -> None:
        """Raise if one of the parameters, defaults included, is out of its range."""
        super().check_values(params, n_usable)
        if params["compute_labels"] is not True:
            raise ValueError(f"`compute_labels` must be True. Got {params['compute_labels']!r} instead.")
