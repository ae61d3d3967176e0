"""The drawn sample: layout to the byte, consistent truth, determinism, bad images, refusal to overwrite."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

import veriwild_clustering.samples.draw as draw_module
from veriwild_clustering import DatasetError, draw_sample

N_IMAGES = 600
SHAPES = {"efficientnet-b7": 2560, "osnet": 512, "vdc_type": 512, "vdc_color": 128}


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_sample(tmp_path_factory.mktemp("drawn") / "raw_data", n_images=N_IMAGES, random_state=3, n_jobs=1)


@pytest.fixture(scope="session")
def truth(drawn: Path) -> pd.DataFrame:
    return pd.read_csv(drawn / "truth.csv", dtype=str, keep_default_na=False)


@pytest.fixture(scope="session")
def vectors(drawn: Path) -> dict[str, np.ndarray]:
    files = (drawn / "descriptors").iterdir()
    return {path.stem: pickle.loads(path.read_bytes()) for path in files}  # noqa: S301 - written above


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def grey(drawn: Path, path: str) -> np.ndarray:
    with Image.open(drawn / "veriwild" / path) as image:
        return np.asarray(image.convert("L"), dtype=float)


def test_paths_file_to_the_byte(drawn: Path) -> None:
    raw = (drawn / "images_paths.csv").read_bytes()
    header, *lines, end = raw.split(b"\n")
    assert header == b"paths"
    assert end == b""
    assert b"\r" not in raw
    assert len(lines) == N_IMAGES
    assert all(re.fullmatch(rb"veriwild\\(10|[1-9])\\\d{5}\\\d{6}\.jpg", line) for line in lines)
    assert lines[0] == rb"veriwild\1\00001\000001.jpg"


def test_folders_follow_in_listing_order_while_image_numbers_run_over_numeric_folders(truth: pd.DataFrame) -> None:
    parts = truth["path"].str.extract(r"veriwild/(?P<folder>\d+)/(?P<vehicle>\d{5})/(?P<image>\d{6})\.jpg")
    assert parts["folder"].drop_duplicates().tolist() == ["1", "10", "2", "3", "4", "5", "6", "7", "8", "9"]
    in_number_order = parts.astype(int).sort_values("image")
    assert in_number_order["image"].tolist() == list(range(1, N_IMAGES + 1))
    assert in_number_order["folder"].is_monotonic_increasing
    assert in_number_order["vehicle"].is_monotonic_increasing
    assert parts["image"].astype(int).tolist() != list(range(1, N_IMAGES + 1))


def test_images_lie_under_the_doubled_folder_and_open(drawn: Path, truth: pd.DataFrame) -> None:
    listed = (drawn / "images_paths.csv").read_text().replace("\\", "/").splitlines()[1:]
    assert listed == truth["path"].tolist()
    on_disk = {path.relative_to(drawn / "veriwild").as_posix() for path in drawn.rglob("*.jpg")}
    assert on_disk == set(listed)
    for path in listed[::20]:
        with Image.open(drawn / "veriwild" / path) as image:
            assert image.format == "JPEG"
            assert image.mode == "RGB"
            assert all(110 <= side <= 320 for side in image.size)


def test_descriptors_have_the_real_shapes_and_character(vectors: dict[str, np.ndarray]) -> None:
    assert {name: matrix.shape for name, matrix in vectors.items()} == {k: (N_IMAGES, d) for k, d in SHAPES.items()}
    for matrix in vectors.values():
        assert matrix.dtype == np.float32
        assert matrix.min() == 0
        assert np.isfinite(matrix).all()
        assert 0.3 < np.mean(matrix == 0) < 0.8
        positive = matrix[matrix > 0]
        assert positive.max() > 8 * positive.mean()
        variance = np.linalg.svd(matrix - matrix.mean(axis=0), compute_uv=False) ** 2
        assert 0.6 < variance[:50].sum() / variance.sum() < 0.999


def test_vehicle_info_agrees_with_the_truth(drawn: Path, truth: pd.DataFrame) -> None:
    text = (drawn / "train_test_split" / "vehicle_info.txt").read_text()
    assert text.startswith("id/image;Camera ID;Time;Model;Type;Color\n00001/000001;")
    info = pd.read_csv(drawn / "train_test_split" / "vehicle_info.txt", sep=";", dtype=str).set_index("id/image")
    assert info.index.is_monotonic_increasing
    aligned = info.loc[truth["path"].str.extract(r"(\d{5}/\d{6})\.jpg")[0]]
    for column, known in {"Camera ID": "camera", "Time": "time", "Type": "type", "Color": "color"}.items():
        assert aligned[column].tolist() == truth[known].tolist()


def test_a_vehicle_has_one_type_and_one_color_and_every_value_occurs(truth: pd.DataFrame) -> None:
    by_vehicle = truth.groupby("vehicle_id")
    assert len(truth[["vehicle_id", "type", "color"]].drop_duplicates()) == by_vehicle.ngroups
    assert by_vehicle.size().between(1, 12).all()
    assert by_vehicle["camera"].nunique().mean() > 2
    assert truth["vehicle_id"].tolist() == truth["path"].str.split("/").str[2].tolist()
    assert set(truth["view"]) == {"front", "side", "rear"}
    assert set(truth["time_of_day"]) == {"day", "dusk", "night"}
    assert truth["type"].nunique() == 8
    assert truth["color"].nunique() == 10
    assert truth["color"].value_counts().index[0] == "white"


def test_four_in_a_hundred_are_bad_in_five_ways(truth: pd.DataFrame) -> None:
    counts = truth.loc[truth["corruption"] != "", "corruption"].value_counts()
    assert counts.sum() == round(0.04 * N_IMAGES)
    assert set(counts.index) == {"blur", "dark", "glare", "empty", "not a vehicle"}


def test_bad_images_look_bad(drawn: Path, truth: pd.DataFrame) -> None:
    def measured(corruption: str, measure) -> np.ndarray:
        paths = truth.loc[(truth["corruption"] == corruption) & (truth["time_of_day"] == "day"), "path"]
        return np.array([measure(grey(drawn, path)) for path in paths[:40]])

    def sharpness(pixels: np.ndarray) -> float:
        return float(np.percentile(np.abs(ndimage.laplace(ndimage.gaussian_filter(pixels, 1))), 99))

    assert measured("blur", sharpness).max() < np.median(measured("", sharpness))
    assert measured("dark", np.mean).max() < 0.5 * measured("", np.mean).min()
    assert measured("glare", lambda pixels: np.mean(pixels > 245)).min() > 0.01
    assert np.median(measured("empty", np.std)) < np.median(measured("", np.std))


def test_descriptors_follow_what_they_are_meant_to(truth: pd.DataFrame, vectors: dict[str, np.ndarray]) -> None:
    good = (truth["corruption"] == "").to_numpy()

    def purity(name: str, factor: pd.Series) -> float:
        """Share of good images whose nearest image of another vehicle has the same value of the factor."""
        unit = vectors[name][good] / np.linalg.norm(vectors[name][good], axis=1, keepdims=True)
        vehicle, values = truth.loc[good, "vehicle_id"].to_numpy(), factor[good].to_numpy()
        similarity = np.where(vehicle[:, None] == vehicle, -1, unit @ unit.T)
        return float(np.mean(values[similarity.argmax(axis=1)] == values))

    def chance(factor: pd.Series) -> float:
        return float((factor[good].value_counts(normalize=True) ** 2).sum())

    seen = truth["type"] + " " + truth["view"]
    assert purity("vdc_type", seen) > 0.8
    assert purity("vdc_color", truth["color"]) > 0.75
    assert purity("efficientnet-b7", truth["camera"]) > 0.5
    assert purity("vdc_type", truth["color"]) < chance(truth["color"]) + 0.15
    assert purity("vdc_color", seen) < chance(seen) + 0.15
    assert purity("efficientnet-b7", truth["type"]) < purity("vdc_type", truth["type"]) - 0.2


def test_two_images_of_one_vehicle_are_closer(truth: pd.DataFrame, vectors: dict[str, np.ndarray]) -> None:
    good = (truth["corruption"] == "").to_numpy()
    vehicle = truth.loc[good, "vehicle_id"].to_numpy()
    same = (vehicle[:, None] == vehicle) & ~np.eye(len(vehicle), dtype=bool)
    for matrix in vectors.values():
        unit = matrix[good] / np.linalg.norm(matrix[good], axis=1, keepdims=True)
        distance = 1 - unit @ unit.T
        assert distance[same].mean() < distance[vehicle[:, None] != vehicle].mean()


def test_bad_images_fall_away_from_the_rest(truth: pd.DataFrame, vectors: dict[str, np.ndarray]) -> None:
    """The vectors of good images are near their typical direction, those of most bad ones are not."""
    bad = (truth["corruption"] != "").to_numpy()
    for matrix in vectors.values():
        unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        nearest = np.sort(unit @ unit.T, axis=1)[:, -6]
        assert np.median(nearest[bad]) < np.percentile(nearest[~bad], 20)
        dark = (truth["corruption"] == "dark").to_numpy()
        norms = np.linalg.norm(matrix, axis=1)
        assert np.median(norms[dark]) < 0.7 * np.median(norms[~bad])


def test_origin_says_drawn_and_simulated(drawn: Path) -> None:
    text = (drawn / "origin.txt").read_text()
    assert all(word in text for word in ("drawn", "simulated", "600", "random_state=3"))


def test_same_seed_same_bytes_whatever_n_jobs_is(tmp_path: Path) -> None:
    one = contents(draw_sample(tmp_path / "one", n_images=60, random_state=5, n_jobs=1))
    two = contents(draw_sample(tmp_path / "two", n_images=60, random_state=5, n_jobs=2))
    other = contents(draw_sample(tmp_path / "other", n_images=60, random_state=6, n_jobs=1))
    assert one == two
    assert one["descriptors/osnet.pickle"] != other["descriptors/osnet.pickle"]
    assert one["truth.csv"] != other["truth.csv"]


@pytest.mark.parametrize("n_images", [50, 61])
def test_small_samples_are_complete(tmp_path: Path, n_images: int) -> None:
    folder = draw_sample(tmp_path / "raw_data", n_images=n_images, n_jobs=1)
    truth = pd.read_csv(folder / "truth.csv", keep_default_na=False)
    assert len(truth) == n_images
    assert truth["type"].nunique() == 8
    assert truth["color"].nunique() == 10
    assert truth.loc[truth["corruption"] != "", "corruption"].nunique() == 5


def test_readme_is_kept_and_data_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "raw_data"
    folder.mkdir()
    (folder / "README.md").write_text("the expected tree")
    draw_sample(folder, n_images=50, n_jobs=1)
    assert (folder / "README.md").read_text() == "the expected tree"
    before = contents(folder)
    with pytest.raises(DatasetError, match=r"already holds images_paths\.csv, .*never overwrites data"):
        draw_sample(folder, n_images=50, random_state=1, n_jobs=1)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["raw_data"]


def test_an_interrupted_run_leaves_nothing_and_a_second_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(draw_module, "_write_tables", interrupt)
        with pytest.raises(KeyboardInterrupt):
            draw_sample(tmp_path / "raw_data", n_images=50, n_jobs=1)
    assert list(tmp_path.iterdir()) == []
    leftover = tmp_path / ".raw_data.unfinished"
    leftover.mkdir()
    (leftover / "images_paths.csv").write_text("half")
    draw_sample(tmp_path / "raw_data", n_images=50, n_jobs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["raw_data"]


def test_unusable_targets_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="is a file, not a folder"):
        draw_sample(tmp_path / "file", n_images=50)
    with pytest.raises(DatasetError, match=r"Cannot write the drawn sample to .*Choose a writable folder"):
        draw_sample(tmp_path / "file" / "raw_data", n_images=50)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_images": 49}, ValueError, r"`n_images` must be an int in \[50, inf\)\. Got 49 instead\."),
        ({"n_images": 100.0}, TypeError, r"`n_images` must be an int in \[50, inf\)\. Got 100\.0 instead\."),
        ({"random_state": -1}, ValueError, r"`random_state` must be an int in \[0, inf\)\. Got -1 instead\."),
    ],
)
def test_parameters_are_checked(tmp_path: Path, arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        draw_sample(tmp_path / "raw_data", **arguments)
    assert list(tmp_path.iterdir()) == []
