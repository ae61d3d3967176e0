"""Weighted mixtures: several descriptors as one space in which each has the say it is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.validation import check_real
from veriwild_clustering.descriptors.scaling import BlockScaler, shares
from veriwild_clustering.descriptors.transforms import fitted_descriptor

__all__ = ["mix", "mixtures"]


def mix(
    descriptors: Sequence[Descriptor],
    *,
    weights: Sequence[float] | None = None,
    name: str | None = None,
    path: str | Path | None = None,
) -> Descriptor:
    """Join descriptors into one whose squared distances are the weighted sum of theirs.

    Plain concatenation lets the widest or the largest-valued descriptor win. Here each is first brought to a total
    variance of 1, then given its weight, so a weight of 0.7 means 70 % of the mean squared distance.

    Parameters
    ----------
    descriptors : sequence of Descriptor
        Two or more, with one row per image of the same dataset.
    weights : sequence of float, optional
        Share of each, not negative; normalised to sum 1. Equal by default.
    name : str, optional
        By default the weights and names, such as "0.7 type_model + 0.3 color_model".
    path : path, optional
        A .npy to write the mixture to; it is then memory-mapped. By default one over 1 GiB goes to a temporary file
        (in TMPDIR) that disappears with the descriptor, a smaller one stays in memory.

    Returns
    -------
    Descriptor
        The blocks side by side, made by a `BlockScaler`. A row is valid where it is valid in every parent.

    Raises
    ------
    ValueError
        If there are fewer than two descriptors, their lengths differ, the weights do not fit, or a descriptor with
        a positive weight is constant.
    DatasetError
        If the mixture cannot be written, or `path` is no .npy.

    Notes
    -----
    O(n_images * sum of n_features), in blocks: memory is that of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, mix
    >>> rng = np.random.default_rng(0)
    >>> wide = Descriptor("type_model", 100 * rng.normal(size=(50, 6)))
    >>> narrow = Descriptor("color_model", rng.normal(size=(50, 2)))
    >>> mixture = mix([wide, narrow], weights=[7, 3])
    >>> mixture.name, mixture.n_features, round(float(mixture.vectors[:, :6].var(axis=0).sum()), 3)
    ('0.7 type_model + 0.3 color_model', 8, 0.7)
    """
    return _mixed(tuple(descriptors), weights, name=name, path=path)


def mixtures(descriptors: Sequence[Descriptor], *, step: float = 0.25) -> list[Descriptor]:
    """Return every mixture of the descriptors whose weights are multiples of a step: the search over weights.

    Parameters
    ----------
    descriptors : sequence of Descriptor
        Two or more, with one row per image of the same dataset.
    step : float, default=0.25
        Distance between neighbouring weights, 1 divided by a whole number of at least 2.

    Returns
    -------
    list of Descriptor
        One mixture for each way of dividing 1 among at least two descriptors; those without a share are left out
        of the mixture.

    Raises
    ------
    ValueError
        If `step` is not 1 divided by a whole number of at least 2, or `mix` refuses the descriptors.

    Notes
    -----
    With m descriptors and s = 1 / step there are C(s + m - 1, m - 1) - m mixtures, each a matrix of its own,
    O(n_images * sum of n_features): reduce wide descriptors first. Where all of them would take more than 1 GiB they go
    to temporary files (in TMPDIR) that disappear with them.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, mixtures
    >>> rng = np.random.default_rng(0)
    >>> a, b = (Descriptor(name, rng.normal(size=(9, 2))) for name in "ab")
    >>> [mixture.name for mixture in mixtures([a, b])]
    ['0.75 a + 0.25 b', '0.5 a + 0.5 b', '0.25 a + 0.75 b']
    """
    parents = tuple(descriptors)
    _check_parents(parents)
    n_steps = round(1 / check_real("step", step, low=1e-3, high=0.5))
    if not np.isclose(n_steps * step, 1):
        raise ValueError(f"`step` must be 1 divided by a whole number. Got {step!r} instead.")
    wanted = [counts for counts in _divisions(n_steps, len(parents)) if np.count_nonzero(counts) > 1]
    found = []
    for counts in wanted:
        chosen = [(parent, count / n_steps) for parent, count in zip(parents, counts, strict=True) if count]
        part, weights = zip(*chosen, strict=True)
        found.append(_mixed(part, weights, n_results=len(wanted)))
    return found


def _mixed(
    parents: tuple[Descriptor, ...],
    weights: Sequence[float] | None,
    *,
    name: str | None = None,
    path: str | Path | None = None,
    n_results: int = 1,
) -> Descriptor:
    _check_parents(parents)
    normalised = shares(weights, len(parents))
    scaler = BlockScaler([parent.n_features for parent in parents], weights=[float(share) for share in normalised])
    default = " + ".join(f"{share:.3g} {parent.name}" for share, parent in zip(normalised, parents, strict=True))
    return fitted_descriptor(parents, scaler, name=name or default, path=path, n_results=n_results)


def _divisions(total: int, n_parts: int) -> Iterator[tuple[int, ...]]:
    """Yield every way to write `total` as `n_parts` ordered non-negative ints, the first part largest first."""
    if n_parts == 1:
        yield (total,)
        return
    for first in range(total, -1, -1):
        for rest in _divisions(total - first, n_parts - 1):
            yield (first, *rest)


def _check_parents(parents: tuple[Descriptor, ...]) -> None:
    if len(parents) < 2:
        raise ValueError(f"`descriptors` must hold at least 2 descriptors. Got {len(parents)} instead.")
    lengths = {parent.name: len(parent) for parent in parents}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"Descriptors of one mixture must describe the same images. Got these lengths: {lengths}.")
