"""Searching by new images and by words, through small networks with the inputs and outputs of CLIP's exports."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.decomposition import PCA

from veriwild_clustering import Dataset, DatasetError, Descriptor, ImageInput, extract, transform
from veriwild_clustering.images.models.record import Model, ModelFile
from veriwild_clustering.images.preparation.detection import Detector
from veriwild_clustering.images.preparation.masking import Masker
from veriwild_clustering.images.preparation.prepare import Preparation
from veriwild_clustering.images.preparation.super_resolution import Upscaler
from veriwild_clustering.search.encoding import QueryEncoder
from veriwild_clustering.search.index import SearchIndex
from veriwild_clustering.search.queries import Query, search_images

PAINTS = {"r": (255, 0, 0), "g": (0, 255, 0), "b": (0, 0, 255)}
ROADS = {"x": (255, 0, 0), "y": (0, 255, 0), "z": (0, 0, 255)}
LETTERS = "rxgybz"  # in the order of the features: a channel above, the same below, the next channel
SIDE = 40
ROWS = [paint + road for paint in PAINTS for road in ROADS]  # what each image shows, as words for the network


def export_images(folder: Path, *, gain: float = 1.0) -> Model:
    """Write a network whose vector is the mean colour of the upper and of the lower half."""
    nodes = [
        helper.make_node("Mul", ["pixel_values", "gain"], ["bright"]),
        helper.make_node("AveragePool", ["bright"], ["halves"], kernel_shape=[4, 8], strides=[4, 8]),
        helper.make_node("Flatten", ["halves"], ["image_embeds"]),
    ]
    image = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, 8, 8])
    vector = helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, ["n", 6])
    weights = [numpy_helper.from_array(np.array(gain, np.float32), "gain")]
    save(helper.make_graph(nodes, "halves", [image], [vector], weights), folder / "vision.onnx")
    source: dict[str, Any] = {"license": "MIT", "source": "", "output": "image_embeds"}
    return Model("paint", "embedding", (ModelFile("vision.onnx"),), input=ImageInput(8, 8, scale=1 / 255), **source)


def export_texts(folder: Path) -> Model:
    """Write a network whose vector counts letters, in the space of the images, with a vocabulary of bytes alone."""
    (folder / "vocabulary.txt.gz").write_bytes(gzip.compress(b"#version"))
    table = np.zeros((514, len(LETTERS)), np.float32)
    for place, letter in enumerate(LETTERS):
        table[[ord(letter) - ord("!"), 256 + ord(letter) - ord("!")], place] = 1
    weights = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["each"]),
        helper.make_node("ReduceSum", ["each", "axis"], ["text_embeds"], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", 77])]
    vector = helper.make_tensor_value_info("text_embeds", TensorProto.FLOAT, ["n", len(LETTERS)])
    save(helper.make_graph(nodes, "letters", inputs, [vector], weights), folder / "text.onnx")
    files = ModelFile("text.onnx"), ModelFile("vocabulary.txt.gz")
    return Model("paint-text", "text embedding", files, license="MIT", source="", output="text_embeds")


def save(graph: onnx.GraphProto, path: Path) -> None:
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def shown(words: str) -> np.ndarray:
    pixels = np.empty((SIDE, SIDE, 3), np.uint8)
    pixels[: SIDE // 2], pixels[SIDE // 2 :] = PAINTS[words[0]], ROADS[words[1]]
    return pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("images")
    (place / "images").mkdir()
    for row, words in enumerate(ROWS):
        Image.fromarray(shown(words)).save(place / "images" / f"{row}.png")
    return place


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Model]:
    return {"vision": export_images(folder), "text": export_texts(folder)}


@pytest.fixture(scope="module")
def dataset(folder: Path, models: dict[str, Model]) -> Dataset:
    wanted = [models["vision"], "lab-histogram"]
    made = extract(folder / "images", wanted, folder=folder / "vectors", model_folder=folder, provider="cpu")
    brought = Descriptor("osnet", np.eye(len(ROWS), dtype=np.float32))
    return Dataset(made.table, {**made.descriptors, "osnet": brought}, made.image_store)


@pytest.fixture(scope="module")
def encoder(folder: Path, models: dict[str, Model]) -> QueryEncoder:
    return QueryEncoder({"paint": models["vision"]}, text_model=models["text"], folder=folder, provider="cpu")


@pytest.fixture(scope="module")
def index(dataset: Dataset) -> SearchIndex:
    return SearchIndex.build(dataset, "paint")


def test_a_new_image_is_seen_as_the_images_of_the_dataset(
    folder: Path, dataset: Dataset, encoder: QueryEncoder
) -> None:
    for name in ("paint", "lab-histogram"):
        files = [folder / "images" / f"{row}.png" for row in range(len(ROWS))]
        np.testing.assert_array_equal(encoder.images(files, dataset[name]), dataset[name].vectors)
        decoded = [shown(words) for words in ROWS]
        np.testing.assert_array_equal(encoder.images(decoded, dataset[name]), dataset[name].vectors)


def test_search_by_a_new_image(folder: Path, dataset: Dataset, encoder: QueryEncoder, index: SearchIndex) -> None:
    both = SearchIndex.build(dataset, {"paint": 0.5, "lab-histogram": 0.5})
    for searched in (index, both):
        found = search_images(searched, dataset, Query(images=[folder / "images" / "4.png"]), encoder=encoder)
        assert found.rows[0] == 4
        assert found.scores[0] == pytest.approx(1)


@pytest.mark.parametrize(("words", "expected"), [("rx", "rx"), ("b y", "by"), ("G z", "gz")])
def test_search_by_words(
    dataset: Dataset, encoder: QueryEncoder, index: SearchIndex, words: str, expected: str
) -> None:
    found = search_images(index, dataset, Query(texts=[words]), encoder=encoder)
    assert ROWS[found.rows[0]] == expected
    assert found.scores[0] == pytest.approx(1)


def test_like_this_one_but_red(folder: Path, dataset: Dataset, encoder: QueryEncoder, index: SearchIndex) -> None:
    blue_on_green = ROWS.index("by")
    for example in ({"rows": [blue_on_green]}, {"images": [folder / "images" / f"{blue_on_green}.png"]}):
        found = search_images(index, dataset, Query(**example, texts=["r"]), encoder=encoder).rows
        found = found[found != blue_on_green]
        assert ROWS[found[0]] == "ry"
    halfway = (1 - 0.7) * np.array([0, 0, 0, 1, 1, 0]) / np.sqrt(2) + 0.7 * np.array([1, 0, 0, 0, 0, 0])
    vectors = dataset["paint"].vectors.astype(np.float64)
    scores = vectors @ halfway / np.linalg.norm(vectors, axis=1) / np.linalg.norm(halfway)
    found = search_images(index, dataset, Query(rows=[blue_on_green], texts=["r"], text_weight=0.7), encoder=encoder)
    np.testing.assert_allclose(found.scores, scores[found.rows], atol=1e-6)


def test_the_weight_of_words_leads_from_the_image_to_the_words(
    dataset: Dataset, encoder: QueryEncoder, index: SearchIndex
) -> None:
    def scores(query: Query) -> np.ndarray:
        found = search_images(index, dataset, query, exclude_self=False, encoder=encoder)
        return found.scores[np.argsort(found.rows)]

    image, words = Query(rows=[7]), Query(texts=["r"])
    np.testing.assert_allclose(scores(replace(image, texts=["r"], text_weight=0)), scores(image), atol=1e-6)
    np.testing.assert_allclose(scores(replace(image, texts=["r"], text_weight=1)), scores(words), atol=1e-6)


def test_words_that_are_not_wanted(dataset: Dataset, encoder: QueryEncoder, index: SearchIndex) -> None:
    query = Query(texts=["ry"], negatives=Query(texts=["y"]), negative_weight=4)
    found = search_images(index, dataset, query, encoder=encoder).rows
    assert {ROWS[row] for row in found[:2]} == {"rx", "rz"}


def test_words_count_in_their_descriptor_alone(dataset: Dataset, encoder: QueryEncoder) -> None:
    index = SearchIndex.build(dataset, {"paint": 0.3, "osnet": 0.7})
    found = search_images(index, dataset, Query(texts=["by"]), encoder=encoder)
    assert (found.rows[0], found.scores[0]) == (ROWS.index("by"), pytest.approx(0.3))
    assert (found.table["osnet"] == 0).all()


def test_new_images_go_through_the_steps_of_a_descriptor(folder: Path, dataset: Dataset, encoder: QueryEncoder) -> None:
    reduced = transform(dataset["paint"], PCA(3, random_state=0), name="reduced")
    vectors = encoder.images([folder / "images" / "4.png"], reduced)
    np.testing.assert_allclose(vectors[0], reduced.vectors[4], atol=1e-5)
    searched = Dataset(dataset.images, {**dataset.descriptors, "reduced": reduced})
    with pytest.raises(ValueError, match="Words can be compared with 'paint' alone"):
        search_images(SearchIndex.build(searched, "reduced"), searched, Query(texts=["r"]), encoder=encoder)


def test_the_preparation_that_was_recorded_is_done_again(folder: Path, models: dict[str, Model]) -> None:
    prepare = Preparation(Upscaler("bicubic"), min_side=100)
    made = extract(folder / "images", ["dhash", "hog"], folder=folder / "prepared", preparation=prepare)
    for name, descriptor in made.descriptors.items():
        found = QueryEncoder().images([folder / "images" / "5.png"], descriptor)
        np.testing.assert_array_equal(found[0], made.descriptors[name].vectors[5])
    other = Preparation(Upscaler("bicubic"), min_side=90)
    with pytest.raises(DatasetError, match="not the one with which 'hog' was extracted"):
        QueryEncoder(preparation=other).images([shown("rx")], made.descriptors["hog"])
    own = dict(made.descriptors["hog"].params) | {"preparation": "a function"}
    with pytest.raises(DatasetError, match="not of the catalog"):
        QueryEncoder().images([shown("rx")], replace(made.descriptors["hog"], params=own))


def test_the_masks_that_were_recorded_are_made_again(tmp_path: Path) -> None:
    for place in range(4):
        pixels = np.full((60, 80, 3), 100, np.uint8)
        pixels[15:45, 10 + place : 65] = (180, 20 + 40 * place, 30)
        Image.fromarray(pixels).save(tmp_path / f"{place}.png")
    prepare = Preparation(masker=Masker("grabcut", fill=(0, 0, 0), min_share=0.1, random_state=2))
    made = extract(tmp_path, ["lab-histogram"], folder=tmp_path / "vectors", preparation=prepare)
    assert made.table["foreground_share"].max() < 0.5
    found = QueryEncoder().images([tmp_path / f"{place}.png" for place in range(4)], made.descriptors["lab-histogram"])
    np.testing.assert_array_equal(found, made.descriptors["lab-histogram"].vectors)
    plain = extract(tmp_path, ["lab-histogram"], folder=tmp_path / "plain").descriptors["lab-histogram"]
    assert not np.allclose(found, plain.vectors)


def test_a_descriptor_of_unknown_origin_names_what_can_be_searched(dataset: Dataset, encoder: QueryEncoder) -> None:
    index = SearchIndex.build(dataset, "osnet")
    with pytest.raises(DatasetError, match=r"'osnet' was brought along.*searched with: paint, lab-histogram"):
        search_images(index, dataset, Query(images=[shown("rx")]), encoder=encoder)
    unknown = SearchIndex.build(dataset, "paint")
    with pytest.raises(DatasetError, match=r"'paint', which is not in the catalog.*searched with: lab-histogram"):
        search_images(unknown, dataset, Query(images=[shown("rx")]))


def test_another_network_of_the_same_name_is_refused(tmp_path: Path, dataset: Dataset, index: SearchIndex) -> None:
    other = QueryEncoder({"paint": export_images(tmp_path, gain=2.0)}, folder=tmp_path, provider="cpu")
    with pytest.raises(DatasetError, match="not those that made 'paint'"):
        search_images(index, dataset, Query(images=[shown("rx")]), encoder=other)


def test_an_encoder_that_was_used_still_looks_at_what_made_a_descriptor(
    dataset: Dataset, encoder: QueryEncoder
) -> None:
    encoder.images([shown("rx")], dataset["paint"])
    other = replace(dataset["paint"], params={**dataset["paint"].params, "sha256": "0" * 64})
    with pytest.raises(DatasetError, match="not those that made 'paint'"):
        encoder.images([shown("rx")], other)


def test_a_model_of_other_dimensions_is_refused(folder: Path, dataset: Dataset, models: dict[str, Model]) -> None:
    brought = Dataset(dataset.images, {"osnet": dataset["osnet"]})
    wrong = QueryEncoder({"osnet": models["vision"]}, folder=folder, provider="cpu")
    with pytest.raises(DatasetError, match="length 6, those of 'osnet' have 9"):
        search_images(SearchIndex.build(brought, "osnet"), brought, Query(images=[shown("rx")]), encoder=wrong)


def test_images_that_cannot_be_read_are_refused(
    tmp_path: Path, dataset: Dataset, encoder: QueryEncoder, index: SearchIndex
) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    for path in (tmp_path / "text.jpg", tmp_path / "missing.jpg"):
        with pytest.raises(DatasetError, match=path.name):
            search_images(index, dataset, Query(images=[path]), encoder=encoder)
    with pytest.raises(ValueError, match="uint8"):
        search_images(index, dataset, Query(images=[np.zeros((4, 4))]), encoder=encoder)


@pytest.mark.real
def test_networks_of_the_catalog_see_an_image_as_they_did(
    real_raw_data: Path, real_models: Path, tmp_path: Path
) -> None:
    for number, path in enumerate(sorted((real_raw_data / "veriwild").rglob("*.jpg"))[:3]):
        (tmp_path / f"{number}.jpg").write_bytes(path.read_bytes())
    prepare = Preparation(Upscaler("bicubic"), Detector("yolox-nano", folder=real_models))
    names = ["osnet-x0-25", "vehicle-attributes-0039-color"]
    made = extract(tmp_path, names, folder=tmp_path / "vectors", preparation=prepare, model_folder=real_models)
    encoder = QueryEncoder(folder=real_models)
    for name in names:
        found = encoder.images([tmp_path / f"{number}.jpg" for number in range(3)], made.descriptors[name])
        np.testing.assert_allclose(found, made.descriptors[name].vectors, rtol=1e-5, atol=1e-5)
