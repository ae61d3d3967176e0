"""Any scikit-learn transformer lifted over a descriptor: scaling, PCA, UMAP, t-SNE."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.progress import bars
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.descriptors.graph_maps import fit_on_graph, takes_graph
from veriwild_clustering.descriptors.streaming.moments import fit_from_moments, fits_from_moments, is_exact_pca
from veriwild_clustering.descriptors.streaming.results import check_path, whole, written
from veriwild_clustering.descriptors.streaming.rows import Rows

__all__ = ["fitted_descriptor", "transform"]


def transform(
    descriptor: Descriptor,
    transformer: Any,
    *,
    name: str | None = None,
    path: str | Path | None = None,
    progress: bool | None = None,
) -> Descriptor:
    """Return the descriptor passed through a transformer fitted on its usable rows.

    Parameters
    ----------
    descriptor : Descriptor
        The vectors to transform.
    transformer : scikit-learn transformer
        Anything with `fit_transform`, a pipeline included. It is cloned: the one passed in stays as it is.
    name : str, optional
        Name of the result, by default the descriptor's name followed by the steps: "osnet/standardscaler/pca".
    path : path, optional
        A .npy to write the result to; it is then memory-mapped. By default a result over 1 GiB goes to a temporary file
        (in TMPDIR) that disappears with the descriptor, a smaller one stays in memory.
    progress : bool, optional
        Whether to show progress bars; by default in a terminal or a notebook.

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
    DatasetError
        If the result cannot be written, or `path` is no .npy.

    Notes
    -----
    `StandardScaler` and exact `PCA` (`svd_solver` "auto", "full" or "covariance_eigh"), together or alone, cost one
    pass over the vectors in blocks, O(n_images * n_features²), an eigendecomposition, O(n_features³), and a second pass
    that writes the result. Products are summed in float64. Mean, covariance and axes of the last descriptors are
    remembered: another number of components costs the second pass alone. The fitted objects are scikit-learn's own.

    Other scalers, `Normalizer` and `IncrementalPCA` are fitted and applied in blocks too. Any other transformer gets
    the usable rows as one matrix and costs what it costs there. `UMAP` with a Euclidean metric takes its neighbours
    from `neighbor_graph` where it would search for them approximately, from 4,096 rows on; `params["approximation"]`
    says so if that graph is not exact. For a hundred thousand rows and more give it `init="pca"`: the spectral
    initialisation keeps as many vectors of length n in memory as the root of n, and iterates on them. `TSNE` has no
    `transform`: its result is a map of these rows alone, and `compute` says so.

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
    given = name or _default_name(descriptor, transformer)
    with bars(show=progress):
        return fitted_descriptor((descriptor,), transformer, name=given, path=path)


def fitted_descriptor(
    parents: tuple[Descriptor, ...],
    transformer: Any,
    *,
    name: str,
    path: str | Path | None = None,
    n_results: int = 1,
) -> Descriptor:
    """Return the descriptor that a clone of `transformer`, fitted on the parents side by side, makes of them.

    Only rows that are usable in every parent take part; the others become NaN. Of `n_results` such descriptors only as
    much as may be stays in memory.
    """
    from sklearn.base import clone

    check_path(path)
    fitted = clone(transformer)
    steps = list(_steps(fitted))
    rows = Rows.of(parents, covariance=any(map(is_exact_pca, steps)))
    valid, source = rows.valid, rows.name
    if len(rows) < 2:
        raise ValueError(f"A transformer needs at least 2 usable rows. {source} has {len(rows)}.")
    try:
        for step in steps:
            rows = _fit(step, rows)
        vectors, finite = written(rows, valid, path=path, n_results=n_results)
    except DatasetError:
        raise
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    params = {key: value for key, value in fitted.get_params().items() if _is_plain(value)}
    if rows.approximation:
        params["approximation"] = rows.approximation
    return Descriptor(name, vectors, finite, parents=parents, transformer=fitted, params=params)


def _steps(transformer: Any) -> Iterator[Any]:
    """Yield the transformers of a pipeline, those of pipelines within it included."""
    for _, step in getattr(transformer, "steps", [("", transformer)]):
        if hasattr(step, "steps"):
            yield from _steps(step)
        elif step not in (None, "passthrough"):
            yield step


def _fit(step: Any, rows: Rows) -> Rows:
    """Fit one step on the rows and return them passed through it.

    What is passed on is what its `transform` makes of the rows, not its `fit_transform`: randomised PCA and others give
    other coordinates there, and the same image read again would land beside itself.
    """
    if fits_from_moments(step, len(rows), rows.n_features):
        fit_from_moments(step, rows.moments)
        return rows.through(step)
    if _is_streamed(step):
        _fit_in_blocks(step, rows)
        return rows.through(step)
    space = whole(rows)
    approximation = None
    if takes_graph(step, len(rows)):
        values, approximation = fit_on_graph(step, space)
    else:
        values = _fit_whole(step, space)
    values = np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float32)
    return rows.replaced(values, approximation=approximation)


def _fit_whole(step: Any, space: Descriptor) -> Any:
    matrix = space.usable().view()
    matrix.flags.writeable = False  # a transformer with copy=False must not change its parent
    if not hasattr(step, "transform"):
        return step.fit_transform(matrix)
    return step.fit(matrix).transform(matrix)


def _is_streamed(step: Any) -> bool:
    """Tell whether `partial_fit` on blocks is the same as `fit` on all rows, and `transform` maps row by row."""
    from sklearn.decomposition import IncrementalPCA
    from sklearn.preprocessing import Binarizer, MaxAbsScaler, MinMaxScaler, Normalizer

    return type(step) in {IncrementalPCA, Binarizer, MaxAbsScaler, MinMaxScaler, Normalizer}


def _fit_in_blocks(step: Any, rows: Rows) -> None:
    from sklearn.utils import gen_batches

    places = None
    if hasattr(step, "batch_size"):  # IncrementalPCA: the batches that its `fit` would make
        size = step.batch_size or 5 * rows.n_features
        places = gen_batches(len(rows), size, min_batch_size=step.n_components or 0)
    for _, block in rows.blocks(description=f"Fitting {rows.name}", places=places):
        if not hasattr(step, "partial_fit"):  # it learns nothing but the number of columns
            step.fit(block)
            return
        step.partial_fit(block)


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
