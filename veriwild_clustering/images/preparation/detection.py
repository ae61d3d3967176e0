"""Vehicles and other objects found in images: a label, a confidence and a box for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_choice, check_real
from veriwild_clustering.images.models.catalog import find_model
from veriwild_clustering.images.models.inputs import image_batch
from veriwild_clustering.images.models.networks import open_network
from veriwild_clustering.images.models.record import ImageInput, Model
from veriwild_clustering.images.preparation.boxes import DECODERS, to_image
from veriwild_clustering.images.reading import rgb_pixels

__all__ = ["VEHICLES", "Detection", "Detector"]

_BATCH = 16  # images whose inputs are in memory at a time

VEHICLES = frozenset({"bicycle", "bus", "car", "motorcycle", "train", "truck", "van", "vehicle"})
"""Labels that are vehicles. Detectors take long trucks for trains and scooters for bicycles."""


@dataclass(frozen=True)
class Detection:
    """An object found in an image.

    Parameters
    ----------
    box : tuple of four floats
        Left, top, right, bottom in pixels of the image, from its upper left corner.
    label : str
        What it is.
    confidence : float
        How sure the detector is, 0 to 1. Not comparable between detectors.

    Examples
    --------
    >>> from veriwild_clustering import Detection
    >>> Detection((10.0, 20.0, 110.0, 70.0), "car", 0.8).area
    5000.0
    """

    box: tuple[float, float, float, float]
    label: str
    confidence: float

    @property
    def width(self) -> float:
        """Pixels from left to right."""
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        """Pixels from top to bottom."""
        return self.box[3] - self.box[1]

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height


class Detector:
    """Find vehicles and other objects in images.

    Parameters
    ----------
    model : str or Model, default "yolox-nano"
        A detector of the catalog, "yolox-nano", "yolov10s" or "vehicle-detection-0202", or the record of any other
        whose `decoder` is "yolox", "yolov10" or "openvino-ssd".
    min_confidence : float, default 0.25
        What is less sure is not an object.
    folder : path, optional
        Where weights are kept, see `model_files`.
    provider : str, optional
        What runs the network, see `open_network`.

    Raises
    ------
    ValueError
        If the model is not a detector.
    ModelError
        If its files cannot be had.

    Notes
    -----
    A detector is called with images, arrays of shape (height, width, 3), uint8, RGB, of any sizes, and returns for each
    the list of its detections, the most confident first. An image in which no vehicle is found is looked at a second
    time, drawn at half the size in a corner of the input: what fills all of an image is found more often when it does
    not. One or two runs of the network for each image, whatever its size.

    "vehicle-detection-0202" knows vehicles alone. In crops it misses fewer than "yolox-nano", but it takes anything
    that fills an image for a vehicle: on pieces of photographs without any it saw one in three of four, "yolox-nano" in
    one of forty. It suits images that are known to show vehicles.

    References
    ----------
    .. [1] Ge, Z., Liu, S., Wang, F., Li, Z., & Sun, J. (2021). YOLOX: Exceeding YOLO series in 2021.
       https://doi.org/10.48550/arXiv.2107.08430
    .. [2] Wang, A., Chen, H., Liu, L., Chen, K., Lin, Z., Han, J., & Ding, G. (2024). YOLOv10: Real-time end-to-end
       object detection. https://doi.org/10.48550/arXiv.2405.14458
    .. [3] Liu, W., Anguelov, D., Erhan, D., Szegedy, C., Reed, S., Fu, C.-Y., & Berg, A. C. (2016). SSD: Single shot
       multibox detector. https://doi.org/10.1007/978-3-319-46448-0_2

    Examples
    --------
    A network that sees a car in the left half of everything:

    >>> import pathlib, tempfile
    >>> import numpy as np, onnx
    >>> from veriwild_clustering import Detector, ImageInput, Model, ModelFile
    >>> network = onnx.parser.parse_model('''<ir_version: 8, opset_import: ["": 17]>
    ...     left (float[1, 3, 32, 32] image) => (float[1, 1, 6] found)
    ...     { found = Constant <value = float[1, 1, 6] {0, 0, 16, 32, 0.9, 1}> () }''')
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "left.onnx"
    >>> onnx.save(network, path)
    >>> record = Model("left", "detection", (ModelFile(str(path)),), license="", source="", input=ImageInput(32, 32),
    ...                labels=("person", "car"), decoder="yolov10")
    >>> [[car]] = Detector(record)([np.zeros((120, 200, 3), np.uint8)])
    >>> car.label, car.box, round(car.confidence, 2)
    ('car', (0.0, 0.0, 100.0, 120.0), 0.9)
    """

    def __init__(
        self,
        model: str | Model = "yolox-nano",
        *,
        min_confidence: float = 0.25,
        folder: str | Path | None = None,
        provider: str | None = None,
    ) -> None:
        record = find_model(model)
        check_choice(f"decoder of model {record.name!r}", record.decoder, DECODERS)
        self.min_confidence = check_real("min_confidence", min_confidence, low=0, high=1)
        self._network = open_network(record, folder=folder, provider=provider)
        self.model = self._network.model
        self._input, self._size = _input_of(self.model)
        self._quarter = replace(self._input, height=self._size[0] // 2, width=self._size[1] // 2)
        self._sought = VEHICLES.intersection(self.model.labels)

    @property
    def params(self) -> dict[str, Any]:
        """All that the boxes depend on, as JSON holds it."""
        vehicles = [index for index, label in enumerate(self.model.labels) if label in VEHICLES]
        return {**self._network.params, "vehicles": vehicles, "min_confidence": self.min_confidence}

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]:
        """Return the detections of each image, the most confident first."""
        pixels = rgb_pixels(images)
        pieces = (pixels[start : start + _BATCH] for start in range(0, len(pixels), _BATCH))
        return [found for piece in pieces for found in self._detect(piece)]

    def _detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]:
        found = self._look(images, self._input)
        missed = [row for row, detections in enumerate(found) if not self._satisfied(detections)]
        if missed:
            again = self._look([images[row] for row in missed], self._quarter)
            for row, detections in zip(missed, again, strict=True):
                if self._satisfied(detections) or not found[row]:
                    found[row] = detections
        return found

    def _satisfied(self, detections: Sequence[Detection]) -> bool:
        return any(not self._sought or detection.label in self._sought for detection in detections)

    def _look(self, images: Sequence[NDArray[np.uint8]], spec: ImageInput) -> list[list[Detection]]:
        """Return what the network finds in images drawn as `spec` says in the upper left corner of its input."""
        inputs = image_batch(images, spec)
        if spec != self._input:
            inputs = _in_corner(inputs, self._input)
        outputs = self._network(inputs)[self._network.output]
        return [self._detections(output, image.shape[:2], spec) for output, image in zip(outputs, images, strict=True)]

    def _detections(self, output: NDArray[Any], size: tuple[int, int], spec: ImageInput) -> list[Detection]:
        boxes = to_image(DECODERS[self.model.decoder](output, self._size, self.min_confidence), size, spec)
        return [
            Detection(tuple(corners), self._label(index), confidence)
            for corners, confidence, index in zip(*(values.tolist() for values in boxes), strict=True)
        ]

    def _label(self, index: int) -> str:
        return self.model.labels[index] if 0 <= index < len(self.model.labels) else f"class {index}"


def _input_of(model: Model) -> tuple[ImageInput, tuple[int, int]]:
    """Return what a detector takes, and its height and width."""
    spec = model.input
    if spec is None or spec.height is None or spec.width is None:
        raise ValueError(f"`model` must have an `input` in its record. That of {model.name!r} has none.")
    return spec, (spec.height, spec.width)


def _in_corner(inputs: NDArray[Any], spec: ImageInput) -> NDArray[Any]:
    """Return inputs in the upper left corner of inputs of the size of `spec`, the rest of them blank."""
    blank = image_batch([np.full((1, 1, 3), spec.fill, np.uint8)] * len(inputs), spec)
    if spec.layout == "NCHW":
        blank[..., : inputs.shape[2], : inputs.shape[3]] = inputs
    else:
        blank[:, : inputs.shape[1], : inputs.shape[2]] = inputs
    return blank
