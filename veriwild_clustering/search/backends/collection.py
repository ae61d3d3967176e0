"""One collection of a Qdrant database: what it was made of, what is missing of it, sending that."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.search.backends.connection import is_local
from veriwild_clustering.search.backends.payloads import (
    FINGERPRINT,
    fingerprints,
    key_of,
    payloads,
    schema_of,
    with_times,
)
from veriwild_clustering.search.space import SearchSpace

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

__all__ = ["Collection"]

_log = logging.getLogger(__name__)

_FORMAT = 1
_UPLOAD_ROWS = 256  # in one request
_UPLOAD_NUMBERS = 2**18  # some 20 bytes each as JSON: servers take 32 MB a request


@dataclass(frozen=True)
class Collection:
    """A collection that holds, or is to hold, a search space and columns of the image table.

    Parameters
    ----------
    client : QdrantClient
        The connection.
    name : str
        Name of the collection.
    space : SearchSpace
        The vectors.
    images : DataFrame
        The columns of the image table that are payload.
    weights : list of (str, float)
        The descriptors and weights that the space was asked for by.
    """

    client: QdrantClient
    name: str
    space: SearchSpace
    images: pd.DataFrame
    weights: Sequence[tuple[str, float]]

    @classmethod
    def open(cls, client: QdrantClient, name: str, dataset: Dataset) -> Collection:
        """Return a collection that is complete and was made of this dataset, or raise."""
        if not client.collection_exists(name):
            raise DatasetError(f"There is no collection {name!r}. Make it with `QdrantIndex.build`.")
        made = _described(client, name)
        weights = [(str(descriptor), weight) for descriptor, weight in made["weights"]]
        if not {one for one, _ in weights} <= set(dataset.names) or not set(made["columns"]) <= {*dataset.images}:
            raise DatasetError(_other_data(name))
        space = SearchSpace.of(dataset, dict(weights), metric=made["metric"])
        if made["fingerprint"] != space.fingerprint:
            raise DatasetError(_other_data(name))
        if not made["complete"]:
            raise DatasetError(
                f"The upload to {name!r} was stopped. The same call of `QdrantIndex.build` continues it."
            )
        return cls(client, name, space, dataset.images[made["columns"]], weights)

    @cached_property
    def table(self) -> pd.DataFrame:
        """What goes into payloads."""
        return with_times(self.images)

    def fill(self, *, quantized: bool, progress: bool | None) -> None:
        """Make the collection, or check what it was made of, and send what is missing."""
        payloads(self.table[:0])  # names that cannot be payload are told before anything is made
        if not self.client.collection_exists(self.name):
            self._create(quantized=quantized)
        elif _described(self.client, self.name)["fingerprint"] != self.space.fingerprint:
            raise DatasetError(_other_data(self.name))
        self._index_columns()
        self.client.update_collection(self.name, metadata=self._description(complete=False))
        self.send(np.flatnonzero(self.space.valid), progress=progress)
        self.client.update_collection(self.name, metadata=self._description(complete=True))

    def send(self, rows: NDArray[np.int64], *, progress: bool | None = None) -> None:
        """Send the rows that are not there with the same vector and payload; each batch is kept before the next."""
        from qdrant_client import models

        n_sent = 0
        step = min(_UPLOAD_ROWS, max(1, _UPLOAD_NUMBERS // self.space.dim))
        batches = [rows[start : start + step] for start in range(0, len(rows), step)]
        for batch in track(batches, description=f"upload to {self.name}", unit="batch", show=progress):
            vectors, contents = self.space.rows(batch), payloads(self.table.iloc[batch])
            marks = fingerprints(vectors, contents)
            points = self.client.retrieve(self.name, batch.tolist(), with_payload=[FINGERPRINT])
            there = {point.id: (point.payload or {}).get(FINGERPRINT) for point in points}
            new = [place for place, row in enumerate(batch.tolist()) if there.get(row) != marks[place]]
            if new:
                sent = models.Batch(
                    ids=batch[new].tolist(),
                    vectors=vectors[new].tolist(),
                    payloads=[contents[place] | {FINGERPRINT: marks[place]} for place in new],
                )
                self.client.upsert(self.name, sent, wait=True)
                n_sent += len(new)
        _log.info("%d of %d rows sent to %s, the others were there", n_sent, len(rows), self.name)

    def _create(self, *, quantized: bool) -> None:
        from qdrant_client import models

        # Blocks have length 1 and their weights already: the inner product is the weighted sum of the similarities.
        distance = models.Distance.DOT if self.space.metric == "cosine" else models.Distance.EUCLID
        small = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
        self.client.create_collection(
            self.name,
            vectors_config=models.VectorParams(size=self.space.dim, distance=distance, on_disk=quantized or None),
            quantization_config=models.ScalarQuantization(scalar=small) if quantized else None,
            metadata=self._description(complete=False),
        )

    def _index_columns(self) -> None:
        """Ask for an index per column, before the vectors: the graph that is built over these takes it into account."""
        if not is_local(self.client):  # which has none
            for column in self.table:
                kind = schema_of(self.table[column])
                self.client.create_payload_index(self.name, key_of(column), field_schema=kind)

    def _description(self, *, complete: bool) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "fingerprint": self.space.fingerprint,
            "weights": [list(pair) for pair in self.weights],
            "metric": self.space.metric,
            "columns": list(self.images.columns),
            "complete": complete,
        }


def _described(client: QdrantClient, name: str) -> Mapping[str, Any]:
    """Return what `fill` noted about a collection."""
    made = client.get_collection(name).config.metadata or {}
    if made.get("format") != _FORMAT:
        raise DatasetError(_other_data(name))
    return made


def _other_data(name: str) -> str:
    return (
        f"Collection {name!r} was not made of these vectors. Open it with the dataset that it was made of, or build "
        f"one of another name."
    )
