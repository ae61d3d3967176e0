"""Clustering by criteria over HTTP: a model behind an endpoint answers from the truth, and misbehaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.noisy_answers import NoisyTruth
from tests.chat_server import ChatRequest, Fault, chat_server, seeded_faults
from veriwild_clustering import ChatEndpoint, Criterion, Dataset, ImageStore, cluster_by, hungarian_accuracy
from veriwild_clustering.images.captioning.prompts import Prompt
from veriwild_clustering.samples.plan import plan_images

COLOR = "colour of the vehicle"
N_IMAGES, N_COLUMNS = 300, 20


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    plan = plan_images(N_IMAGES, np.random.default_rng(1))
    return pd.DataFrame({COLOR: plan["color"].replace("silver", "grey")})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Images whose size says which row they are."""
    folder = tmp_path_factory.mktemp("images")
    paths = [f"{row}.png" for row in range(N_IMAGES)]
    for row, path in enumerate(paths):
        Image.new("RGB", (16 + row % N_COLUMNS, 16 + row // N_COLUMNS)).save(folder / path)
    return Dataset(pd.DataFrame({"path": paths}), image_store=ImageStore(folder))


class Model:
    """Puts what the server is asked before somebody who knows the truth."""

    def __init__(self, truth: pd.DataFrame) -> None:
        self.knows = NoisyTruth(truth)

    def __call__(self, request: ChatRequest) -> Any:
        row = None
        if request.jpeg:
            width, height = request.image.size
            row = width - 16 + N_COLUMNS * (height - 16)
        return self.knows.ask([Prompt(request.text, row=row, schema=request.schema)])[0].value


def test_endpoint_that_misbehaves_gives_the_groups_of_the_truth(
    truth: pd.DataFrame, dataset: Dataset, tmp_path: Path
) -> None:
    faults = seeded_faults(0, [(0.05, Fault("500"))])
    with chat_server(Model(truth), script=faults) as server:
        endpoint = ChatEndpoint("words", "sight", base_url=server.url, cache=tmp_path)
        [partition] = cluster_by(dataset, COLOR, endpoint)
        asked = server.n_requests
        [again] = cluster_by(dataset, COLOR, ChatEndpoint("words", "sight", base_url=server.url, cache=tmp_path))
        assert server.n_requests == asked  # all answers were known
        refined = Criterion(COLOR, labels=sorted(set(truth[COLOR])))
        cluster_by(dataset, refined, ChatEndpoint("words", "sight", base_url=server.url, cache=tmp_path))
        assert not [request for request in server.requests[asked:] if request.jpeg]
    assert hungarian_accuracy(partition.labels, truth[COLOR]) >= 0.85
    np.testing.assert_array_equal(partition.labels, again.labels)
    assert partition.params["answerer"] == "sight / words"


def test_limit_of_requests_leaves_the_rest_uncertain(truth: pd.DataFrame, dataset: Dataset, tmp_path: Path) -> None:
    with chat_server(Model(truth)) as server:
        endpoint = ChatEndpoint("words", "sight", base_url=server.url, cache=tmp_path, max_requests=100)
        [partition] = cluster_by(dataset, COLOR, endpoint)
        assert server.n_requests == 100
    assert (partition.state["labels"] != "").sum() == 100
    assert 0.6 <= partition.noise_fraction < 0.75
