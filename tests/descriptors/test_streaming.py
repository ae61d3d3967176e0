"""Scaling and PCA in one pass: scikit-learn's numbers, whatever the scale of the columns and the size of the blocks."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, MaxAbsScaler, MinMaxScaler, Normalizer, StandardScaler

from veriwild_clustering import DatasetError, Descriptor, explained_variance, mix, mixtures, transform
from veriwild_clustering.core.vectors import blocks
from veriwild_clustering.descriptors.streaming import moments, results


def _vectors(n_rows: int = 400, n_features: int = 12, *, mean: float = 0.0, seed: int = 0) -> NDArray[np.float32]:
    """Correlated columns whose principal variances fall by a third each."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(n_features, n_features)))
    spread = 1.5 ** -np.arange(n_features, dtype=float)
    return (rng.normal(size=(n_rows, n_features)) * spread @ rotation + mean).astype(np.float32)


def _exact(vectors: NDArray[np.float32], pca: PCA, *, scale: bool = True) -> tuple[StandardScaler | None, PCA]:
    """Fit what scikit-learn makes of the rows in float64 by a full singular value decomposition."""
    matrix, scaler = vectors.astype(np.float64), None
    if scale:
        scaler = StandardScaler().fit(matrix)
        matrix = scaler.transform(matrix)
    return scaler, pca.set_params(svd_solver="full").fit(matrix)


def _assert_same_pca(ours: PCA, exact: PCA, *, rtol: float = 1e-6) -> None:
    for name in ("explained_variance_", "explained_variance_ratio_", "singular_values_", "noise_variance_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(exact, name), rtol=rtol, err_msg=name)
    assert (ours.n_components_, ours.n_samples_, ours.n_features_in_) == (
        exact.n_components_,
        exact.n_samples_,
        exact.n_features_in_,
    )
    np.testing.assert_allclose(ours.components_, exact.components_, atol=rtol)
    assert subspace_angles(ours.components_.T, exact.components_.T).max() < rtol


@pytest.mark.parametrize("mean", [0.0, 1000.0])
@pytest.mark.parametrize("n_components", [1, 5, 12, None, 0.9])
@pytest.mark.parametrize("whiten", [False, True])
def test_scaling_and_pca_agree_with_scikit_learn_in_float64(mean: float, n_components: float | None, whiten):
    vectors = _vectors(mean=mean)
    scaler, pca = _exact(vectors, PCA(n_components, whiten=whiten))
    result = transform(Descriptor("d", vectors), make_pipeline(StandardScaler(), PCA(n_components, whiten=whiten)))
    ours_scaler, ours = result.transformer[0], result.transformer[1]
    np.testing.assert_allclose(ours_scaler.mean_, scaler.mean_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours_scaler.var_, scaler.var_, rtol=1e-9)
    np.testing.assert_allclose(ours_scaler.scale_, scaler.scale_, rtol=1e-9)
    assert ours_scaler.n_samples_seen_ == scaler.n_samples_seen_
    assert set(vars(ours)) == set(vars(pca))
    _assert_same_pca(ours, pca)
    expected = pca.transform(scaler.transform(vectors.astype(np.float64)))
    np.testing.assert_allclose(result.vectors, expected, atol=2e-5)
    if not mean:  # of float32 rows scikit-learn's scaler subtracts the mean rounded to float32
        np.testing.assert_allclose(result.compute(lambda root: root.vectors), result.vectors, atol=2e-5)


@pytest.mark.parametrize("solver", ["auto", "full", "covariance_eigh"])
@pytest.mark.parametrize("mean", [0.0, 1000.0])
def test_pca_alone_keeps_its_digits_however_large_the_mean(solver: str, mean: float):
    vectors = _vectors(mean=mean)
    _, pca = _exact(vectors, PCA(6), scale=False)
    result = transform(Descriptor("d", vectors), PCA(6, svd_solver=solver))
    _assert_same_pca(result.transformer, pca)
    np.testing.assert_allclose(result.vectors, pca.transform(vectors.astype(np.float64)), atol=1e-5)
    np.testing.assert_allclose(result.compute(lambda root: root.vectors), result.vectors, atol=1e-5)


def test_columns_of_very_different_scale_and_constant_ones():
    vectors = _vectors() * (10.0 ** np.linspace(-8, 8, 12)).astype(np.float32)
    vectors[:, 3] = 0.1
    scaler, pca = _exact(vectors, PCA(8))
    result = transform(Descriptor("d", vectors), make_pipeline(StandardScaler(), PCA(8)))
    assert result.transformer[0].var_[3] == 0
    assert result.transformer[0].scale_[3] == 1
    np.testing.assert_allclose(result.transformer[0].scale_, scaler.scale_, rtol=1e-9)
    _assert_same_pca(result.transformer[1], pca)


@pytest.mark.parametrize("scale", [True, False])
def test_fewer_rows_than_columns(scale):
    vectors = _vectors(n_rows=9, n_features=30, mean=5)
    _, pca = _exact(vectors, PCA(6), scale=scale)
    result = transform(Descriptor("d", vectors), make_pipeline(StandardScaler(), PCA(6)) if scale else PCA(6))
    _assert_same_pca(result.transformer[-1] if scale else result.transformer, pca)
    curve = explained_variance(Descriptor("d", vectors), standardize=scale)
    assert curve.shape == (30,)
    np.testing.assert_allclose(curve[:6], np.cumsum(pca.explained_variance_ratio_))
    np.testing.assert_allclose(curve[8:], 1)


def test_whitening_makes_no_coordinates_out_of_rounding():
    result = transform(Descriptor("d", _vectors(n_rows=9, n_features=30)), PCA(9, whiten=True))
    np.testing.assert_allclose(result.vectors.std(axis=0, ddof=1), [1] * 8 + [0], atol=1e-5)


@pytest.mark.parametrize(
    "steps",
    [
        (StandardScaler(with_mean=False), PCA(4)),
        (StandardScaler(with_std=False), PCA(4)),
        (PCA(6), StandardScaler()),
        (PCA(6), StandardScaler(with_std=False), PCA(4)),
        (PCA(6, whiten=True), MaxAbsScaler()),
        (MinMaxScaler(), StandardScaler(), PCA(4)),
        (Normalizer(), PCA(4)),
        (MaxAbsScaler(), StandardScaler()),
        (make_pipeline(StandardScaler(), PCA(6)), "passthrough", Normalizer()),
        (Binarizer(threshold=3.0), PCA(4)),
        (IncrementalPCA(4, batch_size=150), StandardScaler()),
        (PCA(5, svd_solver="arpack", random_state=0), StandardScaler()),
    ],
    ids=str,
)
@pytest.mark.parametrize("n_rows", [400, 9])
def test_any_order_of_steps_gives_what_scikit_learn_gives(monkeypatch: pytest.MonkeyPatch, steps, n_rows: int):
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 2000)
    vectors = _vectors(n_rows=n_rows, mean=3)
    vectors[4] = np.nan
    usable = np.delete(vectors, 4, axis=0)
    expected = make_pipeline(*steps).fit(usable.astype(np.float64)).transform(usable.astype(np.float64))
    result = transform(Descriptor("d", vectors), make_pipeline(*steps))
    assert np.flatnonzero(~result.valid).tolist() == [4]
    flip = np.sign(np.sum(result.usable() * expected, axis=0))  # of axes whose largest loadings are nearly equal
    np.testing.assert_allclose(result.usable() * flip, expected, atol=2e-4 * np.abs(expected).max())


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 60_000), st.floats(-100, 100))
def test_blocks_and_shifts_do_not_matter(block_bytes: int, shift: float):
    vectors = _vectors(n_rows=150)
    whole = transform(Descriptor("d", vectors), make_pipeline(StandardScaler(), PCA(3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_BLOCK_BYTES", block_bytes)
        parts = transform(Descriptor("d", vectors + np.float32(shift)), make_pipeline(StandardScaler(), PCA(3)))
    np.testing.assert_allclose(parts.vectors, whole.vectors, atol=5e-4)


def test_rows_in_order_of_their_mean_lose_no_digits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 1000)
    vectors = _vectors() + np.linspace(0, 500, 400, dtype=np.float32)[:, None]
    _, pca = _exact(vectors, PCA(4))
    ours = transform(Descriptor("d", vectors), make_pipeline(StandardScaler(), PCA(4))).transformer[1]
    np.testing.assert_allclose(ours.explained_variance_, pca.explained_variance_, rtol=1e-6)


def test_one_pass_serves_every_number_of_components_and_the_curve(monkeypatch: pytest.MonkeyPatch):
    passes = []
    streamed = moments.Moments.of.__func__

    def counted(cls, given, *, covariance):
        passes.append(covariance)
        return streamed(cls, given, covariance=covariance)

    monkeypatch.setattr(moments.Moments, "of", classmethod(counted))
    space = Descriptor("d", _vectors())
    transform(space, StandardScaler())
    few, many = (transform(space, make_pipeline(StandardScaler(), PCA(k))) for k in (2, 9))
    curve = explained_variance(space)
    plain = transform(space, PCA(3))
    assert passes == [False, True]
    np.testing.assert_array_equal(few.transformer[1].components_, many.transformer[1].components_[:2])
    np.testing.assert_allclose(curve[:9], np.cumsum(many.transformer[1].explained_variance_ratio_))
    np.testing.assert_allclose(
        explained_variance(space, standardize=False)[:3], np.cumsum(plain.transformer.explained_variance_ratio_)
    )


def test_explained_variance_ascends_to_one_and_refuses_what_has_none():
    curve = explained_variance(Descriptor("d", _vectors()))
    assert curve.dtype == np.float64
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] == 1
    with pytest.raises(ValueError, match=r"at least 2 usable rows that differ\. 'flat' has none"):
        explained_variance(Descriptor("flat", np.ones((4, 3))))


def test_memory_map_in_and_npy_out(tmp_path: Path):
    vectors = _vectors()
    vectors[7] = np.nan
    np.save(tmp_path / "in.npy", vectors)
    mapped = Descriptor("d", np.load(tmp_path / "in.npy", mmap_mode="r"))
    pipeline = make_pipeline(StandardScaler(), PCA(4))
    expected = transform(Descriptor("d", vectors), pipeline)
    result = transform(mapped, pipeline, path=tmp_path / "out.npy")
    assert isinstance(result.vectors, np.memmap)
    np.testing.assert_array_equal(result.vectors, expected.vectors)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected.vectors)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.npy", "out.npy"]
    with pytest.raises(DatasetError, match=r"`path` must be a name that ends in \.npy"):
        mix([mapped, mapped], path=tmp_path / "out.csv")


def test_a_failed_run_leaves_the_old_file(tmp_path: Path):
    (tmp_path / "out.npy").write_text("old")
    with pytest.raises(ValueError, match="n_components=99 must be between"):
        transform(Descriptor("d", _vectors()), PCA(99), path=tmp_path / "out.npy")
    assert (tmp_path / "out.npy").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_large_results_go_to_a_file_that_disappears(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(results, "MAPPED_BYTES", 1000)
    monkeypatch.setattr(results.tempfile, "tempdir", str(tmp_path))
    space = Descriptor("d", _vectors())
    result = transform(space, StandardScaler())
    part = result.vectors[3:5]
    assert isinstance(result.vectors, np.memmap)
    assert len(list(tmp_path.iterdir())) == 1
    np.testing.assert_allclose(result.vectors.mean(axis=0), 0, atol=1e-6)
    del result
    np.testing.assert_allclose(part, StandardScaler().fit_transform(space.vectors)[3:5], atol=1e-5)
    del part
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_mixtures_stay_in_memory_only_as_far_as_all_of_them_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(results.tempfile, "tempdir", str(tmp_path))
    parents = [Descriptor(name, _vectors(50, 4, seed=seed)) for seed, name in enumerate("abc")]
    monkeypatch.setattr(results, "MAPPED_BYTES", 12 * 50 * 12 * 4)
    assert not any(isinstance(mixture.vectors, np.memmap) for mixture in mixtures(parents))
    monkeypatch.setattr(results, "MAPPED_BYTES", 50 * 12 * 4)
    found = mixtures(parents)
    np.testing.assert_array_equal(found[0].vectors, mix(found[0].parents, weights=found[0].transformer.weights).vectors)
    assert all(isinstance(mixture.vectors, np.memmap) for mixture in found)


def test_no_room_is_said_clearly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(results, "MAPPED_BYTES", 1)
    monkeypatch.setattr(results.tempfile, "tempdir", str(tmp_path))

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results.np, "memmap", full)
    with pytest.raises(DatasetError, match=r"No space left on device\. Make room there, or name a folder"):
        transform(Descriptor("d", _vectors()), StandardScaler())
    assert not list(tmp_path.iterdir())
