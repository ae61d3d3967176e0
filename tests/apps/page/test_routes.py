"""The routes of the JSON API: what each answers, beside what the library says of the same dataset."""

from __future__ import annotations

import json
from io import BytesIO, StringIO

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from veriwild_clustering import Query, SearchIndex, search_images
from veriwild_clustering.apps.page.server.errors import ErrorBody
from veriwild_clustering.apps.page.workspace import Workspace


def test_dataset_tells_columns_maps_and_partitions(client: TestClient, workspace: Workspace) -> None:
    shown = client.get("/api/dataset").json()
    assert shown["n_images"] == 90
    assert shown["origin"] == "Squares for tests."
    kinds = {column["name"]: column["kind"] for column in shown["columns"]}
    assert kinds == {
        "path": "text", "vehicle_id": "category", "camera": "category", "type": "category", "width": "number",
        "has_osnet": "category",
    }  # fmt: skip
    assert [layout["name"] for layout in shown["layouts"]] == ["pca-2d", "pca-3d"]
    assert shown["partitions"] == [workspace.default_partition]


def test_images_come_in_pages_by_condition(client: TestClient, workspace: Workspace) -> None:
    where = {"type": ["bus", "truck"], "width": {"low": 100, "high": 110}}
    found = client.get("/api/images", params={"where": json.dumps(where), "limit": 4, "offset": 2}).json()
    table = workspace.dataset.images
    expected = table[table["type"].isin(["bus", "truck"]) & table["width"].between(100, 110)].index
    assert found["total"] == len(expected)
    assert [item["row"] for item in found["items"]] == expected[2:6].tolist()
    assert found["items"][0]["record"]["vehicle_id"] == table["vehicle_id"][expected[2]]


def test_cluster_is_a_condition(client: TestClient, workspace: Workspace) -> None:
    labels = workspace.partition(workspace.default_partition).labels
    found = client.get("/api/images", params={"where": '{"cluster": 1}'}).json()
    assert found["total"] == np.count_nonzero(labels == 1)


def test_image_tells_its_cluster_and_outlier_score(client: TestClient, workspace: Workspace) -> None:
    shown = client.get("/api/images/89").json()
    assert shown["clusters"][0]["cluster"] == -1
    assert shown["outlier_score"] is None
    assert shown["is_outlier"] == bool(workspace.abnormality.is_outlier[89])


def test_thumbnail_is_made_once_and_has_a_tag(client: TestClient) -> None:
    shown = client.get("/api/images/3/thumbnail?size=64")
    with Image.open(BytesIO(shown.content)) as image:
        assert (image.format, max(image.size)) == ("JPEG", 64)
    again = client.get("/api/images/3/thumbnail?size=64", headers={"If-None-Match": shown.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/api/images/4/thumbnail?size=64").headers["etag"] != shown.headers["etag"]


def test_thumbnail_of_a_missing_image_is_a_tile(client: TestClient) -> None:
    shown = client.get("/api/images/89/thumbnail")
    assert shown.status_code == 200
    assert shown.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("n_dims", [2, 3])
def test_layout_is_quantised_with_one_scale(client: TestClient, workspace: Workspace, n_dims: int) -> None:
    answer = client.get(f"/api/layouts/pca-{n_dims}d")
    assert answer.headers["x-shape"] == f"90,{n_dims}"
    places = np.frombuffer(answer.content, "<u2").reshape(90, n_dims).astype(float)
    assert (places[89] == 65535).all()
    exact = workspace.layout(f"pca-{n_dims}d")[:89].astype(float)
    step = (exact.max(axis=0) - exact.min(axis=0)).max() / 65534
    np.testing.assert_allclose(places[:89] * step + exact.min(axis=0), exact, atol=step)


def test_colors_of_clusters_are_codes_with_a_legend(client: TestClient, workspace: Workspace) -> None:
    partition = workspace.partition(workspace.default_partition)
    legend = client.get("/api/colors").json()
    codes = np.frombuffer(client.get("/api/colors?codes=1").content, "<u2")
    np.testing.assert_array_equal(codes, partition.labels + 1)
    counts = {entry["code"]: entry["count"] for entry in legend["entries"]}
    assert counts == dict(zip(*np.unique(codes, return_counts=True), strict=True))


def test_colors_of_numbers_are_a_range(client: TestClient, workspace: Workspace) -> None:
    legend = client.get("/api/colors?by=width").json()
    codes = np.frombuffer(client.get("/api/colors?by=width&codes=true").content, "<u2")
    assert legend["kind"] == "number"
    assert legend["low"] < legend["high"]
    assert (np.diff(codes.astype(int)) >= 0).all()
    assert (codes.min(), codes.max()) == (1, 65535)


def test_colors_of_values_count_them(client: TestClient, workspace: Workspace) -> None:
    legend = client.get("/api/colors?by=type").json()
    counts = {entry["value"]: entry["count"] for entry in legend["entries"]}
    assert counts == workspace.dataset.images["type"].value_counts().to_dict()


def test_clusters_have_sentences_and_members(client: TestClient, workspace: Workspace) -> None:
    name = workspace.default_partition
    cards = client.get(f"/api/partitions/{name}/clusters").json()
    partition = workspace.partition(name)
    assert [card["size"] for card in cards["items"] if card["cluster"] >= 0] == partition.sizes.tolist()
    assert cards["items"][0]["text"].startswith("Cluster 0 (")
    detail = client.get(f"/api/partitions/{name}/clusters/0?limit=5").json()
    assert [member["row"] for member in detail["members"]["items"]] == partition.members(0)[:5].tolist()
    shares = {
        value["value"]: value["share"] for p in detail["profile"] if p["column"] == "type" for value in p["values"]
    }
    assert sum(shares.values()) == pytest.approx(1)
    noise = client.get(f"/api/partitions/{name}/clusters/-1").json()
    assert noise["members"]["total"] == np.count_nonzero(partition.labels == -1)


def test_search_finds_what_the_library_finds(client: TestClient, workspace: Workspace) -> None:
    weights = {"osnet": 2.0, "color_model": 1.0}
    asked = {
        "rows": [3, 5],
        "weights": weights,
        "n_results": 6,
        "where": {"width": {"low": 40}},
        "exclude_same_vehicle": True,
    }
    found = client.post("/api/search", json=asked).json()
    index = SearchIndex.build(workspace.dataset, weights)
    results = search_images(
        index, workspace.dataset, Query([3, 5]), n_results=6, where={"width": (40, None)}, exclude_same_vehicle=True
    )
    assert [item["row"] for item in found["items"]] == results.rows.tolist()
    assert [item["score"] for item in found["items"]] == pytest.approx(results.scores.tolist())
    assert found["items"][0]["explanation"] == results.explain(0)


def test_neighbors_of_an_image_leave_it_out(client: TestClient) -> None:
    found = client.get("/api/images/7/neighbors?n=5").json()
    assert len(found["items"]) == 5
    assert 7 not in [item["row"] for item in found["items"]]


def test_outliers_are_ranked(client: TestClient, workspace: Workspace) -> None:
    found = client.get("/api/outliers?min_score=0&limit=500").json()
    scores = [item["score"] for item in found["items"]]
    flags = [item["is_outlier"] for item in found["items"]]
    assert found["total"] == np.count_nonzero(workspace.abnormality.scores >= 0)
    assert flags == sorted(flags, reverse=True)
    flagged = [score for score, flag in zip(scores, flags, strict=True) if not flag]
    assert flagged == sorted(flagged, reverse=True)


def test_comparison_of_a_partition_with_itself_is_full(client: TestClient) -> None:
    shown = client.get("/api/comparisons").json()
    assert shown["agreement"]["ari"] == 1
    assert all(flow["share"] == 1 for flow in shown["flows"])


def test_description_measures_and_does_not_guess(client: TestClient, jpeg: bytes) -> None:
    shown = client.post("/api/describe", files={"image": ("a.jpg", jpeg)}).json()
    assert shown["vehicle_color"] == "red"
    assert shown["confidence"]["vehicle_color"] > 0.5
    for field in ("vehicle_type", "view_angle", "roof_features"):
        assert (shown[field], shown["confidence"][field]) == ("uncertain", 0)
    assert shown["sources"] == {"vehicle_color": "measured"}


def test_exports_hold_every_image(client: TestClient, workspace: Workspace) -> None:
    labels = workspace.partition(workspace.default_partition).labels
    table = pd.read_csv(StringIO(client.get("/api/export/partition.csv").text))
    assert table["cluster"].tolist() == labels.tolist()
    records = client.get("/api/export/records.json").json()
    assert [record["group"] for record in records] == labels.tolist()
    assert records[89]["x"] is None


def test_images_by_upload_say_what_made_the_descriptor_is_not_known(client: TestClient, jpeg: bytes) -> None:
    answer = client.post("/api/search/upload", files={"images": ("a.jpg", jpeg)}, data={"query": "{}"})
    assert answer.status_code == 422
    assert "osnet" in answer.json()["error"]["message"]


def test_words_without_clip_are_unavailable(client: TestClient) -> None:
    answer = client.post("/api/search", json={"texts": ["a red car"]})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "unavailable"


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/api/images/90", 404, "row"),
        ("/api/partitions/nobody/clusters", 404, "id"),
        ("/api/layouts/tsne-2d", 404, "name"),
        ("/api/colors?by=nothing", 404, "by"),
        ("/api/images/3/thumbnail?size=97", 422, "size"),
        ("/api/images?limit=501", 422, "limit"),
        ("/api/nothing", 404, ""),
    ],
)
def test_errors_have_one_shape(client: TestClient, path: str, status: int, field: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert ErrorBody.model_validate(answer.json()).error.field == field
