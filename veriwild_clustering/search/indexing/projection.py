"""The leading directions of vectors, in which an index may look for candidates: most of what tells rows apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Projection", "n_leading"]

_KEPT = 0.9  # of the variance; what is left out counts again when candidates are compared
_STEP = 32  # directions; what FAISS compares at once

Floats = NDArray[np.float32]


class Projection:
    """The first steps of a FAISS index: onto leading directions ("PCA128"), and there to length 1 ("L2norm").

    FAISS's own PCA takes the mean away, after which inner products order rows in another way; this one does not.

    Parameters
    ----------
    chain : list of faiss.VectorTransform
        The steps.
    """

    def __init__(self, chain: list[Any]) -> None:
        self._matrix, self._norming = chain[0], chain[1:]

    @classmethod
    def of(cls, index: Any) -> Projection | None:
        """Return the projection of an index, None if it compares vectors as they are; ValueError for other steps."""
        import faiss

        if not isinstance(index, faiss.IndexPreTransform):
            return None
        steps: Any = index.chain
        chain = [faiss.downcast_VectorTransform(steps.at(place)) for place in range(steps.size())]
        kinds = [type(step) for step in chain]
        if kinds not in ([faiss.PCAMatrix], [faiss.PCAMatrix, faiss.NormalizationTransform]):
            raise ValueError(f"steps of the kinds {', '.join(kind.__name__ for kind in kinds)}")
        return cls(chain)

    @property
    def is_normed(self) -> bool:
        """Whether projections are brought to length 1, so that their inner products are cosines again."""
        return bool(self._norming)

    def fit(self, vectors: Floats) -> None:
        """Take the directions of the largest second moments of a sample; O(n dim² + dim³)."""
        import faiss

        leading = np.ascontiguousarray(_directions(vectors)[:, : self._matrix.d_out].T, dtype=np.float32)
        faiss.copy_array_to_vector(leading.ravel(), self._matrix.A)
        faiss.copy_array_to_vector(np.zeros(len(leading), dtype=np.float32), self._matrix.b)
        self._matrix.set_is_orthonormal()
        self._matrix.is_trained = True

    def leading(self, vectors: Floats) -> Floats:
        """Return what vectors are in the leading directions."""
        return np.asarray(self._matrix.apply(vectors))

    def normed(self, leading: Floats) -> Floats:
        """Return what is compared: of length 1 if that is asked for."""
        for step in self._norming:
            leading = np.asarray(step.apply(leading))
        return leading

    def rests(self, vectors: Floats, leading: Floats) -> NDArray[np.float64]:
        """Return the length of what is left of vectors outside the leading directions."""
        apart = vectors - self._matrix.reverse_transform(leading)
        return np.sqrt(np.einsum("ij,ij->i", apart, apart, dtype=np.float64))


def n_leading(vectors: Floats) -> int | None:
    """Return how many directions hold nine tenths of the variance, a multiple of 32; None if that is most of them."""
    along = np.var(vectors @ _directions(vectors).astype(np.float32), axis=0, dtype=np.float64)
    total = along.sum()
    if not total > 0:
        return None
    enough = int(np.searchsorted(np.cumsum(along) / total, _KEPT)) + 1
    rounded = -(-enough // _STEP) * _STEP
    return rounded if 2 * rounded <= vectors.shape[1] else None


def _directions(vectors: Floats) -> NDArray[np.float64]:
    """Return all directions as columns, by falling second moment."""
    wide = vectors.astype(np.float64)
    return np.asarray(np.linalg.eigh(wide.T @ wide)[1][:, ::-1])
