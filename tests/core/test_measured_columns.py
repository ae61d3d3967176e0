"""What is measured of the images in the image table: written short, read back as it was, apart from what is known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Dataset, DatasetError, join_dataset, locate_raw_data

BuildRaw = Callable[..., Path]

MEASURES = ["sharpness", "unknown", "light", "light_confidence", "phash", "nothing"]


@pytest.fixture
def inspected() -> pd.DataFrame:
    """What might be measured of the 36 images, the last of them broken."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "width": 16,
            "height": 12,
            "image_status": "ok",
            "detail": "",
            "sharpness": rng.lognormal(sigma=9, size=36),
            "unknown": np.nan,
            "light": rng.choice(["day", "night", "uncertain"], 36),
            "light_confidence": rng.random(36),
            "phash": [f"{row:016d}" for row in range(10**15, 10**15 + 36)],
            "nothing": pd.Series([None] * 36, dtype="str"),
        }
    ).astype({"width": "Int32", "height": "Int32"})
    table.loc[35, ["width", "height", *MEASURES]] = None
    table.loc[35, ["image_status", "detail"]] = "unreadable", "no image"
    return table


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "transport_dataset.csv"


@pytest.mark.parametrize("inline", [False, True])
def test_measures_follow_the_sizes_and_come_back_with_their_kinds(
    *, inline: bool, build_raw: BuildRaw, inspected: pd.DataFrame, output: Path
) -> None:
    before = inspected.copy()
    join_dataset(locate_raw_data(build_raw("plain")), output, inspected=inspected, inline_vectors=inline)
    pd.testing.assert_frame_equal(inspected, before)
    images = Dataset.open(output).images
    assert list(images.columns[3:12]) == ["width", "height", "image_status", *MEASURES]
    assert "detail" not in images
    pd.testing.assert_frame_equal(images[MEASURES], inspected[MEASURES], rtol=5e-5)
    cells = pd.read_csv(output, dtype="str")["sharpness"].dropna()
    assert cells.str.fullmatch(r"(\d\.?){1,5}0*(e[+-]\d+)?|0\.0*\d{1,5}").all()


def test_rows_go_by_their_order_and_other_kinds_are_told_from_the_text(
    build_raw: BuildRaw, inspected: pd.DataFrame, output: Path
) -> None:
    mine = inspected.assign(faces=range(36)).set_axis(range(100, 136))
    images = join_dataset(locate_raw_data(build_raw("plain")), output, inspected=mine).images
    pd.testing.assert_series_equal(images["phash"], inspected["phash"])
    assert images["faces"].tolist() == list(range(36))


def test_inline_csv_alone_keeps_hashes_as_text(build_raw: BuildRaw, inspected: pd.DataFrame, output: Path) -> None:
    join_dataset(locate_raw_data(build_raw("plain")), output, inspected=inspected, inline_vectors=True)
    shutil.rmtree(output.with_suffix(""))
    images = Dataset.open(output).images
    pd.testing.assert_series_equal(images["phash"], inspected["phash"])
    assert images["sharpness"].dtype == np.float64


def test_function_is_called_with_the_store_and_the_paths(
    build_raw: BuildRaw, inspected: pd.DataFrame, output: Path
) -> None:
    raw = locate_raw_data(build_raw("zip"))
    asked = []

    def measure(*arguments: object) -> pd.DataFrame:
        asked.append(arguments)
        return inspected

    dataset = join_dataset(raw, output, inspected=measure)
    assert asked == [(raw.image_store, raw.paths)]
    assert dataset.images["light"].notna().sum() == 35


@pytest.mark.parametrize("measured", [True, False])
def test_truth_and_measures_never_take_each_others_place(
    *, measured: bool, build_raw: BuildRaw, inspected: pd.DataFrame, output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = build_raw("plain")
    raw = locate_raw_data(folder)
    truth = pd.DataFrame({"path": raw.paths, "light": "dusk", "view": "rear", "image_status": "lost"})
    truth.to_csv(folder / "truth.csv", index=False)
    images = join_dataset(locate_raw_data(folder), output, inspected=inspected if measured else None).images
    assert (images["view"] == "rear").all()
    assert images["image_status"].isin(["ok", "unreadable"]).sum() == 36 * measured
    assert images.columns.is_unique
    if measured:
        pd.testing.assert_series_equal(images["light"], inspected["light"])
        assert "truth.csv has columns that are measured from the images, not taken from there: 'light'" in caplog.text
    else:
        assert (images["light"] == "dusk").all()
        assert not caplog.text
    warnings = json.loads((output.with_suffix("") / "manifest.json").read_text())["warnings"]
    assert warnings == [record.message for record in caplog.records]


@pytest.mark.parametrize("entry", [{"sharpness": "object"}, {"sharpness": 1}, {"sharpness": []}, "sharpness", None])
def test_damaged_kinds_are_named(entry: object, build_raw: BuildRaw, inspected: pd.DataFrame, output: Path) -> None:
    join_dataset(locate_raw_data(build_raw("plain")), output, inspected=inspected)
    file = output.with_suffix("") / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"measured": entry}))
    with pytest.raises(DatasetError, match=r"manifest\.json is damaged"):
        Dataset.open(output)


def test_dataset_of_an_earlier_version_opens(build_raw: BuildRaw, inspected: pd.DataFrame, output: Path) -> None:
    join_dataset(locate_raw_data(build_raw("plain")), output, inspected=inspected)
    file = output.with_suffix("") / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["measured"]
    file.write_text(json.dumps(manifest))
    images = Dataset.open(output).images
    assert images["light_confidence"].dtype == np.float64
    pd.testing.assert_series_equal(images["light"], inspected["light"])
