"""Images into descriptors: rows, unreadable images, one decoding, resuming after a kill with the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from veriwild_clustering import Dataset, DatasetError, ImageStore, extract, find_images
from veriwild_clustering.descriptors.extraction import decoding, journal
from veriwild_clustering.images.preparation.prepare import Prepared

ROOT = Path(__file__).resolve().parents[2]
N_IMAGES = 21
BROKEN = {5: "unreadable", 6: "empty", 13: "truncated"}


class MeanColor:
    """Mean colour, repeated; knows how many images it saw, and fails or stops when told."""

    n_features = 6

    def __init__(self, name: str = "mean-color", *, stop_after: int | None = None, **params: Any) -> None:
        self.name, self.params, self.n_seen, self._stop_after = name, params, 0, stop_after

    def __call__(self, images: Sequence[np.ndarray]) -> np.ndarray:
        if self._stop_after is not None and self.n_seen >= self._stop_after:
            raise KeyboardInterrupt
        self.n_seen += len(images)
        return np.array([np.tile(image.mean(axis=(0, 1)), 2) for image in images], dtype=np.float64)


class MeanColorOfNoLength(MeanColor):
    n_features = 0


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for row in range(N_IMAGES):
        size = (20 + row, 16, 3)
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(folder / f"{row}.jpg")
    (folder / "5.jpg").write_bytes(b"no image")
    (folder / "6.jpg").write_bytes(b"")
    (folder / "13.jpg").write_bytes((folder / "13.jpg").read_bytes()[:-200])
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("[!.]*")}


def test_row_is_image(images: Path, tmp_path: Path) -> None:
    model = MeanColor(kind="test")
    made = extract(images, [model], folder=tmp_path / "out", batch_size=4)
    vectors, valid = made.descriptors["mean-color"].vectors, made.descriptors["mean-color"].valid
    for row in range(N_IMAGES):
        if row in BROKEN:
            assert not valid[row]
            assert np.isnan(vectors[row]).all()
        else:
            pixels = np.asarray(Image.open(images / f"{row}.jpg").convert("RGB"))
            np.testing.assert_allclose(vectors[row], np.tile(pixels.mean(axis=(0, 1)), 2), rtol=1e-6)
    assert made.table["path"].tolist() == [f"{row}.jpg" for row in range(N_IMAGES)]
    assert made.table["image_status"].tolist() == [BROKEN.get(row, "ok") for row in range(N_IMAGES)]
    assert made.table["height"].drop([*BROKEN]).tolist() == [20 + row for row in range(N_IMAGES) if row not in BROKEN]
    assert made.table["has_mean-color"].tolist() == valid.tolist()
    assert made.descriptors["mean-color"].params["kind"] == "test"
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "mean-color.npy"), vectors)
    dataset = made.dataset(origin="test")
    assert (len(dataset), dataset.names) == (N_IMAGES, ["mean-color"])


@pytest.mark.parametrize("batch_size", [1, 8, 10, 1000])
def test_vectors_do_not_depend_on_batches(images: Path, tmp_path: Path, batch_size: int) -> None:
    expected = extract(images, [MeanColor()], folder=tmp_path / "a", batch_size=4).descriptors["mean-color"]
    found = extract(images, [MeanColor()], folder=tmp_path / "b", batch_size=batch_size, n_jobs=1)
    np.testing.assert_array_equal(found.descriptors["mean-color"].vectors, expected.vectors)


def test_images_are_decoded_once_for_all_models(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = decoding.inspect_image
    monkeypatch.setattr(decoding, "inspect_image", lambda *a, **o: read.append(a[1]) or original(*a, **o))
    made = extract(images, [MeanColor("a"), MeanColor("b")], folder=tmp_path / "out")
    assert sorted(read) == sorted(made.table["path"])
    np.testing.assert_array_equal(made.descriptors["a"].vectors, made.descriptors["b"].vectors)


def test_what_is_there_is_not_made_again(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    extract(images, [MeanColor("a")], folder=out)
    again, new = MeanColor("a"), MeanColor("b")
    made = extract(images, [again, new], folder=out)
    assert (again.n_seen, new.n_seen) == (0, N_IMAGES - len(BROKEN))
    assert list(made.table.filter(like="has_")) == ["has_a", "has_b"]
    assert list(extract(images, [MeanColor("a")], folder=out).table.filter(like="has_")) == ["has_a"]


@pytest.mark.parametrize("change", ["file", "params", "batch", "preparation"])
def test_changed_input_starts_anew(images: Path, tmp_path: Path, change: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        extract(images, [MeanColor(stop_after=8)], folder=out, batch_size=4)
    options: dict[str, Any] = {"batch_size": 5 if change == "batch" else 4}
    if change == "preparation":
        options["preparation"] = SmallerHalf()
    if change == "file":
        Image.new("RGB", (9, 9)).save(images / "0.jpg")
    model = MeanColor(version=2) if change == "params" else MeanColor()
    made = extract(images, [model], folder=out, **options)
    fresh = extract(images, [MeanColor()], folder=tmp_path / "fresh", **options)
    assert model.n_seen == N_IMAGES - len(BROKEN)
    np.testing.assert_array_equal(made.descriptors["mean-color"].vectors, fresh.descriptors["mean-color"].vectors)


def test_interrupted_run_goes_on(images: Path, tmp_path: Path) -> None:
    extract(images, [MeanColor()], folder=tmp_path / "whole", batch_size=4)
    with pytest.raises(KeyboardInterrupt):
        extract(images, [MeanColor(stop_after=8)], folder=tmp_path / "out", batch_size=4)
    assert not (tmp_path / "out" / "mean-color.npy").exists()
    rest = MeanColor()
    extract(images, [rest], folder=tmp_path / "out", batch_size=4)
    assert rest.n_seen == N_IMAGES - len(BROKEN) - 10  # rows 0 to 11 were done, two of them broken
    assert files(tmp_path / "out") == files(tmp_path / "whole")


# Extracts in batches of 4 and kills its own process, as nobody can catch, at a given system call.
KILLED_RUN = """
import os, signal, sys
from pathlib import Path
from veriwild_clustering import extract
from veriwild_clustering.descriptors.extraction import journal, results

class MeanColor:
    name, n_features, params = "mean-color", 6, {}
    def __call__(self, images):
        import numpy as np
        return np.array([np.tile(image.mean(axis=(0, 1)), 2) for image in images])

images, out, where = sys.argv[1:]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

journal._SECONDS = 0
if where == "write":
    original = journal.Journal.write
    journal.Journal.write = lambda self, rows, *rest: die() if rows.start == 12 else original(self, rows, *rest)
elif where == "table":
    results.pd.DataFrame.to_parquet = die
elif where == "remove":
    results.shutil.rmtree = die
extract(images, [MeanColor()], folder=out, batch_size=4)
"""


@pytest.mark.parametrize(("where", "n_left"), [("write", 8), ("table", 0), ("remove", 0)])
def test_killed_run_ends_with_the_same_bytes(images: Path, tmp_path: Path, where: str, n_left: int) -> None:
    out = tmp_path / "out"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_RUN, images, out, where], cwd=ROOT, check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    if where == "write":
        with (out / journal.FOLDER / "records.jsonl").open("ab") as records:
            records.write(b'[20, 16, "o')  # half a line, as a full disk leaves it
    rest = MeanColor()
    made = extract(images, [rest], folder=out, batch_size=4)
    assert rest.n_seen == n_left
    assert made.table["image_status"].tolist() == [BROKEN.get(row, "ok") for row in range(N_IMAGES)]
    extract(images, [MeanColor()], folder=tmp_path / "whole", batch_size=4)
    assert files(out) == files(tmp_path / "whole")


def test_full_disk_is_told_before_any_work(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(journal.os, "posix_fallocate", full)
    model = MeanColor()
    with pytest.raises(DatasetError, match=r"Cannot write .*: No space left on device"):
        extract(images, [model], folder=tmp_path / "out")
    assert model.n_seen == 0
    monkeypatch.undo()
    assert extract(images, [model], folder=tmp_path / "out").descriptors["mean-color"].n_valid == N_IMAGES - 3


class SmallerHalf:
    """Cuts out the left half; its box is in pixels of what it was given."""

    params = {"half": "left"}  # noqa: RUF012

    def __call__(self, images: Sequence[np.ndarray]) -> list[Prepared]:
        made = []
        for image in images:
            height, width = image.shape[:2]
            left = np.ascontiguousarray(image[:, : width // 2])
            box = (0.0, 0.0, width / 2, float(height))
            made.append(Prepared(image=left, box=box, box_label="car", box_confidence=0.5, reason="cut"))
        return made


def test_preparation_is_recorded(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.effect_noise((400, 200), 80).convert("RGB").save(images / "0.jpg")
    monkeypatch.setattr(decoding, "MAX_PIXELS", 20_000)  # the first image is seen at half its size
    made = extract(images, [MeanColor()], folder=tmp_path / "out", preparation=SmallerHalf())
    table = made.table
    assert table.loc[0, ["box_left", "box_top", "box_right", "box_bottom"]].tolist() == [0, 0, 200, 200]
    assert table.loc[1, "box_label"] == "car"
    assert table["upscaled"].dtype == bool
    assert table.loc[list(BROKEN), ["box_left", "box_label", "preparation"]].isna().all(axis=None)
    assert made.descriptors["mean-color"].params["preparation"] == {"half": "left"}
    pixels = np.asarray(Image.open(images / "1.jpg"))[:, :8]
    np.testing.assert_allclose(made.descriptors["mean-color"].vectors[1, :3], pixels.mean(axis=(0, 1)), rtol=1e-6)


def test_large_images_come_in_smaller_groups(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, paths = find_images(images)
    whole = list(decoding.decoded_groups(store, paths, start=8, batch_size=16, n_threads=2))
    assert [(rows.start, rows.stop) for rows, _ in whole] == [(8, 16), (16, 21)]
    monkeypatch.setattr(decoding, "_GROUP_BYTES", 1)
    monkeypatch.setattr(decoding, "_AHEAD_BYTES", 1)
    parts = list(decoding.decoded_groups(store, paths, start=0, batch_size=16, n_threads=2))
    assert [(rows.start, rows.stop) for rows, _ in parts] == [(0, 8), (8, 16), (16, 21)]
    assert [len(group) for _, group in parts] == [8, 8, 5]


def test_nothing_readable_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image")
    model = MeanColor()
    made = extract((ImageStore(tmp_path), ["a.jpg", "lost.jpg"]), [model], folder=tmp_path / "out")
    assert made.table["image_status"].tolist() == ["unreadable", "missing"]
    assert (made.descriptors["mean-color"].n_valid, model.n_seen) == (0, 0)


def test_dataset_is_a_source(images: Path, tmp_path: Path) -> None:
    dataset = extract(images, [MeanColor()], folder=tmp_path / "a").dataset()
    made = extract(dataset.take([3, 1]), [MeanColor()], folder=tmp_path / "b")
    np.testing.assert_array_equal(made.descriptors["mean-color"].vectors, dataset["mean-color"].vectors[[3, 1]])
    with pytest.raises(DatasetError, match="holds no image"):
        extract(Dataset(dataset.images[:0], image_store=dataset.image_store), [MeanColor()], folder=tmp_path / "c")
    with pytest.raises(DatasetError, match="does not know where its image files lie"):
        extract(Dataset(dataset.images), [MeanColor()], folder=tmp_path / "c")


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["osnet"], "Unknown model 'osnet'. Did you mean 'osnet-x1-0' or 'osnet-x0-25'"),
        (["efficientnet_b7"], "Did you mean 'efficientnet-b7'"),
        (["yolox-nano"], "makes no vector of an image"),
        ([], "must be a list of names"),
        ("hog", "must be a list of names"),
        ([MeanColor("a"), MeanColor("A")], "each model once"),
        ([MeanColor("../a")], "has only letters"),
        ([MeanColorOfNoLength()], "n_features of mean-color` must be an int"),
        ([SimpleNamespace(name="b", n_features=3, params={})], "callable"),
    ],
)
def test_bad_models_are_refused(images: Path, tmp_path: Path, models: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        extract(images, models, folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_vectors_of_another_length_are_refused(images: Path, tmp_path: Path) -> None:
    model = MeanColor()
    model.n_features = 4
    with pytest.raises(ValueError, match=r"must return vectors of shape \(18, 4\)"):
        extract(images, [model], folder=tmp_path / "out")


@pytest.mark.real
def test_network_gives_the_vectors_of_the_case(real_raw_data: Path, real_models: Path, tmp_path: Path) -> None:
    import pandas as pd

    paths = find_images(real_raw_data / "veriwild")[1][:40]
    store = ImageStore(real_raw_data / "veriwild")
    made = extract((store, paths), ["osnet-x0-25"], folder=tmp_path / "out", model_folder=real_models, batch_size=16)
    expected = pd.read_pickle(real_raw_data / "descriptors" / "osnet.pickle")  # noqa: S301
    listed = pd.read_csv(real_raw_data / "images_paths.csv")["paths"].str.replace("\\", "/").str.rsplit("/", n=1).str[1]
    rows = listed.reset_index().set_index("paths")["index"][[Path(path).name for path in paths]]
    ours, theirs = made.descriptors["osnet-x0-25"].vectors, np.asarray(expected)[rows]
    cosine = (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosine.min() >= 0.9999
