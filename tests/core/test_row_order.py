"""The order of rows is checked: misaligned vectors are caught by the identities of the vehicles."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from veriwild_clustering import join_dataset, locate_raw_data
from veriwild_clustering.core.storage.raw.row_order import check_same_vehicle, sorted_by_hand

BuildRaw = Callable[..., Path]


def vehicles(n_folders: int = 4, *, per_folder: int = 60, per_vehicle: int = 5) -> tuple[np.ndarray, pd.DataFrame]:
    """Vectors of vehicles that follow each other, with noise as strong as what tells vehicles apart."""
    rng = np.random.default_rng(0)
    identity = np.repeat(np.arange(n_folders * per_folder), per_vehicle)
    vectors = rng.normal(size=(n_folders * per_folder, 32))[identity] + rng.normal(size=(len(identity), 32))
    images = pd.DataFrame({"vehicle_id": identity.astype(str), "folder": (identity // per_folder).astype(str)})
    return vectors.astype(np.float32), images


def test_auc_is_that_of_a_direct_computation() -> None:
    vectors, images = vehicles(1, per_folder=12, per_vehicle=2)
    check = check_same_vehicle(vectors, images, usable=np.ones(24, dtype=bool))
    scaled = (vectors - vectors.mean(0)) / vectors.std(0)
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
    pairs = [(i, i + lag) for lag in (1, 2, 3) for i in range(24 - lag)]
    same = [i // 2 == j // 2 for i, j in pairs]
    assert check.auc == pytest.approx(roc_auc_score(same, [scaled[i] @ scaled[j] for i, j in pairs]), abs=1e-6)
    assert check.n_pairs == sum(same) == 12


def test_aligned_rows_pass_and_misaligned_ones_do_not() -> None:
    vectors, images = vehicles()
    usable = np.ones(len(vectors), dtype=bool)
    assert check_same_vehicle(vectors, images, usable=usable).auc > 0.9
    shuffled = np.random.default_rng(1).permutation(len(vectors))
    for rows in (shuffled, np.roll(np.arange(len(vectors)), 3)):
        assert check_same_vehicle(vectors[rows], images, usable=usable).at_chance


def test_one_misaligned_folder_is_named() -> None:
    vectors, images = vehicles()
    rows = np.arange(len(vectors))
    rows[600:900] = np.random.default_rng(1).permutation(rows[600:900])
    check = check_same_vehicle(vectors[rows], images, usable=np.ones(len(vectors), dtype=bool))
    assert not check.at_chance
    assert check.folders_at_chance == ("2",)


def test_unusable_rows_and_single_images_do_not_enter() -> None:
    vectors, images = vehicles()
    usable = np.ones(len(vectors), dtype=bool)
    usable[::7] = False
    vectors[::7] = np.nan
    assert check_same_vehicle(vectors, images, usable=usable).auc > 0.9
    alone = images.assign(vehicle_id=[str(row) for row in range(len(images))])
    check = check_same_vehicle(vectors, alone, usable=usable)
    assert np.isnan(check.auc)
    assert not check.at_chance
    unknown = images.assign(vehicle_id=None)
    assert np.isnan(check_same_vehicle(vectors, unknown, usable=usable).auc)


@pytest.mark.parametrize(
    ("folders", "by_hand"),
    [
        (["1", "10", "2"], False),
        (["1", "2", "10"], True),
        (["1", "2", "3"], False),
        (["a", "b"], False),
        (["10", "9"], False),
    ],
)
def test_numeric_order_of_folders_is_noticed(folders: list[str], *, by_hand: bool) -> None:
    assert sorted_by_hand(pd.Series(np.repeat(folders, 2))) is by_hand


def test_join_warns_of_shuffled_rows_and_of_a_sorted_list(
    build_raw: BuildRaw, vectors: dict[str, np.ndarray], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raw = build_raw("")
    shuffled = vectors["osnet"][np.random.default_rng(0).permutation(36)]
    (raw / "descriptors/osnet.pickle").write_bytes(pickle.dumps(shuffled))
    lines = (raw / "images_paths.csv").read_text().split()
    (raw / "images_paths.csv").write_text("\n".join([lines[0], *lines[1:13], *lines[25:], *lines[13:25]]))
    with caplog.at_level(logging.WARNING):
        join_dataset(locate_raw_data(raw), tmp_path / "transport_dataset.csv")
    warnings = json.loads((tmp_path / "transport_dataset/manifest.json").read_text())["warnings"]
    assert [record.message for record in caplog.records] == warnings
    assert any("rows of the vectors follow the original file" in warning for warning in warnings)
    assert any(
        warning.startswith("osnet: ") and "not in the order of images_paths.csv" in warning for warning in warnings
    )
