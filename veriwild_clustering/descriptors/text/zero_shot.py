"""Labels for images by words alone: the words whose vector lies nearest to that of the image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.classes import UNCERTAIN
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.validation import check_real
from veriwild_clustering.descriptors.text.embedding import CLIP_TEXT, check_texts, embed_texts, unit_rows
from veriwild_clustering.images.models.catalog import find_model
from veriwild_clustering.images.models.record import Model

__all__ = ["NEUTRAL", "TEMPLATES", "UNCERTAIN", "zero_shot"]

TEMPLATES = (
    "a photo of a {}.",
    "a blurry photo of a {}.",
    "a cropped photo of a {}.",
    "a photo of a {} seen by a traffic camera.",
    "a photo of a {} on the road.",
)
NEUTRAL = ("a photo.", "a blurry photo.", "a photo of something.", "a photo of an empty road.", "a photo of a surface.")
_MAJORITY = 0.5


def zero_shot(
    descriptor: Descriptor,
    labels: Sequence[str],
    *,
    templates: Sequence[str] = TEMPLATES,
    neutral: Sequence[str] = NEUTRAL,
    threshold: float | str = "auto",
    temperature: float = 100.0,
    text_model: str | Model = CLIP_TEXT,
    folder: str | Path | None = None,
    provider: str | None = None,
) -> pd.DataFrame:
    """Name each image by the label whose words are nearest to it, or say that none is near.

    Parameters
    ----------
    descriptor : Descriptor
        Vectors of the images as the partner of the text model made them: "clip-vit-b-32" for "clip-vit-b-32-text".
    labels : sequence of str
        What an image may show, such as "bus", all different, whatever their case.
    templates : sequence of str, optional
        Sentences with `{}` for the label. The vectors of a label in all of them are averaged.
    neutral : sequence of str, optional
        Sentences that fit an image which shows none of the labels. They compete with the labels and are never the
        answer. Empty: every image shows one of the labels.
    threshold : float or "auto", default "auto"
        The confidence, 0 to 1, that an answer needs; below it is "uncertain". "auto" asks for the majority, one half:
        the label is as likely as all others and the neutral sentences together.
    temperature : float, default 100
        What cosines are multiplied by before the softmax; CLIP has learned 100.
    text_model : str or Model, default "clip-vit-b-32-text"
        The text network, see `embed_texts`.
    folder : path, optional
        Folder of the weights: by default `$VERIWILD_MODELS`, else the user's cache.
    provider : str, optional
        What runs the network, see `open_network`.

    Returns
    -------
    DataFrame
        One row per image: `label`, one of `labels` or "uncertain"; `confidence`, the probability of the nearest label
        among all labels and neutral sentences. Both are missing where the image has no vector.

    Raises
    ------
    DatasetError
        If the files of the text model cannot be had.
    ValueError
        If the descriptor is not of the partner of the text model, or an argument is not as said.

    Notes
    -----
    O(n_images * n_features * n_labels), in blocks of a memory map. A softmax [1]_ over labels alone would give an image
    of anything to the label that is least wrong; what it has in common with the neutral sentences is the measure that
    a label must exceed. The probabilities are those of the model, not frequencies: where some images have known
    labels, choose a threshold by them.

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
    >>> from veriwild_clustering import Descriptor, zero_shot
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
    >>> images = Descriptor("letters", np.eye(3, dtype=np.float32))
    >>> found = zero_shot(images, ["bbb", "aaa"], templates=["{}"], neutral=["c"], text_model=record, folder=folder)
    >>> found["label"].tolist()
    ['aaa', 'bbb', 'uncertain']
    """
    record = find_model(text_model)
    _check_partner(descriptor, record)
    labels, templates = check_texts("labels", labels), check_texts("templates", templates)
    _check_words(labels, templates)
    least = _MAJORITY if threshold == "auto" else check_real("threshold", threshold, low=0, high=1)
    temperature = check_real("temperature", temperature, low=0)
    prompts = [template.replace("{}", label) for label in labels for template in templates]
    words = embed_texts([*prompts, *check_texts("neutral", neutral)], model=record, folder=folder, provider=provider)
    if words.shape[1] != descriptor.n_features:
        raise ValueError(
            f"Vectors of {record.name!r} have {words.shape[1]} features and those of {descriptor.name!r} "
            f"{descriptor.n_features}: they are not of one space."
        )
    means = words[: len(prompts)].reshape(len(labels), len(templates), -1).mean(axis=1)
    candidates = np.vstack([unit_rows(means), words[len(prompts) :]])

    best, confidence = _nearest(descriptor, candidates, n_labels=len(labels), temperature=temperature)
    names = np.where(confidence >= least, np.array(labels, dtype=object)[best], UNCERTAIN)
    return pd.DataFrame(
        {
            "label": pd.Series(descriptor.expand(names, fill=None), dtype="str"),
            "confidence": descriptor.expand(confidence, fill=np.nan),
        }
    )


def _nearest(
    descriptor: Descriptor, candidates: NDArray[np.float32], *, n_labels: int, temperature: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the nearest label of each usable row, and its share in the softmax over all candidates."""
    best = np.empty(descriptor.n_valid, dtype=np.int64)
    confidence = np.empty(descriptor.n_valid)
    for rows, block in descriptor.blocks():
        logits = temperature * (unit_rows(block) @ candidates.T).astype(np.float64)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        best[rows] = logits[:, :n_labels].argmax(axis=1)
        confidence[rows] = shares[:, :n_labels].max(axis=1)
    return best, confidence


def _check_partner(descriptor: Descriptor, text_model: Model) -> None:
    partner = text_model.name.removesuffix("-text")
    if descriptor.parents:
        raise ValueError(
            f"Descriptor {descriptor.name!r} was computed from others ({descriptor.recipe}), words were not: "
            f"give the descriptor that {partner!r} made of the images."
        )
    if descriptor.name != partner:
        raise ValueError(
            f"{text_model.name!r} knows images as {partner!r} sees them. Got descriptor {descriptor.name!r} instead: "
            f"extract {partner!r} from the images first."
        )


def _check_words(labels: list[str], templates: list[str]) -> None:
    for name, texts in (("labels", labels), ("templates", templates)):
        if not texts or not all(text.strip() for text in texts):
            raise ValueError(f"`{name}` must be a sequence of texts, neither it nor any of them empty. Got {texts!r}.")
    seen = [" ".join(label.lower().split()) for label in labels]  # as the text model reads them
    if len(set(seen)) != len(seen) or UNCERTAIN in seen:
        raise ValueError(
            f"`labels` must differ by more than case and spaces, and none may be {UNCERTAIN!r}. Got {labels!r} instead."
        )
    if wrong := [template for template in templates if "{}" not in template]:
        raise ValueError(f"`templates` must hold `{{}}`, the place of the label. Got {wrong[0]!r} instead.")
