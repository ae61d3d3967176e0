"""A dataset made of images alone, `create-dataset --pictures … --models …`: no vectors, not VeRi-Wild's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from veriwild_clustering import Dataset, leaderboard, sweep
from veriwild_clustering.apps.cli import main
from veriwild_clustering.core.storage.atomic import only_run
from veriwild_clustering.descriptors.extraction import decoding, embedders
from veriwild_clustering.images import inspection


class MeanColor:
    name, n_features, params = "mean-color", 3, {"kind": "test"}

    def __call__(self, images: list[np.ndarray]) -> np.ndarray:
        return np.array([image.mean(axis=(0, 1)) for image in images], dtype=np.float32)


@pytest.fixture(autouse=True)
def mean_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedders, "HANDCRAFTED", {"mean-color": MeanColor()})


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for row in range(12):
        file = folder / ("cars" if row < 6 else "a/b") / f"{row}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(128 * (row >= 6), 128 + 127 * (row >= 6), (48, 64, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(file)
    (folder / "cars" / "5.jpg").write_bytes(b"no image")
    return folder


def create(tmp_path: Path, source: Path, *options: str) -> int:
    output = str(tmp_path / "transport_dataset.csv")
    return main(["create-dataset", "--pictures", str(source), "--output", output, "--jobs", "1", *options])


def test_folder_becomes_a_dataset(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert create(tmp_path, images, "--models", "mean-color") == 0
    shown = capsys.readouterr().out
    assert "12 images\n" in shown
    assert "mean-color: 3 features, 11 usable rows" in shown
    dataset = Dataset.open(tmp_path / "transport_dataset.csv")
    table = dataset.images
    assert table["path"].tolist() == [
        *(f"a/b/{row}.jpg" for row in range(6, 12)),
        *(f"cars/{row}.jpg" for row in range(6)),
    ]
    assert table["folder"].tolist() == ["a/b"] * 6 + ["cars"] * 6
    assert table["vehicle_id"].isna().all()
    assert table.loc[11, "image_status"] == "unreadable"
    assert not dataset["mean-color"].valid[11]
    assert dataset["mean-color"].params["kind"] == "test"
    assert dataset.image_store is not None
    assert "vehicles" not in dataset._repr_html_()
    assert {file.name for file in tmp_path.iterdir()} == {"photos", "transport_dataset", "transport_dataset.csv"}
    partitions = sweep(dataset["mean-color"], {"kmeans": {"n_clusters": [2]}}, random_state=0)
    board = leaderboard(partitions, groups=table["vehicle_id"])
    assert len(board.table if hasattr(board, "table") else board) == 1
    assert len(set(partitions[0].labels[:6])) == 1


def test_list_brings_its_attributes(images: Path, tmp_path: Path) -> None:
    listed = images / "list.csv"
    listed.write_text("path,vehicle_id,type\ncars/1.jpg,7,car\na/b/8.jpg,7,bus\n")
    assert create(tmp_path, listed, "--models", "mean-color", "--no-measures") == 0
    table = Dataset.open(tmp_path / "transport_dataset.csv").images
    assert table[["path", "vehicle_id", "type"]].to_numpy().tolist() == [
        ["cars/1.jpg", "7", "car"],
        ["a/b/8.jpg", "7", "bus"],
    ]


def test_images_are_decoded_once_without_measures(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = decoding.inspect_image
    monkeypatch.setattr(decoding, "inspect_image", lambda *a, **o: read.append(a[1]) or original(*a, **o))
    monkeypatch.setattr(inspection, "inspect_image", lambda *a, **o: read.append(a[1]) or original(*a, **o))
    assert create(tmp_path, images, "--models", "mean-color", "--no-measures") == 0
    table = Dataset.open(tmp_path / "transport_dataset.csv").images
    assert sorted(read) == sorted(table["path"])
    assert table.loc[0, ["width", "height", "image_status"]].tolist() == [64, 48, "ok"]


@pytest.mark.parametrize("measures", [[], ["--no-measures"]])
def test_preparation_is_in_the_table(images: Path, tmp_path: Path, measures: list[str]) -> None:
    Image.new("RGB", (200, 150)).save(images / "cars" / "0.jpg")
    Image.new("RGB", (28, 20)).save(images / "a" / "b" / "8.jpg")
    assert create(tmp_path, images, "--models", "mean-color", "--upscale", "bicubic", *measures) == 0
    dataset = Dataset.open(tmp_path / "transport_dataset.csv")
    table = dataset.images.set_index("path")
    assert table["upscaled"].dtype == bool
    assert table["upscaled"].loc[["a/b/8.jpg", "cars/0.jpg", "cars/5.jpg"]].tolist() == [True, False, False]
    assert table.loc["a/b/8.jpg", "preparation"] == "upscaled 3 times: 28 x 20 pixels"
    assert ("sharpness" in table) == (not measures)
    assert dataset["mean-color"].params["preparation"]["upscaler"]["model"] == "bicubic"


def test_background_is_removed_before_images_are_described(images: Path, tmp_path: Path) -> None:
    scene = np.full((60, 80, 3), 100, np.uint8)
    scene[15:45, 15:65] = (180, 20, 30)
    Image.fromarray(scene).save(images / "cars" / "car.png")
    assert create(tmp_path, images, "--models", "mean-color", "--mask", "grabcut", "--no-measures") == 0
    dataset = Dataset.open(tmp_path / "transport_dataset.csv")
    table = dataset.images.set_index("path")
    share = 30 * 50 / (60 * 80)
    assert table.loc["cars/car.png", "foreground_share"] == pytest.approx(share)
    assert table.loc["cars/car.png", "preparation"] == "background removed: 31% left"
    assert np.isnan(table.loc["cars/5.jpg", "foreground_share"])  # it cannot be read
    expected = share * np.array([180, 20, 30]) + (1 - share) * np.array([124, 116, 104])
    vectors = dataset["mean-color"].vectors[table.index.get_loc("cars/car.png")]
    np.testing.assert_allclose(vectors, expected, atol=0.01)
    assert dataset["mean-color"].params["preparation"]["masker"]["model"] == "grabcut"


def test_second_run_is_refused(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with only_run(tmp_path / ".transport_dataset.unfinished", target=tmp_path):
        assert create(tmp_path, images, "--models", "mean-color") == 2
    assert "Another run is writing" in capsys.readouterr().err
    assert create(tmp_path, images, "--models", "mean-color") == 0


def test_dataset_of_one_image_replaces_another(images: Path, tmp_path: Path) -> None:
    assert create(tmp_path, images, "--models", "mean-color") == 0
    listed = images / "list.csv"
    listed.write_text("\ufefffile\ncars\\1.jpg\n", encoding="utf-8")
    assert create(tmp_path, listed, "--models", "mean-color") == 0
    assert Dataset.open(tmp_path / "transport_dataset.csv").images["path"].tolist() == ["cars/1.jpg"]


def test_veriwilds_names_say_which_vehicle(images: Path, tmp_path: Path) -> None:
    for row, name in enumerate(["1/00007/000001.jpg", "1/00007/000002.jpg", "2/00008/000003.jpg"]):
        file = tmp_path / "veriwild" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((images / f"cars/{row}.jpg").read_bytes())
    assert create(tmp_path, tmp_path / "veriwild", "--models", "mean-color", "--no-measures") == 0
    assert Dataset.open(tmp_path / "transport_dataset.csv").images["vehicle_id"].tolist() == ["00007", "00007", "00008"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--pictures and --models go together"),
        (["--models", "mean-colour"], "Did you mean 'mean-color'"),
        (["--models", "mean-color", "--sample"], "--sample draws images of its own"),
        (["--models", "mean-color", "--no-images"], "--no-images leaves nothing"),
        (["--models", "mean-color", "--output", "photos.csv"], "would put its vectors into the raw data"),
        (["--models", "mean-color", "--descriptor", "own=lost.npy"], "'own' does not exist"),
        (["--models", "mean-color", "--descriptor", "mean-color=photos/cars/1.jpg"], "Two files claim"),
        (["--models", "mean-color", "--output", "table.txt"], "must be a name that ends in .csv"),
    ],
)
def test_bad_input_is_one_line(
    images: Path, tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("veriwild_clustering.apps.create_dataset._draw", pytest.fail)
    monkeypatch.setattr(MeanColor, "__call__", pytest.fail)
    assert create(tmp_path, images, *options) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["photos"]


def test_network_in_a_file_of_ones_own_makes_vectors(images: Path, tmp_path: Path) -> None:
    network = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["": 17]>
        mean (float[N, 3, 16, 8] image) => (float[N, 3, 1, 1] color) { color = GlobalAveragePool (image) }""")
    onnx.save(network, tmp_path / "own.onnx")
    options = ["--model", str(tmp_path / "own.onnx"), "--input", "16x8", "--mean", "0.5", "0.5", "0.5"]
    assert create(tmp_path, images, *options, "--std", "0.5", "0.5", "0.5", "--no-measures") == 0
    dataset = Dataset.open(tmp_path / "transport_dataset.csv")
    dark, light = (dataset["own"].vectors[rows].mean() for rows in (slice(6, 11), slice(0, 6)))
    np.testing.assert_allclose([dark, light], [64 / 127.5 - 1, 191 / 127.5 - 1], atol=0.05)
