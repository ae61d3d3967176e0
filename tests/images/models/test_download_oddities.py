"""Downloads from servers that do not do what they are asked, and downloads that are interrupted."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from veriwild_clustering.images.models import download
from veriwild_clustering.images.models.record import Model, ModelFile
from veriwild_clustering.images.models.weights import ModelError, model_files

BODY = np.random.default_rng(1).bytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def own_body(server: Any) -> None:
    server.body = BODY


def network(url: str, *, sha256: str | None = SHA256, n_bytes: int | None = None) -> Model:
    file = ModelFile("cars.onnx", url, sha256, n_bytes=n_bytes)
    return Model("cars", "embedding", (file,), license="MIT", source="https://example.org")


def test_server_that_sends_less_than_it_is_asked_for_is_asked_for_the_rest(server: Any, tmp_path: Path) -> None:
    server.cuts, server.longest = [100_000], 50_000
    (file,) = model_files(network(server.url, sha256=None), folder=tmp_path)
    assert file.read_bytes() == BODY


def test_file_that_shrinks_between_two_answers_is_taken_as_it_is_now(server: Any, tmp_path: Path) -> None:
    server.cuts, server.etag = [200_000], None
    server.knows_ranges = False
    answer = server.answer

    def shrinking(handler: BaseHTTPRequestHandler) -> None:
        answer(handler)
        server.body, server.says_length = BODY[:100_000], False

    server.answer = shrinking  # type: ignore[method-assign]
    (file,) = model_files(network(server.url, sha256=None), folder=tmp_path)
    assert file.read_bytes() == BODY[:100_000]


@pytest.mark.parametrize("cuts", [[], [150_000]])
def test_server_that_compresses_all_the_same_is_understood(server: Any, tmp_path: Path, cuts: list[int]) -> None:
    body, server.cuts = BODY, cuts
    server.body, server.headers = gzip.compress(body), {"Content-Encoding": "gzip"}
    (file,) = model_files(network(server.url, n_bytes=len(body)), folder=tmp_path)
    assert file.read_bytes() == body


def test_server_that_sends_more_than_the_file_has_is_stopped(server: Any, tmp_path: Path) -> None:
    server.says_length = False
    with pytest.raises(ModelError) as caught:
        model_files(network(server.url, sha256=None, n_bytes=100_000), folder=tmp_path)
    assert server.url in str(caught.value)
    assert "more than its 100,000 bytes" in str(caught.value)
    assert (tmp_path / "cars.onnx.part").stat().st_size < 200_000
    server.body = BODY[:100_000]
    assert model_files(network(server.url, sha256=None), folder=tmp_path)[0].read_bytes() == BODY[:100_000]


def test_protected_address_may_not_lead_to_one_that_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def redirected(url: str, **_: object) -> requests.Response:
        response, first = requests.Response(), requests.Response()
        response.status_code, response.url, response.raw = 200, "http://example.org/other.onnx", io.BytesIO(BODY)
        first.url = url
        response.history = [first]
        return response

    monkeypatch.setattr(requests, "get", redirected)
    with pytest.raises(ModelError) as caught:
        model_files(network("https://example.org/cars.onnx", sha256=None), folder=tmp_path)
    assert "leads to http://example.org/other.onnx" in str(caught.value)
    assert not (tmp_path / "cars.onnx").exists()
    assert model_files(network("http://example.org/cars.onnx"), folder=tmp_path)[0].read_bytes() == BODY


def test_kill_before_the_first_byte_of_another_version_mixes_nothing(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.cuts = [200_000, *[0] * download.MAX_FAILURES]
    with pytest.raises(ModelError):
        model_files(network(server.url, sha256=None), folder=tmp_path)
    server.cuts, server.body, server.etag = [], BODY[::-1], '"2"'
    with monkeypatch.context() as patched:
        patched.setattr(download, "track", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model_files(network(server.url, sha256=None), folder=tmp_path)
    (file,) = model_files(network(server.url, sha256=None), folder=tmp_path)
    assert file.read_bytes() == BODY[::-1]


def test_interruption_keeps_what_came_and_frees_the_file(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_step(steps: Iterator[None], **_: object) -> Iterator[None]:
        yield next(steps)
        interrupted()

    server.body = bytes(1_500_000)
    with monkeypatch.context() as patched:
        patched.setattr(download, "track", first_step)
        with pytest.raises(KeyboardInterrupt):
            model_files(network(server.url, sha256=None), folder=tmp_path)
    assert model_files(network(server.url, sha256=None), folder=tmp_path)[0].read_bytes() == server.body
    assert int(server.requests[-1]["Range"].removeprefix("bytes=").rstrip("-")) >= 1_000_000


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
