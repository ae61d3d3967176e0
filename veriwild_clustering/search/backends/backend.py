"""What a search needs of the place that keeps the vectors, whatever it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import pandas as pd
from numpy.typing import ArrayLike

from veriwild_clustering.search.index import Neighbors
from veriwild_clustering.search.space import SearchSpace

__all__ = ["FilteringBackend", "VectorBackend"]


@runtime_checkable
class VectorBackend(Protocol):
    """The vectors of a search space, kept where their neighbours can be found: `SearchIndex` and `QdrantIndex`.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor
    >>> from veriwild_clustering.search.backends.backend import VectorBackend
    >>> from veriwild_clustering.search.backends.qdrant import QdrantIndex
    >>> from veriwild_clustering.search.index import SearchIndex
    >>> dataset = Dataset(pd.DataFrame({"path": ["a.jpg", "b.jpg"]}), {"osnet": Descriptor("osnet", np.eye(2))})
    >>> here = SearchIndex.build(dataset, "osnet")
    >>> there = QdrantIndex.build(dataset, "osnet", "vehicles", location=":memory:")
    >>> [isinstance(index, VectorBackend) for index in (here, there)]
    [True, True]
    """

    @property
    def space(self) -> SearchSpace:
        """What is searched."""
        ...

    def __len__(self) -> int:
        """Return the number of rows that can be found."""
        ...

    def nearest(
        self,
        queries: ArrayLike,
        n_results: int = 20,
        *,
        allowed: ArrayLike | None = None,
        exclude: Sequence[ArrayLike] | None = None,
        exact: bool = False,
    ) -> Neighbors:
        """Return the nearest rows to vectors of the space, among those `allowed` and but for those excluded."""
        ...

    def remove(self, rows: ArrayLike) -> None:
        """Let rows be found no longer."""
        ...

    def add(self, rows: ArrayLike) -> None:
        """Let removed rows be found again."""
        ...


@runtime_checkable
class FilteringBackend(VectorBackend, Protocol):
    """A backend that keeps the image table too, and so tests conditions where the vectors lie: `QdrantIndex`.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor
    >>> from veriwild_clustering.search.backends.backend import FilteringBackend
    >>> from veriwild_clustering.search.backends.qdrant import QdrantIndex
    >>> images = pd.DataFrame({"path": ["a.jpg", "b.jpg"], "color": ["red", "blue"]})
    >>> dataset = Dataset(images, {"osnet": Descriptor("osnet", np.eye(2))})
    >>> index = QdrantIndex.build(dataset, "osnet", "vehicles", location=":memory:")
    >>> isinstance(index, FilteringBackend), index.holds(images[["color"]])
    (True, True)
    """

    def holds(self, columns: pd.DataFrame) -> bool:
        """Tell whether these columns are kept there, with the same values."""
        ...

    def nearest(
        self,
        queries: ArrayLike,
        n_results: int = 20,
        *,
        where: Mapping[str, Any] | None = None,
        allowed: ArrayLike | None = None,
        exclude: Sequence[ArrayLike] | None = None,
        exact: bool = False,
    ) -> Neighbors:
        """Return the nearest rows that also meet conditions on the columns."""
        ...
