"""Similarities of images against the libraries they come from; pairs found are those of all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veriwild_clustering import similarity
from veriwild_clustering.core.vectors.hamming import near_pairs
from veriwild_clustering.descriptors.pairwise.catalog import MEASURES
from veriwild_clustering.descriptors.pairwise.measure import Measure, similar_pairs, similarity_matrix
from veriwild_clustering.descriptors.pairwise.vectors import VectorSimilarity

METHODS = list(MEASURES)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """Smooth colour images of several sizes, each with a brighter and a noisy version."""
    import cv2

    rng = np.random.default_rng(0)
    found = []
    for side in (64, 90, 128, 50, 70, 64):
        base = cv2.resize(rng.integers(0, 200, (9, 9, 3)).astype(np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
        noise = rng.integers(-6, 7, base.shape)
        found += [base, np.clip(base.astype(int) + 12, 0, 255), np.clip(base.astype(int) + noise, 0, 255)]
    return [image.astype(np.uint8) for image in found]


@pytest.mark.parametrize("method", METHODS)
def test_is_symmetric_within_0_and_1_and_1_with_itself(method: str, images: list[np.ndarray]) -> None:
    matrix = similarity([*images, images[0]], method=method)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert (matrix >= 0).all()
    assert (matrix <= 1).all()
    assert (np.diag(matrix) == 1).all()
    assert matrix[0, -1] == 1


def test_ssim_is_that_of_scikit_image(images: list[np.ndarray]) -> None:
    from skimage.metrics import structural_similarity

    pixels = MEASURES["ssim"].features(images).reshape(-1, 64, 64)
    expected = [[max(0, structural_similarity(one, other)) for other in pixels] for one in pixels]
    np.testing.assert_allclose(similarity(images, method="ssim"), expected, atol=1e-9)


def test_template_is_that_of_opencv(images: list[np.ndarray]) -> None:
    import cv2

    pixels = MEASURES["template"].features(images).reshape(-1, 64, 64, 3)
    expected = [[1 - cv2.matchTemplate(a, b, cv2.TM_SQDIFF_NORMED)[0, 0] for b in pixels] for a in pixels]
    np.testing.assert_allclose(similarity(images, method="template"), np.maximum(expected, 0), atol=1e-5)


@pytest.mark.parametrize("method", ["phash", "dhash", "whash", "colorhash"])
def test_hashes_are_those_of_imagehash(method: str, images: list[np.ndarray]) -> None:
    import imagehash
    from PIL import Image

    options = {"whash": {"image_scale": 64}}.get(method, {})
    hashes = [getattr(imagehash, method)(Image.fromarray(image), **options) for image in images]
    expected = [[1 - (one - other) / one.hash.size for other in hashes] for one in hashes]
    np.testing.assert_allclose(similarity(images, method=method), expected, atol=1e-12)


def test_minhash_is_that_of_datasketch_and_near_the_jaccard_index(images: list[np.ndarray]) -> None:
    from datasketch import MinHash

    from veriwild_clustering.descriptors.pairwise.corners import _cells

    sets = [set(_cells(image).tolist()) for image in images]
    hashes = []
    for cells in sets:
        hashes.append(MinHash(128, seed=1))
        hashes[-1].update_batch([cell.to_bytes(2, "little") for cell in sorted(cells)])
    matrix = similarity(images, method="minhash")
    np.testing.assert_allclose(matrix, [[one.jaccard(other) for other in hashes] for one in hashes], atol=1e-12)
    jaccard = [[len(one & other) / len(one | other) for other in sets] for one in sets]
    assert np.abs(matrix - jaccard).max() < 0.2


def test_orb_is_that_of_cross_checked_matching(images: list[np.ndarray]) -> None:
    features = MEASURES["orb"].features(images)
    points = [row[1 : 1 + 4 * int(row[0])].reshape(-1, 4) for row in features]

    def matches(one: np.ndarray, other: np.ndarray) -> int:
        if not len(one) or not len(other):
            return 0
        apart = np.bitwise_count(one[:, None] ^ other[None]).sum(axis=2)
        there, back = apart.argmin(axis=1), apart.argmin(axis=0)
        return sum(back[there[i]] == i and apart[i, there[i]] <= 48 for i in range(len(one)))

    matrix = similarity(images, method="orb")
    for i, one in enumerate(points):
        for j, other in enumerate(points[:i]):
            total = len(one) + len(other)
            assert matrix[i, j] == pytest.approx(2 * matches(one, other) / total if total else 1)


@pytest.mark.parametrize("method", [*METHODS, "cosine", "euclidean"])
@pytest.mark.parametrize("tile", [1, 4, 100])
def test_bounds_lose_no_pair(method: str, tile: int, images: list[np.ndarray]) -> None:
    measure: Measure
    if method in MEASURES:
        measure = MEASURES[method]
        features = measure.features([*images, images[3]])
    else:
        measure = VectorSimilarity("toy", method)
        features = np.random.default_rng(0).normal(size=(19, 5)).astype(np.float32)
        features[18] = features[3]
    rows = np.arange(len(features))
    whole = similarity_matrix(measure, features, rows)
    for threshold in (0.2, 0.5, 0.8, float(np.median(whole)), 1.0):
        found = list(similar_pairs(measure, features, rows, threshold=threshold, tile=tile, n_jobs=2))
        pairs = [frozenset(ends) for one in found for ends in zip(one.rows.tolist(), one.others.tolist(), strict=True)]
        expected = {frozenset((i, j)) for i, j in np.argwhere(whole >= threshold) if i != j}
        assert len(pairs) == len(set(pairs))
        assert set(pairs) == expected


@pytest.mark.parametrize("tile", [1000, 140])
def test_no_keypoint_at_the_limit_is_lost(tile: int) -> None:
    """Each image repeats keypoints of the one before, 48 or 49 bits away, as evenly spread over the bits as can be."""
    rng = np.random.default_rng(0)
    n_images, most = 150, 12
    bits = rng.random((n_images, most, 256)) < 0.5
    counts = rng.integers(1, most + 1, n_images)
    for image in range(1, n_images):
        for place in range(rng.integers(0, most)):
            flips = np.concatenate([16 * chunk + rng.permutation(16)[:3] for chunk in range(16)])
            if rng.random() < 0.3:
                flips = np.append(flips, np.setdiff1d(np.arange(256), flips)[rng.integers(208)])
            bits[image, place] = bits[image - 1, rng.integers(most)]
            bits[image, place, flips] ^= True
    words = np.packbits(bits, axis=2, bitorder="little").view("<u8").reshape(n_images, -1)
    words[np.repeat(np.arange(most), 4) >= counts[:, None]] = 0
    rows, measure = np.arange(n_images), MEASURES["orb"]
    width = measure.features([np.zeros((64, 64, 3), np.uint8)]).shape[1]
    features = np.zeros((n_images, width), dtype=np.uint64)
    features[:, 0], features[:, 1 : 1 + words.shape[1]] = counts, words
    whole = similarity_matrix(measure, features, rows)  # at 0 each pair is computed
    assert (whole[1:, :-1].diagonal() > 0).sum() > 50
    for threshold in (0.01, 0.2, 0.5):
        found = list(similar_pairs(measure, features, rows, threshold=threshold, tile=tile))
        pairs = np.zeros_like(whole)
        for one in found:
            pairs[np.maximum(one.rows, one.others), np.minimum(one.rows, one.others)] = one.similarities
        np.testing.assert_array_equal(pairs, np.tril(np.where(whole >= threshold, whole, 0), -1))
        assert sum(one.n_compared for one in found) < 1000  # of 11,175


@given(
    n_different=st.integers(1, 12),
    places=st.lists(st.integers(0, 11), min_size=2, max_size=30),
    threshold=st.floats(0.1, 1),
    seed=st.integers(0, 5),
)
@settings(max_examples=40, deadline=None)
def test_equal_features_are_pairs_without_being_compared(
    n_different: int, places: list[int], threshold: float, seed: int
) -> None:
    kinds = np.random.default_rng(seed).normal(size=(n_different, 3)).astype(np.float32)
    which = np.array(places) % n_different
    measure, rows = VectorSimilarity("toy"), np.arange(len(which))
    found = list(similar_pairs(measure, kinds[which], rows, threshold=threshold))
    whole = similarity_matrix(measure, kinds, np.arange(n_different))[np.ix_(which, which)]
    assert sum(len(one.rows) for one in found) == np.tril(whole >= threshold, -1).sum()
    assert sum(one.n_compared for one in found) <= n_different * (n_different - 1) // 2


@pytest.mark.parametrize("max_distance", [1, 3, 8, 64])
def test_near_codes_come_once_each(max_distance: int) -> None:
    rng = np.random.default_rng(0)
    codes = np.repeat(rng.integers(0, 2**63, 5, dtype=np.uint64), 90)
    for _ in range(4):  # crowds large enough to be split again by the bits that are left
        codes ^= np.uint64(1) << rng.integers(0, 64, len(codes), dtype=np.uint64)
    codes = rng.permutation(np.unique(codes))
    apart = np.bitwise_count(codes[:, None] ^ codes)
    found = [*near_pairs(codes, max_distance=max_distance)]
    later, earlier, distance = (np.concatenate(part) for part in zip(*found, strict=True))
    assert (distance == apart[later, earlier]).all()
    assert len(np.unique(later * len(codes) + earlier)) == len(later)
    near = np.zeros(apart.shape, dtype=bool)
    near[later[distance <= max_distance], earlier[distance <= max_distance]] = True
    np.testing.assert_array_equal(near, np.tril(apart <= max_distance, -1))


def test_near_hashes_come_piece_by_piece() -> None:
    codes = np.unique(np.random.default_rng(0).integers(0, 2**12, 900, dtype=np.uint64))
    found = [*similar_pairs(MEASURES["phash"], codes[:, None], np.arange(len(codes)), threshold=0.8)]
    n_similar = len(codes) * (len(codes) - 1) // 2  # 12 of 64 bits are all that differs
    assert sum(len(one.rows) for one in found) == sum(one.n_compared for one in found) == n_similar
    assert max(len(one.rows) for one in found) < n_similar / 4


def test_unlike_images_are_not_computed() -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (64, 64, 3)).astype(np.uint8) for _ in range(40)]
    for method in ("phash", "dhash", "ssim", "minhash", "orb"):
        measure = MEASURES[method]
        found = list(similar_pairs(measure, measure.features(noise), np.arange(40), threshold=0.9))
        assert sum(one.n_compared for one in found) < 80  # of 780


def test_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`method` must be one of 'phash'.*Got 'sift' instead"):
        similarity([], method="sift")
