"""What the page works on: a dataset with its maps, partitions, outliers, search index and paintings, opened once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Hashable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.apps.page.preparation.abnormality import Abnormality
from veriwild_clustering.apps.page.preparation.first_partition import ExportedPartition, best_of_sweep, read_exported
from veriwild_clustering.apps.page.preparation.identity import Identity, digest, slug
from veriwild_clustering.apps.page.preparation.indices import Indices
from veriwild_clustering.apps.page.preparation.once import Once
from veriwild_clustering.apps.page.preparation.paintings import Paintings
from veriwild_clustering.apps.page.preparation.running import Running
from veriwild_clustering.apps.page.preparation.spaces import (
    FEWEST_FOR_UMAP,
    choose_descriptor,
    open_space,
    pca_layout,
    umap_layout,
)
from veriwild_clustering.apps.page.preparation.thumbnails import Thumbnails
from veriwild_clustering.apps.page.problems import NotFoundError
from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.progress import bars
from veriwild_clustering.core.storage.partitions import PartitionLibrary, VersionConflictError
from veriwild_clustering.core.validation import DatasetError, check_rows

if TYPE_CHECKING:
    from veriwild_clustering.interpretation.summaries import ClusterSummaries
    from veriwild_clustering.search.encoding import QueryEncoder

__all__ = ["Workspace"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_UMAP_BY_ITSELF = 20_000  # rows; about a minute
_BESIDE = "best_partition.csv"
_SPACE = "/components"


class Workspace:
    """A dataset and what the page knows of it; made by `open`, or of a dataset that is open.

    What is missing is worked out when it is first asked for, by one thread while others wait, and kept in the folder.

    Parameters
    ----------
    dataset : Dataset
        What is shown.
    folder : path
        Where maps, partitions, indices and thumbnails are kept. It is of this dataset alone.
    descriptor : str, optional
        The descriptor that is mapped and grouped; by default the first that tells images apart.
    partition : path, optional
        A CSV of `export_partition`, the first partition to be shown; by default the best of a sweep.
    index : path, optional
        A search index of the dataset, see `SearchIndex.save`.
    umap : bool, optional
        Whether there are maps by UMAP; by default up to 20,000 images.
    models : path, optional
        Folder of the weights of networks: by default `$VERIWILD_MODELS`, else the user's cache.

    Raises
    ------
    DatasetError
        If there is nothing to show, the folder belongs to another dataset, or a file is not of this one.
    """

    def __init__(
        self,
        dataset: Dataset,
        folder: str | Path,
        *,
        descriptor: str | None = None,
        partition: str | Path | None = None,
        index: str | Path | None = None,
        umap: bool | None = None,
        models: str | Path | None = None,
    ) -> None:
        self.dataset, self.folder, self.models = dataset, Path(folder), models
        self.descriptor = choose_descriptor(dataset, descriptor)
        self.identity = Identity(dataset)
        self.identity.claim(self.folder)
        self._exported = read_exported(Path(partition), dataset) if partition else None
        self._exported_name = slug(Path(partition).stem) if partition else ""
        wanted = umap if umap is not None else self.descriptor.n_valid <= _UMAP_BY_ITSELF
        has_umap = wanted and self.descriptor.n_valid >= FEWEST_FOR_UMAP
        self.layouts = ("pca-2d", "pca-3d", *(("umap-2d", "umap-3d") if has_umap else ()))
        self.thumbnails = Thumbnails(dataset, self.folder / "thumbnails")
        self.paintings = Paintings(dataset, self.folder / "paintings")
        self.library = PartitionLibrary(self.folder / "partitions")
        self.indices = Indices(dataset, self.folder / "search", self.identity, given=Path(index) if index else None)
        self.encoding, self.running = Lock(), Running()
        self._once: Once[Any] = Once()
        self._remembered: Once[Any] = Once(n_kept=32)
        self._partitions: Once[Partition] = Once(n_kept=8)
        self._summaries: Once[ClusterSummaries] = Once(n_kept=4)
        self._marked: Once[Abnormality] = Once(n_kept=4)

    @classmethod
    def open(
        cls, path: str | Path, *, images: str | Path | None = None, folder: str | Path | None = None, **options: Any
    ) -> Workspace:
        """Open the workspace of a `transport_dataset.csv`; raises as the class and `Dataset.open` do.

        `images` is a folder or zip as `Dataset.open` takes it; the folder is by default `reports/app` beside the CSV.
        The other options are those of the class, but without `partition` a `best_partition.csv` beside the CSV is
        taken if it is of this dataset.
        """
        csv = Path(path)
        dataset = Dataset.open(csv, images=images)
        kept = csv.parent / "reports" / "app" if folder is None else Path(folder)
        beside = csv.parent / _BESIDE
        if options.get("partition") is None and beside.is_file():
            try:
                read_exported(beside, dataset)
            except DatasetError as error:
                _log.warning("%s", error)
            else:
                options = {**options, "partition": beside}
        return cls(dataset, kept, **options)

    def __repr__(self) -> str:
        return f"Workspace({self.dataset!r}, {str(self.folder)!r})"

    def prepare(self, *, progress: bool | None = None) -> None:
        """Make what the page shows first: the space, the maps by components, and a partition."""
        with bars(show=progress):
            for name in ("pca-2d", "pca-3d"):
                self.layout(name)
            self.partition(self.default_partition)

    def complete(self, *, progress: bool | None = None) -> None:
        """Make the rest, which the page can wait for: outliers, index, summaries, maps by UMAP."""
        with bars(show=progress):
            _ = self.abnormality
            self.indices.get(self.default_weights)
            self.summaries(self.default_partition)
            for name in self.layouts:
                self.layout(name)

    def space(self, descriptor: Descriptor | None = None) -> Descriptor:
        """Return the leading components of a descriptor, by default of the one that is shown."""
        shown = descriptor or self.descriptor

        def make() -> Descriptor:
            return open_space(shown, self.folder / "spaces" / f"{self.identity.of(shown)}.npy")

        made: Descriptor = self._once.get(("space", shown.name), make)
        return made

    def is_ready(self, layout: str) -> bool:
        """Tell whether a map has been made."""
        return ("layout", layout) in self._once or self._layout_file(layout).is_file()

    def layout(self, name: str) -> NDArray[np.float32]:
        """Return a map, shape (n_images, 2 or 3); NaN where an image has no place.

        Raises
        ------
        NotFoundError
            If it is none of `layouts`.
        """
        if name not in self.layouts:
            raise NotFoundError(f"There is no map {name!r}. There are: {', '.join(self.layouts)}.", field="name")
        n_dims = int(name[-2])

        def make() -> NDArray[np.float32]:
            if name.startswith("pca"):
                return pca_layout(self.space(), n_dims)
            return umap_layout(self.space(), n_dims, self._layout_file(name))

        made: NDArray[np.float32] = self._once.get(("layout", name), make)
        return made

    @property
    def default_partition(self) -> str:
        """The partition to be shown first; worked out and saved if there is none yet."""
        made: str = self._once.get("first partition", self._first_partition)
        return made

    @property
    def partition_names(self) -> list[str]:
        """All saved partitions, the one to be shown first at the head."""
        first = self.default_partition
        return [first, *(name for name in self.library.names() if name != first)]

    def add_partition(self, partition: Partition) -> str:
        """Save a partition of the dataset unless it is there, and return its name.

        The first one that is added before any was asked for is the one to be shown first.
        """
        check_rows("partition.labels", partition.labels, len(self.dataset))
        tag = digest(partition.labels, partition.cluster_names)
        name = self._saved(f"{slug(partition.algorithm)}-{tag}", lambda: partition)
        self._once.get("first partition", lambda: name)
        return name

    def current(self, name: str) -> int:
        """Return the number of the newest version of a partition; raises NotFoundError if there is none.

        What is kept of a version is made of the number first and of that version then: a newer one may come between.
        """
        try:
            version = self.library.current(name)
        except ValueError:  # no possible name
            version = 0
        if not version:
            raise NotFoundError(f"There is no partition {name!r}.", field="partition")
        return version

    def partition(self, name: str, *, version: int | None = None) -> Partition:
        """Return a saved partition, by default its newest version.

        Raises
        ------
        NotFoundError
            If there is none of that name, or no such version.
        DatasetError
            If its file is damaged.
        """
        newest = self.current(name)
        asked = newest if version is None else version
        try:
            return self._partitions.get((name, asked), lambda: self._read(name, asked))
        except KeyError as error:
            message = f"There is no version {asked} of the partition {name!r}; the newest is {newest}."
            raise NotFoundError(message, field="version") from error

    def summaries(self, name: str, *, version: int | None = None) -> ClusterSummaries:
        """Return what each cluster of a partition holds; O(n_images) the first time."""
        from veriwild_clustering.interpretation.summaries import summarize

        asked = version or self.current(name)
        partition = self.partition(name, version=asked)
        return self._summaries.get((name, asked), lambda: summarize(partition, self.dataset.images, n_images=12))

    @property
    def abnormality(self) -> Abnormality:
        """How abnormal each image is: as it was exported with the partition, else worked out and kept."""
        made: Abnormality = self._once.get("abnormality", self._abnormality)
        return made

    def outliers(self, name: str) -> Abnormality:
        """Return how abnormal each image is, with those that were marked by hand in a partition."""
        from veriwild_clustering.clustering.editing import marked_outliers

        version = self.current(name)
        marked = marked_outliers(self.partition(name, version=version))
        if not len(marked):
            return self.abnormality
        return self._marked.get((name, version), lambda: self.abnormality.with_marks(marked))

    @property
    def knows_outliers(self) -> bool:
        """Whether asking how abnormal images are takes seconds at most: it is known, or there are few images."""
        is_known = (
            "abnormality" in self._once
            or self._outliers_file.is_file()
            or (self._exported is not None and self._exported.scores is not None)
        )
        return is_known or len(self.dataset) <= _UMAP_BY_ITSELF

    def table(self, columns: Collection[str], *, partition: str = "") -> pd.DataFrame:
        """Return the image table with those of `cluster`, `is_outlier` and `outlier_score` that are asked for."""
        name = partition or self.default_partition
        found: dict[str, Any] = {}
        if "cluster" in columns:
            found["cluster"] = self.partition(name).labels
        if {"is_outlier", "outlier_score"} & set(columns):
            outliers = self.outliers(name)
            found |= {"is_outlier": outliers.is_outlier, "outlier_score": outliers.scores}
        return self.dataset.images.assign(**found) if found else self.dataset.images

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what belongs to a key, made once for all that ask; of many, those asked for last are kept."""
        made: T = self._remembered.get(key, make)
        return made

    @property
    def encoder(self) -> QueryEncoder:
        """What makes vectors of new images and of words; its networks stay open. Not for two threads at once."""
        from veriwild_clustering.search.encoding import QueryEncoder

        made: QueryEncoder = self._once.get("encoder", lambda: QueryEncoder(folder=self.models))
        return made

    @property
    def default_weights(self) -> dict[str, float]:
        """What is searched where a search names no descriptors."""
        return self.indices.given_weights or {self.descriptor.name: 1.0}

    def _layout_file(self, name: str) -> Path:
        return self.folder / "layouts" / f"{name}-{self.identity.of(self.descriptor)}.npy"

    def _first_partition(self) -> str:
        if self._exported is None:
            name = f"kmeans-{slug(self.identity.of(self.descriptor))[-16:]}"
            return self._saved(name, lambda: best_of_sweep(self.space()))
        exported: ExportedPartition = self._exported
        name = f"{self._exported_name}-{digest(exported.labels, exported.names)}"
        return self._saved(name, lambda: exported.partition(self.space(), self._exported_name))

    def _saved(self, name: str, make: Any) -> str:
        if not self.library.current(name):
            try:
                self.library.save(name, make())
            except VersionConflictError:  # another process was first: one sweep is as good as the other
                _log.info("The partition %s was saved by another process meanwhile.", name)
        return name

    def _read(self, name: str, version: int) -> Partition:
        root = self.library.space_of(name, version=version).removesuffix(_SPACE)
        descriptor = self.dataset.descriptors.get(root, self.descriptor)
        return self.library.read(name, self.space(descriptor), version=version)

    @property
    def _outliers_file(self) -> Path:
        return self.folder / "outliers" / f"{self.identity.of(self.descriptor)}.npz"

    def _abnormality(self) -> Abnormality:
        found = self._exported and Abnormality.exported(self._exported)

        def make() -> Abnormality:
            return Abnormality.measured(self.dataset, self.descriptor, self.space())

        return found or Abnormality.kept(self._outliers_file, make, n_images=len(self.dataset))
