"""Criterion: what images are to be told apart by, in words; and what a labeller says of each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.validation import check_int
from veriwild_clustering.images.criteria.vocabulary import spelling_of

__all__ = ["Criterion", "Labeller", "Labels"]

_MAX_TEXT = 300
_MAX_LABELS = 200


@dataclass(frozen=True)
class Criterion:
    """What images are to be told apart by, in words.

    Parameters
    ----------
    text : str
        The criterion, such as "colour of the vehicle".
    labels : sequence of str, optional
        The only groups there are. By default they are found.
    n_clusters : int, optional
        How many groups are wanted, where `labels` are not given. By default as many as the answers need.
    examples : sequence of (str, str), optional
        Descriptions with the label that each should get.
    ignore : sequence of str, optional
        What must not be considered, such as "the licence plate".

    Raises
    ------
    TypeError, ValueError
        If something is empty, too long, given twice, or not of the kind that is said above.

    Examples
    --------
    >>> from veriwild_clustering import Criterion
    >>> Criterion("colour of the vehicle", labels=["red", "blue"]).labels
    ('red', 'blue')
    """

    text: str
    _: KW_ONLY
    labels: Sequence[str] = ()
    n_clusters: int | None = None
    examples: Sequence[tuple[str, str]] = ()
    ignore: Sequence[str] = ()

    def __post_init__(self) -> None:
        [text] = _texts("text", [self.text])
        labels, ignore = _texts("labels", self.labels), _texts("ignore", self.ignore)
        examples = tuple(_texts("examples", pair) for pair in _listed("examples", self.examples))
        if any(len(pair) != 2 for pair in examples):
            raise ValueError(f"`examples` must be pairs of a description and its label. Got {self.examples!r} instead.")
        spelled = {spelling_of(label) for label in labels}
        if len(spelled) != len(labels) or "" in spelled or len(labels) == 1 or len(labels) > _MAX_LABELS:
            raise ValueError(
                f"`labels` must be 2 to {_MAX_LABELS} that differ by more than case and punctuation. Got {labels!r} "
                f"instead."
            )
        if self.n_clusters is not None:
            check_int("n_clusters", self.n_clusters, low=2)
            if labels:
                raise ValueError("`n_clusters` and `labels` exclude each other: the labels are the groups.")
        for name, value in {"text": text, "labels": labels, "examples": examples, "ignore": ignore}.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, eq=False)
class Labels:
    """The label of each image by one criterion.

    Parameters
    ----------
    labels : array of shape (n_images,), object
        Text; "uncertain" where that is the answer; "" where there is no answer, or the image was not asked about.
    confidence : array of shape (n_images,), float
        How sure the label is, in [0, 1].
    reasons : array of shape (n_images,), object
        Why an image that was asked about has no label, or an uncertain one; "" where it has one.
    """

    labels: NDArray[np.object_]
    confidence: NDArray[np.float64]
    reasons: NDArray[np.object_]

    @classmethod
    def none(cls, n_images: int, reason: str = "") -> Labels:
        """Return labels of which none is known yet."""
        empty = np.full(n_images, "", dtype=object)
        return cls(empty, np.zeros(n_images), np.full(n_images, reason, dtype=object))


@runtime_checkable
class Labeller(Protocol):
    """Whatever gives an image a label by a criterion without being asked in words: measurements, CLIP, a table."""

    name: str

    def label(
        self,
        dataset: Dataset,
        criteria: Sequence[Criterion],
        *,
        rows: NDArray[np.int64],
        progress: bool | None = None,
    ) -> list[Labels]:
        """Return the labels by each criterion, those of other rows than `rows` empty."""
        ...


def _listed(name: str, values: Any) -> list[Any]:
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise TypeError(f"`{name}` must be a sequence of texts. Got {values!r} instead.")
    return list(values)


def _texts(name: str, values: Any) -> tuple[str, ...]:
    listed = _listed(name, values)
    for text in listed:
        if not isinstance(text, str):
            raise TypeError(f"`{name}` must be text. Got {text!r} instead.")
        if not text.strip() or len(text) > _MAX_TEXT:
            raise ValueError(f"`{name}` must be text of 1 to {_MAX_TEXT} characters. Got {text[:40]!r} instead.")
    return tuple(" ".join(text.split()) for text in listed)
