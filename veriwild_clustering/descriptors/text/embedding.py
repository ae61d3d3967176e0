"""Texts as vectors of the same space as those of images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.descriptors.text.tokenizer import ClipTokenizer
from veriwild_clustering.images.models.catalog import find_model
from veriwild_clustering.images.models.networks import Network, open_network
from veriwild_clustering.images.models.record import Model
from veriwild_clustering.images.models.weights import model_files

__all__ = ["CLIP", "CLIP_TEXT", "check_texts", "embed_texts", "unit_rows"]

CLIP, CLIP_TEXT = "clip-vit-b-32", "clip-vit-b-32-text"  # the network of images, and its partner for words


def embed_texts(
    texts: Sequence[str],
    *,
    model: str | Model = CLIP_TEXT,
    folder: str | Path | None = None,
    provider: str | None = None,
) -> NDArray[np.float32]:
    """Return a vector per text, to be compared by cosine with those that the same model has of images.

    Parameters
    ----------
    texts : sequence of str
        The texts, in English for CLIP. What is longer than some 75 words is cut.
    model : str or Model, default "clip-vit-b-32-text"
        A text network of the catalog, or a record: its first file takes the tokens, its last is CLIP's vocabulary.
    folder : path, optional
        Folder of the weights: by default `$VERIWILD_MODELS`, else the user's cache.
    provider : str, optional
        What runs the network, see `open_network`.

    Returns
    -------
    array of shape (n_texts, n_features), float32
        Vectors of length one.

    Raises
    ------
    DatasetError
        If the files cannot be had, or the network does not take tokens.
    ValueError
        If `texts` is one text, or the model is not one of texts.

    Notes
    -----
    O(n_texts) runs of the network, besides opening it, which takes seconds for CLIP [1]_.

    References
    ----------
    .. [1] Radford, A. et al. (2021). Learning transferable visual models from natural language supervision. ICML.
       https://doi.org/10.48550/arXiv.2103.00020

    Examples
    --------
    A network and a vocabulary of one's own: the vector counts the letters a, b and c.

    >>> import gzip, pathlib, tempfile
    >>> import numpy as np, onnx
    >>> from onnx import TensorProto, helper, numpy_helper
    >>> from veriwild_clustering import embed_texts
    >>> from veriwild_clustering.images.models.record import Model, ModelFile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> size = (folder / "vocabulary.txt.gz").write_bytes(gzip.compress(b"#version"))
    >>> table = np.zeros((514, 3), np.float32)
    >>> table[[64, 65, 66, 320, 321, 322], [0, 1, 2, 0, 1, 2]] = 1  # within a word, and at its end
    >>> tokens = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", 77])
    >>> vectors = helper.make_tensor_value_info("text_embeds", TensorProto.FLOAT, ["n", 3])
    >>> steps = [helper.make_node("Gather", ["table", "input_ids"], ["each"]),
    ...          helper.make_node("ReduceSum", ["each", "axis"], ["text_embeds"], keepdims=0)]
    >>> weights = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")]
    >>> graph = helper.make_graph(steps, "letters", [tokens], [vectors], weights)
    >>> network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    >>> onnx.save(network, folder / "t.onnx")
    >>> files = ModelFile("t.onnx"), ModelFile("vocabulary.txt.gz")
    >>> record = Model("letters-text", "text embedding", files, license="MIT", source="")
    >>> embed_texts(["Cab", "b"], model=record, folder=folder, provider="cpu").round(2)
    array([[0.58, 0.58, 0.58],
           [0.  , 1.  , 0.  ]], dtype=float32)
    """
    record = find_model(model)
    if record.task != "text embedding":
        raise ValueError(f"`model` must be a network that takes text. Got {record.name!r}, {record.task}, instead.")
    texts = check_texts("texts", texts)
    tokenizer = ClipTokenizer(model_files(record, folder=folder)[-1])
    network = open_network(record, folder=folder, provider=provider)
    # One row at least, from which the length of vectors is known.
    outputs = network(_inputs(network, tokenizer(texts or [""]), end=tokenizer.end))[network.output]
    if outputs.ndim != 2:
        raise DatasetError(
            f"Output {network.output!r} of model {record.name!r} has shape {outputs.shape}, not one vector per text: "
            f"name another as `output` of its record."
        )
    return unit_rows(outputs[: len(texts)])


def check_texts(name: str, texts: Any) -> list[str]:
    """Return texts as a list, or raise naming the parameter; one text is no sequence, and sets have no order."""
    ordered = isinstance(texts, Iterable) and not isinstance(texts, str | Set | Mapping)
    listed = list(texts) if ordered else []
    if not ordered or not all(isinstance(text, str) for text in listed):
        raise ValueError(f"`{name}` must be a sequence of texts. Got {shortened(texts)} instead.")
    return [str(text) for text in listed]


def unit_rows(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return rows of length one; a row of zeros stays."""
    exact = np.asarray(vectors, dtype=np.float64)  # in which the square of no float32 is too large or too small
    norms = np.linalg.norm(exact, axis=1, keepdims=True)
    return np.divide(exact, norms, out=np.zeros_like(exact), where=norms > 0).astype(np.float32)


def _inputs(network: Network, tokens: NDArray[np.int64], *, end: int) -> dict[str, NDArray[Any]]:
    """Return what each input takes, told by its name: the tokens, which of them count, or their places."""
    mask = np.arange(tokens.shape[1]) <= (tokens == end).argmax(axis=1)[:, None]
    places = np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape)
    arrays: dict[str, NDArray[Any]] = {}
    for name, port in network.inputs.items():
        if len(port.shape) != 2 or port.dtype.kind not in "iub":
            raise DatasetError(
                f"Input {name!r} of model {network.model.name!r} takes {port.dtype} of shape {port.shape}, not tokens: "
                f"use an export of the text network alone."
            )
        given = mask if "mask" in name.lower() else places if "position" in name.lower() else tokens
        arrays[name] = given.astype(port.dtype)
    return arrays
