"""Groups of images: density clusters in the space of a descriptor, chosen without the truth, and a map to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.families.dbscan import eps_knee, neighbor_distances
from veriwild_clustering.clustering.noise import assign_noise
from veriwild_clustering.clustering.resampling import rerun
from veriwild_clustering.clustering.sweep import sweep
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.validation import check_int
from veriwild_clustering.descriptors.transforms import transform
from veriwild_clustering.evaluation.choice.choosing import choose
from veriwild_clustering.evaluation.leaderboard import leaderboard

__all__ = ["FEWEST_IMAGES", "Grouping", "group_images"]

FEWEST_IMAGES = 5
_FEWEST_FOR_GRAPH = 60  # rows: below, a graph of neighbours is as wide as the data
_FEWEST_FOR_HALVES = 40
_WIDE = 50  # neighbours: with fewer, rounding decides which loose group falls apart
_SHARES = (0.01, 0.015, 0.02, 0.03, 0.05)  # of the images: fewest in a cluster
_SENSITIVITIES = (0.5, 1.0, 2.0, 5.0)
_DOMINANT = 1 / 3  # of the images: a group that may hold several
_STABLE = 0.6  # ARI of halves
_RULE = "stable information"
_TOLD = ("kmeans", "agglomerative")  # what can be told the number of groups


@dataclass(frozen=True)
class Grouping:
    """Groups of images, where they lie, and why these.

    Parameters
    ----------
    partition : Partition
        One group per image, −1 for none.
    layout : Descriptor
        Three coordinates per image, to look at; the groups were not found there.
    reasons : list of str
        Sentences that say what was compared, what was chosen, and why.
    n_compared : int
        How many partitions were compared.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, group_images
    >>> grouping = group_images(Descriptor("equal", np.ones((6, 2))))
    >>> grouping.partition.sizes.tolist(), grouping.layout.vectors.shape, grouping.n_compared
    ([6], (6, 3), 0)
    """

    partition: Partition
    layout: Descriptor
    reasons: list[str]
    _: KW_ONLY
    n_compared: int = 0


def group_images(
    descriptor: Descriptor,
    *,
    n_groups: int | None = None,
    keep_noise: bool = False,
    random_state: int = 0,
    progress: bool | None = None,
) -> Grouping:
    """Cluster images by density in the space of a descriptor and lay them out in three dimensions.

    Parameters
    ----------
    descriptor : Descriptor
        Any descriptor; rows are brought to unit length.
    n_groups : int, optional
        How many groups there are, where that is known. By default the data decide.
    keep_noise : bool, default=False
        Leave images between the groups without one. By default each joins the group of its nearest images, with a
        confidence of at most a half.
    random_state : int, default=0
        Seed of UMAP and of the half samples.
    progress : bool, optional
        Whether to show progress bars; by default where somebody watches.

    Returns
    -------
    Grouping
        Groups, layout and reasons. With fewer than five usable images no groups; one group of all where all vectors
        are equal or no setting gives two groups.

    Raises
    ------
    ValueError
        If `n_groups` is less than two or not less than the number of usable images, or no algorithm finds so many.

    Notes
    -----
    Unit length, then the principal components that hold 95 % of the variance. In that space HDBSCAN runs over several
    settings, and DBSCAN with eps at the knees of the curve of neighbour distances for several sensitivities of
    Kneedle; HDBSCAN also in a UMAP of it in ten dimensions made for clustering [1]_. `choose` takes the partition whose
    groups tell most that half of the images tell again ("stable information"). A group of more than a third of the
    images is clustered once more in components of its own, and split if halves of it agree (ARI 0.6). Neither the truth
    nor the layout has a say. With `n_groups`, k-means and Ward's clustering are told the number, on these components
    and on those of the standardised vectors, and the partition is taken with which the others agree most. What the
    sweep and half samples cost, and two or three UMAPs: a minute for a thousand images.

    References
    ----------
    .. [1] McInnes, L., Healy, J., & Melville, J. (2018). UMAP: Uniform Manifold Approximation and Projection.
       https://doi.org/10.48550/arXiv.1802.03426

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, group_images
    >>> grouping = group_images(Descriptor("toy", np.eye(3)))
    >>> grouping.partition.labels, grouping.reasons
    (array([-1, -1, -1], dtype=int32), ['3 usable images are too few to tell groups: at least 5 are needed.'])
    """
    if descriptor.n_valid < FEWEST_IMAGES:
        images = f"{descriptor.n_valid} usable image{'s are' if descriptor.n_valid != 1 else ' is'}"
        reason = f"{images} too few to tell groups: at least {FEWEST_IMAGES} are needed."
        return Grouping(_whole(descriptor, NOISE), _layout(descriptor, random_state=random_state), [reason])
    if descriptor.is_constant:
        layout = _layout(descriptor, random_state=random_state)
        return Grouping(_whole(descriptor, 0), layout, ["All vectors are equal: one group."])
    space = _components(descriptor)
    if n_groups is not None:
        n_groups = check_int("n_groups", n_groups, low=2, high=space.n_valid, high_name="n_images")
        return _told(n_groups, space, descriptor, random_state=random_state, progress=progress)
    found = _hdbscan(space, progress=progress) + _dbscan(space, progress=progress)
    if space.n_valid >= _FEWEST_FOR_GRAPH:
        found += _hdbscan(_umap(space, n_neighbors=_WIDE, random_state=random_state), progress=progress)
    chosen, reasons = _chosen(found, random_state=random_state, progress=progress)
    if chosen is None:
        chosen = _whole(space, 0)
    else:
        partition = chosen if keep_noise else assign_noise(chosen, descriptor=space)
        chosen, more = _dominant_split(partition, descriptor, random_state=random_state, progress=progress)
        reasons += more
    return Grouping(chosen, _layout(space, random_state=random_state), reasons, n_compared=len(found))


def _components(descriptor: Descriptor, *, standardised: bool = False) -> Descriptor:
    """Return unit or standardised vectors in the components that hold 95 % of their variance."""
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    scaler = StandardScaler() if standardised else Normalizer()
    return transform(descriptor, make_pipeline(scaler, PCA(0.95, svd_solver="full")), progress=False)


def _told(
    n_groups: int, space: Descriptor, descriptor: Descriptor, *, random_state: int, progress: bool | None
) -> Grouping:
    """Return so many groups: of what several algorithms find, that with which the others agree most."""
    spaces = [space, _components(descriptor, standardised=True)]
    grid = {algorithm: {"n_clusters": n_groups} for algorithm in _TOLD}
    found = sweep(spaces, grid, random_state=random_state, progress=progress)
    choice = choose(leaderboard(found, random_state=random_state, progress=progress), rule="agreement",
                    min_clusters=n_groups, min_size=1, max_share=1.0)  # fmt: skip
    layout = _layout(space, random_state=random_state)
    return Grouping(choice.partition, layout, list(choice.reasons), n_compared=len(found))


def _hdbscan(space: Descriptor, *, among: int | None = None, progress: bool | None) -> list[Partition]:
    """Return HDBSCAN over sizes and densities of clusters; sizes are shares of `among` images, by default of these."""
    sizes = sorted({max(3, round((among or space.n_valid) * share)) for share in _SHARES})
    grid = {"hdbscan": {"min_cluster_size": sizes, "min_samples": [1, *_neighborhoods(space)]}}
    return sweep(space, grid, progress=progress)


def _dbscan(space: Descriptor, *, progress: bool | None) -> list[Partition]:
    """Return DBSCAN at every knee. Not in a UMAP: it evens out densities, so one eps for all of it means little."""
    partitions = []
    for min_samples in _neighborhoods(space):
        knees = sorted(set(_knees(space, min_samples)))
        if knees:
            partitions += sweep(space, {"dbscan": {"eps": knees, "min_samples": min_samples}}, progress=progress)
    return partitions


def _neighborhoods(space: Descriptor) -> list[int]:
    """Return the values of `min_samples`: of few images, few."""
    return [n for n in ((3, 5, 10) if space.n_valid < 200 else (5, 10, 20)) if n < space.n_valid]


def _knees(space: Descriptor, min_samples: int) -> Iterator[float]:
    """Yield the eps at the knee of each sensitivity; where many images are duplicates, or none stands out, none."""
    curve = neighbor_distances(space, n_neighbors=min_samples - 1)
    for sensitivity in _SENSITIVITIES:
        try:
            yield float(f"{eps_knee(curve, sensitivity=sensitivity):.6g}")
        except ValueError:
            continue


def _chosen(splits: list[Partition], *, random_state: int, progress: bool | None) -> tuple[Partition | None, list[str]]:
    """Return the chosen partition, None where there is none, and the reasons."""
    if not splits:
        return None, ["No setting of HDBSCAN or DBSCAN found two groups: all images are one group."]
    n_images = splits[0].descriptor.n_valid
    halves = n_images >= _FEWEST_FOR_HALVES
    reruns = (
        [rerun(splits, "half samples", n_repeats=6, random_state=random_state, progress=progress)] if halves else []
    )
    board = leaderboard(splits, reruns=reruns, random_state=random_state, progress=progress)
    limits: dict[str, Any] = {"min_clusters": 2, "max_noise": 0.5, "min_size": 3, "max_share": 0.95}
    try:
        choice = choose(board, rule=_RULE if halves else "combined", **limits)
    except ValueError as error:
        return None, [f"All images are one group: {error}"]
    return choice.partition, list(choice.reasons)


def _dominant_split(
    partition: Partition, descriptor: Descriptor, *, random_state: int, progress: bool | None
) -> tuple[Partition, list[str]]:
    """Look at a group of more than a third of the images once more, in components of its own.

    Components of all images show what tells the groups apart; what differs within one of them is lost there.
    """
    rows = partition.members(0)
    if len(rows) <= _DOMINANT * descriptor.n_valid or len(rows) < _FEWEST_FOR_GRAPH:
        return partition, []
    group = descriptor.take(rows)
    if group.is_constant:
        return partition, []
    space = _components(group)
    found = _hdbscan(_umap(space, random_state=random_state), among=descriptor.n_valid, progress=progress)
    inner, _ = _chosen(found, random_state=random_state, progress=progress)
    if inner is None:
        return partition, []
    again = rerun([inner], "half samples", n_repeats=10, random_state=random_state + 1, progress=progress)
    stability = float(leaderboard([inner], reruns=[again], progress=progress).table["stability"].iloc[0])
    looked = f"The largest group, {len(rows):,} images, was looked at on its own: {inner.name}"
    if stability < _STABLE:
        return partition, [f"{looked} agrees with itself on halves by an ARI of only {stability:.2f}, so it stays one."]
    inner = assign_noise(inner, descriptor=space)
    labels, confidence = partition.labels.copy(), partition.confidence.copy()
    labels[rows] = inner.labels + partition.n_clusters
    confidence[rows] *= inner.confidence
    split = Partition(
        labels, partition.descriptor, partition.algorithm, confidence=confidence, seconds=partition.seconds,
        params={**partition.params, "largest group": inner.name},
    )  # fmt: skip
    return split, [f"{looked} splits it into {inner.n_clusters}, found again on halves with an ARI of {stability:.2f}."]


def _whole(descriptor: Descriptor, label: int) -> Partition:
    """Return all usable images as one group, or as none."""
    labels = np.where(descriptor.valid, label, NOISE)
    return Partition(labels, descriptor, "whole", confidence=descriptor.valid.astype(np.float32))


def _layout(space: Descriptor, *, random_state: int) -> Descriptor:
    """Return three coordinates per image: a UMAP, of few images principal components, of equal ones the origin."""
    if space.n_valid >= _FEWEST_FOR_GRAPH and not space.is_constant:
        return _umap(space, n_components=3, min_dist=0.3, random_state=random_state)
    from sklearn.decomposition import PCA

    vectors = space.usable()
    flat: NDArray[np.float32] = np.zeros((len(vectors), 3), dtype=np.float32)
    n_components = min(3, len(vectors) - 1, space.n_features)
    if n_components > 0 and not space.is_constant:
        flat[:, :n_components] = PCA(n_components, svd_solver="full").fit_transform(vectors)
    return Descriptor("layout", space.expand(flat, fill=np.nan), space.valid)


def _umap(
    space: Descriptor, *, n_components: int = 10, n_neighbors: int = 30, min_dist: float = 0.0, random_state: int
) -> Descriptor:
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
        from umap import UMAP

        # A seed costs UMAP its threads, and it says so; a fragmented graph it lays out all the same.
        warnings.filterwarnings("ignore", message="n_jobs value", category=UserWarning)
        warnings.filterwarnings("ignore", message="Graph is not fully connected", category=UserWarning)
        umap = UMAP(n_components=n_components, n_neighbors=n_neighbors, min_dist=min_dist, random_state=random_state)
        return transform(space, umap, name=f"umap-{n_components}", progress=False)
