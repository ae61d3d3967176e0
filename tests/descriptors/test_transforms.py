"""Transformers over descriptors: same numbers as scikit-learn's, rows in place, history kept."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import DBSCAN
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from veriwild_clustering import Descriptor, transform


@pytest.fixture
def holed_space(toy_space: Descriptor) -> Descriptor:
    """The toy space with two rows that hold no usable vector."""
    vectors = toy_space.vectors.copy()
    vectors[3], vectors[70, 2] = np.nan, np.inf
    return Descriptor("holed", vectors)


def test_result_is_that_of_the_transformer_on_the_usable_rows(holed_space: Descriptor):
    result = transform(holed_space, make_pipeline(StandardScaler(), PCA(3, random_state=0)))
    usable = np.delete(holed_space.vectors, [3, 70], axis=0)
    expected = make_pipeline(StandardScaler(), PCA(3, random_state=0)).fit(usable).transform(usable)
    np.testing.assert_allclose(result.usable(), expected, atol=1e-5)
    assert result.vectors.dtype == np.float32
    assert np.flatnonzero(~result.valid).tolist() == [3, 70]
    assert np.isnan(result.vectors[[3, 70]]).all()


def test_history_is_kept_and_places_new_rows(toy_space: Descriptor):
    scaled = transform(toy_space, StandardScaler())
    result = transform(scaled, PCA(2, random_state=0))
    assert result.parents == (scaled,)
    assert result.roots == (toy_space,)
    assert result.params["n_components"] == 2
    np.testing.assert_allclose(result.compute(lambda root: root.vectors[:5]), result.vectors[:5], atol=1e-5)


@pytest.mark.parametrize("wrap", [lambda pca: pca, lambda pca: make_pipeline(StandardScaler(), "passthrough", pca)])
def test_known_rows_placed_as_new_ones_land_where_they_lie(wrap):
    wide = Descriptor("wide", np.random.default_rng(0).normal(size=(600, 550)))
    # The randomised solver's `fit_transform` gives other coordinates than its `transform`.
    result = transform(wide, wrap(PCA(40, svd_solver="randomized", iterated_power=1, random_state=0)))
    np.testing.assert_array_equal(result.compute(lambda root: root.vectors), result.vectors)


@pytest.mark.parametrize(
    ("transformer", "name"),
    [
        (PCA(2), "toy/pca"),
        (make_pipeline(StandardScaler(), PCA(2)), "toy/standardscaler/pca"),
        (Pipeline([("Whiten", PCA(2, whiten=True))]), "toy/whiten"),
    ],
)
def test_default_name_lists_the_steps(toy_space: Descriptor, transformer: object, name: str):
    assert transform(toy_space, transformer).name == name
    assert transform(toy_space, transformer, name="mine").name == "mine"


def test_neither_the_parent_nor_the_transformer_passed_in_changes(toy_space: Descriptor):
    before, scaler = toy_space.vectors.copy(), StandardScaler(copy=False)
    try:
        transform(toy_space, scaler)
    except ValueError as error:
        assert "read-only" in str(error)  # noqa: PT017 (writing in place may be refused; it may not happen)
    np.testing.assert_array_equal(toy_space.vectors, before)
    assert not hasattr(scaler, "mean_")
    assert toy_space.vectors.flags.writeable


def test_sparse_results_become_dense():
    result = transform(Descriptor("codes", np.array([[0.0], [1.0], [2.0]])), OneHotEncoder())
    np.testing.assert_array_equal(result.vectors, np.eye(3))


def test_equal_vectors_are_refused():
    vectors = np.ones((5, 3), dtype=np.float32)
    vectors[1] = np.nan
    with pytest.raises(ValueError, match=r"usable vectors of 'same' are all equal: there is nothing to transform"):
        transform(Descriptor("same", vectors), PCA(2))


def test_constant_columns_are_not_a_problem(toy_space: Descriptor):
    flat = Descriptor("flat", np.hstack([toy_space.vectors, np.ones((len(toy_space), 2), dtype=np.float32)]))
    assert transform(flat, StandardScaler()).n_valid == len(flat)


def test_tsne_makes_a_map_but_places_no_new_rows(toy_space: Descriptor):
    result = transform(toy_space, TSNE(2, perplexity=5, max_iter=250, init="random", random_state=0))
    assert result.vectors.shape == (len(toy_space), 2)
    with pytest.raises(TypeError, match="'toy/tsne' cannot be computed for new rows: TSNE"):
        result.compute(lambda root: root.vectors)


@pytest.mark.filterwarnings("ignore:n_jobs value:UserWarning", "ignore:Tensorflow not installed:ImportWarning")
def test_umap_makes_a_map_and_places_new_rows(toy_space: Descriptor):
    from umap import UMAP

    result = transform(toy_space, UMAP(n_neighbors=5, n_epochs=20, init="random", random_state=0))
    placed = result.compute(lambda root: root.vectors[:4] + 0.01)
    assert result.vectors.shape == (len(toy_space), 2)
    assert placed.shape == (4, 2)
    assert np.isfinite(placed).all()


def test_what_is_not_a_transformer_is_refused(toy_space: Descriptor):
    with pytest.raises(TypeError, match=r"must be a scikit-learn transformer.*Got DBSCAN\(\) instead"):
        transform(toy_space, DBSCAN())
    with pytest.raises(TypeError, match=r"Got the class PCA instead: write PCA\(\)"):
        transform(toy_space, PCA)


def test_too_few_usable_rows_are_refused():
    one = Descriptor("one", np.array([[1.0, 2.0], [np.nan, 0.0]]))
    with pytest.raises(ValueError, match=r"needs at least 2 usable rows\. 'one' has 1\."):
        transform(one, StandardScaler())


def test_the_transformers_own_complaint_names_the_descriptor(toy_space: Descriptor):
    with pytest.raises(ValueError, match=r"'toy': n_components=9 must be between 0 and"):
        transform(toy_space, PCA(9))
