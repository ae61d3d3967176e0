"""Vectors of what is not in the dataset, new images and words, made as those of its descriptors were."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.descriptors.extraction.decoding import MAX_PIXELS
from veriwild_clustering.descriptors.extraction.embedders import Embedder, find_embedders
from veriwild_clustering.descriptors.extraction.extract import Prepare
from veriwild_clustering.descriptors.extraction.handcrafted import HANDCRAFTED
from veriwild_clustering.descriptors.text.embedding import CLIP_TEXT, embed_texts
from veriwild_clustering.images.models.catalog import MODELS, find_model
from veriwild_clustering.images.models.record import Model
from veriwild_clustering.images.preparation.detection import Detector
from veriwild_clustering.images.preparation.masking import GRABCUT, Masker
from veriwild_clustering.images.preparation.prepare import Preparation
from veriwild_clustering.images.preparation.super_resolution import BICUBIC, Upscaler
from veriwild_clustering.images.reading import BadImageError, open_header, rgb_pixels, upright

__all__ = ["QueryEncoder", "UnknownModelError"]

_TOLD = ("sha256", "output", "pooling", "input")  # of what is recorded of a network, what its vectors depend on


class UnknownModelError(DatasetError):
    """A descriptor of which nobody knows what made it: new images have no vector to compare with its."""


class QueryEncoder:
    """Makes vectors of new images and of words that can be compared with those of a dataset.

    What an extraction recorded beside a descriptor says which network made it of which part of an image; the same
    network and preparation are opened, once, and must be the same to the byte. A descriptor that was brought along, and
    of which nothing is known, needs a model under its name in `models`.

    Parameters
    ----------
    models : mapping of str to str, Model or callable, optional
        What makes a descriptor, by its name, where that is no network of the catalog: a record such as `user_model`
        gives, or what else `extract` takes.
    preparation : Preparation, optional
        What is done to images first, where the preparation that was recorded has networks outside the catalog.
    text_model : str or Model, default "clip-vit-b-32-text"
        The network for words. The descriptor that its partner made, of the same name without "-text", must be searched.
    folder : path, optional
        Folder of the weights: by default `$VERIWILD_MODELS`, else the user's cache.
    provider : str, optional
        What runs the networks, see `open_network`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> from veriwild_clustering import extract
    >>> from veriwild_clustering.search.encoding import QueryEncoder
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> Image.linear_gradient("L").save(folder / "a.png")
    >>> descriptor = extract(folder, ["hog"], folder=folder / "vectors").descriptors["hog"]
    >>> vectors = QueryEncoder().images([folder / "a.png"], descriptor)
    >>> bool((vectors == descriptor.vectors).all())
    True
    """

    def __init__(
        self,
        models: Mapping[str, str | Model | Embedder] | None = None,
        *,
        preparation: Prepare | None = None,
        text_model: str | Model = CLIP_TEXT,
        folder: str | Path | None = None,
        provider: str | None = None,
    ) -> None:
        self._models = dict(models or {})
        self._preparation = preparation
        self._text_model = find_model(text_model)
        self._folder, self._provider = folder, provider
        self._embedders: dict[tuple[str, str | None], Embedder] = {}  # by descriptor and recorded model
        self._preparations: dict[str, Prepare] = {}

    def images(self, images: Sequence[Any], descriptor: Descriptor) -> NDArray[np.float32]:
        """Return the vectors of new images.

        Parameters
        ----------
        images : sequence of path or array of shape (height, width, 3), uint8
            The images: files, or decoded, RGB.
        descriptor : Descriptor
            With whose vectors they shall be compared. One that was computed from others, such as a PCA, goes through
            the same steps.

        Returns
        -------
        array of shape (n_images, n_features), float32
            One vector per image.

        Raises
        ------
        DatasetError
            If an image cannot be read, nobody knows what made the descriptor, or the files of the network or of the
            preparation are not to be had or others than those that made it.
        """
        pixels = [_pixels(image) for image in images]
        prepared: dict[str, list[NDArray[np.uint8]]] = {}

        def embed(root: Descriptor) -> NDArray[np.float32]:
            embedder = self._embedder(root)
            key = json.dumps(root.params.get("preparation"))
            if key not in prepared:
                prepared[key] = self._prepared(pixels, root)
            vectors = np.asarray(embedder(prepared[key]), dtype=np.float32)
            if vectors.shape != (len(pixels), root.n_features):
                raise DatasetError(
                    f"{embedder.name!r} makes vectors of length {vectors.shape[-1]}, those of {root.name!r} have "
                    f"{root.n_features}: it is another model."
                )
            return vectors

        vectors = descriptor.compute(embed)
        if not np.isfinite(vectors).all():
            raise DatasetError(f"The vector of a new image for {descriptor.name!r} is not finite: the model is broken.")
        return vectors

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, of length one, shape (n_texts, n_features); see `embed_texts`."""
        return embed_texts(texts, model=self._text_model, folder=self._folder, provider=self._provider)

    def partner(self, descriptors: Sequence[Descriptor]) -> Descriptor:
        """Return the one of the descriptors with which words can be compared.

        Raises
        ------
        ValueError
            If there is none; the message says what to do.
        """
        wanted = self._text_model.name.removesuffix("-text")
        for descriptor in descriptors:
            if not descriptor.parents and descriptor.params.get("model", descriptor.name) == wanted:
                return descriptor
        raise ValueError(
            f"Words can be compared with {wanted!r} alone, and what is searched is "
            f"{', '.join(descriptor.name for descriptor in descriptors)}. Extract {wanted!r} from the images and build "
            f"an index that holds it."
        )

    def can_embed(self, descriptor: Descriptor) -> bool:
        """Tell whether it is known what made a descriptor, so that new images can be compared with it."""
        return all(self._source(root) is not None for root in descriptor.roots)

    def _source(self, root: Descriptor) -> str | Model | Embedder | None:
        """Return what makes a descriptor, None where that is not known."""
        if root.name in self._models:
            return self._models[root.name]
        recorded = root.params.get("model")
        if recorded is None:  # what needs no weights is recorded by its settings
            own = HANDCRAFTED.get(root.name)
            return own if own is not None and "preparation" in root.params and _agree(own.params, root.params) else None
        return MODELS.get(recorded)

    def _embedder(self, root: Descriptor) -> Embedder:
        source = self._source(root)
        if source is None:
            raise UnknownModelError(_unknown(root))
        key = root.name, root.params.get("model")
        if key not in self._embedders:
            [self._embedders[key]] = find_embedders([source], folder=self._folder, provider=self._provider).values()
        embedder = self._embedders[key]
        told = {name: embedder.params[name] for name in _TOLD if name in embedder.params and name in root.params}
        if not _agree(told, root.params):
            raise DatasetError(
                f"The files of {embedder.name!r} at hand are not those that made {root.name!r}: their checksums or "
                f"settings differ. Use the same files, or extract {root.name!r} from the images again."
            )
        return embedder

    def _prepared(self, pixels: list[NDArray[np.uint8]], root: Descriptor) -> list[NDArray[np.uint8]]:
        recorded = root.params.get("preparation")
        if recorded is None:
            return pixels
        key = json.dumps(recorded)
        if key not in self._preparations:
            preparation = self._preparation or self._recorded_preparation(root)
            if isinstance(recorded, Mapping) and not _agree(getattr(preparation, "params", None), recorded):
                raise DatasetError(
                    f"The preparation at hand is not the one with which {root.name!r} was extracted: {recorded}."
                )
            self._preparations[key] = preparation
        return [one.image for one in self._preparations[key](pixels)]

    def _recorded_preparation(self, root: Descriptor) -> Preparation:
        recorded = root.params["preparation"]
        settings = dict(recorded) if isinstance(recorded, Mapping) else {}
        upscaler, detector = settings.pop("upscaler", {}), settings.pop("detector", {})
        masker = settings.pop("masker", None)
        parts, at_hand = (upscaler, detector, masker), {BICUBIC, GRABCUT, *MODELS}
        if not all(part is None or part.get("model") in at_hand for part in parts):
            raise DatasetError(
                f"{root.name!r} was extracted with a preparation that is not of the catalog ({recorded}): give the "
                f"same one to `QueryEncoder(preparation=...)`."
            )
        opened: dict[str, Any] = {"folder": self._folder, "provider": self._provider}
        return Preparation(
            upscaler and Upscaler(upscaler["model"], **opened),
            detector and Detector(detector["model"], min_confidence=detector["min_confidence"], **opened),
            masker=masker and Masker(masker["model"], **_masker_settings(masker), **opened),
            **settings,
        )


def _masker_settings(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was recorded of a masker beside its network."""
    return {name: recorded[name] for name in ("fill", "min_share", "random_state") if name in recorded}


def _pixels(image: str | Path | ArrayLike) -> NDArray[np.uint8]:
    """Return an image as an extraction sees it."""
    from PIL import Image

    if not isinstance(image, str | Path):
        [pixels] = rgb_pixels([image])
        return np.asarray(upright(Image.fromarray(pixels), max_pixels=MAX_PIXELS))
    file = Path(image).absolute()
    try:
        with open_header(ImageStore(file.parent), file.name) as opened:
            return np.asarray(upright(opened, max_pixels=MAX_PIXELS))
    except BadImageError as error:
        raise DatasetError(f"{file} cannot be searched for: {error}.") from error


def _agree(found: Any, recorded: Any) -> bool:
    """Tell whether what is at hand is what was recorded as JSON; what runs a network is not looked at."""
    if isinstance(found, Mapping) and isinstance(recorded, Mapping):
        return all(_agree(value, recorded.get(key)) for key, value in found.items() if key != "provider")
    return bool(json.loads(json.dumps(found, default=str)) == recorded)


def _unknown(root: Descriptor) -> str:
    recorded = root.params.get("model")
    origin = (
        f"was made by {recorded!r}, which is not in the catalog"
        if recorded
        else "was brought along: nothing says which model made it"
    )
    return (
        f"Descriptor {root.name!r} {origin}, so a new image has no vector to compare with. Search by a row of the "
        f"dataset, by a descriptor that was extracted here, or name what made it: "
        f"QueryEncoder({{{root.name!r}: user_model('file.onnx', ...)}})."
    )
