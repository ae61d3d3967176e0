"""Weights downloaded from a server on this machine: what comes, what is continued, what can go wrong."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from veriwild_clustering import DatasetError
from veriwild_clustering.images.models import download
from veriwild_clustering.images.models.record import Model, ModelFile
from veriwild_clustering.images.models.weights import (
    ModelError,
    cache_folder,
    is_cached,
    model_files,
)

ROOT = Path(__file__).resolve().parents[3]
BODY = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
OTHER = "0" * 64


@pytest.fixture(autouse=True)
def own_body(server: Any) -> None:
    server.body = BODY


def network(url: str | None, *, sha256: str | None = SHA256, n_bytes: int | None = None, licence: str = "MIT") -> Model:
    return Model(
        "cars",
        "embedding",
        (ModelFile("cars.onnx", url, sha256, n_bytes=n_bytes),),
        license=licence,
        source="https://example.org",
    )


def assert_says(error: DatasetError, folder: Path, *words: str) -> None:
    """Check that an error is one line that names the file, where it belongs, and `words`."""
    message = str(error)
    assert "\n" not in message
    for word in ("cars.onnx", str(folder), *words):
        assert word in message


def test_download_gives_the_bytes_of_the_server(server: Any, tmp_path: Path) -> None:
    model = network(server.url)
    assert not is_cached(model, folder=tmp_path)
    (file,) = model_files(model, folder=tmp_path)
    assert file == tmp_path / "cars.onnx"
    assert file.read_bytes() == BODY
    assert is_cached(model, folder=tmp_path)
    assert not list(tmp_path.glob("*.part*"))
    assert server.requests[0]["Accept-Encoding"] == "identity"


def test_complete_cache_asks_nobody(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_files(network(server.url), folder=tmp_path)
    monkeypatch.setattr(requests, "get", None)
    assert model_files(network(server.url), folder=tmp_path, download=False) == [tmp_path / "cars.onnx"]
    assert len(server.requests) == 1


def test_folder_comes_from_the_environment(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIWILD_MODELS", str(tmp_path / "new" / "folder"))
    (file,) = model_files(network(server.url))
    assert file.parent == tmp_path / "new" / "folder" == cache_folder()
    assert cache_folder(tmp_path) == tmp_path
    monkeypatch.delenv("VERIWILD_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "veriwild-clustering" in cache_folder().parts


def test_cut_is_continued_where_it_was(server: Any, tmp_path: Path) -> None:
    server.cuts = [150_000, 60_000]
    (file,) = model_files(network(server.url), folder=tmp_path)
    assert file.read_bytes() == BODY
    ranges = [int(request["Range"].removeprefix("bytes=").rstrip("-")) for request in server.requests[1:]]
    assert 0 < ranges[0] <= 150_000
    assert ranges[0] <= ranges[1] <= ranges[0] + 60_000
    assert all(request["If-Range"] == server.etag for request in server.requests[1:])


@pytest.mark.parametrize("etag", ['"1"', None])
def test_next_call_continues_what_was_left(server: Any, tmp_path: Path, etag: str | None) -> None:
    server.etag, server.cuts = etag, [200_000, *[0] * download.MAX_FAILURES]
    with pytest.raises(ModelError):
        model_files(network(server.url), folder=tmp_path)
    left = (tmp_path / "cars.onnx.part").stat().st_size
    assert left >= 131_072
    server.cuts, server.requests = [], []
    (file,) = model_files(network(server.url), folder=tmp_path)
    assert file.read_bytes() == BODY
    assert server.requests[0]["Range"] == f"bytes={left}-"


def test_next_call_starts_anew_where_nothing_tells_the_version(server: Any, tmp_path: Path) -> None:
    (tmp_path / "cars.onnx.part").write_bytes(b"of another file")
    server.etag = None
    (file,) = model_files(network(server.url, sha256=None), folder=tmp_path)
    assert file.read_bytes() == BODY
    assert "Range" not in server.requests[0]


def test_file_that_changed_on_the_server_is_taken_whole(server: Any, tmp_path: Path) -> None:
    server.cuts = [200_000, *[0] * download.MAX_FAILURES]
    with pytest.raises(ModelError):
        model_files(network(server.url, sha256=None), folder=tmp_path)
    server.cuts, server.body, server.etag = [], BODY[::-1], '"2"'
    (file,) = model_files(network(server.url, sha256=None), folder=tmp_path)
    assert file.read_bytes() == BODY[::-1]


@pytest.mark.parametrize("note", ["", "[]", "{}"])
def test_part_of_another_file_is_thrown_away(server: Any, tmp_path: Path, note: str) -> None:
    (tmp_path / "cars.onnx.part").write_bytes(b"of another file")
    (tmp_path / "cars.onnx.part.json").write_text(note)
    (file,) = model_files(network(server.url), folder=tmp_path)
    assert file.read_bytes() == BODY


@pytest.mark.parametrize("body", [BODY, BODY + b"more"])
def test_part_that_is_whole_or_too_long_comes_right(server: Any, tmp_path: Path, body: bytes) -> None:
    (tmp_path / "cars.onnx.part").write_bytes(body)
    (file,) = model_files(network(server.url), folder=tmp_path)
    assert file.read_bytes() == BODY


def test_server_without_ranges_starts_anew(server: Any, tmp_path: Path) -> None:
    server.knows_ranges, server.cuts = False, [200_000]
    (file,) = model_files(network(server.url), folder=tmp_path)
    assert file.read_bytes() == BODY
    assert "Range" in server.requests[1]


def test_server_that_is_busy_is_asked_again(server: Any, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    assert model_files(network(server.url), folder=tmp_path)[0].read_bytes() == BODY


def test_wrong_checksum_names_both_and_leaves_nothing(server: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        model_files(network(server.url, sha256=OTHER), folder=tmp_path)
    assert_says(caught.value, tmp_path, SHA256, OTHER, server.url, "removed")
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]


@pytest.mark.parametrize("status", [404, 403, 401])
def test_refusal_is_not_repeated(server: Any, tmp_path: Path, status: int) -> None:
    server.statuses = [status]
    with pytest.raises(ModelError) as caught:
        model_files(network(server.url), folder=tmp_path)
    assert_says(caught.value, tmp_path, server.url, str(status))
    assert len(server.requests) == 1


def test_server_that_stays_busy_is_given_up(server: Any, tmp_path: Path) -> None:
    server.statuses = [503] * 20
    with pytest.raises(ModelError) as caught:
        model_files(network(server.url), folder=tmp_path)
    assert_says(caught.value, tmp_path, server.url, "503")
    assert len(server.requests) == download.MAX_FAILURES


def test_silence_ends(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SILENCE_SECONDS", 0.05)
    server.silence = 0.2
    with pytest.raises(ModelError) as caught:
        model_files(network(server.url), folder=tmp_path)
    assert_says(caught.value, tmp_path, server.url, "did not answer in time")


def test_no_network_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/weights.onnx"
    with pytest.raises(ModelError) as caught:
        model_files(network(url), folder=tmp_path)
    assert_says(caught.value, tmp_path, url, "could not be made", "By hand")


@pytest.mark.parametrize("says_length", [True, False])
def test_file_that_is_too_short_is_refused(server: Any, tmp_path: Path, *, says_length: bool) -> None:
    server.says_length = says_length
    with pytest.raises(ModelError) as caught:
        model_files(network(server.url, sha256=None, n_bytes=400_000), folder=tmp_path)
    assert_says(caught.value, tmp_path, server.url, "300,000", "400,000")
    assert not (tmp_path / "cars.onnx").exists()


def test_disk_that_is_too_small_is_seen_before(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(ModelError) as caught:
        model_files(network(server.url), folder=tmp_path)
    assert_says(caught.value, tmp_path, "disk is full", "300,000", "1,000")


def test_disk_that_fills_up_keeps_what_came(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ModelError) as caught:
            model_files(network(server.url), folder=tmp_path)
    assert_says(caught.value, tmp_path, "disk is full")
    (file,) = model_files(network(server.url), folder=tmp_path)
    assert file.read_bytes() == BODY
    assert "Range" in server.requests[-1]


def test_folder_without_permission(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", forbidden)
    with pytest.raises(ModelError) as caught:
        model_files(network(server.url), folder=tmp_path / "cache")
    assert_says(caught.value, tmp_path / "cache", "Permission denied")


def test_folder_that_is_a_file(server: Any, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder")
    with pytest.raises(ModelError) as caught:
        model_files(network(server.url), folder=tmp_path / "cache")
    assert_says(caught.value, tmp_path / "cache")


@pytest.mark.parametrize("url", ["ftp://example.org/cars.onnx", "file:///etc/passwd"])
def test_only_the_web_is_downloaded(tmp_path: Path, url: str) -> None:
    with pytest.raises(ModelError, match="no http or https address"):
        model_files(network(url), folder=tmp_path)


def test_two_processes_download_once(server: Any, tmp_path: Path) -> None:
    server.silence = 0.5  # so that the second asks while the first waits
    code = (
        "from veriwild_clustering.images.models.record import Model, ModelFile\n"
        "from veriwild_clustering.images.models.weights import model_files\n"
        f"file = ModelFile('cars.onnx', {server.url!r}, {SHA256!r})\n"
        f"model_files(Model('cars', 'embedding', (file,), license='MIT', source=''), folder={str(tmp_path)!r})\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert len(server.requests) == 1
    assert (tmp_path / "cars.onnx").read_bytes() == BODY


def test_bar_counts_megabytes(server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.body = bytes(2_500_000)
    model_files(network(server.url, sha256=None), folder=tmp_path, progress=True)
    shown = capsys.readouterr().err
    assert "cars.onnx" in shown
    assert "/3 " in shown
    model_files(network(server.url, sha256=None), folder=tmp_path / "silent", progress=False)
    assert not capsys.readouterr().err
