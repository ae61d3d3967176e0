"""Verdicts on quality: absolute, with the reason, right about damage done on purpose."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from veriwild_clustering import quality_measures
from veriwild_clustering.core.storage.raw_data import locate_raw_data
from veriwild_clustering.images.quality.measures import QUALITY
from veriwild_clustering.images.quality.verdicts import BOUNDS, quality_reasons


def test_bounds_are_on_the_bad_side_of_known_measures() -> None:
    for name, bound in BOUNDS.items():
        bad = QUALITY[name].bad
        assert bad in ("both", "high" if np.isfinite(bound.high) else "low")
        assert np.isfinite([bound.low, bound.high]).sum() == 1


def test_a_value_at_the_bound_is_usable_and_an_unknown_one_too() -> None:
    table = pd.DataFrame({"sharpness": [1.3, np.nextafter(1.3, 0), np.nan]})
    assert quality_reasons(table).astype(bool).tolist() == [False, True, False]


def test_a_verdict_does_not_depend_on_other_images() -> None:
    table = pd.DataFrame({"sharpness": [1.0, 1.1, 2.0], "noise": [1.0, 30.0, 50.0]}, index=[7, 8, 9])
    together = quality_reasons(table)
    assert list(together.index) == [7, 8, 9]
    assert [quality_reasons(table.loc[[row]])[row] for row in table.index] == together.tolist()
    assert together[9] == "noisy: noise 50, at most 20 is usable"


def test_an_image_that_cannot_be_read_is_of_low_quality() -> None:
    table = pd.DataFrame({"image_status": ["ok", "truncated", None]})
    assert quality_reasons(table).tolist() == ["", "image file truncated", ""]


@pytest.mark.real
@pytest.mark.filterwarnings("ignore:BRISQUE is left out")
def test_damaged_real_images_are_low_and_hardly_any_other(real_raw_data) -> None:
    truth = pd.read_csv(real_raw_data.parent / "truth.csv")
    store = locate_raw_data(real_raw_data).image_store
    assert store is not None
    damaged = truth["corruption"].notna().to_numpy()
    rows = np.r_[np.flatnonzero(damaged), np.flatnonzero(~damaged)[::6]]
    from io import BytesIO

    images = [np.asarray(Image.open(BytesIO(store.read(truth["path"][row]))).convert("RGB")) for row in rows]
    low = (quality_reasons(quality_measures(images)) != "").to_numpy()
    assert low[damaged[rows]].mean() >= 0.95
    assert low[~damaged[rows]].mean() <= 0.02
