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

COLOR, TYPE, VIEW = "colour of the vehicle", "type of the vehicle", "view of the vehicle"
N_IMAGES, N_COLUMNS = 300, 40


def planned_truth(n_images: int) -> pd.DataFrame:
    plan = plan_images(n_images, np.random.default_rng(1))
    return pd.DataFrame({COLOR: plan["color"].replace("silver", "grey"), TYPE: plan["type"], VIEW: plan["view"]})


def numbered_images(folder: Path, n_images: int) -> Dataset:
    """Return images whose size says which row they are."""
    paths = [f"{row}.png" for row in range(n_images)]
    for row, path in enumerate(paths):
        Image.new("RGB", (16 + row % N_COLUMNS, 16 + row // N_COLUMNS)).save(folder / path)
    return Dataset(pd.DataFrame({"path": paths}), image_store=ImageStore(folder))


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    return planned_truth(N_IMAGES)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return numbered_images(tmp_path_factory.mktemp("images"), N_IMAGES)


class Model:
    """Puts what the server is asked before somebody who knows the truth."""

    def __init__(self, truth: pd.DataFrame, *, seed: int = 0) -> None:
        self.knows = NoisyTruth(truth, seed=seed)

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


def test_wrong_wordy_and_foreign_answers_give_the_classes_whatever_the_seed(tmp_path: Path) -> None:
    """One in ten wrong, synonyms, plurals, capitals, chatter, names of no class; nobody says how many groups."""
    truth = planned_truth(1_000)
    dataset = numbered_images(tmp_path, len(truth))
    accuracies: dict[str, list[float]] = {COLOR: [], TYPE: [], VIEW: []}
    for seed in range(5):
        with chat_server(Model(truth, seed=seed)) as server:
            endpoint = ChatEndpoint("words", "sight", base_url=server.url, cache=tmp_path / f"answers {seed}")
            for partition in cluster_by(dataset, list(accuracies), endpoint, random_state=seed):
                known = truth[partition.params["criterion"]]
                assert partition.n_clusters == known.nunique()
                accuracies[known.name].append(hungarian_accuracy(partition.labels, known))
    for found in accuracies.values():
        assert min(found) >= 0.88
        assert max(found) - min(found) < 0.05
