"""Two partitions side by side: which cluster of one is which clusters of the other, and what splits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.validation import check_rows
from veriwild_clustering.interpretation.evidence.attributes import encode_attributes, vehicle_codes
from veriwild_clustering.interpretation.evidence.contrasts import contrasts
from veriwild_clustering.interpretation.language.grammar import Language, Part
from veriwild_clustering.interpretation.language.languages import language_of
from veriwild_clustering.interpretation.sentences import contrast_of

__all__ = ["PartitionComparison", "compare_partitions"]

_MIN_PART = 0.1
_MAX_PARTS = 4
_WHOLE = 0.9
_MIN_NAMED = 0.5


@dataclass(frozen=True, eq=False, repr=False)
class PartitionComparison:
    """Which cluster of one partition is which clusters of another.

    Values stay as they are in the image table; the texts alone are in the language asked for.

    Parameters
    ----------
    first, second : Partition
        The partitions: the clusters of the first are told in those of the second.
    table : DataFrame
        One row per pair that shares images: cluster (of the first); part (of the second, −1 is its noise); count; share
        (count over the size of the cluster); part_share (count over the size of the part); named (in the text). By
        cluster and falling count.
    differences : DataFrame
        What tells the named parts of a cluster apart, where there are several: cluster, part, column, value, share (of
        the value in the part), other_share (in the cluster's other named parts), difference and its 95 % interval low
        and high, missing (images whose value is not known), p_value, q_value, clear, stated (in the text).
    texts : DataFrame
        One row per cluster: cluster, size, share (of all images), text.
    language : {"en", "ru"}, default="en"
        The language of the texts.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, compare_partitions
    >>> space = Descriptor("toy", np.eye(4))
    >>> compare_partitions(Partition([0, 0, 1, 1], space, "kmeans"), Partition([0, 0, 0, 1], space, "ward"))
    PartitionComparison('kmeans() on toy', 'ward() on toy')
    """

    first: Partition
    second: Partition
    table: pd.DataFrame
    _: KW_ONLY
    differences: pd.DataFrame
    texts: pd.DataFrame
    language: str = "en"

    def __repr__(self) -> str:
        return f"PartitionComparison({self.first.name!r}, {self.second.name!r})"

    @property
    def moved(self) -> NDArray[np.int64]:
        """Rows of the first's clusters that are not in the part that took most of their cluster."""
        main = self.table.groupby("cluster")["part"].first()  # by falling count
        expected = pd.Series(self.first.labels).map(main).to_numpy()
        return np.flatnonzero(self.first.clustered & (self.second.labels != expected))

    def _repr_html_(self) -> str:
        return self.texts.to_html(index=False)


def compare_partitions(
    first: Partition,
    second: Partition,
    images: pd.DataFrame | None = None,
    *,
    columns: Sequence[str] | None = None,
    language: str = "en",
) -> PartitionComparison:
    """Tell which cluster of one partition is which clusters of another, and by which attribute it is split.

    Parameters
    ----------
    first, second : Partition
        Partitions of the same images, in any spaces. The clusters of the first are told in those of the second; swap
        them for the other direction.
    images : DataFrame, optional
        The image table, one row per image. Without it nothing is said of attributes.
    columns : sequence of str, optional
        The attributes that may tell the parts apart; by default those that `profile` finds.
    language : {"en", "ru"}, default="en"
        The language of the texts.

    Returns
    -------
    PartitionComparison
        The tables, and a sentence per cluster of the first.

    Raises
    ------
    ValueError
        If the partitions or the image table differ in their number of images, or a column or the language is not
        known.

    Notes
    -----
    Named are the parts that hold at least a tenth of the cluster, at most four; a cluster of which nine tenths lie in
    one part is that part, one of which they hold less than half is scattered. Several parts are told apart by the
    attribute with the largest difference between the share of a value in one of them and in the others, where the
    difference is at least 20 points, its 95 % interval excludes 0 and its p-value, adjusted for all comparisons after
    Benjamini & Hochberg, is at most 0.05; each part is then told by its value of that attribute that exceeds the
    others most. In intervals a vehicle is one observation.

    O(n_images log n_images) per attribute.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Descriptor, Partition, compare_partitions
    >>> one, other = (Descriptor(name, np.zeros((40, 1))) for name in ("osnet", "color_model"))
    >>> first = Partition(np.zeros(40, int), one, "kmeans")
    >>> second = Partition(np.repeat([0, 1], [25, 15]), other, "kmeans")
    >>> images = pd.DataFrame({"color": ["white"] * 24 + ["black"] * 16})
    >>> print(compare_partitions(first, second, images).texts["text"][0])
    Cluster 0 of kmeans on osnet (40 images) is clusters 0 (62 %) and 1 (38 %) of kmeans on color_model, split by
    colour: cluster 0 is 96 % white, cluster 1 is 100 % black.
    """
    check_rows("second.labels", second.labels, len(first))
    spoken = language_of(language)
    table = _overlaps(first, second)
    differences = _differences(first, second, table, images, columns)
    texts = pd.DataFrame({"cluster": np.arange(first.n_clusters), "size": first.sizes})
    texts["share"] = first.sizes / max(1, len(first))
    texts["text"] = [
        _text(cluster, (first, second), table, differences, language=spoken, asked=images is not None)
        for cluster in texts["cluster"]
    ]
    return PartitionComparison(first, second, table, differences=differences, texts=texts, language=language)


def _overlaps(first: Partition, second: Partition) -> pd.DataFrame:
    """Count the images that each two clusters share, and mark the parts that a sentence names."""
    both = pd.DataFrame({"cluster": first.labels, "part": second.labels})[first.clustered]
    table = both.groupby(["cluster", "part"]).size().reset_index(name="count")
    table = table.sort_values(["cluster", "count", "part"], ascending=[True, False, True], ignore_index=True)
    part_sizes = np.bincount(second.labels + 1, minlength=second.n_clusters + 1)
    table["share"] = table["count"] / first.sizes[table["cluster"]]
    table["part_share"] = table["count"] / part_sizes[table["part"] + 1]
    place = table.groupby("cluster").cumcount()
    most = table.groupby("cluster")["share"].transform("max")
    large = (table["share"] >= _MIN_PART) & (place < np.where(most >= _WHOLE, 1, _MAX_PARTS))
    table["named"] = large & (table["share"].where(large, 0).groupby(table["cluster"]).transform("sum") >= _MIN_NAMED)
    return table.astype({"cluster": np.int64, "part": np.int64})


def _differences(
    first: Partition,
    second: Partition,
    table: pd.DataFrame,
    images: pd.DataFrame | None,
    columns: Sequence[str] | None,
) -> pd.DataFrame:
    """Compare each named part with the other named parts of its cluster, and mark what a sentence states."""
    attributes, vehicles = [], np.full(len(first), NOISE)
    if images is not None:
        check_rows("images", images.index, len(first))
        attributes, vehicles = encode_attributes(images, columns), vehicle_codes(images)
    pairs: dict[tuple[int, int], tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    named = table[table["named"]]
    for cluster in range(first.n_clusters):
        members = first.members(cluster)
        labels, parts = second.labels[members], named.loc[named["cluster"] == cluster, "part"].to_list()
        for part in parts if len(parts) > 1 else ():
            pairs[cluster, part] = members[labels == part], members[np.isin(labels, parts) & (labels != part)]
    found = contrasts(pairs, attributes, vehicles, names=("cluster", "part"))
    telling = found[found["clear"] & (found["difference"] > 0)]
    leading = telling.sort_values("difference", ascending=False, kind="stable").drop_duplicates("cluster")
    of_leading = telling[telling["column"] == telling["cluster"].map(leading.set_index("cluster")["column"])]
    stated = of_leading.drop_duplicates(["cluster", "part"]).index
    return found.assign(stated=found.index.isin(stated))


def _text(
    cluster: int,
    partitions: tuple[Partition, Partition],
    table: pd.DataFrame,
    differences: pd.DataFrame,
    *,
    language: Language,
    asked: bool,
) -> str:
    """Return the sentence of one cluster."""
    name, other = (language.partition(*words) for words in _names(*partitions))
    rows = table[table["cluster"] == cluster]
    subject = language.subject(
        language.numbered(cluster, partitions[0].own_name(cluster)), name, int(rows["count"].sum())
    )
    told = differences[(differences["cluster"] == cluster) & differences["stated"]].set_index("part")
    parts = [
        Part(
            part,
            share,
            contrast_of(told.loc[part].to_dict()) if part in told.index else None,
            partitions[1].own_name(part),
        )
        for part, share in rows.loc[rows["named"], ["part", "share"]].itertuples(index=False)
    ]
    parts.sort(key=lambda part: part.cluster == NOISE)  # noise comes last
    if not parts:
        clusters = rows.loc[rows["part"] != NOISE, "share"]
        return language.scattered(subject, len(clusters), other, most=clusters.max())
    if len(parts) == 1:
        return language.kept(subject, parts[0], other, of_part=rows["part_share"].iloc[0])
    return language.split(subject, parts, other, asked=asked)


def _names(first: Partition, second: Partition) -> list[tuple[str, str]]:
    """Return algorithm and descriptor of each, with parameters where these alone tell them apart."""
    both = first, second
    names = [(partition.algorithm, partition.descriptor.name) for partition in both]
    if names[0] == names[1]:
        names = [(p.name.removesuffix(f" on {p.descriptor.name}"), p.descriptor.name) for p in both]
    if names[0] == names[1]:
        names = [(f"{algorithm} ({place})", on) for place, (algorithm, on) in enumerate(names, start=1)]
    return names
