"""Real networks on the real sample: they make the vectors again that lie beside its images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from veriwild_clustering import Dataset, locate_raw_data, read_image
from veriwild_clustering.core.pickles import read_pickled_array
from veriwild_clustering.images.models.networks import open_network

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def images(real_raw_data: Path) -> list[NDArray[np.uint8]]:
    import pandas as pd

    raw = locate_raw_data(real_raw_data)
    paths = pd.read_csv(raw.paths_file)["paths"].str.replace("\\", "/")
    dataset = Dataset(pd.DataFrame({"path": paths}), image_store=raw.image_store)
    return [np.asarray(read_image(dataset, row)) for row in range(len(dataset))]


def lowest_cosine(vectors: NDArray, expected: NDArray) -> float:
    unit, reference = (
        v / np.linalg.norm(v, axis=1, keepdims=True) for v in (vectors.astype(float), expected.astype(float))
    )
    return float((unit * reference).sum(axis=1).min())


def computes_in_bfloat16() -> bool:
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("osnet-x0-25", "osnet"),
        ("vehicle-attributes-0039-color", "vdc_color"),
        ("vehicle-attributes-0039-type", "vdc_type"),
    ],
)
def test_vectors_of_all_images_come_out_again(model, file, images, real_raw_data, real_models) -> None:
    expected = read_pickled_array(real_raw_data / f"descriptors/{file}.pickle")
    vectors = open_network(model, folder=real_models).embed(images)
    assert vectors.shape == expected.shape
    # The maps of the sample were computed in bfloat16, as OpenVINO does where the CPU has it.
    exact = model == "osnet-x0-25" or computes_in_bfloat16()
    assert lowest_cosine(vectors, expected) >= (0.9999 if exact else 0.9995)


def test_osnet_is_the_same_through_openvino(images, real_raw_data, real_models) -> None:
    expected = read_pickled_array(real_raw_data / "descriptors/osnet.pickle")[::10]
    vectors = open_network("osnet-x0-25", folder=real_models, provider="openvino").embed(images[::10])
    np.testing.assert_allclose(vectors, expected, atol=1e-3)


def test_a_quantised_network_comes_close(images, real_raw_data, real_models) -> None:
    """OpenVINO computes in floats what TensorFlow Lite computed in bytes."""
    expected = read_pickled_array(real_raw_data / "descriptors/efficientnet-b7.pickle")[::25]
    assert lowest_cosine(open_network("mobilenet-v1", folder=real_models).embed(images[::25]), expected) > 0.999
