"""Routes of criteria in words: who can answer, what asking takes, and clustering by them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from veriwild_clustering.apps.page.server.errors import ErrorBody
from veriwild_clustering.apps.page.server.routers.parameters import OpenWorkspace
from veriwild_clustering.apps.page.services.criteria.answerers import answerers
from veriwild_clustering.apps.page.services.criteria.clustering import cluster_by_criteria, estimate_criteria
from veriwild_clustering.apps.page.services.criteria.schemas import (
    Answerers,
    CriteriaRequest,
    CriteriaResponse,
    Estimate,
)

__all__ = ["router"]

router = APIRouter(prefix="/criteria", tags=["criteria"])

_EXAMPLES: dict[str, Any] = {
    "measured": {"value": {"criteria": [{"text": "colour of the vehicle"}, {"text": "day or night"}]}},
    "endpoint": {
        "value": {
            "criteria": [{"text": "roof of the vehicle", "labels": ["roof rack", "sunroof", "plain"]}],
            "answerer": "endpoint",
            "max_requests": 2_000,
        }
    },
}

Asked = Annotated[CriteriaRequest, Body(openapi_examples=_EXAMPLES)]


@router.get("")
def who_answers(workspace: OpenWorkspace) -> Answerers:
    """Return who can say what an image shows here, and what is missing for the others."""
    return answerers(workspace)


@router.post("/estimate")
def estimate(workspace: OpenWorkspace, request: Asked) -> Estimate:
    """Return what asking an endpoint would take; nothing is sent."""
    return estimate_criteria(workspace, request)


@router.post(
    "",
    status_code=201,
    responses={409: {"model": ErrorBody, "description": "The same, or much else, is being worked on."}},
)
def cluster(workspace: OpenWorkspace, request: Asked) -> CriteriaResponse:
    """Cluster by each criterion, and save each partition as a new version under the criterion's name.

    The answer comes when the work is done; other requests are answered meanwhile.
    """
    return cluster_by_criteria(workspace, request)
