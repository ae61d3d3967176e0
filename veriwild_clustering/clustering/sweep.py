"""Many partitions from a grid of algorithms and parameters over descriptors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from veriwild_clustering.clustering.grid import Task, plan
from veriwild_clustering.clustering.store import PartitionRecord, PartitionStore
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.progress import bars, track
from veriwild_clustering.core.validation import check_int

__all__ = ["sweep"]

Group = Mapping[int, Task]
"""Tasks by their place in the sweep; those of one group share work."""


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
        Folder in which each finished partition is kept; a sweep that was stopped goes on from there. Not what
        another version of this package or of the library behind the algorithm has stored.
    n_jobs : int, optional
        Parallel jobs of joblib; by default as `joblib.parallel_config` says, else one. One job uses all cores where
        rows are many: more pay where settings that share nothing are many, or machines are.
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
    Settings share what they can: one chain along the numbers of clusters, one tree for every cut, one neighbour graph
    for all that needs neighbours. A partition never depends on what else is in the grid. The cost is that of the
    algorithms: k-means O(n k d) per step, mixtures O(n k d²), agglomerative, DBSCAN and HDBSCAN O(n² d) up to a number
    of images beyond which they are approximated, as `params["approximation"]` of the partition then says.

    Under Dask, workers read memory-mapped vectors by the path of their file; vectors in memory are written to the
    `store`, or sent with each group of settings where there is none. What a lost worker has stored is not fitted again.

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
    tasks = dict(enumerate(plan(spaces, grid, random_state=seed)))
    kept = None if store is None else PartitionStore(Path(store))
    records = _stored(tasks, kept)
    groups = _groups({index: task for index, task in tasks.items() if index not in records})
    with bars(show=progress):
        fitted = _fit_here(groups, kept) if _one_job(n_jobs) else _fit_apart(groups, kept, n_jobs=n_jobs)
        records.update(track(fitted, description="sweep", total=len(tasks) - len(records)))
    # Popped, since at full size all records together are gigabytes, and so are all partitions.
    return [
        records.pop(index).partition(task.descriptor, task.family.name, task.params) for index, task in tasks.items()
    ]


def _stored(tasks: Group, store: PartitionStore | None) -> dict[int, PartitionRecord]:
    """Return the records that the store holds already."""
    if store is None:
        return {}
    found = {index: store.read(task.key, len(task.descriptor)) for index, task in tasks.items()}
    return {index: record for index, record in found.items() if record is not None}


def _groups(tasks: Group) -> list[Group]:
    """Return the tasks that share work together."""
    groups: dict[tuple[str, str, str], dict[int, Task]] = {}
    for index, task in tasks.items():
        groups.setdefault(task.group, {})[index] = task
    return [*groups.values()]


def _one_job(n_jobs: int | None) -> bool:
    """Tell whether this process shall do the work: a cluster does it elsewhere, were it of one worker."""
    from joblib.parallel import get_active_backend

    backend, configured = get_active_backend()
    return (n_jobs or configured or backend.default_n_jobs) == 1


def _fit_here(groups: Sequence[Group], store: PartitionStore | None) -> Iterator[tuple[int, PartitionRecord]]:
    """Yield the records of all groups, each as soon as it is there."""
    for (descriptor, family), block in groupby(groups, key=lambda group: next(iter(group.values())).group[:2]):
        together = list(block)
        fitted = chain.from_iterable(_fit_group(group, store) for group in together)
        yield from track(fitted, description=f"{family} on {descriptor}", total=sum(map(len, together)))


def _fit_apart(
    groups: Sequence[Group], store: PartitionStore | None, *, n_jobs: int | None
) -> Iterator[tuple[int, PartitionRecord]]:
    """Yield the records of all groups as they finish in other threads or processes or on other machines."""
    from joblib import Parallel, delayed

    spaces = {task.descriptor.name: task.descriptor for group in groups for task in group.values()}
    bare = {name: _bare(descriptor, store) for name, descriptor in spaces.items()}
    jobs = (
        delayed(_fit_what_is_missing)(
            {index: replace(task, descriptor=bare[task.descriptor.name]) for index, task in group.items()}, store
        )
        for group in groups
    )
    return chain.from_iterable(Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)(jobs))


def _bare(descriptor: Descriptor, store: PartitionStore | None) -> Descriptor:
    """Return the descriptor as workers need it: without its history, and where there is a store, in a file."""
    vectors = descriptor.vectors if store is None else store.mapped(descriptor)
    bare = Descriptor(descriptor.name, vectors, descriptor.valid)
    vars(bare)["fingerprint"] = descriptor.fingerprint  # else each worker would read all vectors to know it
    return bare


def _fit_what_is_missing(group: Group, store: PartitionStore | None) -> list[tuple[int, PartitionRecord]]:
    """Return the records of a group; a worker that was lost in the middle of it may have stored some."""
    from joblib import parallel_config

    # What the libraries dispatch in turn stays here: under Dask they would send it out to the cluster again.
    with bars(show=False), parallel_config(backend="threading", n_jobs=1):
        stored = _stored(group, store)
        missing = {index: task for index, task in group.items() if index not in stored}
        return [*stored.items(), *_fit_group(missing, store)]


def _fit_group(group: Group, store: PartitionStore | None) -> Iterator[tuple[int, PartitionRecord]]:
    """Yield the records of settings that share work, each written to the store as soon as it is there."""
    if not group:
        return
    first = next(iter(group.values()))
    first.family.estimator()  # loads the library in a new worker, which is no part of the time of fitting
    partitions = first.family.fit_many(first.descriptor, [task.params for task in group.values()])
    for index, task in group.items():
        try:
            record = PartitionRecord.of(next(partitions), task.params)
        except Exception as error:
            error.add_note(f"While fitting {task.family.name} with {dict(task.params)} on {task.descriptor.name!r}.")
            raise
        if store:
            store.write(task.key, record)
        yield index, record
