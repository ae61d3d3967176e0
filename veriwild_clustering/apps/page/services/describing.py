"""Describing a new image: its colour, type, view and roof, from what is at hand, else "uncertain"."""

from __future__ import annotations

from threading import BoundedSemaphore
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from veriwild_clustering.apps.page.problems import BadRequestError
from veriwild_clustering.apps.page.services.schemas import Model
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.core.classes import UNCERTAIN
from veriwild_clustering.descriptors.extraction.decoding import MAX_PIXELS as REDUCED_TO
from veriwild_clustering.descriptors.text.embedding import CLIP, CLIP_TEXT
from veriwild_clustering.images.reading import BadImageError, decode_image

__all__ = ["MAX_UPLOAD_BYTES", "Description", "decode_upload", "describe_image"]

MAX_UPLOAD_BYTES = 20 * 2**20
_MAX_PIXELS = 50_000_000
_decoding = BoundedSemaphore(2)  # of that many pixels, 300 MB each
_ATTRIBUTES = "vehicle-attributes-0039-type"
_FEWEST_SURE = 0.5
_TYPES = ("sedan", "hatchback", "SUV", "minivan", "pickup truck", "van", "bus", "truck", "motorcycle")
_VIEWS = {"front": "the front of a car", "rear": "the rear of a car", "side": "a car seen from the side"}
_ROOFS = {
    "roof rack": "a car with a roof rack",
    "sunroof": "a car with a sunroof",
    "taxi sign": "a taxi with a sign on its roof",
    "plain": "a car with a plain roof",
}

Probability = Annotated[float, Field(ge=0, le=1)]
Answer = tuple[str, float]


class Confidence(Model):
    """How sure each answer is, from 0 to 1; 0 where there is none."""

    vehicle_color: Probability
    vehicle_type: Probability
    view_angle: Probability
    roof_features: Probability


class Description(Model):
    """What an image shows."""

    vehicle_color: str
    vehicle_type: str
    view_angle: str
    roof_features: str
    confidence: Confidence
    sources: dict[str, str] = Field(description="What answered, by field; fields without an answer are missing.")


def decode_upload(data: bytes, *, field: str = "image") -> NDArray[np.uint8]:
    """Return the pixels of an uploaded image, RGB, upright.

    Raises
    ------
    BadRequestError
        If it is too large, or no image of a raster format that is read here.
    """
    if len(data) > MAX_UPLOAD_BYTES:
        raise BadRequestError(f"An image may have at most {MAX_UPLOAD_BYTES // 2**20} MB.", field=field)
    try:
        with _decoding:
            return np.asarray(decode_image(data, max_pixels=_MAX_PIXELS, reduced_to=REDUCED_TO))
    except BadImageError as error:
        raise BadRequestError(f"The file cannot be used: {error}.", field=field) from error


def describe_image(workspace: Workspace, pixels: NDArray[np.uint8]) -> Description:
    """Return what an image shows: the colour is measured, the rest is what networks at hand say of it."""
    answers = {"vehicle_color": _color(pixels)}
    sources = {"vehicle_color": "measured"}
    with workspace.encoding:
        for source, found in (
            ("clip", _by_words(workspace, pixels)),
            ("attributes", _by_attributes(workspace, pixels)),
        ):
            answers |= found
            sources |= dict.fromkeys(found, source)
    answers = {field: answer for field, answer in answers.items() if answer[0] != UNCERTAIN}
    fields = Confidence.model_fields
    return Description(
        **{field: answers[field][0] if field in answers else UNCERTAIN for field in fields},
        confidence=Confidence(**{field: answers[field][1] if field in answers else 0.0 for field in fields}),
        sources={field: source for field, source in sources.items() if field in answers},
    )


def _color(pixels: NDArray[np.uint8]) -> Answer:
    from veriwild_clustering.images.appearance.attributes import appearance

    if min(pixels.shape[:2]) < 1:
        return UNCERTAIN, 0.0
    found = appearance([pixels]).iloc[0]
    return str(found["measured_color"]), float(np.nan_to_num(found["measured_color_confidence"]))


def _by_attributes(workspace: Workspace, pixels: NDArray[np.uint8]) -> dict[str, Answer]:
    """Return the type as the network of vehicle attributes has it: a softmax of its logits, averaged over the map."""
    network = _network(workspace, _ATTRIBUTES)
    if network is None:
        return {}
    labels = network.model.labels
    logits = network.embed([pixels]).reshape(len(labels), -1).mean(axis=1).astype(np.float64)
    shares = np.exp(logits - logits.max())
    return _sure("vehicle_type", list(labels), shares / shares.sum())


def _by_words(workspace: Workspace, pixels: NDArray[np.uint8]) -> dict[str, Answer]:
    """Return what CLIP says, where its weights are at hand."""
    from veriwild_clustering.core.descriptor import Descriptor
    from veriwild_clustering.descriptors.text.zero_shot import zero_shot

    network = _network(workspace, CLIP)
    if network is None or not _is_at_hand(workspace, CLIP_TEXT):
        return {}
    shown = Descriptor(CLIP, network.embed([pixels]))
    answers: dict[str, Answer] = {}
    for field, labels in (("vehicle_type", _TYPES), ("view_angle", _VIEWS), ("roof_features", _ROOFS)):
        words = {labels[name]: name for name in labels} if isinstance(labels, dict) else {name: name for name in labels}
        found = zero_shot(shown, list(words), text_model=CLIP_TEXT, folder=workspace.models).iloc[0]
        answers[field] = words.get(str(found["label"]), UNCERTAIN), float(found["confidence"])
    return answers


def _sure(field: str, labels: list[str], shares: NDArray[np.float64]) -> dict[str, Answer]:
    best = int(shares.argmax())
    return {field: (labels[best], float(shares[best]))} if shares[best] >= _FEWEST_SURE else {}


def _network(workspace: Workspace, name: str) -> Any:
    """Return a network whose weights are at hand, opened once; None otherwise."""
    if not _is_at_hand(workspace, name):
        return None
    from veriwild_clustering.images.models.networks import open_network

    return workspace.remember(("network", name), lambda: open_network(name, folder=workspace.models, download=False))


def _is_at_hand(workspace: Workspace, name: str) -> bool:
    from veriwild_clustering.images.models.weights import ModelError, is_cached

    try:
        return is_cached(name, folder=workspace.models)
    except ModelError:  # without the extra of networks there is no cache
        return False
