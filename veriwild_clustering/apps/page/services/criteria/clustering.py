"""Clustering by criteria in words: what asking takes, asking, and saving what came of it as further versions."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from veriwild_clustering.apps.page.preparation.identity import slug
from veriwild_clustering.apps.page.problems import BadRequestError
from veriwild_clustering.apps.page.services.criteria.answerers import answerer_of
from veriwild_clustering.apps.page.services.criteria.results import result_of
from veriwild_clustering.apps.page.services.criteria.schemas import CriteriaRequest, CriteriaResponse, Estimate
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.storage.partitions import VersionConflictError

if TYPE_CHECKING:
    from veriwild_clustering.images.captioning.budget import Usage
    from veriwild_clustering.images.criteria.criterion import Criterion

__all__ = ["cluster_by_criteria", "estimate_criteria"]

_ALREADY = "The same question is being answered right now. Wait until it is done; its partition then appears by itself."
_WORK = {"criteria", "answerer", "n_asked", "descriptor"}  # what makes two requests the same work
_TOO_MANY = "Other criteria are being worked on. Ask again when they are done."


def estimate_criteria(workspace: Workspace, request: CriteriaRequest) -> Estimate:
    """Return what asking takes; nothing is sent."""
    answerer = answerer_of(workspace, request)
    if request.answerer != "endpoint":
        return Estimate(
            n_prompts=0, n_known=0, n_requests=0, n_input_tokens=0, n_output_tokens=0,
            text="Nothing is sent: these answers are made on the server.",
        )  # fmt: skip
    return _estimate(workspace, request, answerer)


def cluster_by_criteria(workspace: Workspace, request: CriteriaRequest) -> CriteriaResponse:
    """Cluster the images by each criterion, and save each partition as a new version under the criterion's name.

    Raises
    ------
    BusyError
        If the same is being asked, or much else.
    UnavailableError
        If the answerer is not at hand, or cannot tell a criterion.
    BadRequestError
        If the request cannot be meant, would take more requests than it allows, or no image got a group.
    """
    from veriwild_clustering.clustering.criteria.clustering import cluster_by

    workspace.partition(request.compare_with or workspace.default_partition)
    answerer = answerer_of(workspace, request)
    with workspace.running.claimed(request.model_dump_json(include=_WORK), already=_ALREADY, too_many=_TOO_MANY):
        criteria, asked = _criteria(request), _asked(workspace, request)
        if request.answerer == "endpoint":
            _check_estimate(_estimate(workspace, request, answerer), request)
        with workspace.encoding if request.answerer == "clip" else nullcontext():
            partitions = cluster_by(workspace.dataset, criteria, answerer, progress=False, **asked)
        saved = [_saved(workspace, partition) for partition in partitions]
    other = request.compare_with or workspace.default_partition
    usage = _told(answerer.usage) if request.answerer == "endpoint" else None
    items = [result_of(workspace, name, version, compare_with=other) for name, version in saved]
    return CriteriaResponse(items=items, usage=usage)


def _criteria(request: CriteriaRequest) -> list[Criterion]:
    from veriwild_clustering.images.criteria.criterion import Criterion

    try:
        return [
            Criterion(one.text, labels=one.labels, n_clusters=one.n_clusters, ignore=one.ignore)
            for one in request.criteria
        ]
    except (ValueError, TypeError) as error:
        raise BadRequestError(str(error), field="criteria") from error


def _asked(workspace: Workspace, request: CriteriaRequest) -> dict[str, Any]:
    """Return the space, and the number of images to ask about."""
    if request.descriptor and request.descriptor not in workspace.dataset.names:
        known = ", ".join(workspace.dataset.names)
        raise BadRequestError(f"There is no descriptor {request.descriptor!r}. There are: {known}.", field="descriptor")
    descriptor = workspace.dataset[request.descriptor] if request.descriptor else None
    return {"space": workspace.space(descriptor), "n_asked": request.n_asked}


def _estimate(workspace: Workspace, request: CriteriaRequest, endpoint: Any) -> Estimate:
    from veriwild_clustering.clustering.criteria.clustering import image_questions

    questions = image_questions(workspace.dataset, _criteria(request), **_asked(workspace, request))
    return _told(endpoint.estimate(questions, workspace.dataset, progress=False))


def _told(usage: Usage) -> Estimate:
    return Estimate(
        n_prompts=usage.n_prompts,
        n_known=usage.n_known,
        n_requests=usage.n_requests,
        n_input_tokens=usage.n_input_tokens,
        n_output_tokens=usage.n_output_tokens,
        cost=usage.cost,
        text=str(usage),
    )


def _check_estimate(estimate: Estimate, request: CriteriaRequest) -> None:
    """Raise if a limit would be reached half way: what was asked until then would be paid for nothing."""
    most = request.max_requests or 0
    if estimate.n_requests > most:
        raise BadRequestError(
            f"Asking takes about {estimate.n_requests:,} requests, and at most {most:,} are allowed. Nothing was sent. "
            "Allow more, or ask about fewer images.",
            field="max_requests",
        )
    if request.max_cost is not None and estimate.cost is not None and estimate.cost > request.max_cost:
        raise BadRequestError(
            f"Asking may cost {estimate.cost:,.2f}, and at most {request.max_cost:,.2f} is allowed. Nothing was sent. "
            "Allow more, or ask about fewer images.",
            field="max_cost",
        )


def _saved(workspace: Workspace, partition: Partition) -> tuple[str, int]:
    """Save a partition as the newest version under its criterion's name, and return both."""
    criterion = str(partition.params["criterion"])
    if not partition.n_clusters:
        raise BadRequestError(
            f"No image got a group by “{criterion}”, so nothing was saved. Try other words, or another answerer.",
            field="criteria",
        )
    name = f"by-{slug(criterion)}-{hashlib.sha256(criterion.casefold().encode()).hexdigest()[:8]}"
    while True:  # whoever saves meanwhile loses nothing: both are versions
        current = workspace.library.current(name)
        if current and _is_same(workspace.partition(name, version=current), partition):
            return name, current
        try:
            return name, workspace.library.save(name, partition, base=current)
        except VersionConflictError:
            continue


def _is_same(one: Partition, other: Partition) -> bool:
    return (
        np.array_equal(one.labels, other.labels)
        and one.cluster_names == other.cluster_names
        and dict(one.params) == dict(other.params)
    )
