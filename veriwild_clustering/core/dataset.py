"""Dataset: the image table and its descriptors, row-aligned; row *i* is image *i* everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.html import card
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.validation import DatasetError, check_known_names

__all__ = ["Dataset"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """The image table with its descriptors.

    Parameters
    ----------
    images : DataFrame
        One row per image: `path`, `vehicle_id`, `folder`, where known `width`, `height`, `image_status`, the columns of
        `measure_images` and attributes (camera, time, model, type, color …), and `has_<descriptor>` per descriptor.
    descriptors : mapping of str to Descriptor
        Descriptors by name, each with one row per image.
    image_store : ImageStore, optional
        Where the image files lie.
    origin : str, optional
        What the data are, in a sentence: shown wherever the dataset is shown.

    Raises
    ------
    DatasetError
        If the image table has no column `path`, or a descriptor has another number of rows.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor
    >>> images = pd.DataFrame({"path": ["a.jpg", "b.jpg"], "vehicle_id": ["1", "1"]})
    >>> dataset = Dataset(images, {"osnet": Descriptor("osnet", np.eye(2, dtype=np.float32))})
    >>> len(dataset), dataset.names, dataset["osnet"].n_features
    (2, ['osnet'], 2)
    """

    images: pd.DataFrame
    descriptors: Mapping[str, Descriptor] = field(default_factory=dict)
    image_store: ImageStore | None = None
    _: KW_ONLY
    origin: str = ""

    def __post_init__(self) -> None:
        if "path" not in self.images:
            raise DatasetError("The image table must have a column `path`: it names the image of each row.")
        for name, descriptor in self.descriptors.items():
            if len(descriptor) != len(self.images):
                raise DatasetError(
                    f"Descriptor {name!r} has {len(descriptor)} rows but the image table has {len(self.images)}. "
                    f"Each row must describe the image in the same row of the table."
                )

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Descriptor]:
        return iter(self.descriptors.values())

    def __getitem__(self, name: str) -> Descriptor:
        check_known_names("descriptor", [name], list(self.descriptors))
        return self.descriptors[name]

    def __repr__(self) -> str:
        return f"Dataset({len(self)} images, descriptors: {', '.join(self.names) or 'none'})"

    def _repr_html_(self) -> str:
        rows: dict[str, object] = {"images": f"{len(self):,}"}
        if self.origin:
            rows = {"origin": self.origin, **rows}
        if "vehicle_id" in self.images and self.images["vehicle_id"].notna().any():
            rows["vehicles"] = f"{self.images['vehicle_id'].nunique():,}"
        for descriptor in self:
            rows[descriptor.name] = f"{descriptor.n_features:,} features, {descriptor.n_valid:,} usable rows"
        return card("Dataset", rows, body=self.images.head(3).to_html(index=False))

    @property
    def names(self) -> list[str]:
        """Names of the descriptors."""
        return list(self.descriptors)

    @classmethod
    def open(cls, path: str | Path, *, images: str | Path | None = None) -> Dataset:
        """Open `transport_dataset.csv` with the vectors beside it or inside it.

        Parameters
        ----------
        path : path
            The CSV that `create_dataset.py` or `join_dataset` wrote.
        images : path, optional
            Folder or zip of the images. By default where they were when the dataset was made, else a folder
            `raw_data` beside the CSV.

        Returns
        -------
        Dataset
            The dataset; vectors are memory-mapped, read-only.

        Raises
        ------
        DatasetError
            If a file is missing or damaged, or the files do not belong together.
        """
        from veriwild_clustering.core.storage.reading import read_dataset

        return read_dataset(path, images=images)

    def take(self, rows: ArrayLike) -> Dataset:
        """Return a dataset of the given rows alone, in the given order."""
        index = np.asarray(rows)
        table = self.images.iloc[index].reset_index(drop=True)
        parts = {name: descriptor.take(index) for name, descriptor in self.descriptors.items()}
        return Dataset(table, parts, self.image_store, origin=self.origin)
