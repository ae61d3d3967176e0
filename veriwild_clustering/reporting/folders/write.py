"""The images of a partition as folders: one per cluster, one for outliers, with a table and contact sheets."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.validation import check_rows
from veriwild_clustering.images.reading import image_store_of
from veriwild_clustering.reporting.folders.plan import make_plan
from veriwild_clustering.reporting.folders.sorting import foresee, sort_images

__all__ = ["write_folders"]


def write_folders(
    dataset: Dataset,
    partition: Partition,
    out: str | Path,
    *,
    transfer: Literal["copy", "move", "hardlink", "symlink"] = "copy",
    contact_sheets: bool = True,
    dry_run: bool = False,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Sort the image files of a dataset into `out/cluster_0`, `out/cluster_1`, … and `out/outliers`.

    Parameters
    ----------
    dataset : Dataset
        The images; it must know where their files lie.
    partition : Partition
        One label per image; noise goes to `outliers`.
    out : str or Path
        A folder that is empty or does not exist yet, and does not lie among the images.
    transfer : {"copy", "move", "hardlink", "symlink"}, default="copy"
        What becomes of each file. Out of a zip images can only be copied. A move to another file system copies,
        verifies the copy, and then deletes.
    contact_sheets : bool, default=True
        Write `contact_sheets/cluster_0.jpg` …: thumbnails of up to 64 images per cluster.
    dry_run : bool, default=False
        Touch nothing, and return what would be done.
    progress : bool, optional
        Show a progress bar; by default where somebody watches.

    Returns
    -------
    DataFrame
        One row per image, as in `out/folders.csv`: `path`, `cluster` (−1 is noise), `cluster_name`, `destination`
        relative to `out` (empty for an image that could not be read and was left where it is), `n_bytes`, `sha256`
        (empty in a dry run).

    Raises
    ------
    ValueError
        If `partition` does not have one label per image.
    DatasetError
        If `out` holds other files or another sorting, lies among the images, is written by another run or cannot be
        written to; if an image is listed twice; if a move would break symbolic links.

    Notes
    -----
    O(bytes of all images): each is read once for its checksum. Of equal names in a folder, also equal but for case, the
    first in row order stays and the others become `name_2.jpg`, `name_3.jpg`, …; nothing is ever replaced. What lies
    beside the images and is none of them stays there and is listed in `out/not_sorted.csv` with the reason. A journal
    in `out` is on the disk before a file is touched: a killed run is finished by the same call, and `undo_folders`
    takes everything back.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor, ImageStore, Partition, write_folders
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "in/old").mkdir(parents=True)
    >>> for name in ("a.jpg", "b.jpg", "old/A.jpg"):
    ...     size = (folder / "in" / name).write_bytes(b"an image")
    >>> images = pd.DataFrame({"path": ["a.jpg", "b.jpg", "old/A.jpg"]})
    >>> dataset = Dataset(images, image_store=ImageStore(folder / "in"))
    >>> partition = Partition([0, -1, 0], Descriptor("toy", np.zeros((3, 1))), "by hand")
    >>> write_folders(dataset, partition, folder / "out", contact_sheets=False)["destination"].to_list()
    ['cluster_0/a.jpg', 'outliers/b.jpg', 'cluster_0/A_2.jpg']
    """
    check_rows("partition.labels", partition.labels, len(dataset))
    plan = make_plan(
        image_store_of(dataset),
        dataset.images["path"].astype(str).to_list(),
        partition.labels,
        transfer=transfer,
        names=dict(enumerate(partition.cluster_names)),
        contact_sheets=contact_sheets,
    )
    if dry_run:
        return foresee(plan, Path(out))
    return sort_images(plan, Path(out), progress=progress)
