"""Standardised PCA of a wide memory map: one streaming pass beside StandardScaler and IncrementalPCA in batches.

The baseline is what scikit-learn offers for data that do not fit: `partial_fit` on batches of five times as many rows
as columns, and the result in an array that is there beforehand. Both sides start from a .npy and end with the reduced
vectors of all rows; imports are not counted. Agreement is with scikit-learn's PCA by a full singular value
decomposition in float64, on as many rows as that takes in reasonable time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench, Measured
from benchmarks.simulation import simulated_raw_data

_EXACT_ROWS = 10_000

Fitted = tuple[NDArray[np.float64], NDArray[np.float64]]  # variances, components


def run(bench: Bench) -> None:
    few, many = bench.pick(tiny=(8, 64), small=(64, 307), medium=(64, 1536), full=(64, 1536))
    file = _vectors(
        bench, bench.pick(tiny="color_model", small="osnet", medium="efficientnet-b7", full="efficientnet-b7")
    )
    n_features = np.load(file, mmap_mode="r").shape[1]
    baselines: list[Measured] = []
    for n_components in (few, many):
        with bench.independent():
            ours = bench.measure(_ours, file, [n_components], prepare=_imports)
            baselines.append(bench.measure(_baseline, file, n_components, prepare=_imports))
            bench.compare(f"{n_components} components", ours, baselines[-1], n_features=n_features)
    with bench.independent():
        _compare_both(bench, file, [few, many], baselines)
    with bench.independent():
        curve = bench.measure(_curve, file, prepare=_imports)
        bench.compare("explained variance of all components", curve, n_features=n_features)
    with bench.independent():
        _agreement(bench, file, [few, many])


def _vectors(bench: Bench, name: str) -> Path:
    """Return the .npy of one simulated descriptor, joined from its raw folder."""
    csv = bench.folder / "transport_dataset.csv"
    if not csv.exists():
        bench.measure(_join, bench.folder / "raw_data", csv, n_images=bench.n_images, name=name)
    return csv.with_suffix("") / f"{name}.npy"


def _join(raw: Path, csv: Path, *, n_images: int, name: str) -> None:
    from veriwild_clustering import join_dataset, locate_raw_data

    simulated_raw_data(raw, n_images, names=(name,))
    join_dataset(locate_raw_data(raw), csv)


def _imports() -> None:
    import sklearn.decomposition
    import sklearn.pipeline
    import sklearn.preprocessing  # noqa: F401

    from veriwild_clustering import Descriptor, explained_variance, transform  # noqa: F401


def _ours(file: Path, numbers: Sequence[int]) -> list[Fitted]:
    """Reduce to several numbers of components as a user writes it."""
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import veriwild_clustering as vc

    descriptor = vc.Descriptor("wide", np.load(file, mmap_mode="r"))
    fitted = []
    for n_components in numbers:
        space = vc.transform(descriptor, make_pipeline(StandardScaler(), PCA(n_components)))
        fitted.append(_fitted(space.transformer[-1]))
    return fitted


def _baseline(file: Path, n_components: int) -> Fitted:
    from sklearn.decomposition import IncrementalPCA
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils import gen_batches

    vectors = np.load(file, mmap_mode="r")
    n_rows, n_features = vectors.shape
    batches = list(gen_batches(n_rows, 5 * n_features, min_batch_size=n_components))
    scaler, pca = StandardScaler(), IncrementalPCA(n_components)
    for rows in batches:
        scaler.partial_fit(vectors[rows])
    for rows in batches:
        pca.partial_fit(scaler.transform(vectors[rows]))
    space = np.empty((n_rows, n_components), dtype=np.float32)
    for rows in batches:
        space[rows] = pca.transform(scaler.transform(vectors[rows]))
    return _fitted(pca)


def _exact(file: Path, n_components: int) -> Fitted:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    matrix = StandardScaler().fit_transform(np.load(file).astype(np.float64))
    return _fitted(PCA(n_components, svd_solver="full", copy=False).fit(matrix))


def _curve(file: Path) -> NDArray[np.float64]:
    import veriwild_clustering as vc

    return vc.explained_variance(vc.Descriptor("wide", np.load(file, mmap_mode="r")))


def _fitted(pca: Any) -> Fitted:
    return pca.explained_variance_, pca.components_


def _compare_both(bench: Bench, file: Path, numbers: list[int], baselines: Sequence[Measured]) -> None:
    ours = bench.measure(_ours, file, numbers, prepare=_imports)
    whole = len(baselines) == len(numbers)
    bench.figure(
        f"{numbers[0]} and {numbers[1]} components from one pass",
        ours=ours.seconds,
        baseline=sum(measured.seconds for measured in baselines) if whole else None,
        peak_memory=ours.peak_memory,
        baseline_peak_memory=max(measured.peak_memory for measured in baselines) if whole else None,
        n_features=np.load(file, mmap_mode="r").shape[1],
    )


def _agreement(bench: Bench, file: Path, numbers: list[int]) -> None:
    """Print how far the variances and the subspaces are from the exact ones, for ours and for the baseline."""
    from scipy.linalg import subspace_angles

    vectors = np.load(file, mmap_mode="r")[:_EXACT_ROWS]
    part = bench.folder / "part.npy"
    np.save(part, vectors)
    shape = {"n_images": vectors.shape[0], "n_features": vectors.shape[1]}
    variances, axes = bench.measure(_exact, part, numbers[-1]).value
    ours = bench.measure(_ours, part, numbers).value
    for n_components, mine in zip(numbers, ours, strict=True):
        found = [mine, bench.measure(_baseline, part, n_components).value]
        errors = [float(np.abs(these / variances[:n_components] - 1).max()) for these, _ in found]
        angles = [float(subspace_angles(these.T, axes[:n_components].T).max()) for _, these in found]
        name = f"{n_components} components against exact PCA, largest"
        bench.figure(f"{name} relative error of a variance", ours=errors[0], baseline=errors[1], unit="", **shape)
        bench.figure(f"{name} angle of the subspaces", ours=angles[0], baseline=angles[1], unit="rad", **shape)
