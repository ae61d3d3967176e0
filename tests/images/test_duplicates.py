"""Near-duplicates are those of brute force, however hashes crowd together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from veriwild_clustering import ImageStore, measure_images, near_duplicates


def as_hex(codes: np.ndarray) -> list[str]:
    return [f"{int(code):016x}" for code in codes]


def brute_force(codes: np.ndarray, max_distance: int) -> list[tuple[int, int, int]]:
    """Return row, nearest earlier row, of several the first, and distance, comparing all pairs."""
    found = []
    for row in range(1, len(codes)):
        apart = np.array([(int(codes[row]) ^ int(other)).bit_count() for other in codes[:row]])
        if apart.min() <= max_distance:
            found.append((row, int(apart.argmin()), int(apart.min())))
    return found


def as_tuples(found: pd.DataFrame) -> list[tuple[int, int, int]]:
    assert list(found.columns) == ["row", "other", "distance"]
    return list(found.itertuples(index=False, name=None))


@given(
    codes=st.lists(st.integers(0, 2**64 - 1), max_size=8),
    flips=st.lists(st.tuples(st.integers(0, 40), st.sets(st.integers(0, 63), max_size=6)), max_size=40),
    max_distance=st.integers(0, 6),
)
@settings(max_examples=60, deadline=None)
def test_found_are_those_of_brute_force(codes: list[int], flips: list[tuple[int, set[int]]], max_distance: int) -> None:
    for origin, bits in flips:
        if codes:
            codes = [*codes, codes[origin % len(codes)] ^ sum(1 << bit for bit in bits)]
    array = np.array(codes, dtype=np.uint64)
    assert as_tuples(near_duplicates(as_hex(array), max_distance=max_distance)) == brute_force(array, max_distance)


# Few varying bits, all of them or half, crowd the bands: groups are split again, or compared whole.
@pytest.mark.parametrize("n_varying", [7, 12, 24, 40])
@pytest.mark.parametrize("max_distance", [1, 4])
def test_crowded_hashes_are_searched_exactly(n_varying: int, max_distance: int) -> None:
    rng = np.random.default_rng(n_varying)
    places = rng.permutation(64)[:n_varying].astype(np.uint64)
    bits = rng.random((1_500, n_varying)) < np.where(np.arange(n_varying) % 3, 0.5, 0.1)
    codes = np.bitwise_or.reduce(bits.astype(np.uint64) << places, axis=1)
    assert as_tuples(near_duplicates(as_hex(codes), max_distance=max_distance)) == brute_force(codes, max_distance)


def test_equal_hashes_of_many_images_cost_no_comparisons() -> None:
    found = near_duplicates(["8000000000000000"] * 200_000)
    assert len(found) == 199_999
    assert (found["other"] == 0).all()
    assert (found["distance"] == 0).all()


def test_rows_are_those_of_the_table_with_missing_hashes() -> None:
    hashes = pd.Series([None, "00000000000000FF", None, "00000000000000f0", "0f00000000000000"], index=list("abcde"))
    assert as_tuples(near_duplicates(hashes)) == [(3, 1, 4)]
    assert as_tuples(near_duplicates(hashes, max_distance=3)) == []
    assert as_tuples(near_duplicates([])) == []
    assert as_tuples(near_duplicates([None, None])) == []


@pytest.mark.parametrize("wrong", ["ff", "g000000000000000", "0" * 17, ""])
def test_what_is_no_hash_is_named(wrong: str) -> None:
    with pytest.raises(ValueError, match=f"`hashes` must be text of 16 hex digits each. Got {wrong!r} instead"):
        near_duplicates(["0" * 16, wrong])


def test_distance_is_checked() -> None:
    with pytest.raises(ValueError, match=r"`max_distance` must be an int in \[0, 64\). Got 64 instead"):
        near_duplicates([], max_distance=64)


def test_saved_again_and_scaled_copies_are_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scenes = [
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((160, 120), Image.Resampling.BICUBIC)
        for _ in range(20)
    ]
    for row, scene in enumerate(scenes):
        scene.save(tmp_path / f"{row}.png")
    scenes[3].save(tmp_path / "20.jpg", quality=30)
    scenes[11].resize((97, 71)).save(tmp_path / "21.jpg")
    paths = [f"{row}.png" for row in range(20)] + ["20.jpg", "21.jpg"]
    hashes = measure_images(ImageStore(tmp_path), paths, n_jobs=1)["phash"]
    assert [(row, other) for row, other, _ in as_tuples(near_duplicates(hashes))] == [(20, 3), (21, 11)]
