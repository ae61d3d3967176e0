"""Reruns: what the algorithms of partitions find again on other rows, with other seeds or in data without clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.html import card
from veriwild_clustering.core.partition import Partition

__all__ = ["Repeat", "Reruns", "by_space"]


def by_space(partitions: Mapping[int, Partition]) -> list[tuple[Descriptor, list[int]]]:
    """Return each descriptor with the places of the partitions that were made in it."""
    spaces: dict[int, tuple[Descriptor, list[int]]] = {}
    for place, partition in partitions.items():
        spaces.setdefault(id(partition.descriptor), (partition.descriptor, []))[1].append(place)
    return list(spaces.values())


@dataclass(frozen=True, eq=False)
class Repeat:
    """One repeat: the rows that were clustered again, and what each of the algorithms found there.

    Parameters
    ----------
    rows : array of shape (n_rows,), int64
        The images, ascending.
    labels : array of shape (n_partitions, n_rows), int
        Clusters of these images by each algorithm, −1 for noise; numbered by size.
    seed : int
        Seed of this repeat: of the algorithms, or of the null data.
    placed : array of shape (n_partitions, n_placed), int
        Clusters of this repeat to which the rows of the other half of the split go; only "half samples" place any.
    """

    rows: NDArray[np.int64]
    labels: NDArray[Any]
    _: KW_ONLY
    seed: int
    placed: NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Reruns:
    """What the algorithms that made partitions find when they run again, as `rerun` returns it.

    Parameters
    ----------
    on : {"half samples", "vehicles", "seeds", "permuted columns", "gaussian"}
        What was changed.
    partitions : list of Partition
        The partitions whose algorithms ran again.
    repeats : list of Repeat
        What was found. Repeats 0 and 1, 2 and 3, … of halves are the two halves of one split.
    params : mapping, optional
        The parameters that made it.

    Notes
    -----
    Null data are not kept: `seed` and `rows` of a repeat draw them again.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, rerun, sweep
    >>> points = np.concatenate([np.random.default_rng(i).normal(loc=9 * i, size=(20, 2)) for i in range(3)])
    >>> partitions = sweep(Descriptor("toy", points), {"kmeans": {"n_clusters": [2, 3]}})
    >>> reruns = rerun(partitions, "half samples", n_repeats=4)
    >>> reruns
    Reruns(2 partitions on half samples, 4 repeats of 30 rows)
    >>> reruns.repeats[0].labels.shape
    (2, 30)
    """

    on: str
    partitions: list[Partition]
    repeats: list[Repeat]
    _: KW_ONLY
    params: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.repeats)

    def __repr__(self) -> str:
        return f"Reruns({self._extent})"

    def _repr_html_(self) -> str:
        return card(f"Reruns of {self._extent}", self.params)

    @property
    def _extent(self) -> str:
        sizes = sorted({len(repeat.rows) for repeat in self.repeats})
        rows = " to ".join(f"{size:,}" for size in dict.fromkeys((sizes[0], sizes[-1])))
        return f"{len(self.partitions)} partitions on {self.on}, {len(self)} repeats of {rows} rows"
