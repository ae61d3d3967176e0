"""A Qdrant collection beside brute force and the FAISS index: neighbours, conditions, resumed uploads, refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from qdrant_client import QdrantClient, models

from veriwild_clustering import Dataset, DatasetError, Descriptor
from veriwild_clustering.search.backends import collection as collections
from veriwild_clustering.search.backends.backend import VectorBackend
from veriwild_clustering.search.backends.connection import connect
from veriwild_clustering.search.backends.qdrant import QdrantIndex
from veriwild_clustering.search.filters import matching
from veriwild_clustering.search.index import SearchIndex

MIXTURE = {"body": 3.0, "paint": 1.0, "identity": 1.7}
N_IMAGES = 90


def make_dataset(seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    vectors = {name: rng.normal(size=(N_IMAGES, 5)).astype(np.float32) for name in MIXTURE}
    vectors["paint"][[3, 40]] = np.nan
    images = pd.DataFrame(
        {
            "path": [f"{i}.jpg" for i in range(N_IMAGES)],
            "color": rng.choice(["red", "white", None], size=N_IMAGES),
            "cluster": rng.integers(-1, 4, size=N_IMAGES),
            "is_outlier": rng.random(N_IMAGES) < 0.2,
            "time": pd.date_range("2017-03-01", periods=N_IMAGES, freq="h").astype(str),
        }
    )
    return Dataset(images, {name: Descriptor(name, matrix) for name, matrix in vectors.items()})


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    client = QdrantClient(":memory:")
    yield client
    client.close()


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of ten rows, so that a small upload has many."""
    monkeypatch.setattr(collections, "_UPLOAD_ROWS", 10)


class Counting:
    """Counts the points that a client sends, and fails before it sends too many."""

    def __init__(self, client: QdrantClient, monkeypatch: pytest.MonkeyPatch, *, fail_after: float = np.inf) -> None:
        self.sent, upsert = 0, client.upsert

        def counted(name: str, points: models.Batch, **options: Any) -> Any:
            if self.sent >= fail_after:
                raise ConnectionError("the network is gone")
            self.sent += len(points.ids)
            return upsert(name, points, **options)

        monkeypatch.setattr(client, "upsert", counted)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_finds_what_brute_force_and_faiss_find(dataset: Dataset, client: QdrantClient, metric: Any) -> None:
    index = QdrantIndex.build(dataset, MIXTURE, "vehicles", location=client, metric=metric)
    here = SearchIndex.build(dataset, MIXTURE, metric=metric)
    assert isinstance(index, VectorBackend)
    assert isinstance(here, VectorBackend)
    assert len(index) == len(here) == N_IMAGES - 2
    queries = index.space.rows([0, 7, 89])
    found, expected = index.nearest(queries, 6), here.nearest(queries, 6)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)  # of a row to itself: the root of rounding

    vectors = index.space.rows(np.arange(N_IMAGES)).astype(np.float64)
    if metric == "cosine":
        scores = queries.astype(np.float64) @ vectors.T
    else:
        scores = -np.linalg.norm(queries[:, None].astype(np.float64) - vectors, axis=2)
    np.testing.assert_array_equal(found.rows, np.argsort(-np.nan_to_num(scores, nan=-np.inf), axis=1)[:, :6])


def test_allowed_excluded_and_too_few(dataset: Dataset, client: QdrantClient) -> None:
    index = QdrantIndex.build(dataset, "body", "vehicles", location=client)
    queries = index.space.rows([0, 1])
    allowed = np.isin(np.arange(N_IMAGES), [0, 1, 2, 50])
    found = index.nearest(queries, 5, allowed=allowed, exclude=[[0], [1, 50]], exact=True)
    assert [set(rows.tolist()) for rows in found.rows] == [{1, 2, 50, -1}, {0, 2, -1}]
    assert np.array_equal(np.isnan(found.scores), found.rows == -1)
    most = index.nearest(queries, N_IMAGES, allowed=~allowed, exclude=[[3], []])
    assert [set(rows.tolist()) - {-1} for rows in most.rows] == [
        {*range(3, 50), *range(51, 90)} - own for own in ({3}, set())
    ]
    assert (index.nearest(queries[0], 1, allowed=np.zeros(N_IMAGES, dtype=bool)).rows == -1).all()


@pytest.mark.parametrize(
    "where",
    [
        {"color": "red"},
        {"color": ["red", "white"], "cluster": (0, 2)},
        {"cluster": [0, 3], "is_outlier": False},
        {"time": ("2017-03-01 05:00", "2017-03-02")},
        {"time": (None, "2017-03-01 00:59")},
        {"time": "2017-03-01 05:00:00"},
        {},
    ],
)
def test_conditions_are_tested_in_the_database(dataset: Dataset, client: QdrantClient, where: dict[str, Any]) -> None:
    index = QdrantIndex.build(dataset, "body", "vehicles", location=client)
    rows = index.nearest(index.space.rows([0]), N_IMAGES, where=where).rows[0]
    assert set(rows[rows >= 0].tolist()) == set(np.flatnonzero(matching(dataset.images, where)).tolist())


@pytest.mark.usefixtures("batches")
def test_an_upload_that_stopped_is_continued(
    dataset: Dataset, client: QdrantClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        Counting(client, patch, fail_after=30)
        with pytest.raises(ConnectionError):
            QdrantIndex.build(dataset, MIXTURE, "vehicles", location=client)
    with pytest.raises(DatasetError, match="was stopped"):
        QdrantIndex.open("vehicles", dataset, location=client)
    counting = Counting(client, monkeypatch)
    index = QdrantIndex.build(dataset, MIXTURE, "vehicles", location=client)
    assert counting.sent == len(index) - 30
    assert len(QdrantIndex.open("vehicles", dataset, location=client)) == N_IMAGES - 2
    QdrantIndex.build(dataset, MIXTURE, "vehicles", location=client)
    assert counting.sent == len(index) - 30  # all are there


@pytest.mark.usefixtures("batches")
def test_payload_that_has_changed_is_sent_again(
    dataset: Dataset, client: QdrantClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    QdrantIndex.build(dataset, "body", "vehicles", location=client)
    images = dataset.images.copy()
    images.loc[[4, 44], "cluster"] = 9
    counting = Counting(client, monkeypatch)
    changed = Dataset(images, dataset.descriptors)
    index = QdrantIndex.build(changed, "body", "vehicles", location=client)
    assert counting.sent == 2
    found = index.nearest(index.space.rows([0]), 5, where={"cluster": 9}).rows[0]
    assert sorted(found.tolist()) == [-1, -1, -1, 4, 44]


KILLED = """
import os, runpy, signal, sys
from qdrant_client import QdrantClient
tests = runpy.run_path(sys.argv[1])
tests["collections"]._UPLOAD_ROWS = 10
client = QdrantClient(path=sys.argv[2])
upsert, calls = client.upsert, []
def killed(*args, **options):
    calls.append(upsert(*args, **options))
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
client.upsert = killed
tests["QdrantIndex"].build(tests["make_dataset"](), "body", "vehicles", location=client)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.usefixtures("batches")
def test_an_upload_that_was_killed_is_continued(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    run = subprocess.run([sys.executable, "-c", KILLED, __file__, str(tmp_path)], env=environment, check=False)
    assert run.returncode == -signal.SIGKILL
    client = connect(tmp_path)
    assert client.count("vehicles").count == 30
    counting = Counting(client, monkeypatch)
    index = QdrantIndex.build(dataset, "body", "vehicles", location=client)
    assert (counting.sent, len(index)) == (N_IMAGES - 30, N_IMAGES)
    expected = SearchIndex.build(dataset, "body")
    queries = index.space.rows([0, 45])
    np.testing.assert_array_equal(index.nearest(queries).rows, expected.nearest(queries).rows)
    index.close()


@pytest.mark.filterwarnings("ignore:unclosed (file|database):ResourceWarning")  # by a client that is not let in
def test_a_folder_is_opened_again_and_locked(dataset: Dataset, tmp_path: Path) -> None:
    index = QdrantIndex.build(dataset, MIXTURE, "vehicles", location=tmp_path, columns=["color"])
    queries = index.space.rows([5])
    before = index.nearest(queries, where={"color": "red"})
    with pytest.raises(DatasetError, match="in use"):
        connect(tmp_path)
    index.close()
    opened = QdrantIndex.open("vehicles", dataset, location=str(tmp_path))
    assert opened.space.fingerprint == index.space.fingerprint
    np.testing.assert_array_equal(opened.nearest(queries, where={"color": "red"}).rows, before.rows)
    with pytest.raises(ValueError, match="Unknown column 'cluster'"):
        opened.nearest(queries, where={"cluster": 1})
    opened.close()


def test_removed_rows_are_not_found_until_they_are_added(dataset: Dataset, client: QdrantClient) -> None:
    index = QdrantIndex.build(dataset, MIXTURE, "vehicles", location=client)
    query = index.space.rows([7])
    best = index.nearest(query, 3).rows[0]
    index.remove(best[:2])
    assert len(index) == N_IMAGES - 4
    assert index.nearest(query, 1).rows[0, 0] == best[2]
    index.add(best[:2])
    np.testing.assert_array_equal(index.nearest(query, 3).rows[0], best)
    with pytest.raises(ValueError, match="Row 3 has no usable vector"):
        index.add([3])
    for rows in ([-1], [N_IMAGES], [0.5]):
        with pytest.raises(ValueError, match="`rows` must be"):
            index.remove(rows)


def test_another_dataset_is_refused(dataset: Dataset, client: QdrantClient) -> None:
    QdrantIndex.build(dataset, MIXTURE, "vehicles", location=client)
    other = make_dataset(seed=1)
    fewer = Dataset(dataset.images, {"body": dataset["body"]})
    for wrong in (other, fewer, dataset.take(np.arange(50))):
        with pytest.raises(DatasetError, match="not made of these vectors"):
            QdrantIndex.open("vehicles", wrong, location=client)
    with pytest.raises(DatasetError, match="not made of these vectors"):
        QdrantIndex.build(other, MIXTURE, "vehicles", location=client)
    with pytest.raises(DatasetError, match="not made of these vectors"):
        QdrantIndex.build(dataset, {"body": 1.0, "paint": 1.0}, "vehicles", location=client)
    client.create_collection("strange", vectors_config=models.VectorParams(size=5, distance=models.Distance.DOT))
    with pytest.raises(DatasetError, match="not made of these vectors"):
        QdrantIndex.open("strange", dataset, location=client)
    with pytest.raises(DatasetError, match="no collection 'nothing'"):
        QdrantIndex.open("nothing", dataset, location=client)


def test_bad_input_is_named(dataset: Dataset, client: QdrantClient) -> None:
    index = QdrantIndex.build(dataset, "body", "vehicles", location=client)
    queries = index.space.rows([0, 1])
    with pytest.raises(ValueError, match="`queries` must be"):
        index.nearest(queries[:, :3])
    with pytest.raises(ValueError, match="`queries` must be"):
        index.nearest(queries * np.nan)
    with pytest.raises(ValueError, match="`exclude` must have one entry per query"):
        index.nearest(queries, exclude=[[0]])
    with pytest.raises(ValueError, match="`allowed`"):
        index.nearest(queries, allowed=np.ones(3, dtype=bool))
    with pytest.raises(ValueError, match="`allowed` must be an array of bool"):
        index.nearest(queries, allowed=np.ones(N_IMAGES))
    with pytest.raises(ValueError, match="`n_results`"):
        index.nearest(queries, 0)
    with pytest.raises(ValueError, match="Unknown column 'colour'"):
        QdrantIndex.build(dataset, "body", "other", location=client, columns=["colour"])
    strange = Dataset(dataset.images.assign(**{'a "b"': 1}), dataset.descriptors)
    with pytest.raises(ValueError, match="cannot go into a Qdrant collection"):
        QdrantIndex.build(strange, "body", "other", location=client)
    assert not client.collection_exists("other")


def test_where_the_database_is_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QDRANT_URL", raising=False)
    with pytest.raises(DatasetError, match="QDRANT_URL"):
        connect()
    monkeypatch.setenv("QDRANT_URL", "https://cluster.example:6333")
    monkeypatch.setenv("QDRANT_API_KEY", "key")
    client = connect()
    assert (client.init_options["url"], client.init_options["api_key"]) == ("https://cluster.example:6333", "key")
    client.close()


def test_an_upload_that_stopped_before_the_first_row_is_told(dataset: Dataset, client: QdrantClient) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "update_collection", interrupted)
        with pytest.raises(KeyboardInterrupt):
            QdrantIndex.build(dataset, "body", "vehicles", location=client)
    with pytest.raises(DatasetError, match="was stopped"):
        QdrantIndex.open("vehicles", dataset, location=client)
    assert len(QdrantIndex.build(dataset, "body", "vehicles", location=client)) == N_IMAGES


def interrupted(*args: Any, **options: Any) -> None:
    raise KeyboardInterrupt


def test_a_database_that_does_not_answer_is_named(dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match="Check its address and key"):
        QdrantIndex.open("vehicles", dataset, location="http://127.0.0.1:9")


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")
@pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning")
def test_a_server_is_asked_for_indexes_and_small_copies(
    dataset: Dataset, client: QdrantClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's own database has neither, so what it is asked for is looked at."""
    monkeypatch.setattr(collections, "is_local", lambda client: False)
    monkeypatch.setattr("veriwild_clustering.search.backends.qdrant.is_local", lambda client: False)
    asked, create_collection = {}, client.create_collection
    monkeypatch.setattr(client, "create_collection", lambda *a, **o: asked.update(o) or create_collection(*a, **o))
    kinds = {}
    monkeypatch.setattr(
        client, "create_payload_index", lambda name, key, field_schema: kinds.update({key: str(field_schema)})
    )
    index = QdrantIndex.build(dataset, "body", "vehicles", location=client, quantized=True)
    assert kinds == {
        "path": "keyword",
        "color": "keyword",
        "cluster": "integer",
        "is_outlier": "bool",
        "time": "keyword",
        "time-as-time": "datetime",
    }
    assert asked["vectors_config"].on_disk
    assert asked["quantization_config"].scalar.type == "int8"
    query = index.space.rows([0])
    np.testing.assert_array_equal(index.nearest(query, exact=True).rows, index.nearest(query).rows)
