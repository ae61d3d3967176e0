"""Any scikit-learn transformer lifted over a descriptor: scaling, PCA, UMAP, t-SNE."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor

__all__ = ["fitted_descriptor", "transform"]


def transform(descriptor: Descriptor, transformer: Any, *, name: str | None = None) -> Descriptor:
    """Return the descriptor passed through a transformer fitted on its usable rows.

    Parameters
    ----------
    descriptor : Descriptor
        The vectors to transform.
    transformer : scikit-learn transformer
        Anything with `fit_transform`, a pipeline included. It is cloned: the one passed in stays as it is.
    name : str, optional
        Name of the result, by default the descriptor's name followed by the steps: "osnet/standardscaler/pca".

    Returns
    -------
    Descriptor
        As many rows as before; rows without a usable vector stay NaN and invalid. It keeps its parent and the
        fitted transformer, so `compute` places new rows in the same space where the transformer can.

    Raises
    ------
    TypeError
        If `transformer` is not a transformer.
    ValueError
        If there are fewer than two usable rows, or all are equal, or the transformer refuses the data (its own
        message, with the name of the descriptor before it).

    Notes
    -----
    Costs what fitting the transformer costs, and a float32 copy of the result, O(n_images * n_features).
    `TSNE` has no `transform`: its result is a map of these rows alone, and `compute` says so.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from veriwild_clustering import Descriptor, transform
    >>> space = Descriptor("osnet", np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32))
    >>> transform(space, PCA(2, random_state=0))
    Descriptor('osnet/pca', 20 x 2, 20 valid rows)
    """
    _check_transformer(transformer)
    if descriptor.n_valid > 1 and descriptor.is_constant:
        raise ValueError(
            f"The usable vectors of {descriptor.name!r} are all equal: there is nothing to transform. "
            f"Leave this descriptor out."
        )
    return fitted_descriptor((descriptor,), transformer, name=name or _default_name(descriptor, transformer))


def fitted_descriptor(parents: tuple[Descriptor, ...], transformer: Any, *, name: str) -> Descriptor:
    """Return the descriptor that a clone of `transformer`, fitted on the parents side by side, makes of them.

    Only rows that are usable in every parent take part; the others become NaN.
    """
    from sklearn.base import clone

    valid = np.logical_and.reduce([parent.valid for parent in parents])
    source = " + ".join(repr(parent.name) for parent in parents)
    if np.count_nonzero(valid) < 2:
        raise ValueError(f"A transformer needs at least 2 usable rows. {source} has {np.count_nonzero(valid)}.")
    fitted = clone(transformer)
    try:
        values = _fit_and_apply(fitted, _side_by_side(parents, valid))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    values = np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float32)
    vectors = np.full((len(valid), values.shape[1]), np.nan, dtype=np.float32)
    vectors[valid] = values
    params = {key: value for key, value in fitted.get_params().items() if _is_plain(value)}
    return Descriptor(name, vectors, parents=parents, transformer=fitted, params=params)


def _fit_and_apply(transformer: Any, matrix: Any) -> Any:
    """Fit `transformer` and return what its `transform` makes of the rows it was fitted to.

    Not `fit_transform`: randomised PCA and others give other coordinates there, and the same image read again would
    land beside itself. A pipeline is fitted step by step, so that each step sees what it will see of new rows.
    """
    if hasattr(transformer, "steps"):
        for _, step in transformer.steps:
            matrix = matrix if step in (None, "passthrough") else _fit_and_apply(step, matrix)
        return matrix
    if not hasattr(transformer, "transform"):
        return transformer.fit_transform(matrix)
    return transformer.fit(matrix).transform(matrix)


def _side_by_side(parents: tuple[Descriptor, ...], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the valid rows of all parents as one matrix that cannot be written to."""
    blocks = [parent.vectors if valid.all() else parent.vectors[valid] for parent in parents]
    matrix = blocks[0].view() if len(blocks) == 1 else np.hstack(blocks)
    matrix.flags.writeable = False  # a transformer with copy=False must not change its parent
    return matrix


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, tuple, list))


def _check_transformer(transformer: Any) -> None:
    wanted = "`transformer` must be a scikit-learn transformer, an object with `fit_transform` and `get_params`."
    if isinstance(transformer, type):
        raise TypeError(f"{wanted} Got the class {transformer.__name__} instead: write {transformer.__name__}().")
    if not (hasattr(transformer, "fit_transform") and hasattr(transformer, "get_params")):
        raise TypeError(f"{wanted} Got {transformer!r} instead.")


def _default_name(descriptor: Descriptor, transformer: Any) -> str:
    steps = [step for step, _ in getattr(transformer, "steps", [])] or [type(transformer).__name__]
    return "/".join([descriptor.name, *(step.lower() for step in steps)])
