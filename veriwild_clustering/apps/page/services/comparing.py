"""Comparing: how much two partitions agree, and which cluster of one is which clusters of the other."""

from __future__ import annotations

from pydantic import Field

from veriwild_clustering.apps.page.services.schemas import Model
from veriwild_clustering.apps.page.workspace import Workspace

__all__ = ["Comparison", "compare"]

_MAX_MOVED = 100
_MEASURES = ("ari", "ami", "nmi", "v_measure")


class Flow(Model):
    """Images that a cluster of the first partition shares with one of the second."""

    cluster: int
    part: int = Field(description="-1 is the noise of the second.")
    count: int
    share: float = Field(description="Of the cluster.")
    part_share: float = Field(description="Of the part.")


class Comparison(Model):
    """Two partitions side by side."""

    first: str
    first_version: int
    second: str
    second_version: int
    agreement: dict[str, float] = Field(description="ARI, AMI, NMI and V-measure; 1 is full agreement.")
    flows: list[Flow]
    n_moved: int = Field(description="Images that did not go where most of their cluster went.")
    moved: list[int] = Field(description=f"The first {_MAX_MOVED} of their rows.")
    texts: list[str] = Field(description="A sentence per cluster of the first.")


def compare(
    workspace: Workspace,
    first: str,
    second: str,
    *,
    first_version: int | None = None,
    second_version: int | None = None,
) -> Comparison:
    """Compare two partitions, or two versions of one; by default the newest."""
    versions = first_version or workspace.current(first), second_version or workspace.current(second)
    one, other = workspace.partition(first, version=versions[0]), workspace.partition(second, version=versions[1])

    def make() -> Comparison:
        from veriwild_clustering.evaluation.agreement import agreement
        from veriwild_clustering.interpretation.comparisons import compare_partitions

        found = compare_partitions(one, other, workspace.dataset.images)
        moved = found.moved
        return Comparison(
            first=first,
            first_version=versions[0],
            second=second,
            second_version=versions[1],
            agreement={name: float(agreement([one, other], metric=name).to_numpy()[0, 1]) for name in _MEASURES},
            flows=[
                Flow(**{str(key): flow[key] for key in Flow.model_fields}) for flow in found.table.to_dict("records")
            ],
            n_moved=len(moved),
            moved=moved[:_MAX_MOVED].tolist(),
            texts=[str(text) for text in found.texts["text"]],
        )

    return workspace.remember(("comparison", first, versions[0], second, versions[1]), make)
