"""What the page searches: one index per descriptor, kept in a folder, and any weights over them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from veriwild_clustering.apps.page.preparation.identity import Identity
from veriwild_clustering.apps.page.preparation.once import Once
from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.validation import DatasetError

if TYPE_CHECKING:
    from veriwild_clustering.search.backends.backend import VectorBackend
    from veriwild_clustering.search.index import SearchIndex
    from veriwild_clustering.search.space import SearchSpace

__all__ = ["Indices"]

_log = logging.getLogger(__name__)

_MAX_COPIED = 2**25  # numbers of a space that is indexed in memory for the weights that are asked for
_HALF_FLOATS = "SQfp16"  # compares all rows: 30 ms for 416,314 of 512, and no graph to be built for minutes


class Indices:
    """The search indices of a dataset, built when they are first needed.

    Parameters
    ----------
    dataset : Dataset
        What is searched.
    folder : path
        Where they are kept; they are opened memory-mapped.
    identity : Identity
        What the files are named by.
    given : path, optional
        An index of the user's own, which is searched for its weights.

    Raises
    ------
    DatasetError
        If the given index is damaged, or of another dataset.
    """

    def __init__(self, dataset: Dataset, folder: Path, identity: Identity, *, given: Path | None = None) -> None:
        self._dataset, self._folder, self._identity = dataset, folder, identity
        self._single: Once[SearchIndex] = Once()
        self._weighted: Once[VectorBackend] = Once(n_kept=4)
        self._given = None
        if given is not None:
            from veriwild_clustering.search.index import SearchIndex

            self._given = SearchIndex.open(given, dataset)

    @property
    def given_weights(self) -> dict[str, float] | None:
        """The weights of the user's own index, None where there is none."""
        if self._given is None:
            return None
        return dict(zip(self._given.space.names, self._given.space.weights, strict=True))

    def get(self, weights: Mapping[str, float]) -> VectorBackend:
        """Return what is searched with these weights.

        Raises
        ------
        ValueError
            If a descriptor is not known, or the weights are not possible.
        DatasetError
            If no image has a vector of all these descriptors.
        """
        from veriwild_clustering.search.space import SearchSpace

        space = SearchSpace.of(self._dataset, weights)
        shares = dict(zip(space.names, space.weights, strict=True))
        if self._given is not None and shares == self.given_weights:
            return self._given
        if len(shares) == 1:
            return self._of(space.names[0])
        return self._weighted.get(tuple(shares.items()), lambda: self._mixture(space))

    def _mixture(self, space: SearchSpace) -> VectorBackend:
        from veriwild_clustering.search.backends.joined import JoinedIndex
        from veriwild_clustering.search.index import SearchIndex

        if int(space.valid.sum()) * space.dim <= _MAX_COPIED:
            return SearchIndex.build(self._dataset, dict(zip(space.names, space.weights, strict=True)))
        return JoinedIndex({name: self._of(name) for name in space.names}, space)

    def _of(self, name: str) -> SearchIndex:
        return self._single.get(name, lambda: self._opened(name))

    def _opened(self, name: str) -> SearchIndex:
        from veriwild_clustering.search.index import SearchIndex

        descriptor = self._dataset[name]
        file = self._folder / f"{self._identity.of(descriptor)}.json"
        if file.is_file():
            try:
                return SearchIndex.open(file, self._dataset)
            except DatasetError as error:
                _log.warning("%s It is built again.", error)
        is_small = descriptor.n_valid * descriptor.n_features <= _MAX_COPIED
        return SearchIndex.build(self._dataset, name, file, factory="Flat" if is_small else _HALF_FLOATS)
