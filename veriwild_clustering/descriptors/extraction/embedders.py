"""What makes vectors of images, whatever it is: a network of the catalog, a descriptor without weights, one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_int
from veriwild_clustering.descriptors.extraction.handcrafted import HANDCRAFTED
from veriwild_clustering.images.models.catalog import MODELS
from veriwild_clustering.images.models.checksums import model_identity
from veriwild_clustering.images.models.networks import Network, open_network
from veriwild_clustering.images.models.record import Model
from veriwild_clustering.images.models.weights import model_files

__all__ = ["EMBEDDINGS", "Embedder", "find_embedders"]

EMBEDDINGS = tuple(name for name, model in MODELS.items() if model.task in {"embedding", "attributes"})
"""Names of the networks that make a vector of an image."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@runtime_checkable
class Embedder(Protocol):
    """Makes one vector of each image; `params` says all that the numbers depend on, as JSON holds it."""

    @property
    def name(self) -> str:
        """What the descriptor is called, and its file."""

    @property
    def n_features(self) -> int:
        """Length of a vector."""

    @property
    def params(self) -> Mapping[str, Any]:
        """What the vectors depend on."""

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return the vectors of RGB images of any sizes."""


@dataclass(frozen=True)
class _NetworkEmbedder:
    """A network as an embedder."""

    name: str
    network: Network
    params: Mapping[str, Any]

    @classmethod
    def open(cls, record: Model, *, folder: str | Path | None, provider: str | None) -> _NetworkEmbedder:
        if record.task not in {"embedding", "attributes"}:
            raise ValueError(
                f"Model {record.name!r} is for {record.task}; it makes no vector of an image. "
                f"These do: {', '.join((*EMBEDDINGS, *HANDCRAFTED))}."
            )
        network = open_network(record, folder=folder, provider=provider)
        params = {
            **model_identity(record, model_files(record, folder=folder)),
            "input": asdict(network.model.input) if network.model.input else None,
            "output": record.output,
            "provider": network.provider,
        }
        return cls(record.name, network, params)

    @property
    def n_features(self) -> int:
        return self.network.n_features

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return self.network.embed(images)


def find_embedders(
    models: Sequence[str | Model | Embedder], *, folder: str | Path | None = None, provider: str | None = None
) -> dict[str, Embedder]:
    """Return embedders by name, networks opened.

    Raises
    ------
    ValueError
        If a name is not known, given twice, or no name for a file.
    ModelError
        If the files of a network cannot be had.
    """
    if isinstance(models, str) or not models:
        raise ValueError(f"`models` must be a list of names, such as ['hog']. Got {models!r} instead.")
    found: dict[str, Embedder] = {}
    for model in (_known(model) for model in models):
        if not _NAME.fullmatch(model.name):
            raise ValueError(f"A model's name has only letters, digits, `-`, `_` and `.`. Got {model.name!r} instead.")
        if model.name.casefold() in map(str.casefold, found):
            raise ValueError(f"`models` must name each model once. Got {model.name!r} twice.")
        if not isinstance(model, Model):
            check_int(f"n_features of {model.name}", model.n_features, low=1)
        found[model.name] = (
            _NetworkEmbedder.open(model, folder=folder, provider=provider) if isinstance(model, Model) else model
        )
    return found


def _known(model: str | Model | Embedder) -> Model | Embedder:
    if not isinstance(model, str | Model | Embedder):
        raise ValueError(
            f"`models` takes names, records, and callables that have `name`, `n_features` and `params`. Got {model!r}."
        )
    if not isinstance(model, str):
        return model
    if model in HANDCRAFTED:
        return HANDCRAFTED[model]
    if model in MODELS:
        return MODELS[model]
    known = (*EMBEDDINGS, *HANDCRAFTED)
    near = [name for name in known if name.startswith(model.lower())]
    near = near or get_close_matches(model.lower(), known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"Known: {', '.join(known)}."
    raise ValueError(f"Unknown model {model!r}. {hint}")
