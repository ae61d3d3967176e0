"""Answers without any language model: what the pixels say, what a small network says, what the image table holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.validation import DatasetError, check_known_names
from veriwild_clustering.images.appearance.attributes import appearance
from veriwild_clustering.images.criteria.criterion import Criterion, Labels
from veriwild_clustering.images.criteria.vocabulary import UNCERTAIN, Vocabulary, subject_of
from veriwild_clustering.images.models.catalog import find_model
from veriwild_clustering.images.models.weights import is_cached
from veriwild_clustering.images.reading import image_store_of, read_image

__all__ = ["MEASURED", "MeasuredAnswers"]

MEASURED = {"color": "measured_color", "light": "light", "focus": "focus"}
_NETWORK = "vehicle-attributes-0039-type"
_LEAST = 0.5
_CHUNK = 64

Source = Callable[[Dataset, NDArray[np.int64]], pd.DataFrame]


class MeasuredAnswers:
    """Labels images by what is measured of them: no model has to be asked, nothing leaves the machine.

    The colour of the vehicle, day or night, and focus come from the pixels, see `appearance`; any criterion from a
    column of the image table that is named for it; on demand the type of vehicle (car, bus, truck, van) from a small
    network.

    Parameters
    ----------
    columns : mapping of str to str, optional
        Column of the image table by the text of a criterion, such as `{"body type": "type"}`. Such an answer is what
        the table says, so it proves nothing when it is scored against the same column.
    network : bool, default False
        Whether the network may name types of vehicles. It knows frontal views from a barrier: on rear and overhead
        views it takes many cars for trucks, so look at what it says first.
    folder : path, optional
        Folder of its weights: by default `$VERIWILD_MODELS`, else the user's cache. Nothing is downloaded.

    Notes
    -----
    A measure that the image table already has is not made again. Otherwise O(n_images), some milliseconds per image.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Criterion, Dataset, MeasuredAnswers
    >>> images = pd.DataFrame({"path": ["1.jpg", "2.jpg"], "measured_color": ["red", "uncertain"]})
    >>> [found] = MeasuredAnswers().label(Dataset(images), [Criterion("colour")], rows=np.arange(2))
    >>> found.labels.tolist(), found.reasons.tolist()
    (['red', 'uncertain'], ['', 'not certain enough'])
    """

    name = "measured"

    def __init__(
        self, columns: Mapping[str, str] | None = None, *, network: bool = False, folder: str | Path | None = None
    ) -> None:
        self.columns = dict(columns or {})
        self.network, self.folder = network, folder

    def label(
        self,
        dataset: Dataset,
        criteria: Sequence[Criterion],
        *,
        rows: NDArray[np.int64],
        progress: bool | None = None,
    ) -> list[Labels]:
        """Return the labels by each criterion.

        Parameters
        ----------
        dataset : Dataset
            The images.
        criteria : sequence of Criterion
            The criteria.
        rows : array of int
            The images to label.
        progress : bool, optional
            Whether to show a progress bar; by default in a terminal or a notebook.

        Returns
        -------
        list of Labels
            One per criterion.

        Raises
        ------
        DatasetError
            If nothing that is measured says anything about a criterion, or the images are needed and not at hand.
        """
        sources = [
            self._source(dataset, criterion, progress=progress) for criterion in criteria
        ]  # all, before any work
        return [
            _as_labels(source(dataset, rows), self._reader(criterion), rows, len(dataset))
            for source, criterion in zip(sources, criteria, strict=True)
        ]

    def _reader(self, criterion: Criterion) -> Callable[[str], str | None]:
        """Return what makes a label of an answer; the column that is named for a criterion has labels, not prose."""
        read = Vocabulary(criterion.text, criterion.labels).read
        if criterion.labels or criterion.text not in self.columns:
            return read
        return lambda answer: UNCERTAIN if read(answer) == UNCERTAIN else " ".join(answer.casefold().split())

    def _source(self, dataset: Dataset, criterion: Criterion, *, progress: bool | None) -> Source:
        subject = subject_of(criterion.text)
        column = self.columns.get(criterion.text, MEASURED.get(subject or ""))
        if criterion.text in self.columns:
            check_known_names("column", [column or ""], list(map(str, dataset.images)))
        if column in dataset.images:
            return lambda dataset, rows: _of_table(dataset.images.iloc[rows], str(column))
        if column is not None:
            image_store_of(dataset)
            return lambda dataset, rows: _of_table(_by_image(dataset, rows, appearance, progress=progress), str(column))
        if subject == "type" and self.network and is_cached(_NETWORK, folder=self.folder):
            image_store_of(dataset)
            return lambda dataset, rows: _of_network(dataset, rows, self.folder, progress=progress)
        raise DatasetError(
            f"Nothing that is measured tells {criterion.text!r}: measured are colour, light and focus, and with "
            f"`network=True` the type of vehicle, where the weights of {_NETWORK!r} are in the cache. Name a column, "
            f"`MeasuredAnswers({{{criterion.text!r}: column}})`, or let a model answer."
        )


def _of_table(table: pd.DataFrame, column: str) -> pd.DataFrame:
    confidence = table.get(f"{column}_confidence", pd.Series(1.0, index=table.index))
    return pd.DataFrame({"answer": table[column], "confidence": confidence}).reset_index(drop=True)


def _of_network(
    dataset: Dataset, rows: NDArray[np.int64], folder: str | Path | None, *, progress: bool | None
) -> pd.DataFrame:
    """Let the network name the type of vehicle; its confidence is the softmax of the mean logits over the map."""
    from veriwild_clustering.images.models.networks import open_network

    names = np.array(find_model(_NETWORK).labels, dtype=object)
    network = open_network(_NETWORK, folder=folder, download=False)

    def types(images: Sequence[NDArray[np.uint8]]) -> pd.DataFrame:
        logits = network.embed(images).reshape(len(images), len(names), -1).mean(axis=2).astype(np.float64)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        answers = np.where(shares.max(axis=1) >= _LEAST, names[shares.argmax(axis=1)], UNCERTAIN)
        return pd.DataFrame({"answer": answers, "confidence": shares.max(axis=1)})

    return _by_image(dataset, rows, types, progress=progress)


def _by_image(
    dataset: Dataset,
    rows: NDArray[np.int64],
    measure: Callable[[Sequence[NDArray[np.uint8]]], pd.DataFrame],
    *,
    progress: bool | None,
) -> pd.DataFrame:
    parts = []
    starts = range(0, len(rows), _CHUNK)
    for start in track(starts, description="measuring images", unit="image", per_step=_CHUNK, show=progress):
        readable: dict[int, NDArray[np.uint8]] = {}
        for place, row in enumerate(rows[start : start + _CHUNK].tolist(), start=start):
            try:
                readable[place] = np.asarray(read_image(dataset, row))
            except DatasetError:
                continue  # it stays without an answer, which says why
        if readable:
            parts.append(measure(list(readable.values())).set_axis(list(readable)))
    found = pd.concat(parts) if parts else measure([np.zeros((16, 16, 3), np.uint8)]).iloc[:0]
    return found.reindex(range(len(rows)))


def _as_labels(
    table: pd.DataFrame, reader: Callable[[str], str | None], rows: NDArray[np.int64], n_images: int
) -> Labels:
    found = Labels.none(n_images)
    known = table["answer"].notna() & (table["answer"].astype(str) != "")
    read: dict[Any, str | None] = {answer: reader(str(answer)) for answer in table["answer"][known].unique()}
    answers, confidence = (
        table["answer"].to_numpy(dtype=object),
        np.nan_to_num(table["confidence"].to_numpy(dtype=float)),
    )
    for place, row in enumerate(rows.tolist()):
        label = (read[answers[place]] or UNCERTAIN) if known.iloc[place] else ""
        found.labels[row] = label
        found.confidence[row] = confidence[place] if label not in {"", UNCERTAIN} else 0.0
        found.reasons[row] = {"": "not known", UNCERTAIN: "not certain enough"}.get(label, "")
    return found
