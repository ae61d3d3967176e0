"""A descriptor trained on one's own images: losses, resuming, held-out groups, the exported file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from veriwild_clustering import (
    Dataset,
    DatasetError,
    ImageStore,
    TrainedDescriptor,
    fit_autoencoder,
    locate_raw_data,
    read_image,
)
from veriwild_clustering.descriptors.training.checkpoints import CHECKPOINT
from veriwild_clustering.images.models.catalog import user_model
from veriwild_clustering.images.models.inputs import image_batch
from veriwild_clustering.images.models.networks import open_network

torch = pytest.importorskip("torch")
SMALL = {"n_features": 6, "size": 32, "batch_size": 8, "random_state": 3}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """More threads than cores that are free make small convolutions many times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """Discs and bars of two brightnesses, 36 images of four kinds, of several sizes."""
    rng = np.random.default_rng(0)
    drawn = []
    for i in range(36):
        height, width = rng.integers(30, 50, 2)
        y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
        shape = np.hypot(x - 0.5, y - 0.5) < 0.3 if i % 2 else np.abs(y - 0.5) < 0.15
        level = 40 + 120 * (i // 2 % 2)
        pixels = level + 60 * shape[..., None] + rng.normal(0, 4, (height, width, 3))
        drawn.append(pixels.clip(0, 255).astype(np.uint8))
    return drawn


@pytest.fixture(scope="module")
def dataset(images: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The images as files, three per vehicle, and one broken file."""
    folder = tmp_path_factory.mktemp("drawn")
    paths = [f"{i:03d}.png" for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(folder / path)
    (folder / "broken.png").write_bytes(b"not an image")
    table = pd.DataFrame({"path": [*paths, "broken.png"], "vehicle_id": [str(i // 3) for i in range(len(paths) + 1)]})
    return Dataset(table, image_store=ImageStore(folder))


@pytest.fixture(scope="module")
def trained(dataset: Dataset) -> TrainedDescriptor:
    return fit_autoencoder(dataset, epochs=4, **SMALL)


def test_loss_falls_and_broken_images_are_named(trained: TrainedDescriptor) -> None:
    losses = trained.history["train_loss"]
    assert losses.iloc[-1] < 0.8 * losses.iloc[0]
    assert trained.history["epoch"].tolist() == [1, 2, 3, 4]
    assert (trained.n_images, trained.unreadable) == (36, ("broken.png",))
    assert trained.history["validation_loss"].min() == trained.history["validation_loss"][trained.best_epoch - 1]


@pytest.mark.parametrize("loss", ["mse", "mae", "perceptual"])
def test_every_loss_is_zero_for_the_image_itself_and_has_a_gradient_elsewhere(loss: str) -> None:
    from veriwild_clustering.descriptors.training.losses import LOSSES

    image = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert LOSSES[loss](image, image).item() == pytest.approx(0, abs=1e-6)
    opposite = (-image).requires_grad_()
    far = LOSSES[loss](opposite, image)
    far.backward()
    assert far.item() > LOSSES[loss](0.5 * image, image).item() > 0
    assert opposite.grad is not None
    assert (opposite.grad != 0).float().mean() > 0.9


@pytest.mark.parametrize("loss", ["mse", "mae", "perceptual"])
def test_negative_of_an_image_is_worse_than_none(loss: str) -> None:
    from veriwild_clustering.descriptors.training.losses import LOSSES

    image = 0.4 * torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    image[..., :16] += 1
    image[..., 16:] -= 1
    assert LOSSES[loss](-image, image) > LOSSES[loss](torch.zeros_like(image), image)


def test_structural_similarity_is_that_of_its_definition() -> None:
    from veriwild_clustering.descriptors.training.losses import structural_similarity

    rng = np.random.default_rng(0)
    first = rng.normal(size=(2, 3, 20, 24))
    second = first + rng.normal(0, 0.5, first.shape)

    def blur(x: np.ndarray) -> np.ndarray:
        inside = gaussian_filter(x, 1.5, axes=(2, 3), radius=3)
        return inside[:, :, 3:-3, 3:-3]

    a, b = blur(first), blur(second)
    va, vb, covariance = blur(first**2) - a**2, blur(second**2) - b**2, blur(first * second) - a * b
    c1, c2 = 0.04**2, 0.12**2
    expected = (2 * a * b + c1) * (2 * covariance + c2) / ((a**2 + b**2 + c1) * (va + vb + c2))
    found = structural_similarity(torch.from_numpy(first), torch.from_numpy(second), data_range=4.0)
    np.testing.assert_allclose(found.numpy(), expected.mean((1, 2, 3)), rtol=1e-6)


def test_training_repeats_and_leaves_the_state_of_torch(dataset: Dataset, trained: TrainedDescriptor) -> None:
    torch.manual_seed(11)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    again = fit_autoencoder(dataset, epochs=4, **SMALL)
    again.embed([np.zeros((32, 32, 3), np.uint8)])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert_same(again, trained)
    other = fit_autoencoder(dataset, epochs=1, **SMALL | {"random_state": 4})
    assert other.history["train_loss"][0] != trained.history["train_loss"][0]


@pytest.mark.parametrize("interruption", ["between", "within"])
def test_interrupted_training_ends_as_if_it_had_not_been(
    dataset: Dataset,
    trained: TrainedDescriptor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interruption: str,
) -> None:
    from veriwild_clustering.descriptors.training.epochs import Training

    step, n_steps = Training._step, iter(range(1000))
    stop = {"between": 8, "within": 10}[interruption]  # an epoch has four steps

    def interrupted(self: Training, *args: object) -> float:
        if next(n_steps) == stop:
            raise KeyboardInterrupt
        return step(self, *args)

    monkeypatch.setattr(Training, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_autoencoder(dataset, epochs=4, folder=tmp_path, **SMALL)
    monkeypatch.undo()
    assert len(torch.load(tmp_path / CHECKPOINT, weights_only=True)["history"]) == 2
    resumed = fit_autoencoder(dataset, epochs=4, folder=tmp_path, **SMALL)
    assert_same(resumed, trained)
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]
    finished = fit_autoencoder(dataset, epochs=4, folder=tmp_path, **SMALL)  # nothing is left to do
    pd.testing.assert_frame_equal(finished.history, resumed.history)


def test_checkpoint_of_another_training_and_damaged_one_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    fit_autoencoder(dataset, epochs=1, folder=tmp_path, **SMALL)
    with pytest.raises(
        DatasetError, match=r"epochs was 1 and is 2, loss was 'mse' and is 'mae'|loss was .* epochs was"
    ):
        fit_autoencoder(dataset, epochs=2, loss="mae", folder=tmp_path, **SMALL)
    (tmp_path / CHECKPOINT).write_bytes((tmp_path / CHECKPOINT).read_bytes()[:500])
    with pytest.raises(DatasetError, match=r"is damaged, .*Remove it to train from the start"):
        fit_autoencoder(dataset, epochs=1, folder=tmp_path, **SMALL)


def test_training_stops_early_and_keeps_the_best_epoch(dataset: Dataset) -> None:
    noisy = SMALL | {"learning_rate": 0.3}  # far too high: the loss jumps
    stopped = fit_autoencoder(dataset, epochs=12, patience=1, **noisy)
    losses = stopped.history["validation_loss"].to_numpy()
    assert len(losses) < 12
    assert stopped.best_epoch == len(losses) - 1 == int(np.argmin(losses)) + 1


def test_training_that_diverges_says_what_to_do(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    from veriwild_clustering.descriptors.training.epochs import Training

    monkeypatch.setattr(Training, "_step", lambda *_: float("nan"))
    with pytest.raises(ValueError, match=r"diverged in epoch 1: .* Lower `learning_rate`, now 0\.002"):
        fit_autoencoder(dataset, epochs=1, **SMALL)


def test_a_vehicle_is_trained_on_or_held_out(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    from veriwild_clustering.descriptors.training.epochs import Training

    parts = []
    monkeypatch.setattr(Training, "run", lambda self, *_, **__: parts.append((self.train, self.validation)))
    vehicles = dataset.images["vehicle_id"].to_numpy()
    with pytest.raises(KeyError):  # no epoch, no history
        repr(fit_autoencoder(dataset, validation_fraction=0.3, **SMALL))
    [(train, validation)] = parts
    assert sorted([*train, *validation]) == list(range(36))
    assert not set(vehicles[train]) & set(vehicles[validation])
    assert len(set(vehicles[validation])) == 4


def test_exported_file_gives_the_same_vectors(
    trained: TrainedDescriptor, images: list[np.ndarray], tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model = trained.export(tmp_path / "own.onnx")
    assert model.input is not None
    assert (model.name, model.task, model.n_features) == ("own", "embedding", 6)
    session = onnxruntime.InferenceSession(tmp_path / "own.onnx", providers=["CPUExecutionProvider"])
    batch = image_batch(images, model.input)
    vectors = trained.embed(images)
    assert model == user_model(tmp_path / "own.onnx", size=77, color="BGR")  # the file knows better
    np.testing.assert_allclose(open_network(model, provider="cpu").embed(images), vectors, rtol=1e-5, atol=1e-5)
    assert vectors.shape == (36, 6)
    np.testing.assert_allclose(session.run(None, {"images": batch})[0], vectors, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(session.run(None, {"images": batch[:1]})[0], vectors[:1], rtol=1e-5, atol=1e-5)
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["veriwild.params"]) == trained.params
    assert [file.name for file in tmp_path.iterdir()] == ["own.onnx"]


def test_vector_does_not_see_exposure(trained: TrainedDescriptor, images: list[np.ndarray]) -> None:
    image = images[1]
    darker = (image * 0.6).astype(np.uint8)
    one, dark, other = trained.embed([image, darker, images[2]])
    assert np.linalg.norm(one - dark) < 0.2 * np.linalg.norm(one - other)


def test_reconstruction_shows_before_and_after(trained: TrainedDescriptor, images: list[np.ndarray]) -> None:
    pairs = trained.reconstruct(images[:3])
    assert (pairs.shape, pairs.dtype) == ((3, 2, 32, 32, 3), np.uint8)
    assert np.abs(pairs[:, 0].mean((1, 2)) - 127.5).max() < 2
    assert trained.reconstruct([]).shape == (0, 2, 32, 32, 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 40}, "`size` must be a multiple of 16"),
        ({"size": 16}, r"`size` must be an int in \[32"),
        ({"loss": "l2"}, "`loss` must be one of 'mse', 'mae', 'perceptual'"),
        ({"epochs": 0}, "`epochs` must be an int"),
        ({"learning_rate": 0.0}, "`learning_rate` must be a number"),
        ({"groups": [1, 2]}, r"`groups` must have one entry per image, shape \(37,\)"),
        ({"groups": ["a"] * 37}, "at least four readable images in two groups. Got 36 of 37 images in 1 groups"),
    ],
)
def test_wrong_parameters_are_named(dataset: Dataset, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_autoencoder(dataset, **SMALL | wrong)


def test_torch_is_asked_for_only_when_used_and_by_the_name_of_the_extra() -> None:
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name in {'torch', 'onnxscript'}: raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from veriwild_clustering import DatasetError, TrainedDescriptor, fit_autoencoder\n"
        "import veriwild_clustering.apps.cli\n"
        "try: fit_autoencoder('images')\n"
        "except DatasetError as error: print(error)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("Training a descriptor needs the package 'onnxscript'. Install it with: pip install")
    assert "veriwild-clustering[train,models]" in shown.stdout


@pytest.mark.real
def test_descriptor_of_the_real_sample_clusters_by_type(real_raw_data: Path, tmp_path: Path) -> None:
    truth = pd.read_csv(real_raw_data.parent / "truth.csv", keep_default_na=False, dtype=str)
    store = locate_raw_data(real_raw_data).image_store
    dataset = Dataset(truth[["path", "vehicle_id"]], image_store=store)
    trained = fit_autoencoder(dataset, size=32, epochs=4, folder=tmp_path, random_state=0)
    assert trained.history["validation_loss"].iloc[-1] < 0.7 * trained.history["validation_loss"].iloc[0]
    sound = np.flatnonzero(truth["corruption"] == "")
    pixels = [np.asarray(read_image(dataset, int(row))) for row in sound]
    model = trained.export(tmp_path / "own.onnx")
    own = ari(open_network(model, provider="cpu").embed(pixels), truth["type"][sound])
    batch = image_batch(pixels, model.input)
    plain = ari(batch.reshape(len(batch), -1) / 255, truth["type"][sound])
    assert own > max(0.15, 1.5 * plain)


def ari(vectors: np.ndarray, truth: pd.Series) -> float:
    """The mean over seeds of the agreement of k-means, k = 5, with the truth; chance is 0."""
    space = PCA(64, random_state=0).fit_transform(StandardScaler().fit_transform(vectors))
    runs = [KMeans(5, n_init=3, random_state=seed).fit_predict(space) for seed in range(3)]
    return float(np.mean([adjusted_rand_score(truth, labels) for labels in runs]))


def assert_same(one: TrainedDescriptor, other: TrainedDescriptor) -> None:
    """Bitwise, but for the time it took."""
    pd.testing.assert_frame_equal(
        one.history.drop(columns="seconds"), other.history.drop(columns="seconds"), check_exact=True
    )
    assert one.weights.keys() == other.weights.keys()
    for name, value in one.weights.items():
        np.testing.assert_array_equal(value, other.weights[name])
