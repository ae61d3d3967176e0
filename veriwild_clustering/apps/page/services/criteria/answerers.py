"""Who can say what an image shows here: measurements, CLIP, or a model behind an endpoint that the server knows."""

from __future__ import annotations

import os
from typing import Any

from veriwild_clustering.apps.page.problems import BadRequestError, UnavailableError
from veriwild_clustering.apps.page.services.criteria.schemas import (
    AnswererInfo,
    Answerers,
    CriteriaRequest,
    CriterionRequest,
)
from veriwild_clustering.apps.page.services.searching import clip_descriptor, words_missing
from veriwild_clustering.apps.page.workspace import Workspace

__all__ = ["answerer_of", "answerers", "endpoint_of"]

_MEASURED = "Colour of the vehicle, day or night, focus; or whatever a column of the image table says."
_CLIP = "Chooses among labels, which you give; colour, type, view, light and focus have labels already."
_NO_ENDPOINT = (
    "The server knows no endpoint. Start it with OPENAI_BASE_URL and, where it needs one, OPENAI_API_KEY in its "
    "environment, and the model's name in VERIWILD_VISION_MODEL."
)


def answerers(workspace: Workspace) -> Answerers:
    """Return who can answer here, and what is missing for the others."""
    missing = words_missing(workspace)
    models = _endpoint_models()
    told = f"Any criterion. Images are sent to {' and '.join(models)}, which may cost money." if models else None
    return Answerers(
        items=[
            AnswererInfo(name="measured", is_at_hand=True, about=_MEASURED),
            AnswererInfo(name="clip", is_at_hand=not missing, about=missing or _CLIP),
            AnswererInfo(
                name="endpoint", is_at_hand=bool(models), about=told or _NO_ENDPOINT, models=models, sends=True
            ),
        ]
    )


def answerer_of(workspace: Workspace, request: CriteriaRequest) -> Any:
    """Return who answers a request.

    Raises
    ------
    UnavailableError
        If the one who is asked for is not at hand, or cannot tell one of the criteria.
    BadRequestError
        If there is no such column, or an endpoint would be asked without a limit.
    """
    for info in answerers(workspace).items:
        if info.name == request.answerer and not info.is_at_hand:
            raise UnavailableError(info.about, field="answerer")
    if request.answerer == "measured":
        return _measured(workspace, request)
    if any(criterion.column for criterion in request.criteria):
        raise BadRequestError("A column is for measured answers alone.", field="criteria")
    if request.answerer == "endpoint":
        return endpoint_of(request)
    return _clip(workspace, request)


def endpoint_of(request: CriteriaRequest) -> Any:
    """Return the endpoint of the server's environment, with the limits of the request."""
    from veriwild_clustering.images.captioning.endpoint import ChatEndpoint

    if request.max_requests is None:
        raise BadRequestError("Say how many requests may be sent at most, `max_requests`.", field="max_requests")
    return ChatEndpoint(max_requests=request.max_requests, max_cost=request.max_cost, prices=request.prices)


def _measured(workspace: Workspace, request: CriteriaRequest) -> Any:
    from veriwild_clustering.images.criteria.measured import MEASURED, MeasuredAnswers
    from veriwild_clustering.images.criteria.vocabulary import subject_of

    table = workspace.dataset.images
    for criterion in request.criteria:
        if criterion.column and criterion.column not in table:
            raise BadRequestError(f"There is no column {criterion.column!r}.", field="criteria")
        if not criterion.column and subject_of(criterion.text) not in MEASURED:
            raise UnavailableError(
                f"Nothing that is measured tells “{criterion.text}”: measured are the colour of the vehicle, day or "
                "night, and focus. Name a column of the image table that says it, or let another one answer.",
                field="criteria",
            )
    return MeasuredAnswers({one.text: one.column for one in request.criteria if one.column})


def _clip(workspace: Workspace, request: CriteriaRequest) -> Any:
    from veriwild_clustering.descriptors.text.labelling import ZeroShotAnswers

    for criterion in request.criteria:
        if not _has_labels(criterion):
            raise BadRequestError(f"CLIP chooses among labels, and “{criterion.text}” has none.", field="criteria")
    return ZeroShotAnswers(clip_descriptor(workspace) or "", folder=workspace.models)


def _has_labels(criterion: CriterionRequest) -> bool:
    from veriwild_clustering.images.criteria.vocabulary import SYNONYMS, subject_of

    return bool(criterion.labels) or (subject_of(criterion.text) or "") in SYNONYMS


def _endpoint_models() -> list[str]:
    """Return the models that the environment names, none where it names no endpoint or no key to it."""
    from veriwild_clustering.images.captioning.chat.keys import find_url, has_key
    from veriwild_clustering.images.captioning.chat.settings import named_models

    if not (os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_KEY")):
        return []
    try:
        return list(dict.fromkeys(named_models(None, None))) if has_key(find_url(None)) else []
    except ValueError:
        return []
