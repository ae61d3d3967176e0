"""Groups of similar images of a folder: compared by one measure, at a threshold given or chosen."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from time import perf_counter
from typing import Any

import pandas as pd

from veriwild_clustering.clustering.components import LINKAGES, group_labels
from veriwild_clustering.clustering.similar.merging import MERGES, Merger
from veriwild_clustering.clustering.similar.reading import compared
from veriwild_clustering.clustering.similar.thresholds import Choice, choose_threshold
from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.validation import check_choice, check_int, check_real
from veriwild_clustering.descriptors.pairwise.vectors import METRICS, VectorSimilarity

__all__ = ["SimilarGroups", "group_similar"]


@dataclass(frozen=True)
class SimilarGroups:
    """Groups of similar images, and what they rest on.

    Parameters
    ----------
    partition : Partition
        One group per image; −1 is an outlier, an image without a similar other, one that cannot be read, or one in
        which the measure finds nothing.
    threshold : float
        The least similarity of similar images.
    reason : str
        Why this threshold.
    n_pairs : int
        How many pairs of images were found similar.
    n_compared : int
        How many pairs were computed to the end; the others could not reach the threshold, or are equal images.
    n_possible : int
        How many pairs there are.
    loss : float, default=0.0
        Of the similar pairs of a random sample of images, the share whose images are in different groups because
        representatives alone were compared across batches; 0 for an exact merge.
    curve : DataFrame
        Per threshold `n_groups`, `n_outliers` and `largest` groups of the `n_images` looked at, and the `n_pairs`
        expected in all; empty if the threshold was given.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor, group_similar
    >>> space = Descriptor("toy", np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]))
    >>> dataset = Dataset(pd.DataFrame({"path": ["a.jpg", "b.jpg", "c.jpg"]}), {"toy": space})
    >>> group_similar(dataset, method="toy", threshold=0.9)
    SimilarGroups(1 group, 1 outlier, threshold 0.9, 1 similar pair, 1 of 3 pairs computed)
    """

    partition: Partition
    threshold: float
    reason: str
    _: KW_ONLY
    n_pairs: int
    n_compared: int
    n_possible: int
    loss: float = 0.0
    curve: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __repr__(self) -> str:
        outliers = int((~self.partition.clustered).sum())
        counts = (_count(self.partition.n_clusters, "group"), _count(outliers, "outlier"))
        pairs = f"{self.n_compared:,} of {self.n_possible:,} pairs computed"
        similar = _count(self.n_pairs, "similar pair")
        return f"SimilarGroups({', '.join(counts)}, threshold {self.threshold:g}, {similar}, {pairs})"

    @property
    def saved(self) -> float:
        """Share of all pairs that did not have to be computed."""
        return 1 - self.n_compared / self.n_possible if self.n_possible else 0.0


def group_similar(
    dataset: Dataset,
    *,
    method: str | Descriptor = "phash",
    threshold: float | None = None,
    linkage: str = "components",
    merge: str = "exact",
    metric: str = "cosine",
    batch_size: int | None = None,
    n_jobs: int | None = None,
    random_state: int = 0,
    progress: bool | None = None,
) -> SimilarGroups:
    """Group similar images: near-duplicates, versions of one image, or neighbours in a descriptor.

    Parameters
    ----------
    dataset : Dataset
        Images, with an `image_store` unless vectors are compared.
    method : str or Descriptor, default="phash"
        A measure of pixels, see `similarity`: "phash", "dhash", "whash", "colorhash", "ssim", "template", "minhash",
        "orb"; or a descriptor, by itself or by its name in the dataset.
    threshold : float, optional
        Images are similar if their similarity, in [0, 1], is at least this. By default it is chosen: where the number
        of similar pairs grows least as the threshold falls.
    linkage : str, default="components"
        "components": a chain of similar images joins a group. Against chains, "complete": all images of a group are
        similar, or "average": groups join as long as the mean similarity of their images reaches the threshold.
    merge : str, default="exact"
        "exact": the groups of the whole, whatever the batches. "representatives": the first image of each group of a
        batch meets those of other batches, fewer images; what is lost is estimated. For components alone.
    metric : str, default="cosine"
        How vectors are compared: "cosine" or "euclidean", see `SimilarityComponents`.
    batch_size : int, optional
        How many images are compared with as many others at a time.
    n_jobs : int, optional
        Threads. By default what `joblib.parallel_config` says, or one per core.
    random_state : int, default=0
        Seed of the samples for the threshold and the loss.
    progress : bool, optional
        Whether to show a progress bar. By default where somebody watches.

    Returns
    -------
    SimilarGroups
        The groups as a partition, the threshold with its reason, and counts of pairs.

    Raises
    ------
    DatasetError
        If images are to be read and the dataset does not know where they lie.
    TypeError, ValueError
        If a parameter is out of its range, or linkage is asked for within more than 10,000 chained images.

    Notes
    -----
    Images are decoded once, O(n_images * n_pixels), and what is compared of them stays in a temporary file if it is
    large. Pairs that cannot reach the threshold are left out by rules that lose none: multi-index hashing [1]_ for
    hashes and MinHash, bounds for SSIM, template matching and ORB. In the worst case O(n_images²) pairs. Memory is
    that of a batch for components, of all similar pairs for complete linkage.

    References
    ----------
    .. [1] Norouzi, M., Punjani, A. & Fleet, D. J. (2012). Fast search in Hamming space with multi-index hashing. CVPR.
       https://doi.org/10.1109/CVPR.2012.6248043

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pandas as pd
    >>> from PIL import Image
    >>> from veriwild_clustering import Dataset, find_images, group_similar
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> Image.linear_gradient("L").save(folder / "a.png")
    >>> Image.linear_gradient("L").resize((90, 90)).save(folder / "b.png")
    >>> Image.radial_gradient("L").save(folder / "c.png")
    >>> store, paths = find_images(folder)
    >>> groups = group_similar(Dataset(pd.DataFrame({"path": paths}), image_store=store), threshold=0.9)
    >>> groups.partition.labels.tolist(), groups.reason
    ([0, 0, -1], 'The threshold was given.')
    """
    started = perf_counter()
    check_choice("linkage", linkage, LINKAGES)
    check_choice("merge", merge, MERGES)
    check_choice("metric", metric, METRICS)
    if merge == "representatives" and linkage != "components":
        raise ValueError("`merge` 'representatives' is for `linkage` 'components' alone: use 'exact'.")
    if batch_size is not None:
        batch_size = check_int("batch_size", batch_size, low=1)
    if threshold is not None:
        threshold = check_real("threshold", threshold, low=0, high=1)
    threads = _n_threads(n_jobs)
    what = compared(dataset, method, metric=metric, batch_size=batch_size, n_jobs=threads, progress=progress)
    if threshold is None:
        choice = choose_threshold(what, random_state=random_state, n_jobs=threads)
    else:
        choice = Choice(threshold, "The threshold was given.", pd.DataFrame())
    merger = Merger(what, choice.threshold, batch_size, threads)
    found = merger.exact(linkage) if merge == "exact" else merger.representatives()
    groups, n_pairs, n_compared = found
    params: dict[str, Any] = {"threshold": choice.threshold, "linkage": linkage, "merge": merge}
    if isinstance(what.measure, VectorSimilarity):
        params["metric"] = metric
    partition = Partition(
        group_labels(groups), what.descriptor, f"similar {what.measure.name}", params=params,
        seconds=perf_counter() - started,
    )  # fmt: skip
    n_rows = len(what.rows)
    return SimilarGroups(
        partition, choice.threshold, choice.reason, n_pairs=n_pairs, n_compared=n_compared,
        n_possible=n_rows * (n_rows - 1) // 2, curve=choice.curve,
        loss=merger.loss(groups, random_state=random_state) if merge == "representatives" else 0.0,
    )  # fmt: skip


def _n_threads(n_jobs: int | None) -> int:
    from joblib import effective_n_jobs

    return int(effective_n_jobs(-1 if n_jobs is None else n_jobs))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
