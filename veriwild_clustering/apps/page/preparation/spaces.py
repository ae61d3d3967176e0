"""The space in which the page groups and maps images, and its maps: components at once, UMAP where it is asked for."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.storage.vector_files import map_npy
from veriwild_clustering.core.validation import DatasetError, check_known_names

__all__ = ["FEWEST_FOR_UMAP", "choose_descriptor", "open_space", "pca_layout", "umap_layout"]

FEWEST_FOR_UMAP = 32
_N_COMPONENTS = 32
_MAX_FIT = 10_000
_SAME = 1e-6  # of coordinates of directions
_SPECTRAL_ROWS = 50_000  # beyond, UMAP's spectral initialisation takes more than all the rest


def choose_descriptor(dataset: Dataset, name: str | None) -> Descriptor:
    """Return the descriptor that is shown: the one that is named, else the first that tells images apart.

    Raises
    ------
    DatasetError
        If there is none.
    ValueError
        If the name is not known.
    """
    if name is not None:
        check_known_names("descriptor", [name], dataset.names)
    for descriptor in [dataset[name]] if name else dataset:
        if descriptor.n_valid > 1 and not descriptor.is_constant:
            return descriptor
    found = ", ".join(f"{one.name} ({one.n_valid} usable rows)" for one in dataset) or "none"
    raise DatasetError(
        f"There is nothing to show: a descriptor with two usable vectors that differ is needed. The dataset has "
        f"{len(dataset):,} images; descriptors: {found}. Make one with `python create_dataset.py`."
    )


def open_space(descriptor: Descriptor, file: Path) -> Descriptor:
    """Return the leading components of the normalised vectors, from a file that is written unless it is there.

    Beyond 10,000 rows the components are those of a sample, so that reading the vectors once is all it takes.
    """
    name = f"{descriptor.name}/components"
    if file.is_file():
        try:
            vectors = map_npy(file)
        except DatasetError:  # a cache: what is damaged is made again
            file.unlink()
        else:
            return Descriptor(name, vectors)
    components = _components(descriptor)
    usable = np.empty((descriptor.n_valid, components.n_features), dtype=np.float32)
    for rows, block in descriptor.blocks():
        usable[rows] = components.compute(lambda _, block=block: block)  # type: ignore[misc]
    _save(file, descriptor.expand(usable, fill=np.nan))
    return Descriptor(name, map_npy(file))


def pca_layout(space: Descriptor, n_dims: int) -> NDArray[np.float32]:
    """Return the first components as places on a map; where there are fewer, the rest is zero."""
    places = np.zeros((len(space), n_dims), dtype=np.float32)
    places[:, : space.n_features] = space.vectors[:, :n_dims]
    places[~space.valid] = np.nan
    return places


def umap_layout(space: Descriptor, n_dims: int, file: Path) -> NDArray[np.float32]:
    """Return a UMAP of the space, from a file that is written unless it is there; minutes for 100,000 rows."""
    if file.is_file():
        try:
            return map_npy(file)
        except DatasetError:
            file.unlink()
    from veriwild_clustering.descriptors.transforms import transform

    with warnings.catch_warnings():
        # It warns of a package that nobody needs, and of graphs that fall apart, which few rows make.
        warnings.simplefilter("ignore")
        from umap import UMAP

        init = "pca" if space.n_valid > _SPECTRAL_ROWS else "spectral"
        umap = UMAP(n_components=n_dims, min_dist=0.3, init=init, random_state=0, n_jobs=1)
        made = transform(space, umap)
    _save(file, made.vectors)
    return made.vectors


def _components(descriptor: Descriptor) -> Descriptor:
    """Return the descriptor of a sample that knows how to place all rows."""
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    from veriwild_clustering.descriptors.transforms import transform

    rows = np.flatnonzero(descriptor.valid)
    if len(rows) > _MAX_FIT:
        rows = np.sort(np.random.default_rng(0).choice(rows, _MAX_FIT, replace=False))
    n_components = min(_N_COMPONENTS, descriptor.n_features, len(rows) - 1)
    sample, pca = descriptor.take(rows), PCA(n_components, random_state=0)
    directions = Normalizer().fit_transform(sample.vectors)
    if np.ptp(directions, axis=0).max() < _SAME:
        return transform(sample, pca)  # all point the same way: lengths alone tell images apart
    return transform(sample, make_pipeline(Normalizer(), pca))


def _save(file: Path, vectors: NDArray[np.float32]) -> None:
    with write_atomically(file) as temporary, temporary.open("wb") as stream:
        np.save(stream, vectors)
