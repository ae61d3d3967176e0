"""Partitions made again: the same algorithms on halves of the images, with other seeds, on data without clusters."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.clustering.grid import FAMILIES, Task
from veriwild_clustering.core.classes import encode, units
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.progress import bars, track
from veriwild_clustering.core.reruns import Repeat, Reruns, by_space
from veriwild_clustering.core.validation import check_choice, check_int
from veriwild_clustering.descriptors.null_data import NULLS, null_descriptor

__all__ = ["rerun"]

_HALVES = ("half samples", "vehicles")
_ON = (*_HALVES, "seeds", *NULLS)
_FEWEST_ROWS = 6  # halves of three, the fewest that can be clustered

_SCALED = {
    "hdbscan": {"min_cluster_size": 2, "min_samples": 1, "max_cluster_size": 2},
    "dbscan": {"min_samples": 1},
}
"""Parameters that count images, each with its least value: fewer images have to have proportionally fewer."""


class _Draw(NamedTuple):
    """The rows of one repeat, those of the other half that are to be placed, and its seed."""

    rows: NDArray[np.int64]
    others: NDArray[np.int64]
    seed: int


def rerun(
    partitions: Iterable[Partition],
    on: str,
    *,
    n_repeats: int = 10,
    groups: ArrayLike | None = None,
    max_rows: int = 20_000,
    random_state: int = 0,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> Reruns:
    """Let the algorithms of partitions run again, to see what of their result was there to be found.

    Parameters
    ----------
    partitions : iterable of Partition
        Partitions of the same images by the built-in algorithms of `sweep`.
    on : {"half samples", "vehicles", "seeds", "permuted columns", "gaussian"}
        What is changed. "half samples": half of the images, drawn at random. "vehicles": half of the `groups`, with
        all their images. "seeds": the seed alone. "permuted columns": vectors of which each column is shuffled on its
        own. "gaussian": Gaussian vectors of the same mean and covariance. The last two hold no clusters.
    n_repeats : int, default=10
        How many times each algorithm runs again. Halves come as splits: two repeats are the two halves of one.
    groups : array of shape (n_images,), optional
        For "vehicles", and only there: images known to belong together, such as `vehicle_id`. An image without one
        (NaN, None or "") is a vehicle of its own.
    max_rows : int, default=20_000
        Most images that one repeat works on; of more, so many are drawn.
    random_state : int, default=0
        Seed of the draws. Algorithms keep the seed that the partition was made with, but for "seeds".
    n_jobs : int, optional
        Parallel jobs of joblib; by default as `joblib.parallel_config` says, else one.
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal or a notebook.

    Returns
    -------
    Reruns
        What was found. `leaderboard(partitions, reruns=[...])` makes columns of it.

    Raises
    ------
    ValueError
        If a partition was not made by a built-in algorithm (it is named), the partitions are not of as many images,
        `on` is not known, `groups` is missing or not asked for, or a half is too small for a parameter.

    See Also
    --------
    leaderboard : What the reruns say of each partition.

    Notes
    -----
    Where a repeat has a share of the images only, what counts images follows in proportion: `min_cluster_size` and
    `min_samples`, so that a cluster stays one of the same share and of the same density. A tree that was cut at a
    `distance_threshold` is cut into as many clusters as that gave. `eps`, found at the knee or given, stays.
    An algorithm without random steps gives the same with every seed and is not run again for "seeds".

    Half samples measure stability [1]_, and with the rows of one half placed in the clusters of the other, prediction
    strength [2]_. Settings share work as in `sweep`: half samples of a whole grid cost about n_repeats / 2 times the
    grid, n_repeats / 4 times where the algorithm is O(n²); beyond `max_rows`, O(n_repeats) grids of `max_rows` images.
    Memory is O(n_repeats * n_partitions * n_rows) for labels, a space of `max_rows` rows in each job.

    References
    ----------
    .. [1] Ben-Hur, A., Elisseeff, A., & Guyon, I. (2002). A stability based method for discovering structure in
       clustered data. Pacific Symposium on Biocomputing, 6-17. https://doi.org/10.1142/9789812799623_0002
    .. [2] Tibshirani, R., & Walther, G. (2005). Cluster validation by prediction strength. Journal of Computational
       and Graphical Statistics, 14(3), 511-528. https://doi.org/10.1198/106186005X59243

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, leaderboard, rerun, sweep
    >>> points = np.concatenate([np.random.default_rng(i).normal(loc=9 * i, size=(20, 2)) for i in range(3)])
    >>> partitions = sweep(Descriptor("toy", points), {"kmeans": {"n_clusters": [3, 6]}})
    >>> reruns = [rerun(partitions, on) for on in ("half samples", "gaussian")]
    >>> leaderboard(partitions, reruns=reruns).table[["n_clusters", "stability", "structure"]].round(1)
       n_clusters  stability  structure
    0           3        1.0  structure
    1           6        0.7  structure
    """
    from joblib import Parallel, delayed

    given = _checked(partitions, check_choice("on", on, _ON))
    n_repeats = check_int("n_repeats", n_repeats, low=2)
    rng = np.random.default_rng(check_int("random_state", random_state, low=0, high=2**32))
    drawn_with = _units(given, on, groups)
    max_rows = check_int("max_rows", max_rows, low=_FEWEST_ROWS)
    draws = [*islice(_draws(on, drawn_with, max_rows=max_rows, rng=rng), n_repeats)]
    spaces = by_space({i: partition for i, partition in enumerate(given) if on != "seeds" or _has_seed(partition)})
    jobs = [
        delayed(_run)(_bare(space), [_setting(given[i], draw, on) for i in places], on=on, draw=draw)
        for draw in draws
        for space, places in spaces
    ]
    with bars(show=progress):
        ran = Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
        found = track(ran, description=f"again on {on}", total=len(jobs))
        repeats = [_repeat(given, draw, {tuple(places): next(found) for _, places in spaces}) for draw in draws]
    params = {"n_repeats": n_repeats, "max_rows": max_rows, "random_state": random_state}
    return Reruns(on, given, repeats, params=params)


def _checked(partitions: Iterable[Partition], on: str) -> list[Partition]:
    """Return the partitions as a list, or raise naming those whose algorithm cannot run again."""
    listed = list(partitions)
    if not listed:
        raise ValueError("`partitions` must hold at least one Partition. Got none instead.")
    if len({len(partition) for partition in listed}) > 1:
        raise ValueError("`partitions` must be of the same images. Got different numbers of images instead.")
    foreign = [partition for partition in listed if partition.algorithm not in FAMILIES]
    bound = [partition for partition in listed if on != "seeds" and partition.params.get("connectivity") is not None]
    for refused, why in ((foreign, "Only the built-in algorithms can run again"), (bound, "`connectivity` is of rows")):
        if refused:
            names = ", ".join(dict.fromkeys(partition.name for partition in refused))
            raise ValueError(f"{why}: leave out {names}.")
    return listed


def _units(partitions: Sequence[Partition], on: str, groups: ArrayLike | None) -> NDArray[np.int64]:
    """Return the number of the unit that each image is drawn with, −1 for those that no space can use."""
    n_images = len(partitions[0])
    if (groups is None) == (on == "vehicles"):
        raise ValueError(
            f"`groups` are for 'vehicles', and needed there. Got {'none' if groups is None else f'them for {on!r}'}."
        )
    usable = np.logical_or.reduce([space.valid for space, _ in by_space(dict(enumerate(partitions)))])
    codes = np.arange(n_images)
    if groups is not None:
        codes = units(encode("groups", groups, n_images))
    drawn_with = np.full(n_images, -1)
    drawn_with[usable] = np.unique(codes[usable], return_inverse=True)[1]
    n_units = drawn_with.max() + 1
    if n_units < _FEWEST_ROWS:
        what = "images" if groups is None else "groups"
        raise ValueError(f"Nothing can be drawn of {n_units} usable {what}: {_FEWEST_ROWS} are the fewest.")
    return drawn_with


def _draws(on: str, drawn_with: NDArray[np.int64], *, max_rows: int, rng: np.random.Generator) -> Iterator[_Draw]:
    """Yield draws without end: both halves of one split after the other, else the same rows with other seeds."""
    order, none = rng.permutation(drawn_with.max() + 1), np.arange(0)
    rows = _rows_of(order, drawn_with, max_rows)
    while on not in _HALVES:
        yield _Draw(rows, none, int(rng.integers(2**31)))
    while True:
        one, other = (_rows_of(half, drawn_with, max_rows) for half in np.array_split(order, 2))
        places = on == "half samples"
        yield _Draw(one, other if places else none, 0)
        yield _Draw(other, one if places else none, 0)
        order = rng.permutation(order)


def _rows_of(chosen: NDArray[np.int64], drawn_with: NDArray[np.int64], max_rows: int) -> NDArray[np.int64]:
    """Return the rows of the chosen units, in ascending order: of as many units as fit."""
    sizes = np.bincount(drawn_with[drawn_with >= 0])
    fitting = max(1, int(np.searchsorted(np.cumsum(sizes[chosen]), max_rows, side="right")))
    is_chosen = np.zeros(len(sizes) + 1, dtype=bool)  # the last, which −1 finds, is of the rows without a unit
    is_chosen[chosen[:fitting]] = True
    return np.flatnonzero(is_chosen[drawn_with])


def _has_seed(partition: Partition) -> bool:
    return "random_state" in FAMILIES[partition.algorithm].defaults()


def _bare(space: Descriptor) -> Descriptor:
    """Return the descriptor without its history, which no worker needs."""
    return Descriptor(space.name, space.vectors, space.valid)


def _setting(partition: Partition, draw: _Draw, on: str) -> tuple[str, dict[str, Any]]:
    """Return the algorithm and the parameters with which it runs on the rows drawn, or raise if it cannot."""
    algorithm, valid = partition.algorithm, partition.descriptor.valid
    n_rows = int(np.count_nonzero(valid[draw.rows]))
    share = n_rows / np.count_nonzero(valid)
    params = {name: value for name, value in partition.params.items() if name != "approximation"}
    if params.get("distance_threshold") is not None and partition.n_clusters > 1:
        params |= {"distance_threshold": None, "n_clusters": partition.n_clusters}
    for name, least in _SCALED.get(algorithm, {}).items():
        if params.get(name):
            params[name] = max(least, round(share * params[name]))
    if on == "seeds":
        params["random_state"] = draw.seed
    try:
        FAMILIES[algorithm].check(params, n_rows)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{error} ({partition.name} again on {n_rows:,} images: {on}.)") from error
    return algorithm, params


def _run(
    space: Descriptor, settings: Sequence[tuple[str, Mapping[str, Any]]], *, on: str, draw: _Draw
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the clusters that each setting finds in the rows drawn, and those in which it places the others."""
    from sklearn.exceptions import ConvergenceWarning

    drawn = null_descriptor(space, on, rows=draw.rows, random_state=draw.seed) if on in NULLS else space.take(draw.rows)
    others = space.take(draw.others)
    labels = np.empty((len(settings), len(drawn)), dtype=np.int32)
    placed = np.full((len(settings), len(others)), NOISE, dtype=np.int32)
    together: dict[tuple[str, str, str], dict[int, Task]] = {}
    for place, (algorithm, params) in enumerate(settings):
        task = Task(drawn, FAMILIES[algorithm], params)
        together.setdefault(task.group, {})[place] = task
    with warnings.catch_warnings():
        # Where there is nothing to find, mixtures need not converge: that is what is measured.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for tasks in together.values():
            family = next(iter(tasks.values())).family
            partitions = family.fit_many(drawn, [task.params for task in tasks.values()])
            for place, partition in zip(tasks, partitions, strict=True):
                labels[place] = partition.labels
                if len(others):
                    memory = family.remember(partition)
                    placed[place, others.valid], _ = family.assign(memory, partition.params, others.usable())
    return labels, placed


def _repeat(
    partitions: Sequence[Partition], draw: _Draw, found: Mapping[tuple[int, ...], tuple[NDArray, NDArray]]
) -> Repeat:
    """Return what was found of all partitions; one that did not run again would have found what it did."""
    labels = np.stack([partition.labels[draw.rows] for partition in partitions])
    placed = np.full((len(partitions), len(draw.others)), NOISE, dtype=np.int32)
    for places, (own, others) in found.items():
        labels[list(places)], placed[list(places)] = own, others
    few = max(labels.max(), placed.max(initial=NOISE)) < 2**15  # then two bytes each will do
    kind = np.int16 if few else np.int32
    return Repeat(draw.rows, labels.astype(kind), seed=draw.seed, placed=placed.astype(kind))
