"""A network of the family of SAM: what it sees of an image once, and a mask for each prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.images.models.catalog import find_model
from veriwild_clustering.images.models.checksums import model_identity
from veriwild_clustering.images.models.inputs import image_batch
from veriwild_clustering.images.models.record import Model
from veriwild_clustering.images.models.sessions import Session, open_session
from veriwild_clustering.images.models.weights import ModelError, model_files
from veriwild_clustering.images.reading import rgb_pixels
from veriwild_clustering.images.segmentation.prompts import checked_boxes, checked_points

__all__ = ["Masks", "SeenImage", "SegmentAnything"]

_MASK_SIDE = 256  # of the earlier mask that the decoder may be given; it never is
_OUTSIDE, _INSIDE, _CORNERS, _NOTHING = 0.0, 1.0, (2.0, 3.0), -1.0  # what the network calls points
_INPUTS = ("image_embeddings", "point_coords", "point_labels", "mask_input", "has_mask_input", "orig_im_size")
_OUTPUTS = ("masks", "iou_predictions")


class Masks(NamedTuple):
    """What a prompt may mean: logits, shape (n_masks, height, width), and how good the network thinks each."""

    logits: NDArray[np.float32]
    iou: NDArray[np.float32]


class SegmentAnything:
    """Cut objects out of images by points and boxes, with a network of the family of SAM.

    Parameters
    ----------
    model : str or Model, default "mobile-sam"
        "mobile-sam" or "sam-vit-b" of the catalog, or a record of the task "segmentation" with two files, the encoder
        and the decoder.
    folder : path, optional
        Where weights are kept, see `model_files`.
    provider : str, optional
        What runs the networks, see `open_network`.

    Raises
    ------
    ValueError
        If the model is none for segmentation.
    ModelError
        If its files cannot be had or are not what is expected.

    Notes
    -----
    The encoder takes an image, float32 of shape (1, 3, side, side), normalised, its longer side the whole side, zeros
    at the right and below. The decoder is what the authors of SAM export: `image_embeddings`, `point_coords`,
    `point_labels`, `mask_input`, `has_mask_input`, `orig_im_size` in, `masks` and `iou_predictions` out. The catalog
    knows no address of either; export them and put them where the error says.

    References
    ----------
    .. [1] Kirillov, A., et al. (2023). Segment anything. https://doi.org/10.1109/ICCV51070.2023.00371
    .. [2] Zhang, C., et al. (2023). Faster segment anything: towards lightweight SAM for mobile applications.
       https://doi.org/10.48550/arXiv.2306.14289

    Examples
    --------
    >>> from veriwild_clustering import SegmentAnything
    >>> import tempfile
    >>> SegmentAnything("mobile-sam", folder=tempfile.mkdtemp())
    Traceback (most recent call last):
    ...
    veriwild_clustering.images.models.weights.ModelError: ...mobile_sam_encoder.onnx...
    """

    def __init__(
        self, model: str | Model = "mobile-sam", *, folder: str | Path | None = None, provider: str | None = None
    ) -> None:
        record = find_model(model)
        if record.task != "segmentation" or len(record.files) != 2 or record.input is None:
            raise ValueError(
                f"`model` must be a record of the task 'segmentation' with an encoder, a decoder and an input. "
                f"Got {record.name!r} for {record.task} instead."
            )
        self.model, self._input = record, record.input
        files = model_files(record, folder=folder)
        self.params: dict[str, Any] = model_identity(record, files)
        self._encoder, self._decoder = (
            open_session([file], output=None, provider=provider or "auto", n_threads=1) for file in files
        )
        _check_ports(self._decoder, files[1])
        self._side = record.input.height or next(iter(self._encoder.inputs.values())).shape[-1] or 1024

    def see(self, image: NDArray[np.uint8]) -> SeenImage:
        """Return the image as the network sees it, ready for any number of prompts."""
        [pixels] = rgb_pixels([image])
        height, width = pixels.shape[:2]
        scale = self._side / max(height, width)
        drawn = max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
        spec = replace(self._input, height=drawn[0], width=drawn[1], resize="stretch")
        inputs = np.zeros((1, 3, self._side, self._side), dtype=np.float32)
        inputs[:, :, : drawn[0], : drawn[1]] = image_batch([pixels], spec)
        [name] = self._encoder.inputs
        embedding = next(iter(self._encoder.run({name: inputs}).values()))
        return SeenImage(self._decoder, embedding, (height, width), drawn)


@dataclass(frozen=True, eq=False)
class SeenImage:
    """An image that a network has seen.

    Parameters
    ----------
    decoder : Session
        What makes masks.
    embedding : array
        What the encoder made of the image.
    size, drawn : (int, int)
        Height and width of the image, and of it in the input.
    """

    decoder: Session
    embedding: NDArray[np.float32]
    size: tuple[int, int]
    drawn: tuple[int, int]

    def masks(
        self,
        points: Sequence[Sequence[float]] = (),
        not_points: Sequence[Sequence[float]] = (),
        *,
        box: Sequence[float] | None = None,
    ) -> Masks:
        """Return the masks of one prompt: points on the object, points beside it, its box, in pixels of the image."""
        on, beside = checked_points("points", points), checked_points("not_points", not_points)
        corners = np.empty((0, 2)) if box is None else checked_boxes([box], self.size).reshape(2, 2)
        filler = np.zeros((1 if box is None else 0, 2))  # what the network takes in place of a box
        places = np.concatenate([on, beside, corners, filler]) * (np.array(self.drawn) / self.size)[::-1]
        kinds = [_INSIDE] * len(on) + [_OUTSIDE] * len(beside) + [*_CORNERS[: len(corners)]] + [_NOTHING] * len(filler)
        outputs = self.decoder.run(
            {
                "image_embeddings": self.embedding,
                "point_coords": places[None].astype(np.float32),
                "point_labels": np.array([kinds], dtype=np.float32),
                "mask_input": np.zeros((1, 1, _MASK_SIDE, _MASK_SIDE), dtype=np.float32),
                "has_mask_input": np.zeros(1, dtype=np.float32),
                "orig_im_size": np.array(self.size, dtype=np.float32),
            }
        )
        return Masks(outputs["masks"][0], outputs["iou_predictions"][0])

    def best_mask(
        self,
        points: Sequence[Sequence[float]] = (),
        not_points: Sequence[Sequence[float]] = (),
        *,
        box: Sequence[float] | None = None,
    ) -> NDArray[np.bool_]:
        """Return the mask of one prompt of which the network thinks best."""
        found = self.masks(points, not_points, box=box)
        return np.asarray(found.logits[int(found.iou.argmax())] > 0)


def _check_ports(decoder: Session, file: Path) -> None:
    for what, wanted, found in (("inputs", _INPUTS, decoder.inputs), ("outputs", _OUTPUTS, decoder.outputs)):
        missing = [name for name in wanted if name not in found]
        if missing:
            raise ModelError(
                f"{file} is no decoder of SAM: its {what} lack {', '.join(missing)}. Export it as its authors do, with "
                f"points and boxes as inputs."
            )
