"""Searching: images like rows, like new images, by words, and the neighbours of one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, JsonValue

from veriwild_clustering.apps.page.problems import BadRequestError, UnavailableError
from veriwild_clustering.apps.page.services.images import checked_row
from veriwild_clustering.apps.page.services.schemas import Model, RowNumber, Where, conditions_of, plain_value
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.descriptors.text.embedding import CLIP, CLIP_TEXT

if TYPE_CHECKING:
    from veriwild_clustering.core.descriptor import Descriptor
    from veriwild_clustering.search.queries import Query
    from veriwild_clustering.search.results import Results

__all__ = ["SearchRequest", "SearchResponse", "clip_descriptor", "neighbors", "search", "words_missing"]

_MAX_EXAMPLES = 64
_MAX_RESULTS = 200

Text = Annotated[str, Field(min_length=1, max_length=500)]
Rows = Annotated[list[RowNumber], Field(max_length=_MAX_EXAMPLES)]
Texts = Annotated[list[Text], Field(max_length=16)]
Weight = Annotated[float, Field(ge=0, le=1e6)]


class Negatives(Model):
    """What is not wanted."""

    rows: Rows = Field(default=[])
    texts: Texts = Field(default=[])


class SearchRequest(Model):
    """What is looked for. All that is given counts together."""

    rows: Rows = Field(default=[], description="Like these images of the dataset.", examples=[[17]])
    texts: Texts = Field(default=[], description="Words, in English. They need the descriptor of CLIP.", examples=[[]])
    weights: Annotated[dict[str, Weight], Field(max_length=32)] = Field(
        default={}, description="The descriptors that count and how much; by default those of the dataset's overview.",
        examples=[{}],
    )  # fmt: skip
    where: Where = Field(default={})
    partition: str = Field(default="", description="Whose `cluster` the conditions mean; by default the first.")
    negatives: Negatives | None = None
    n_results: Annotated[int, Field(ge=1, le=_MAX_RESULTS, strict=True)] = 20
    exclude_same_vehicle: bool = False
    exclude_same_camera: bool = False
    rerank: Literal["k-reciprocal", "local-scaling"] | None = None
    text_weight: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="Share of the words beside examples."
    )


class SearchHit(Model):
    """An image that was found."""

    row: int
    path: str
    score: float = Field(description="Cosine similarity, higher is nearer; of some indices a distance, see `metric`.")
    reranked: float | None = Field(default=None, description="The distance by which re-ranking orders.")
    parts: dict[str, float] = Field(description="What each descriptor adds to the score.")
    explanation: str
    record: dict[str, JsonValue] = Field(description="Vehicle, camera and attributes, as far as they are known.")


class SearchResponse(Model):
    """What was found, best first."""

    items: list[SearchHit]
    weights: dict[str, float]
    metric: str
    approximation: str | None = Field(description="How rows were found, where not by comparing all.")
    seconds: float


def search(workspace: Workspace, request: SearchRequest, images: Sequence[NDArray[np.uint8]] = ()) -> SearchResponse:
    """Return the images nearest to what is looked for; `images` are new ones, decoded.

    Raises
    ------
    BadRequestError
        If nothing is looked for, or something that is asked for is not possible.
    UnavailableError
        If words or new images need a network whose weights are not at hand.
    """
    started = perf_counter()
    weights = request.weights or _default_weights(workspace, request)
    try:
        query = _query(request, images)
        _check_at_hand(workspace, weights, query)
        results, approximation = _found(workspace, request, weights, query)
    except UnavailableError:
        raise
    except (ValueError, TypeError) as error:
        raise BadRequestError(str(error)) from error
    return SearchResponse(
        items=[_hit(workspace, results, place) for place in range(len(results))],
        weights=dict(results.weights),
        metric=results.metric,
        approximation=approximation,
        seconds=perf_counter() - started,
    )


def neighbors(workspace: Workspace, row: int, *, n_results: int = 12) -> SearchResponse:
    """Return the images nearest to one of the dataset."""
    return search(workspace, SearchRequest(rows=[checked_row(workspace, row)], n_results=n_results))


def words_missing(workspace: Workspace) -> str:
    """Say what is missing for comparing images with words, "" if nothing is."""
    from veriwild_clustering.images.models.weights import ModelError, is_cached

    if clip_descriptor(workspace) is None:
        return (
            f"Words can be compared where a dataset has the descriptor {CLIP}, and this one has not. "
            f"Make it from the images: veriwild create-dataset --pictures … --models {CLIP}"
        )
    try:
        is_here = is_cached(CLIP_TEXT, folder=workspace.models)
    except ModelError as error:
        return str(error)
    return "" if is_here else f"The weights for words are not at hand. Bring them: veriwild models get {CLIP_TEXT}"


def clip_descriptor(workspace: Workspace) -> str | None:
    """Return the name of the descriptor that words can be compared with, if the dataset has one."""
    found = (descriptor.name for descriptor in workspace.dataset if _model_of(descriptor) == CLIP)
    return next(found, None)


def _found(
    workspace: Workspace, request: SearchRequest, weights: Mapping[str, float], query: Query
) -> tuple[Results, str | None]:
    from veriwild_clustering.search.queries import search_images

    index = workspace.indices.get(weights)
    dataset = replace(workspace.dataset, images=workspace.table(request.where, partition=request.partition))

    def run() -> Results:
        return search_images(
            index,
            dataset,
            query,
            n_results=request.n_results,
            where=conditions_of(request.where),
            exclude_same_vehicle=request.exclude_same_vehicle,
            exclude_same_camera=request.exclude_same_camera,
            rerank=request.rerank,
            encoder=workspace.encoder,
        )

    if not _needs_networks(query):
        return run(), getattr(index, "approximation", None)
    with workspace.encoding:  # networks take one image at a time on all cores
        return run(), getattr(index, "approximation", None)


def _query(request: SearchRequest, images: Sequence[NDArray[np.uint8]]) -> Query:
    from veriwild_clustering.search.queries import Query

    unwanted = request.negatives
    negatives = Query(unwanted.rows, texts=unwanted.texts) if unwanted and (unwanted.rows or unwanted.texts) else None
    return Query(request.rows, images, request.texts, negatives=negatives, text_weight=request.text_weight)


def _needs_networks(query: Query) -> bool:
    return bool(query.images or query.texts or (query.negatives and query.negatives.texts))


def _default_weights(workspace: Workspace, request: SearchRequest) -> dict[str, float]:
    """Return what is searched where nothing is said: by words the descriptor that they can be compared with."""
    words = request.texts or (request.negatives and request.negatives.texts)
    if not words or any(_model_of(workspace.dataset[name]) == CLIP for name in workspace.default_weights):
        return workspace.default_weights
    partner = clip_descriptor(workspace)
    if partner is None:
        raise UnavailableError(
            f"Words need the descriptor {CLIP!r}, which this dataset does not have: extract it from the images with "
            f"`python create_dataset.py --pictures FOLDER --models {CLIP}`.",
            field="texts",
        )
    return {partner: 1.0}


def _check_at_hand(workspace: Workspace, weights: Mapping[str, float], query: Query) -> None:
    """Raise if weights of networks are missing: a request never downloads."""
    from veriwild_clustering.images.models.catalog import MODELS
    from veriwild_clustering.images.models.weights import is_cached

    needed: list[str] = []
    if query.texts or (query.negatives and query.negatives.texts):
        needed.append(CLIP_TEXT)
    if query.images:
        needed += [
            name for one in weights if one in workspace.dataset.names for name in _models_of(workspace.dataset[one])
        ]
    missing = [name for name in needed if name in MODELS and not is_cached(name, folder=workspace.models)]
    if missing:
        raise UnavailableError(
            f"The weights of {missing[0]!r} are not at hand. Bring them with `veriwild models get {missing[0]}`.",
            field="texts" if missing[0] == CLIP_TEXT else "images",
        )


def _model_of(descriptor: Descriptor) -> str:
    return str(descriptor.params.get("model", descriptor.name))


def _models_of(descriptor: Descriptor) -> list[str]:
    """Return the networks that a new image goes through on its way to a vector of the descriptor."""
    preparation = descriptor.params.get("preparation")
    settings = preparation if isinstance(preparation, Mapping) else {}
    parts: list[Any] = [settings.get(step) for step in ("upscaler", "detector", "masker")]
    return [
        _model_of(descriptor),
        *(str(part["model"]) for part in parts if isinstance(part, Mapping) and "model" in part),
    ]


def _hit(workspace: Workspace, results: Results, place: int) -> SearchHit:
    found = results.table.iloc[place]
    images, row = workspace.dataset.images, int(found["row"])
    shown = [name for name in images.columns if name in _SHOWN]
    return SearchHit(
        row=row,
        path=str(found["path"]),
        score=float(found["score"]),
        reranked=plain_value(found.get("reranked")),
        parts={name: float(found[name]) for name in results.weights},
        explanation=results.explain(place),
        record={name: plain_value(images[name].iloc[row]) for name in shown},
    )


_SHOWN = frozenset({"vehicle_id", "camera", "time", "type", "color", "model", "view", "measured_color", "light"})
