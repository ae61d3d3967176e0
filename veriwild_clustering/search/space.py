"""The vectors that are searched: one descriptor, or several weighted side by side."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.validation import check_choice, check_known_names
from veriwild_clustering.descriptors.scaling import shares

__all__ = ["METRICS", "Metric", "SearchSpace", "checked_rows"]

Metric = Literal["cosine", "euclidean"]
METRICS = ("cosine", "euclidean")
_SAMPLE_ROWS = 4_096  # from which a Euclidean mixture takes its scales
_SHORTEST = 1e-30  # what float32 can bring to length 1


@dataclass(frozen=True, eq=False, repr=False)
class SearchSpace:
    """One descriptor, or several with weights, as one space in which nearness is one number.

    With the metric "cosine" each block is brought to length 1 and multiplied by the root of its weight, so the inner
    product of two rows is the weighted sum of the descriptors' cosine similarities. With "euclidean" the squared
    distance is that of the descriptor, of several the weighted sum of theirs, each divided by its total variance, as
    `mix` does it.

    Parameters
    ----------
    descriptors : tuple of Descriptor
        The blocks, from left to right.
    weights : tuple of float
        Share of each, summing to 1.
    metric : {"cosine", "euclidean"}, default="cosine"
        What nearness means.
    scales : tuple of float
        By what a Euclidean space multiplies each block: 1 where there is one, else what gives it its weight.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor
    >>> from veriwild_clustering.search.space import SearchSpace
    >>> body = Descriptor("type_model", [[1.0, 0.0], [1.0, 0.0]])
    >>> paint = Descriptor("color_model", [[1.0, 0.0], [0.0, 1.0]])
    >>> images = pd.DataFrame({"path": ["a.jpg", "b.jpg"]})
    >>> dataset = Dataset(images, {"type_model": body, "color_model": paint})
    >>> space = SearchSpace.of(dataset, {"type_model": 3, "color_model": 1})
    >>> first, second = space.rows([0, 1])
    >>> space, round(float(first @ second), 3)
    (SearchSpace(0.75 type_model + 0.25 color_model, 4 dimensions, cosine), 0.75)
    """

    descriptors: tuple[Descriptor, ...]
    weights: tuple[float, ...]
    metric: Metric = "cosine"
    _: KW_ONLY
    scales: tuple[float, ...]

    @classmethod
    def of(cls, dataset: Dataset, descriptors: str | Mapping[str, float], *, metric: Metric = "cosine") -> SearchSpace:
        """Return the space of a dataset's descriptors.

        Parameters
        ----------
        dataset : Dataset
            Where the descriptors are.
        descriptors : str or mapping of str to float
            The name of one, or the names of several with their weights, which are normalised to sum 1; those with
            the weight 0 are left out.
        metric : {"cosine", "euclidean"}, default="cosine"
            What nearness means.

        Returns
        -------
        SearchSpace
            Nothing is copied; a Euclidean mixture reads some thousand rows for its scales.

        Raises
        ------
        ValueError
            If a name is unknown, the weights are negative or all 0, or the metric is unknown.
        """
        check_choice("metric", metric, METRICS)
        given = {descriptors: 1.0} if isinstance(descriptors, str) else descriptors
        if not isinstance(given, Mapping) or not given:
            raise ValueError(f"`descriptors` must be a name, or names with their weights. Got {descriptors!r} instead.")
        chosen = [dataset[name] for name in given]
        normalised = shares(list(given.values()), len(given)).tolist()
        parts = [(descriptor, weight) for descriptor, weight in zip(chosen, normalised, strict=True) if weight > 0]
        is_plain = metric == "cosine" or len(parts) == 1
        scales = tuple(1.0 if is_plain else _scale(descriptor, weight) for descriptor, weight in parts)
        return cls(tuple(part for part, _ in parts), tuple(weight for _, weight in parts), metric, scales=scales)

    def __len__(self) -> int:
        return len(self.descriptors[0])

    def __repr__(self) -> str:
        blocks = " + ".join(f"{weight:.3g} {name}" for name, weight in zip(self.names, self.weights, strict=True))
        return f"SearchSpace({blocks}, {self.dim} dimensions, {self.metric})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the descriptors."""
        return tuple(descriptor.name for descriptor in self.descriptors)

    @property
    def dim(self) -> int:
        """Number of dimensions: of all blocks together."""
        return sum(descriptor.n_features for descriptor in self.descriptors)

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """Which rows have a usable vector in every block, shape (n_images,)."""
        return np.logical_and.reduce([descriptor.valid for descriptor in self.descriptors])

    @cached_property
    def blocks(self) -> dict[str, slice]:
        """The columns of each descriptor."""
        ends = np.cumsum([0, *(descriptor.n_features for descriptor in self.descriptors)]).tolist()
        return {name: slice(*ends[place : place + 2]) for place, name in enumerate(self.names)}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over names, weights, metric and contents; costs what `Descriptor.fingerprint` does."""
        contents = [descriptor.fingerprint for descriptor in self.descriptors]
        return hashlib.sha256(json.dumps([self.names, self.weights, self.metric, contents]).encode()).hexdigest()

    def encode(self, blocks: Mapping[str, ArrayLike]) -> NDArray[np.float32]:
        """Return vectors of the descriptors as vectors of the space.

        Parameters
        ----------
        blocks : mapping of str to array of shape (n, n_features)
            Vectors by descriptor. In a cosine space some may be left out: what is not given adds nothing to the score.

        Returns
        -------
        array of shape (n, dim), float32
            One vector per row.

        Raises
        ------
        ValueError
            If a name is unknown or missing, a block has other columns than its descriptor, lengths differ, or a value
            is not finite.
        """
        check_known_names("descriptor", blocks, self.names)
        given = {name: self._checked(name, block) for name, block in blocks.items()}
        missing = [name for name in self.names if name not in given]
        if not given or (missing and self.metric == "euclidean"):
            raise ValueError(f"`blocks` must hold vectors of {', '.join(self.names)}. Missing: {', '.join(missing)}.")
        lengths = {name: len(block) for name, block in given.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Blocks must have one row per vector each. Got these lengths: {lengths}.")
        return self._encoded(given, next(iter(lengths.values())))

    def rows(self, rows: ArrayLike | slice) -> NDArray[np.float32]:
        """Return rows of the dataset as vectors of the space, shape (n, dim); those without a usable one are NaN."""
        chosen = rows if isinstance(rows, slice) else checked_rows(rows, len(self))
        blocks = {descriptor.name: descriptor.vectors[chosen] for descriptor in self.descriptors}
        usable = self.valid[chosen]
        if usable.all():
            return self._encoded(blocks, len(usable))
        encoded = np.full((len(usable), self.dim), np.nan, dtype=np.float32)
        kept = {name: block[usable] for name, block in blocks.items()}
        encoded[usable] = self._encoded(kept, int(usable.sum()))
        return encoded

    def scores(self, query: NDArray[np.float32], rows: ArrayLike) -> NDArray[np.float64]:
        """Return the cosine similarities, or the Euclidean distances, of rows to a query, NaN without a usable vector.

        Worked out in float64, O(n · dim), from what the descriptors hold: no row is encoded.
        """
        summed = self.contributions(query, rows).sum(axis=1)
        return summed if self.metric == "cosine" else np.sqrt(summed)

    def contributions(self, query: NDArray[np.float32], rows: ArrayLike) -> NDArray[np.float64]:
        """Return what each descriptor adds to the nearness of rows to a query, shape (n, n_descriptors).

        Their sum over descriptors is the cosine similarity, or the square of the Euclidean distance.
        """
        chosen = checked_rows(rows, len(self))
        parts = np.empty((len(chosen), len(self.descriptors)))
        for place, (descriptor, columns) in enumerate(zip(self.descriptors, self.blocks.values(), strict=True)):
            compare, factor = (
                (_cosines, np.sqrt(self.weights[place]))
                if self.metric == "cosine"
                else (_squared_distances, self.scales[place])
            )
            parts[:, place] = compare(query[columns], np.asarray(descriptor.vectors), chosen, factor)
        parts[~self.valid[chosen]] = np.nan
        return parts

    def _checked(self, name: str, block: ArrayLike) -> NDArray[np.float32]:
        vectors = np.asarray(block, dtype=np.float32)
        width = self.blocks[name].stop - self.blocks[name].start
        if vectors.ndim != 2 or vectors.shape[1] != width:
            raise ValueError(
                f"Vectors of {name!r} must have {width} columns, shape (n, {width}). Got shape {vectors.shape} "
                f"instead: they come from another model."
            )
        if not np.isfinite(vectors).all():
            raise ValueError(f"Vectors of {name!r} must be finite. Got NaN or infinity.")
        return vectors

    def _encoded(self, blocks: Mapping[str, NDArray[np.float32]], n_rows: int) -> NDArray[np.float32]:
        encoded = np.zeros((n_rows, self.dim), dtype=np.float32)
        for (name, columns), weight, scale in zip(self.blocks.items(), self.weights, self.scales, strict=True):
            if name in blocks:
                factor = np.float32(scale) if self.metric == "euclidean" else _unit_factors(blocks[name], weight)
                np.multiply(blocks[name], factor, out=encoded[:, columns])
        return encoded


def checked_rows(rows: ArrayLike, n_images: int) -> NDArray[np.int64]:
    """Return numbers of rows as an array, or raise."""
    index = np.atleast_1d(np.asarray(rows))
    if index.ndim > 1 or (index.size and (index.dtype.kind not in "iu" or index.min() < 0 or index.max() >= n_images)):
        raise ValueError(f"`rows` must be rows of the dataset, ints in [0, {n_images}). Got {rows!r} instead.")
    return index.astype(np.int64)


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _cosines(query, vectors, rows, factor):  # type: ignore[no-untyped-def]
    """Return the inner products of a query with rows brought to the length `factor`, 0 for a row of zeros."""
    found = np.zeros(len(rows))
    for place in range(len(rows)):
        product, square = 0.0, 0.0
        for k in range(len(query)):
            value = np.float64(vectors[rows[place], k])
            product += value * query[k]
            square += value * value
        length = np.sqrt(square)
        if length > _SHORTEST:
            found[place] = factor * product / length
    return found


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _squared_distances(query, vectors, rows, factor):  # type: ignore[no-untyped-def]
    """Return the squared distances of a query to rows multiplied by `factor`."""
    found = np.zeros(len(rows))
    for place in range(len(rows)):
        square = 0.0
        for k in range(len(query)):
            difference = np.float64(np.float32(vectors[rows[place], k] * np.float32(factor))) - query[k]
            square += difference * difference
        found[place] = square
    return found


def _unit_factors(block: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """Return what brings each row to length sqrt(weight), 0 for a row of zeros, which has no direction."""
    lengths = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))
    factors = np.divide(np.sqrt(weight), lengths, out=np.zeros(len(block)), where=lengths > _SHORTEST)
    return factors[:, None].astype(np.float32)


def _scale(descriptor: Descriptor, weight: float) -> float:
    """Return what gives the descriptor its weight in squared distances, its total variance taken from a sample."""
    usable = np.flatnonzero(descriptor.valid)
    step = max(1, len(usable) // _SAMPLE_ROWS)
    variance = float(descriptor.vectors[usable[::step]].var(axis=0, dtype=np.float64).sum()) if len(usable) else 0.0
    if not variance > 0:
        raise ValueError(
            f"Descriptor {descriptor.name!r} is constant, so it cannot carry a weight of {weight:.3g}. Leave it out."
        )
    return float(np.sqrt(weight / variance))
