"""Groups of look-alikes against all pairs and a search through them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veriwild_clustering.core.vectors import links
from veriwild_clustering.images.duplicates import near_duplicate_groups, near_duplicates


def groups(hashes: list[str | None], max_distance: int = 4) -> list[list[int]]:
    table = near_duplicate_groups(hashes, max_distance=max_distance)
    assert (table["size"] == table.groupby("group")["row"].transform("size")).all()
    return [part["row"].tolist() for _, part in table.groupby("group")]


def reference(hashes: list[str | None], max_distance: int) -> list[list[int]]:
    """Components by walking from row to row over all pairs."""
    left = [row for row, text in enumerate(hashes) if text is not None]
    found = []
    while left:
        component, open_rows = set(), [left[0]]
        while open_rows:
            row = open_rows.pop()
            component.add(row)
            near = [
                other for other in left
                if other not in component
                and (int(hashes[row], 16) ^ int(hashes[other], 16)).bit_count() <= max_distance
            ]  # fmt: skip
            component.update(near)
            open_rows += near
        left = [row for row in left if row not in component]
        found.append(sorted(component))
    return sorted((rows for rows in found if len(rows) > 1), key=lambda rows: (-len(rows), rows[0]))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), max_distance=st.integers(0, 6))
def test_groups_are_those_of_all_pairs(seed: int, max_distance: int) -> None:
    rng = np.random.default_rng(seed)
    centers = rng.integers(0, 2**63, 5, dtype=np.uint64)
    flips = [sum(1 << int(bit) for bit in rng.choice(64, rng.integers(0, 5), replace=False)) for _ in range(60)]
    hashes: list[str | None] = [f"{int(rng.choice(centers)) ^ flip:016x}" for flip in flips]
    hashes[7] = None
    assert groups(hashes, max_distance) == reference(hashes, max_distance)


def test_a_chain_is_one_group_though_its_last_link_joins_two_parts() -> None:
    hashes = ["0" * 16, "00000000000000ff", "000000000000000f"]  # the third is 4 bits from either
    assert near_duplicates(hashes)["other"].tolist() == [0]
    assert groups(hashes) == [[0, 1, 2]]
    assert groups(hashes, max_distance=3) == []


def test_largest_group_comes_first_and_of_equal_ones_the_first_to_appear() -> None:
    a, b, c = ("0" * 16, "f" * 16, "00000000ffffffff")
    assert groups([a, b, c, None, c, b, c, a]) == [[2, 4, 6], [0, 7], [1, 5]]


def test_nothing_alike_gives_no_rows() -> None:
    for hashes in ([], [None, None], ["0" * 16], ["0" * 16, "f" * 16]):
        table = near_duplicate_groups(hashes)
        assert len(table) == 0
        assert list(table) == ["group", "size", "row"]
    with pytest.raises(ValueError, match="16 hex digits"):
        near_duplicate_groups(["xyz"])


def test_joining_pairs_in_between_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(0).integers(0, 2**14, 1500, dtype=np.uint64)
    hashes = pd.Series([f"{code:016x}" for code in codes])
    expected = near_duplicate_groups(hashes, max_distance=1)
    monkeypatch.setattr(links, "_MOST_PAIRS", 50)
    pd.testing.assert_frame_equal(near_duplicate_groups(hashes, max_distance=1), expected)
    assert expected["group"].max() > 0
