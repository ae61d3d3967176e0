"""CLIP as one who labels images by a criterion: the words of a label list, in sentences, against the image's vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.descriptors.text.embedding import CLIP
from veriwild_clustering.descriptors.text.zero_shot import UNCERTAIN, zero_shot
from veriwild_clustering.images.criteria.criterion import Criterion, Labels
from veriwild_clustering.images.criteria.vocabulary import SYNONYMS, subject_of

__all__ = ["ZeroShotAnswers"]

_FORMS: Mapping[str, str] = {"color": "{} car", "view": "{} view of a vehicle", "light": "street by {}"}


class ZeroShotAnswers:
    """Labels images by the words that lie nearest to their vector: CLIP on this machine, no endpoint.

    Parameters
    ----------
    descriptor : str, default "clip-vit-b-32"
        The descriptor of the dataset that the partner of the text model made.
    **options
        What `zero_shot` takes: `templates`, `neutral`, `threshold`, `temperature`, `text_model`, `folder`, `provider`.

    Notes
    -----
    A criterion needs labels, or to be about colour, type, view, light or focus, whose usual labels are then taken. In
    sentences the label of a colour is "red car", of a view "front view of a vehicle": a single adjective is no caption.

    Examples
    --------
    >>> from veriwild_clustering import ZeroShotAnswers
    >>> ZeroShotAnswers(threshold=0.6).name
    'clip-vit-b-32'
    """

    def __init__(self, descriptor: str = CLIP, **options: Any) -> None:
        self.name = descriptor
        self.options = options

    def label(
        self,
        dataset: Dataset,
        criteria: Sequence[Criterion],
        *,
        rows: NDArray[np.int64],
        progress: bool | None = None,  # noqa: ARG002 - seconds
    ) -> list[Labels]:
        """Return the labels by each criterion.

        Parameters
        ----------
        dataset : Dataset
            The images, with the descriptor.
        criteria : sequence of Criterion
            The criteria.
        rows : array of int
            The images to label.
        progress : bool, optional
            Ignored: it takes seconds.

        Returns
        -------
        list of Labels
            One per criterion; the confidence is the probability of the label, see `zero_shot`.

        Raises
        ------
        DatasetError
            If a criterion has no labels and is none of the usual ones, or the text model cannot be had.
        ValueError
            If the dataset has no such descriptor, or it is not of the partner of the text model.
        """
        chosen = [_labels_of(criterion) for criterion in criteria]
        vectors = dataset[self.name].take(rows)
        return [self._one(vectors, labels, form, rows, len(dataset)) for labels, form in chosen]

    def _one(self, vectors: Any, labels: Sequence[str], form: str, rows: NDArray[np.int64], n_images: int) -> Labels:
        spoken = {form.replace("{}", label): label for label in labels}
        table = zero_shot(vectors, list(spoken), **self.options)
        found = Labels.none(n_images)
        answers = table["label"].map(spoken)  # missing where there is no vector or the answer is "uncertain"
        known = answers.notna().to_numpy()
        found.labels[rows[known]] = answers[known].to_numpy(dtype=object)
        found.confidence[rows[known]] = table["confidence"][known]
        unsure = (table["label"] == UNCERTAIN).to_numpy(dtype=bool)
        found.labels[rows[unsure]] = UNCERTAIN
        found.reasons[rows[~known]] = np.where(unsure[~known], "not certain enough", "no vector")
        return found


def _labels_of(criterion: Criterion) -> tuple[Sequence[str], str]:
    subject = subject_of(criterion.text) or ""
    labels = criterion.labels or tuple(SYNONYMS.get(subject, ()))
    if not labels:
        raise DatasetError(
            f"CLIP chooses among labels, and {criterion.text!r} has none: give them, "
            f"`Criterion({criterion.text!r}, labels=[…])`."
        )
    return labels, _FORMS.get(subject, "{}")
