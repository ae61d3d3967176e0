"""One pass over the images: what it gives is what its parts give, whoever does it and however often it was killed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import imagehash
import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from PIL import Image
from threadpoolctl import threadpool_info

from veriwild_clustering import DatasetError, ImageStore, inspect_images, measure_images
from veriwild_clustering.images import chunks, measurement
from veriwild_clustering.images.appearance.attributes import appearance
from veriwild_clustering.images.quality.measures import quality_measures

INSPECTED = ["width", "height", "image_status", "detail"]

KILLED_RUN = """
import os, signal, sys
from veriwild_clustering import ImageStore, measure_images
from veriwild_clustering.images import measurement

left, original = int(sys.argv[3]), measurement.inspect_image

def counted(*arguments, **options):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **options)

measurement.inspect_image = counted
measure_images(ImageStore(sys.argv[1]), [f"{row}.jpg" for row in range(150)], store=sys.argv[2], n_jobs=1)
"""


def jpeg(seed: int, *, size: tuple[int, int] = (40, 30), orientation: int = 1) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, size=(5, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(stream, "JPEG", exif=exif)
    return stream.getvalue()


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """150 images of three sizes, among them one that is cut off and one without a byte."""
    made = {f"{row}.jpg": jpeg(row, size=(40 + 8 * (row % 3), 30)) for row in range(150)}
    return made | {"7.jpg": made["7.jpg"][:-64], "70.jpg": b""}


@pytest.fixture
def images(files: dict[str, bytes], tmp_path: Path) -> ImageStore:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return ImageStore(folder)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the images that are read from now on in this process."""
    read: list[str] = []
    original = measurement.inspect_image

    def noted(store, path, **options):
        read.append(path)
        return original(store, path, **options)

    monkeypatch.setattr(measurement, "inspect_image", noted)
    return read


def test_each_row_is_what_the_parts_give_for_the_image_alone(images: ImageStore, files: dict[str, bytes]) -> None:
    table = measure_images(images, list(files), n_jobs=1)
    pd.testing.assert_frame_equal(table[INSPECTED], inspect_images(images, list(files), n_jobs=1))
    for row in (0, 1, 100, 149):
        image = Image.open(io.BytesIO(files[f"{row}.jpg"]))
        pixels = [np.asarray(image)]
        alone = pd.concat([quality_measures(pixels), appearance(pixels)], axis=1)
        assert [*INSPECTED, *alone.columns, "phash"] == list(table.columns)
        pd.testing.assert_frame_equal(table.loc[[row], alone.columns].reset_index(drop=True), alone, rtol=1e-5)
        assert imagehash.hex_to_hash(table["phash"][row]) == imagehash.phash(image)


def test_what_cannot_be_decoded_is_missing(images: ImageStore) -> None:
    table = measure_images(images, ["7.jpg", "70.jpg", "lost.jpg", "../0.jpg", "0.jpg"], n_jobs=1)
    assert table["image_status"].tolist() == ["truncated", "empty", "missing", "refused", "ok"]
    assert table["width"].fillna(0).tolist() == [48, 0, 0, 0, 40]
    measured = table.columns.drop(INSPECTED)
    assert table.loc[:3, measured].isna().all(axis=None)
    assert table.loc[4, ["sharpness", "light", "phash"]].notna().all()


@pytest.mark.parametrize("paths", [[], ["lost.jpg"]])
def test_columns_have_their_kinds_without_an_image(paths: list[str], images: ImageStore) -> None:
    table = measure_images(images, paths)
    assert len(table) == len(paths)
    pd.testing.assert_series_equal(table.dtypes, measure_images(images, ["0.jpg"]).dtypes)


def test_processes_batches_and_zip_make_no_difference(
    images: ImageStore, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = measure_images(images, list(files), n_jobs=1)
    pd.testing.assert_frame_equal(measure_images(images, list(files), n_jobs=2), table)
    archive = images.location.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as target:
        for name, data in files.items():
            target.writestr(name, data)
    monkeypatch.setattr(measurement, "_BATCH_PIXELS", 4_000)
    pd.testing.assert_frame_equal(measure_images(ImageStore(archive), list(files), n_jobs=1), table, rtol=1e-5)


def test_hash_is_that_of_the_upright_image(tmp_path: Path) -> None:
    (tmp_path / "turned.jpg").write_bytes(jpeg(0, orientation=6))
    image = Image.open(tmp_path / "turned.jpg").transpose(Image.Transpose.ROTATE_270)
    table = measure_images(ImageStore(tmp_path), ["turned.jpg"])
    assert table.loc[0, ["width", "height"]].tolist() == [30, 40]
    assert table["phash"][0] == str(imagehash.phash(image))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_threads_are_one_meanwhile_and_as_they_were_afterwards(
    n_jobs: int, images: ImageStore, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def n_threads() -> list[int]:
        return [cv2.getNumThreads(), *(pool["num_threads"] for pool in threadpool_info())]

    seen = []
    original = measurement.inspect_image
    monkeypatch.setattr(measurement, "inspect_image", lambda *a, **o: seen.append(n_threads()[0]) or original(*a, **o))
    cv2.setNumThreads(2)
    try:
        before = n_threads()
        with parallel_config(backend="threading"):
            measure_images(images, list(files), n_jobs=n_jobs)
        assert n_threads() == before
    finally:
        cv2.setNumThreads(-1)
    assert seen == [1] * len(files)


def test_huge_images_are_measured_at_a_fraction_of_their_size(tmp_path: Path) -> None:
    whole = Image.effect_noise((3000, 2000), 60).convert("RGB")
    whole.save(tmp_path / "whole.bmp")
    whole.reduce(2).save(tmp_path / "half.bmp")
    table = measure_images(ImageStore(tmp_path), ["whole.bmp", "half.bmp"], n_jobs=1)
    assert table["width"].tolist() == [3000, 1500]
    measures = table.drop(columns=["width", "height"])
    assert measures.loc[0].equals(measures.loc[1])


def test_bar_counts_images(images: ImageStore, capsys: pytest.CaptureFixture[str]) -> None:
    measure_images(images, ["0.jpg"] * 65, n_jobs=1, progress=True)
    shown = capsys.readouterr().err
    assert "0/128" in shown  # later figures are shown only if enough time has passed
    assert " images/s" in shown


def test_killed_run_goes_on_where_it_stopped(
    images: ImageStore, files: dict[str, bytes], tmp_path: Path, reads: list[str]
) -> None:
    store = tmp_path / "store"
    command = [sys.executable, "-c", KILLED_RUN, str(images.location), str(store), "130"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    table = measure_images(images, list(files), store=store, n_jobs=1)
    assert reads == [f"{row}.jpg" for row in range(128, 150)]  # two chunks of 64 were finished
    reads.clear()
    pd.testing.assert_frame_equal(measure_images(images, list(files), store=store, n_jobs=1), table)
    assert not reads
    pd.testing.assert_frame_equal(measure_images(images, list(files), n_jobs=1), table)


def test_what_changed_is_measured_again(
    images: ImageStore, tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, store = [f"{row}.jpg" for row in range(65)], tmp_path / "store"
    before = measure_images(images, paths, store=store, n_jobs=1)
    last = images.location / paths[64]
    os.utime(last, ns=(0, 0))
    reads.clear()
    measure_images(images, paths, store=store, n_jobs=1)
    assert reads == paths[64:]
    last.write_bytes(jpeg(1000))
    after = measure_images(images, paths, store=store, n_jobs=1)
    assert np.flatnonzero(before["phash"].fillna("") != after["phash"].fillna("")).tolist() == [64]
    reads.clear()
    monkeypatch.setattr(chunks, "_code", lambda: "a later version")
    measure_images(images, paths, store=store, n_jobs=1)
    assert reads == paths


def test_changed_zip_is_measured_again(images: ImageStore, tmp_path: Path) -> None:
    hashes = []
    for seed in (1, 2):
        with zipfile.ZipFile(tmp_path / "images.zip", "w") as target:
            target.writestr("a.jpg", jpeg(seed))
        os.utime(tmp_path / "images.zip", ns=(seed, seed))
        table = measure_images(ImageStore(tmp_path / "images.zip"), ["a.jpg"], store=tmp_path / "store")
        hashes.append(table["phash"][0])
    assert hashes[0] != hashes[1]


@pytest.mark.parametrize("n_bytes", [0, 100, 2_000])
def test_damaged_chunk_is_measured_again(n_bytes: int, images: ImageStore, tmp_path: Path, reads: list[str]) -> None:
    store = tmp_path / "store"
    table = measure_images(images, ["0.jpg", "7.jpg"], store=store)
    (kept,) = store.iterdir()
    kept.write_bytes(kept.read_bytes()[:n_bytes])
    reads.clear()
    pd.testing.assert_frame_equal(measure_images(images, ["0.jpg", "7.jpg"], store=store), table)
    assert reads == ["0.jpg", "7.jpg"]


def test_store_that_is_a_file_is_named(images: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "store").touch()
    with pytest.raises(DatasetError, match=r"Cannot write .*store.*: (File exists|Not a directory)"):
        measure_images(images, ["0.jpg"], store=tmp_path / "store")
