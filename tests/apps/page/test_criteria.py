"""Criteria in words over the page's API: what is saved, what it holds, what is refused, and that no key is seen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from tests.chat_server import ChatRequest, chat_server
from veriwild_clustering import Dataset, MeasuredAnswers, cluster_by
from veriwild_clustering.apps.page.problems import BusyError
from veriwild_clustering.apps.page.services.criteria.clustering import cluster_by_criteria
from veriwild_clustering.apps.page.services.criteria.schemas import CriteriaRequest
from veriwild_clustering.apps.page.workspace import Workspace

KEY = "sk-never-to-be-seen-0123456789"
BODY = {"criteria": [{"text": "body of the vehicle", "column": "type"}]}


@pytest.fixture
def asked(fresh: Workspace, client_of: Callable[..., TestClient]) -> TestClient:
    return client_of(fresh)


def test_a_criterion_becomes_a_partition(asked: TestClient, fresh: Workspace) -> None:
    answer = asked.post("/api/criteria", json=BODY)
    assert answer.status_code == 201
    [found] = answer.json()["items"]
    assert [(group["name"], group["size"]) for group in found["groups"]] == [("sedan", 45), ("bus", 30), ("truck", 14)]
    assert found["ungrouped"] | {"examples": []} == {
        "size": 1, "uncertain": 0, "other_label": 0, "no_answer": 0, "no_vector": 1, "examples": [],
    }  # fmt: skip
    types = fresh.dataset.images["type"]
    for group in found["groups"]:
        assert {types[row] for row in group["examples"]} == {group["name"]}
    name = found["partition"]["id"]
    assert name in {item["id"] for item in asked.get("/api/partitions").json()["items"]}
    assert asked.get(f"/api/partitions/{name}/clusters").json()["items"][0]["name"] == "sedan"


def test_the_cross_table_counts_every_image_once(asked: TestClient, fresh: Workspace) -> None:
    [found] = asked.post("/api/criteria", json=BODY).json()["items"]
    table = found["cross_table"]
    counts = np.array(table["counts"])
    assert counts.shape == (len(table["rows"]), len(table["columns"]))
    own = fresh.partition(found["partition"]["id"]).labels
    other = fresh.partition(table["partition"]).labels
    expected = pd.crosstab(own, other)
    assert counts.sum() == 90
    for group, cluster in np.ndindex(counts.shape[0] - 1, counts.shape[1] - 1):
        assert counts[group, cluster] == expected.get(cluster, {}).get(group, 0)


def test_measured_answers_are_those_of_the_library(drawn_project: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(drawn_project / "transport_dataset.csv")
    workspace = Workspace(dataset, tmp_path / "app", umap=False)
    texts = ["colour of the vehicle", "day or night"]
    response = cluster_by_criteria(
        workspace, CriteriaRequest.model_validate({"criteria": [{"text": t} for t in texts]})
    )
    expected = cluster_by(dataset, texts, MeasuredAnswers(), space=workspace.space())
    for found, partition in zip(response.items, expected, strict=True):
        saved = workspace.partition(found.partition.id)
        np.testing.assert_array_equal(saved.labels, partition.labels)
        assert [group.name for group in found.groups] == list(partition.cluster_names)
        assert found.coverage == pytest.approx(1 - partition.noise_fraction)
        assert found.ungrouped.uncertain == np.count_nonzero(partition.state["labels"] == "uncertain")


def test_the_same_again_is_no_version_and_other_labels_are_one(asked: TestClient, fresh: Workspace) -> None:
    first, again = (asked.post("/api/criteria", json=BODY).json()["items"][0]["partition"] for _ in range(2))
    assert (first["id"], first["version"]) == (again["id"], again["version"])
    before = fresh.partition(first["id"], version=1).labels.copy()
    edit = {"base_version": 1, "edit": {"kind": "rename", "cluster": 0, "name": "mine"}}
    assert asked.post(f"/api/partitions/{first['id']}/edits", json=edit).status_code == 201
    fewer = {"criteria": [{**BODY["criteria"][0], "labels": ["sedan", "bus"]}]}
    [found] = asked.post("/api/criteria", json=fewer).json()["items"]
    assert (found["partition"]["id"], found["partition"]["version"]) == (first["id"], 3)
    assert [group["name"] for group in found["groups"]] == ["sedan", "bus"]
    np.testing.assert_array_equal(fresh.partition(first["id"], version=1).labels, before)
    assert fresh.partition(first["id"], version=2).cluster_name(0) == "mine"


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"criteria": [{"text": "mood"}]}, "criteria", "Nothing that is measured tells “mood”"),
        ({"criteria": [{"text": "mood", "column": "nope"}]}, "criteria", "no column 'nope'"),
        ({"criteria": [{"text": "colour"}], "answerer": "clip"}, "answerer", "clip-vit-b-32"),
        ({"criteria": [{"text": "colour"}], "answerer": "endpoint", "max_requests": 9}, "answerer", "no endpoint"),
        ({"criteria": [{"text": "colour", "labels": ["red"]}]}, "criteria", "2 to"),
        ({"criteria": [{"text": "colour"}, {"text": "Colour "}]}, "", "given twice"),
        ({"criteria": [{"text": "x" * 301}]}, "criteria.0.text", "at most 300"),
        ({"criteria": [{"text": "light"}] * 9}, "criteria", "at most 8"),
        ({"criteria": [{"text": "light", "labels": ["a"] * 51}]}, "criteria.0.labels", "at most 50"),
        ({"criteria": [{"text": "light"}], "descriptor": "nope"}, "descriptor", "There are: osnet"),
        ({"criteria": [{"text": "light"}], "max_cost": 1}, "", "needs `prices`"),
    ],
)
def test_what_cannot_be_done_is_said(asked: TestClient, body: dict[str, Any], field: str, message: str) -> None:
    answer = asked.post("/api/criteria", json=body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["field"] == field
    assert message in error["message"]


def test_an_unknown_partition_is_not_found(asked: TestClient, fresh: Workspace) -> None:
    assert asked.post("/api/criteria", json={**BODY, "compare_with": "nope"}).status_code == 404
    assert not [name for name in fresh.library.names() if name.startswith("by-")]


def look(request: ChatRequest) -> Any:
    """Red, white or blue by the middle of the image."""
    if not request.jpeg:
        return "uncertain"
    red, _, blue = request.image.getpixel((request.image.width // 2, request.image.height // 2))
    return "red" if red > blue + 50 else "blue" if blue > red + 50 else "white"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    with chat_server(lambda request: {"answer_1": look(request)}, key=KEY) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("VERIWILD_VISION_MODEL", "eyes")
        monkeypatch.setenv("VERIWILD_ANSWERS", str(tmp_path / "answers"))
        yield server


def test_an_endpoint_is_asked_within_its_cap_and_its_key_is_never_seen(
    asked: TestClient, fresh: Workspace, endpoint: Any
) -> None:
    body = {"criteria": [{"text": "paint", "labels": ["red", "white", "blue"]}], "answerer": "endpoint"}
    answers = [asked.get("/api/criteria")]
    assert answers[0].json()["items"][2] | {"about": ""} == {
        "name": "endpoint", "is_at_hand": True, "about": "", "models": ["eyes"], "sends": True,
    }  # fmt: skip
    answers.append(asked.post("/api/criteria", json=body))
    assert answers[-1].json()["error"]["field"] == "max_requests"
    answers.append(asked.post("/api/criteria/estimate", json={**body, "max_requests": 1, "prices": [1, 1]}))
    estimate = answers[-1].json()
    assert (estimate["n_prompts"], estimate["n_requests"]) == (90, 3)  # three different images
    assert estimate["cost"] > 0
    answers.append(asked.post("/api/criteria", json={**body, "max_requests": 2}))
    assert "Nothing was sent" in answers[-1].json()["error"]["message"]
    answers.append(asked.post("/api/criteria", json={**body, "max_requests": 200, "prices": [1, 1], "max_cost": 0}))
    assert answers[-1].json()["error"]["field"] == "max_cost"
    assert endpoint.n_requests == 0

    answers.append(asked.post("/api/criteria", json={**body, "max_requests": 200}))
    assert answers[-1].status_code == 201
    [found] = answers[-1].json()["items"]
    assert [(group["name"], group["size"]) for group in found["groups"]] == [("red", 45), ("white", 30), ("blue", 14)]
    assert 0 < answers[-1].json()["usage"]["n_requests"] == endpoint.n_requests <= 200
    answers += [asked.get("/api/partitions"), asked.get("/api/dataset"), asked.get("/api/openapi.json")]

    endpoint.key = "another"  # the server repeats the key that it refuses
    answers.append(asked.post("/api/criteria", json={**body, "criteria": [{"text": "paintwork"}], "max_requests": 200}))
    assert answers[-1].status_code == 422
    assert all(KEY not in answer.text and KEY not in str(answer.headers) for answer in answers)
    assert not [file for file in fresh.folder.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]


def test_the_same_at_once_is_refused_and_others_are_answered(fresh: Workspace, client_of: Any, endpoint: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()
    told: list[int] = []

    def wait(request: ChatRequest) -> Any:
        begun.set()
        go_on.wait(30)
        return {"answer_1": look(request)}

    endpoint.answer = wait
    body = {"criteria": [{"text": "paint"}], "answerer": "endpoint", "max_requests": 200}
    fresh.prepare()
    with client_of(fresh) as client:
        work = threading.Thread(target=lambda: told.append(client.post("/api/criteria", json=body).status_code))
        work.start()
        try:
            assert begun.wait(30)
            again = client.post("/api/criteria", json={**body, "max_requests": 300})
            assert (again.status_code, again.json()["error"]["code"]) == (409, "busy")
            assert client.get("/api/images?limit=1").status_code == 200
        finally:
            go_on.set()
            work.join(60)
    assert told == [201]
    assert fresh.running.n_running == 0


def test_no_more_than_a_few_run_at_once(fresh: Workspace) -> None:
    claims = [fresh.running.claimed(key, already="wait", too_many="later") for key in "abc"]
    with claims[0], claims[1]:
        with pytest.raises(BusyError, match="later"), claims[2]:
            pass
        with pytest.raises(BusyError, match="wait"), fresh.running.claimed("a", already="wait", too_many="later"):
            pass
    with fresh.running.claimed("a", already="wait", too_many="later"):
        assert fresh.running.n_running == 1
