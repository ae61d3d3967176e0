"""Texts as vectors and labels by words, through small networks with the inputs and outputs of CLIP's exports."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper

from veriwild_clustering import DatasetError, Descriptor, embed_texts, zero_shot
from veriwild_clustering.images.models.record import Model, ModelFile

LETTERS = "abcd"


def export(folder: Path, *, token_type: int = TensorProto.INT64, with_mask: bool = False, pooled: bool = True) -> Model:
    """Write a network whose vector counts the letters a, b, c and d, with a vocabulary of bytes alone."""
    (folder / "vocabulary.txt.gz").write_bytes(gzip.compress(b"#version"))
    table = np.zeros((514, len(LETTERS)), np.float32)
    for place, letter in enumerate(LETTERS):
        table[[ord(letter) - ord("!"), 256 + ord(letter) - ord("!")], place] = 1
    table[0] = with_mask  # padding, which a mask hides
    weights = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")]
    inputs = [helper.make_tensor_value_info("input_ids", token_type, ["n", 77])]
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["each"])]
    if with_mask:
        inputs.append(helper.make_tensor_value_info("attention_mask", token_type, ["n", 77]))
        weights.append(numpy_helper.from_array(np.array([2]), "last"))
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["number"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["number", "last"], ["column"]),
            helper.make_node("Mul", ["each", "column"], ["masked"]),
        ]
    shape = ["n", len(LETTERS)] if pooled else ["n", 1, len(LETTERS)]
    nodes.append(
        helper.make_node("ReduceSum", ["masked" if with_mask else "each", "axis"], ["text_embeds"], keepdims=not pooled)
    )
    output = helper.make_tensor_value_info("text_embeds", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "letters", inputs, [output], weights)
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(network, folder / "text.onnx")
    files = ModelFile("text.onnx"), ModelFile("vocabulary.txt.gz")
    return Model("letters-text", "text embedding", files, license="MIT", source="", output="text_embeds")


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return export(tmp_path)


def counts(*texts: str) -> np.ndarray:
    table = np.array([[text.count(letter) for letter in LETTERS] for text in texts], dtype=float)
    return table / np.linalg.norm(table, axis=1, keepdims=True)


@pytest.mark.parametrize("token_type", [TensorProto.INT64, TensorProto.INT32])
@pytest.mark.parametrize("with_mask", [False, True])
def test_vectors_are_those_of_the_network(tmp_path: Path, token_type: int, *, with_mask: bool) -> None:
    model = export(tmp_path, token_type=token_type, with_mask=with_mask)
    vectors = embed_texts(["a bad cab", "DAD", "&#97;b"], model=model, folder=tmp_path, provider="cpu")
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(vectors, counts("a bad cab", "dad", "ab"), atol=1e-6)


def test_no_texts_give_no_rows(tmp_path: Path, model: Model) -> None:
    assert embed_texts([], model=model, folder=tmp_path).shape == (0, len(LETTERS))


@pytest.mark.parametrize("kind", [np.array, pd.Series, pd.Index, tuple, iter])
def test_texts_may_come_in_any_sequence(tmp_path: Path, model: Model, kind: Callable[..., Any]) -> None:
    vectors = embed_texts(kind(["ab", "c"]), model=model, folder=tmp_path, provider="cpu")
    np.testing.assert_allclose(vectors, counts("ab", "c"), atol=1e-6)
    found = zero_shot(
        Descriptor("letters", np.eye(4)), kind(["bb", "aa"]), templates=kind(["{}"]), neutral=kind(["ccc"]),
        text_model=model, folder=tmp_path,
    )  # fmt: skip
    assert found["label"].tolist() == ["aa", "bb", "uncertain", "uncertain"]


@pytest.mark.parametrize("texts", ["abc", b"abc", 5, None, [1, 2], ["a", np.nan], {"a", "b"}, {"a": 1}])
def test_what_is_no_sequence_of_texts_is_refused(tmp_path: Path, model: Model, texts: Any) -> None:
    with pytest.raises(ValueError, match="`texts` must be a sequence of texts"):
        embed_texts(texts, model=model, folder=tmp_path)
    for name in ("labels", "templates", "neutral"):
        words = {"labels": ["a"], "templates": ["{}"], "neutral": ["c"], name: texts}
        with pytest.raises(ValueError, match=f"`{name}` must be a sequence of texts"):
            zero_shot(Descriptor("letters", np.eye(4)), **words, text_model=model, folder=tmp_path)


def test_text_may_be_empty_or_very_long(tmp_path: Path, model: Model) -> None:
    texts = ["", "ab" * 100_000, "ab " * 100_000, "\0", "🚗"]
    vectors = embed_texts(texts, model=model, folder=tmp_path, provider="cpu")
    np.testing.assert_allclose(vectors[[0, 3, 4]], 0)
    np.testing.assert_allclose(np.linalg.norm(vectors[1:3], axis=1), 1, rtol=1e-6)


def test_model_of_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="takes text"):
        embed_texts(["abc"], model="clip-vit-b-32", folder=tmp_path)


def test_output_that_is_no_vector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not one vector per text"):
        embed_texts(["abc"], model=export(tmp_path, pooled=False), folder=tmp_path)


def test_label_and_confidence_are_those_of_the_softmax(tmp_path: Path, model: Model) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.uniform(size=(20, 4)).astype(np.float32)
    templates = ["{}", "d{}"]
    found = zero_shot(
        Descriptor("letters", vectors), ["aab", "bbc"], templates=templates, neutral=["c"], threshold=0.0,
        temperature=10, text_model=model, folder=tmp_path,
    )  # fmt: skip
    means = np.array([counts("aab", "daab").mean(axis=0), counts("bbc", "dbbc").mean(axis=0)])
    candidates = np.vstack([means / np.linalg.norm(means, axis=1, keepdims=True), counts("c")])
    logits = 10 * (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)) @ candidates.T
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found["label"].tolist() == [("aab", "bbc")[place] for place in shares[:, :2].argmax(axis=1)]
    np.testing.assert_allclose(found["confidence"], shares[:, :2].max(axis=1), rtol=1e-5)


def test_what_is_nearest_to_neutral_words_is_uncertain(tmp_path: Path, model: Model) -> None:
    vectors = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [1, 1, 0, 0], [np.nan] * 4], np.float32)
    words = {"templates": ["{}"], "text_model": model, "folder": tmp_path}
    images = Descriptor("letters", vectors)
    found = zero_shot(images, ["aaa", "bbb"], neutral=["ccc"], threshold=0.6, **words)
    assert found["label"].tolist()[:4] == ["aaa", "bbb", "uncertain", "uncertain"]
    assert found.isna().sum().tolist() == [1, 1]
    alone = zero_shot(images, ["aaa"], neutral=["ccc"], **words)
    assert alone["label"].iloc[[0, 2, 3]].tolist() == ["aaa", "uncertain", "aaa"]
    assert (zero_shot(images, ["aaa"], neutral=[], **words)["confidence"].dropna() == 1).all()


def test_scale_of_vectors_changes_nothing(tmp_path: Path, model: Model) -> None:
    vectors = np.random.default_rng(1).uniform(size=(10, 4)).astype(np.float32)
    one, *others = (
        zero_shot(Descriptor("letters", scale * vectors), ["abc", "dd"], text_model=model, folder=tmp_path)
        for scale in np.float32([1, 50, 1e-30, 3e38])
    )
    for other in others:
        assert one["label"].tolist() == other["label"].tolist()
        np.testing.assert_allclose(one["confidence"], other["confidence"], rtol=1e-3)


@pytest.mark.parametrize(
    ("descriptor", "message"),
    [
        (Descriptor("osnet", np.eye(4)), "knows images as 'letters'"),
        (Descriptor("letters", np.eye(5)), "not of one space"),
        (Descriptor("letters", np.eye(4), parents=(Descriptor("letters", np.eye(4)),)), "computed from others"),
    ],
)
def test_descriptor_of_another_space_is_refused(
    tmp_path: Path, model: Model, descriptor: Descriptor, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        zero_shot(descriptor, ["a"], text_model=model, folder=tmp_path)


@pytest.mark.parametrize(
    ("labels", "more", "message"),
    [
        ([], {}, "labels"),
        (["a", " "], {}, "labels"),
        (["a b", "A  b"], {}, "differ"),
        (["a"], {"templates": []}, "templates"),
        (["a", "a"], {}, "differ"),
        (["a", "uncertain"], {}, "uncertain"),
        (["a"], {"templates": ["a photo"]}, "place of the label"),
        (["a"], {"threshold": 2}, "threshold"),
    ],
)
def test_words_that_cannot_be_used_are_refused(
    tmp_path: Path, model: Model, labels: list[str], more: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        zero_shot(Descriptor("letters", np.eye(4)), labels, text_model=model, folder=tmp_path, **more)
