"""A query as one vector of the space: examples averaged, words added, what is not wanted taken away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.validation import DatasetError, check_int, check_known_names
from veriwild_clustering.search.encoding import QueryEncoder, UnknownModelError
from veriwild_clustering.search.space import SearchSpace

if TYPE_CHECKING:
    from veriwild_clustering.search.queries import Query

__all__ = ["query_vector", "usable_rows"]

_SHORTEST = 1e-6  # of a vector that has a direction, where its parts have length 1
_LARGEST = 1e15  # number of a vector: squared distances must fit float32

Floats = NDArray[np.float64]


def usable_rows(space: SearchSpace, rows: Sequence[int]) -> NDArray[np.int64]:
    """Return rows of the dataset that have vectors, as an array.

    Raises
    ------
    ValueError
        If there is no such row.
    DatasetError
        If a row has no usable vector of a descriptor.
    """
    for row in rows:
        check_int("rows", row, low=0, high=len(space), high_name=f"{len(space):,} images")
        if not space.valid[row]:
            missing = [descriptor.name for descriptor in space.descriptors if not descriptor.valid[row]]
            raise DatasetError(
                f"Row {row} has no usable vector of {' and '.join(missing)}, so nothing can be near to it: its image "
                f"is missing or broken. Search by another row, or by descriptors that it has."
            )
    return np.array(rows, dtype=np.int64)


def query_vector(
    space: SearchSpace, dataset: Dataset, query: Query, *, encoder: QueryEncoder | None = None
) -> NDArray[np.float32]:
    """Return the vector of a query, shape (dim,), as the notes of `Query` say.

    Raises
    ------
    DatasetError, ValueError
        As `search_images` does.
    """
    makers = _Makers(space, dataset, encoder or QueryEncoder())
    wanted = makers.blocks(query)
    unwanted = {} if query.negatives is None else makers.blocks(query.negatives)
    if unwanted and not wanted.keys() & unwanted.keys():
        raise ValueError(
            f"Negatives count in descriptors that have something wanted, {', '.join(wanted)}. They have vectors of "
            f"{', '.join(unwanted)} alone."
        )
    for name in wanted.keys() & unwanted.keys():
        wanted[name] = wanted[name] + query.negative_weight * (wanted[name] - unwanted[name])
    if space.metric == "cosine":
        wanted = {name: block for name, block in wanted.items() if np.linalg.norm(block) > _SHORTEST}
        if not wanted:
            raise ValueError("The query has no direction: what it is made of is zero or cancels out.")
    return space.encode({name: block[None] for name, block in wanted.items()})[0]


class _Makers:
    """Makes the vectors of a query for each descriptor of a space."""

    def __init__(self, space: SearchSpace, dataset: Dataset, encoder: QueryEncoder) -> None:
        self._space, self._dataset, self._encoder = space, dataset, encoder

    def blocks(self, query: Query) -> dict[str, Floats]:
        """Return what is looked for, by descriptor: examples and words."""
        found = {name: self._mean(block) for name, block in self._examples(query).items()}
        if query.texts:
            if self._space.metric != "cosine":
                raise ValueError("Words are compared by cosine alone: build an index with the metric 'cosine'.")
            name = self._encoder.partner(self._space.descriptors).name
            words = self._mean(self._checked(name, self._encoder.texts(query.texts)))
            share = query.text_weight
            found[name] = _unit((1 - share) * found[name] + share * words) if name in found else words
        return found

    def _examples(self, query: Query) -> dict[str, Floats]:
        """Return the vectors of rows, images and vectors, by descriptor, shape (n, n_features)."""
        rows = usable_rows(self._space, query.rows)
        check_known_names("descriptor", query.vectors, self._space.names)
        found = {}
        for descriptor in self._space.descriptors:
            parts: list[ArrayLike] = []
            if descriptor.name in query.vectors:
                parts.append(query.vectors[descriptor.name])
            if len(rows):
                parts.append(descriptor.vectors[rows])
            if query.images:
                parts.append(self._images(query, descriptor))
            if parts:
                found[descriptor.name] = np.concatenate([self._checked(descriptor.name, part) for part in parts])
        return found

    def _images(self, query: Query, descriptor: Descriptor) -> NDArray[np.float32]:
        try:
            return self._encoder.images(query.images, descriptor)
        except UnknownModelError as error:
            known = [one.name for one in self._dataset if self._encoder.can_embed(one)]
            raise UnknownModelError(
                f"{error} By a new image this dataset can be searched with: {', '.join(known) or 'none'}."
            ) from error

    def _checked(self, name: str, vectors: ArrayLike) -> Floats:
        """Return vectors of a descriptor, shape (n, n_features), or raise if they cannot be."""
        block = np.atleast_2d(np.asarray(vectors, dtype=np.float64))
        width = self._dataset[name].n_features
        if block.ndim != 2 or block.shape[1] != width or not len(block):
            raise ValueError(
                f"Vectors of {name!r} must have the shape (n, {width}). Got {block.shape} instead: they come from "
                f"another model."
            )
        if not (np.abs(block) < _LARGEST).all():
            raise ValueError(f"Vectors of {name!r} must be finite, below {_LARGEST:g}. Got NaN, infinity or more.")
        return block

    def _mean(self, block: Floats) -> Floats:
        """Return the mean of vectors, on the unit sphere if the space is one of cosines."""
        if self._space.metric != "cosine":
            return np.asarray(block.mean(axis=0))
        lengths = np.linalg.norm(block, axis=1, keepdims=True)
        return _unit((block / np.where(lengths > 0, lengths, 1)).mean(axis=0))


def _unit(vector: Floats) -> Floats:
    """Return a mean of vectors of length 1 with length 1; zeros if they cancel out."""
    length = np.linalg.norm(vector)
    return vector / length if length > _SHORTEST else np.zeros_like(vector)
