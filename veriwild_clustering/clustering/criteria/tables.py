"""What several criteria say of each image, as one table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.validation import check_rows
from veriwild_clustering.images.criteria.vocabulary import UNCERTAIN

__all__ = ["criteria_table"]


def criteria_table(dataset: Dataset, partitions: Sequence[Partition]) -> pd.DataFrame:
    """Put the groups of several criteria side by side, one row per image.

    Parameters
    ----------
    dataset : Dataset
        The images.
    partitions : sequence of Partition
        What `cluster_by` returned, by criteria with different texts.

    Returns
    -------
    DataFrame
        `path`, then per criterion a column with its text: the name of the group, "uncertain" for noise. Two columns
        give a cross-tabulation: `pandas.crosstab(table["colour"], table["view"])`.

    Raises
    ------
    ValueError
        If a partition has another number of images, or two have the same criterion.

    Notes
    -----
    O(n_images) per partition.

    Examples
    --------
    >>> import pandas as pd
    >>> from veriwild_clustering import Dataset, cluster_by, criteria_table
    >>> images = pd.DataFrame({"path": list("abcd"), "measured_color": ["red", "red", "blue", "blue"],
    ...                        "light": ["day", "night", "day", "day"]})
    >>> dataset = Dataset(images)
    >>> table = criteria_table(dataset, cluster_by(dataset, ["colour", "day or night"], min_share=0.1))
    >>> pd.crosstab(table["colour"], table["day or night"]).loc["blue"].to_dict()
    {'day': 2, 'uncertain': 0}
    """
    columns = {"path": dataset.images["path"].to_numpy()}
    for partition in partitions:
        name = str(partition.params.get("criterion", partition.name))
        if name in columns:
            raise ValueError(f"`partitions` must be by different criteria. Got {name!r} twice.")
        check_rows("partition.labels", partition.labels, len(dataset))
        names = [partition.cluster_name(cluster) for cluster in range(partition.n_clusters)] + [UNCERTAIN]
        columns[name] = np.array(names, dtype=object)[np.where(partition.labels == NOISE, -1, partition.labels)]
    return pd.DataFrame(columns)
