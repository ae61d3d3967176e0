"""Many partitions from a grid of algorithms and parameters over descriptors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from veriwild_clustering.clustering.families.family import Family
from veriwild_clustering.clustering.grid import Task, plan
from veriwild_clustering.clustering.store import PartitionRecord, PartitionStore
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.validation import check_int

__all__ = ["sweep"]


def sweep(
    descriptors: Descriptor | Sequence[Descriptor],
    grid: Mapping[str, Any],
    *,
    random_state: int = 0,
    store: str | Path | None = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> list[Partition]:
    """Partition descriptors by every algorithm and setting of a grid.

    Parameters
    ----------
    descriptors : Descriptor or sequence of Descriptor
        The spaces to partition; a `Dataset` is such a sequence. Their names must differ.
    grid : mapping of str to mapping
        Algorithms with the values of their parameters, each a collection or a single value. The algorithms are
        "kmeans", "minibatch_kmeans", "gaussian_mixture", "agglomerative", "hdbscan" and "dbscan" (with
        eps="knee" if wanted); parameters have the names and defaults of scikit-learn's or hdbscan's estimator,
        except that the number of clusters is `n_clusters` everywhere. Any other name takes a pair
        (scikit-learn clusterer, values of its parameters).
    random_state : int, default=0
        Seed of the algorithms that are random; a grid may list `random_state` itself.
    store : path, optional
        Folder in which each finished partition is kept; a sweep that was stopped goes on from there.
    n_jobs : int, optional
        Parallel jobs of joblib; by default as `joblib.parallel_config` says, else one.
    progress : bool, optional
        Whether to show progress bars; by default in a terminal or a notebook.

    Returns
    -------
    list of Partition
        One per descriptor and setting: descriptors outermost, settings in the order of the grid, the last
        parameter varying fastest. Images without a usable vector have the label −1.

    Raises
    ------
    TypeError, ValueError
        If an algorithm, a parameter or a value is not known or not possible for one of the descriptors. Everything
        is checked before the first fit.

    Notes
    -----
    Agglomerative settings that differ in where they cut share one tree. The cost is that of the algorithms: k-means
    O(n k d) per iteration, mixtures O(n k d²), agglomerative O(n² d) and at most 20,000 images, DBSCAN and HDBSCAN
    O(n² d) beyond a dozen dimensions.

    Confidence is the posterior for mixtures, the membership probability for HDBSCAN, and for all others
    1 − d_own / d_other, distances to the mean of the own and of the nearest other cluster, clipped to [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, sweep
    >>> rng = np.random.default_rng(0)
    >>> points = np.concatenate([rng.normal(size=(20, 2)), 9 + rng.normal(size=(10, 2))])
    >>> for partition in sweep(Descriptor("toy", points), {"kmeans": {"n_clusters": [2, 3]}, "dbscan": {"eps": 2}}):
    ...     print(partition.name, partition.sizes[:2])
    kmeans(n_clusters=2) on toy [20 10]
    kmeans(n_clusters=3) on toy [...]
    dbscan(eps=2) on toy [20 10]
    """
    spaces = [descriptors] if isinstance(descriptors, Descriptor) else list(descriptors)
    seed = check_int("random_state", random_state, low=0, high=2**32)
    tasks = plan(spaces, grid, random_state=seed)
    kept = None if store is None else PartitionStore(Path(store))
    records = _stored(tasks, kept)
    missing = [index for index in range(len(tasks)) if index not in records]
    records.update(_fitted(tasks, missing, store=kept, n_jobs=n_jobs, progress=progress))
    return [
        records[index].partition(task.descriptor, task.family.name, task.params) for index, task in enumerate(tasks)
    ]


def _stored(tasks: Sequence[Task], store: PartitionStore | None) -> dict[int, PartitionRecord]:
    """Return the records that the store holds already, by the index of their task."""
    if store is None:
        return {}
    found = {index: store.read(task.key, len(task.descriptor)) for index, task in enumerate(tasks)}
    return {index: record for index, record in found.items() if record is not None}


def _fitted(
    tasks: Sequence[Task],
    missing: Sequence[int],
    *,
    store: PartitionStore | None,
    n_jobs: int | None,
    progress: bool | None,
) -> Iterator[tuple[int, PartitionRecord]]:
    """Yield the records of the missing tasks as their groups finish."""
    from joblib import Parallel, delayed

    groups: dict[tuple[str, str, str], list[int]] = {}
    for index in missing:
        groups.setdefault(tasks[index].group, []).append(index)
    bare = {task.descriptor.name: _bare(task.descriptor) for task in tasks}
    jobs = (
        delayed(_fit_group)(
            tasks[group[0]].family,
            bare[tasks[group[0]].descriptor.name],
            [tasks[index].params for index in group],
            keys=[tasks[index].key for index in group] if store else [],
            store=store,
        )
        for group in groups.values()
    )
    results = chain.from_iterable(Parallel(n_jobs=n_jobs, return_as="generator")(jobs))
    blocks = groupby(chain.from_iterable(groups.values()), key=lambda index: tasks[index].group[:2])
    for (descriptor, family), block in blocks:
        indices = list(block)
        finished = zip(indices, results, strict=False)  # the results of all blocks come one after another
        yield from track(finished, description=f"{family} on {descriptor}", total=len(indices), show=progress)
    next(results, None)  # lets joblib finish


def _fit_group(
    family: Family,
    descriptor: Descriptor,
    settings: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str],
    store: PartitionStore | None,
) -> list[PartitionRecord]:
    """Return the records of settings that share work, each written to the store as soon as it is there."""
    family.estimator()  # loads the library in a new worker, which is no part of the time of fitting
    records: list[PartitionRecord] = []
    partitions = family.fit_many(descriptor, settings)
    for params in settings:
        try:
            record = PartitionRecord.of(next(partitions), params)
        except Exception as error:
            error.add_note(f"While fitting {family.name} with {dict(params)} on {descriptor.name!r}.")
            raise
        if store:
            store.write(keys[len(records)], record)
        records.append(record)
    return records


def _bare(descriptor: Descriptor) -> Descriptor:
    """Return the descriptor without its history, which workers do not need."""
    return Descriptor(descriptor.name, descriptor.vectors, descriptor.valid)
