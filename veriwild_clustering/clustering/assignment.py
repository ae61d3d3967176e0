"""A partition as a model: places new images in the clusters that were found, and outlives the session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.clustering.families.family import Assigned, Family
from veriwild_clustering.clustering.grid import FAMILIES
from veriwild_clustering.core.descriptor import Descriptor, finite_rows
from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.core.vectors.blocks import release, row_blocks

__all__ = ["PartitionModel"]

_FORMAT = 1
_OUR_TYPES = frozenset({"veriwild_clustering.descriptors.scaling.BlockScaler"})
"""Trusted in a file beside what skops trusts itself: scikit-learn's estimators, NumPy's and SciPy's arrays."""


@dataclass(frozen=True, eq=False, repr=False)
class PartitionModel:
    """What placing new images in the clusters of a partition needs, without the images it was fitted on.

    Make it with `PartitionModel.fit(partition)`.

    Parameters
    ----------
    algorithm : str
        Name of the algorithm's family.
    params : mapping
        The parameters that made the partition.
    space : Descriptor
        The partition's descriptor with its history of fitted transformers and no rows.
    memory : mapping of str to array
        What the family places new rows by: centers; a fitted mixture; for DBSCAN its core images; for HDBSCAN all
        the images' vectors, and the tree.

    Notes
    -----
    New rows go to the nearest cluster mean, but for "gaussian_mixture" (greatest posterior), "dbscan" (the nearest
    core image within eps, else noise) and "hdbscan" (the rule of `hdbscan.approximate_predict`). The images that
    the partition was fitted on get their own labels back from k-means and mixtures (but for ties within rounding);
    from DBSCAN core images and noise do; from the others most do.

    A model takes next to no memory but for DBSCAN, which keeps the vectors of its core images, and HDBSCAN, which keeps
    those of all: 4 * n_images * n_features bytes, in the file too, and a few times that while it is saved or loaded.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, PartitionModel, sweep
    >>> rng = np.random.default_rng(0)
    >>> space = Descriptor("osnet", np.concatenate([rng.normal(size=(20, 2)), 9 + rng.normal(size=(10, 2))]))
    >>> [partition] = sweep(space, {"kmeans": {"n_clusters": 2}})
    >>> labels, confidence = PartitionModel.fit(partition).assign({"osnet": [[9.0, 9.0], [0.5, 0.0], [np.nan, 0.0]]})
    >>> labels
    array([ 1,  0, -1], dtype=int32)
    """

    algorithm: str
    params: Mapping[str, Any]
    space: Descriptor
    _: KW_ONLY
    memory: Mapping[str, NDArray[Any]]

    def __repr__(self) -> str:
        return f"PartitionModel({self.algorithm!r} on {self.space.name!r})"

    @classmethod
    def fit(cls, partition: Partition) -> PartitionModel:
        """Return the model of a partition.

        Parameters
        ----------
        partition : Partition
            From `sweep`, or made in another way: then new rows go to the nearest cluster mean.

        Returns
        -------
        PartitionModel
            For HDBSCAN this costs a nearest-neighbour search over all images, for others next to nothing.
        """
        memory = _family(partition.algorithm).remember(partition)
        return cls(partition.algorithm, dict(partition.params), _without_rows(partition.descriptor), memory=memory)

    def assign(self, vectors: Mapping[str, ArrayLike]) -> Assigned:
        """Return the cluster of each new image and how firmly it belongs there.

        Parameters
        ----------
        vectors : mapping of str to array of shape (n_new, n_features)
            Vectors by the name of each descriptor at the root of the partition's history, row-aligned.

        Returns
        -------
        labels : array of shape (n_new,), int32
            Clusters as numbered in the partition; −1 for noise and for rows with a NaN.
        confidence : array of shape (n_new,), float32
            As in the partition, in [0, 1].

        Raises
        ------
        ValueError
            If a descriptor is missing, or its shape is not the one the partition was fitted on.
        TypeError
            If a transformer in the history, such as t-SNE, cannot place new rows.

        Notes
        -----
        Memory maps are read in blocks of rows, so memory does not grow with n_new beyond the result.
        """
        given = self._checked(vectors)
        n_new = len(next(iter(given.values())))
        labels, confidence = np.full(n_new, NOISE, dtype=np.int32), np.zeros(n_new, dtype=np.float32)
        for block in row_blocks(n_new, sum(matrix.shape[1] * matrix.itemsize for matrix in given.values())):
            part = {name: matrix[block] for name, matrix in given.items()}
            usable = np.logical_and.reduce([finite_rows(matrix) for matrix in part.values()])
            if usable.any():
                rows = block.start + np.flatnonzero(usable)
                labels[rows], confidence[rows] = self._placed({name: matrix[usable] for name, matrix in part.items()})
            for matrix in given.values():
                release(matrix)
        return labels, confidence

    def _placed(self, vectors: Mapping[str, NDArray[np.float32]]) -> Assigned:
        """Return cluster and confidence of rows that are usable throughout."""
        placed = self.space.compute(lambda root: vectors[root.name])
        found, firmness = _family(self.algorithm).assign(self.memory, self.params, placed)
        return found, np.where(found == NOISE, np.float32(0), firmness)

    def _checked(self, vectors: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.float32]]:
        given = {}
        for root in self.space.roots:
            if root.name not in vectors:
                known = ", ".join(map(repr, vectors)) or "nothing"
                raise ValueError(f"`vectors` must hold {root.name!r}, of which the clusters were made. Got {known}.")
            matrix = np.asarray(vectors[root.name], dtype=np.float32)
            if matrix.ndim != 2 or matrix.shape[1] != root.n_features:
                raise ValueError(
                    f"`vectors[{root.name!r}]` must have shape (n_new, {root.n_features}). Got {matrix.shape} instead."
                )
            given[root.name] = matrix
        lengths = {name: len(matrix) for name, matrix in given.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"`vectors` must have the same number of rows for each descriptor. Got {lengths}.")
        return given

    def save(self, path: str | Path) -> Path:
        """Write the model to one file, by skops: no pickle, so opening it runs no code.

        Parameters
        ----------
        path : path
            The file to write, such as "model.skops".

        Returns
        -------
        Path
            The file.

        Raises
        ------
        TypeError
            If a transformer of the history cannot be kept or cannot place new rows: UMAP, t-SNE, one of your own.
        """
        from skops import io

        _check_can_be_kept(self.space)
        content = {
            "format": _FORMAT,
            "algorithm": self.algorithm,
            "params": dict(self.params),
            "space": _to_plain(self.space),
            "memory": dict(self.memory),
        }
        data = io.dumps(content)
        unknown = _untrusted(io.get_untrusted_types(data=data))
        if unknown:
            raise TypeError(f"The model of {self.algorithm} cannot be saved: it holds {', '.join(unknown)}.")
        with write_atomically(path) as temporary:
            temporary.write_bytes(data)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> PartitionModel:
        """Read a model that `save` wrote.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        PartitionModel
            Equal to the one that was saved.

        Raises
        ------
        DatasetError
            If there is no such file, it is not such a model, or it holds other types than those of scikit-learn,
            NumPy, SciPy and this package that skops knows to be safe.
        """
        from skops import io

        if not Path(path).is_file():
            raise DatasetError(f"The file {path} does not exist. A model is written by `PartitionModel.save`.")
        data = Path(path).read_bytes()
        try:
            types = io.get_untrusted_types(data=data)
        except Exception as error:
            raise DatasetError(f"{path} is not a saved partition model.") from error
        unknown = _untrusted(types)
        if unknown:
            raise DatasetError(f"{path} is refused: it holds {', '.join(unknown)}, which a model never needs.")
        content = io.loads(data, trusted=types)
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise DatasetError(f"{path} is not a saved partition model.")
        return cls(content["algorithm"], content["params"], _from_plain(content["space"]), memory=content["memory"])


def _family(algorithm: str) -> Family:
    return FAMILIES.get(algorithm, Family(algorithm))


def _without_rows(descriptor: Descriptor) -> Descriptor:
    """Return the descriptor with its whole history and none of its rows."""
    return Descriptor(
        descriptor.name,
        np.empty((0, descriptor.n_features), dtype=np.float32),
        parents=tuple(_without_rows(parent) for parent in descriptor.parents),
        transformer=descriptor.transformer,
    )


def _to_plain(space: Descriptor) -> dict[str, Any]:
    parents = [_to_plain(parent) for parent in space.parents]
    return {
        "name": space.name,
        "n_features": space.n_features,
        "transformer": space.transformer,
        "parents": parents,
    }


def _from_plain(content: Mapping[str, Any]) -> Descriptor:
    return Descriptor(
        content["name"],
        np.empty((0, content["n_features"]), dtype=np.float32),
        parents=tuple(_from_plain(parent) for parent in content["parents"]),
        transformer=content["transformer"],
    )


def _check_can_be_kept(space: Descriptor) -> None:
    """Raise naming the first transformer of the history that a file cannot hold or that cannot place new rows."""
    from skops import io

    for parent in space.parents:
        _check_can_be_kept(parent)
    if space.transformer is None:
        return
    advice = "Cluster a descriptor made without it to save a model."
    if not hasattr(space.transformer, "transform"):
        raise TypeError(f"{space.transformer!r} made {space.name!r} and cannot place new rows. {advice}")
    try:
        unknown = _untrusted(io.get_untrusted_types(data=io.dumps(space.transformer)))
    except Exception as error:
        raise TypeError(f"{space.transformer!r} made {space.name!r} and cannot be saved. {advice}") from error
    if unknown:
        raise TypeError(f"{space.transformer!r} made {space.name!r} and cannot be saved without pickle. {advice}")


def _untrusted(types: list[str]) -> list[str]:
    return [name for name in types if name not in _OUR_TYPES]
