"""What is asked for by criteria in words, and what comes of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from veriwild_clustering.apps.page.services.clusters import PartitionInfo
from veriwild_clustering.apps.page.services.schemas import Model

__all__ = [
    "MAX_CRITERIA",
    "MAX_LABELS",
    "MAX_TEXT",
    "AnswererInfo",
    "Answerers",
    "CriteriaRequest",
    "CriteriaResponse",
    "CriterionRequest",
    "CriterionResult",
    "CrossTable",
    "Estimate",
    "Group",
    "Ungrouped",
]

MAX_TEXT = 300
MAX_CRITERIA = 8
MAX_LABELS = 50
MAX_REQUESTS = 1_000_000
_MAX_ROWS = 2**31 - 1

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT)]
Price = Annotated[float, Field(ge=0, le=1e6)]
Name = Literal["measured", "clip", "endpoint"]


class CriterionRequest(Model):
    """What to tell images apart by."""

    text: Text = Field(description="In words.", examples=["colour of the vehicle"])
    labels: Annotated[list[Text], Field(max_length=MAX_LABELS)] = Field(
        default=[], description="The only groups, two or more; by default they are found.", examples=[[]]
    )
    n_clusters: Annotated[int, Field(ge=2, le=200, strict=True)] | None = Field(
        default=None, description="How many groups; by default as many as the answers need."
    )
    ignore: Annotated[list[Text], Field(max_length=10)] = Field(default=[], description="What not to consider.")
    column: Annotated[str, Field(max_length=200)] = Field(
        default="", description="Of measured answers: the column of the image table that says it."
    )


class CriteriaRequest(Model):
    """Criteria, and who answers."""

    criteria: Annotated[list[CriterionRequest], Field(min_length=1, max_length=MAX_CRITERIA)]
    answerer: Name = Field(default="measured", description="One of those that `GET /criteria` says are at hand.")
    n_asked: Annotated[int, Field(ge=10, le=_MAX_ROWS, strict=True)] | None = Field(
        default=None, description="Ask about so many images, the others follow their nearest; by default about all."
    )
    descriptor: Annotated[str, Field(max_length=200)] = Field(
        default="", description="Where neighbours are looked for; by default the one that is mapped.", examples=[""]
    )
    max_requests: Annotated[int, Field(ge=1, le=MAX_REQUESTS, strict=True)] | None = Field(
        default=None, description="The most that may be sent to an endpoint, which is not asked without it."
    )
    prices: tuple[Price, Price] | None = Field(
        default=None, description="Of a million tokens sent and of a million received, to know what asking costs."
    )
    max_cost: Annotated[float, Field(ge=0, le=1e9)] | None = Field(
        default=None, description="The most that an endpoint's answers may cost; needs `prices`."
    )
    compare_with: Annotated[str, Field(pattern=r"^$|^[a-z0-9][a-z0-9_-]{0,63}$")] = Field(
        default="", description="The partition of the cross-table; by default the first.", examples=[""]
    )

    @model_validator(mode="after")
    def _differ(self) -> CriteriaRequest:
        texts = [criterion.text.casefold() for criterion in self.criteria]
        if len(set(texts)) < len(texts):
            raise ValueError("The criteria must differ: one is given twice.")
        if self.max_cost is not None and self.prices is None:
            raise ValueError("`max_cost` needs `prices`.")
        return self


class AnswererInfo(Model):
    """Somebody who can say what an image shows."""

    name: Name
    is_at_hand: bool
    about: str = Field(description="What it can tell, or what is missing.")
    models: list[str] = Field(default=[], description="The models behind an endpoint.")
    sends: bool = Field(default=False, description="Whether images leave this machine, and requests may cost money.")


class Answerers(Model):
    """Who can answer here."""

    items: list[AnswererInfo]


class Estimate(Model):
    """What asking takes, or took. Reading descriptions and naming groups come on top of an estimate."""

    n_prompts: int = Field(description="Questions.")
    n_known: int = Field(description="Of them answered already, or equal to another.")
    n_requests: int
    n_input_tokens: int
    n_output_tokens: int
    cost: float | None = Field(default=None, description="In the currency of the prices.")
    text: str = Field(description="The same in words.")


class Group(Model):
    """A group by a criterion."""

    cluster: int
    name: str
    size: int
    share: float = Field(description="Of all images.")
    examples: list[int] = Field(description="Rows of images that belong to it surely.")


class Ungrouped(Model):
    """The images without a group, by why they have none."""

    size: int
    uncertain: int = Field(description="The answer was that the image does not show it.")
    other_label: int = Field(description="The answer names a label that belongs to no group.")
    no_answer: int = Field(description="Not asked about, not readable, or without an answer.")
    no_vector: int = Field(description="It has no vector in the partition's descriptor.")
    examples: list[int]


class CrossTable(Model):
    """How many images each group shares with each cluster of another partition."""

    partition: str
    version: int
    rows: list[str] = Field(description="Groups; the last are the images without one.")
    columns: list[str] = Field(description="Clusters of the other partition, then its noise; small ones are together.")
    counts: list[list[int]]


class CriterionResult(Model):
    """What came of one criterion: a partition, saved as a version of its own."""

    criterion: str
    partition: PartitionInfo
    outcome: str = Field(description="How many images have a group, and how far the namings agree.")
    approximation: str = Field(description="How images that were not asked about got a group.")
    coverage: float = Field(description="Share of the images with a group.")
    groups: list[Group]
    ungrouped: Ungrouped
    cross_table: CrossTable


class CriteriaResponse(Model):
    """What came of the criteria, in their order."""

    items: list[CriterionResult]
    usage: Estimate | None = Field(description="What an endpoint was asked.")
