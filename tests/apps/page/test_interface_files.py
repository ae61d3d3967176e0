"""Files of the page rather than of the API: those that nobody uploaded, and what a browser may keep."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from veriwild_clustering import Dataset, Partition, explore

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*(no_silent_downcasting|copy keyword)"),  # of pandas, in gradio
    pytest.mark.filterwarnings("ignore:Exception ignored in.*gradio"),  # which leaves closing uploads to the collector
]


@pytest.fixture(scope="module")
def stranger(page_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        labels = Partition([row // 30 for row in range(90)], page_dataset["osnet"], "by 30")
        with explore(page_dataset, labels, umap=False) as page, httpx.Client(base_url=page.url, timeout=60) as client:
            yield client


def called(client: httpx.Client, name: str, first: Any) -> dict[str, Any]:
    """Call what the page calls, with `first` in the place of its first input; return what comes of it."""
    config = client.get("/tabs/config").json()
    values = {component["id"]: component["props"].get("value") for component in config["components"]}
    [event] = [one for one in config["dependencies"] if one["api_name"] == name]
    data = [first, *(values[number] for number in event["inputs"][1:])]
    asked = {"data": data, "fn_index": event["id"], "session_hash": name}
    client.post("/tabs/gradio_api/queue/join", json=asked).raise_for_status()
    with client.stream("GET", "/tabs/gradio_api/queue/data", params={"session_hash": name}) as answer:
        told = (json.loads(line.removeprefix("data:")) for line in answer.iter_lines() if line.startswith("data:"))
        return next(one for one in told if one["msg"] == "process_completed")


@pytest.mark.parametrize("name", ["show", "search"])
@pytest.mark.parametrize("deep", [False, True], ids=["itself", "within"])
def test_a_file_that_nobody_uploaded_is_not_taken(
    stranger: httpx.Client, tmp_path: Path, name: str, *, deep: bool
) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_text("not for everybody")
    for path in (str(secret), "http://192.0.2.1/image.jpg", f"{uploads()}/../{secret.name}"):
        sent: Any = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}}
        told = called(stranger, name, [{"a": sent}] if deep else sent)
        assert not told["success"]
        assert told["output"]["error"] == "The file was not uploaded here."
    assert not list(uploads().rglob("secret.jpg"))
    assert stranger.get(f"/tabs/gradio_api/file={secret}").status_code == 403


def test_an_upload_is_taken(stranger: httpx.Client, jpeg: bytes) -> None:
    [path] = stranger.post("/tabs/gradio_api/upload", files={"files": ("car.jpg", jpeg)}).json()
    assert Path(path).is_relative_to(uploads())
    told = called(stranger, "search", {"path": path, "meta": {"_type": "gradio.FileData"}})
    assert told["success"]


def test_only_what_never_changes_under_its_name_is_kept_without_asking(stranger: httpx.Client) -> None:
    script = re.search(r"assets/index-[\w-]+\.js", stranger.get("/tabs/").text)[0]
    assert stranger.get(f"/tabs/{script}").headers["cache-control"] == "public, max-age=31536000, immutable"
    for path in ("/", "/tabs/", "/tabs/assets/index-00000000.js", "/api/dataset", "/map/missing-00000000.js"):
        assert stranger.get(path).headers["cache-control"] == "no-store", path
    sent = stranger.get("/map/map.js")
    again = stranger.get("/map/map.js", headers={"If-None-Match": sent.headers["etag"]})
    assert (sent.status_code, again.status_code) == (200, 304)
    assert sent.headers["cache-control"] == again.headers["cache-control"] == "no-cache"


def test_frames_may_be_shown_where_the_page_may_be(stranger: httpx.Client) -> None:
    policies = {stranger.get(path).headers["content-security-policy"] for path in ("/", "/map/map.html", "/tabs/")}
    [policy] = policies  # a browser asks each page of all that lie around it
    assert "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*" in policy


def uploads() -> Path:
    from gradio.utils import get_upload_folder

    return Path(get_upload_folder()).resolve()
