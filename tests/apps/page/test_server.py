"""The server as it runs: edits from many threads and two processes, two hundred clients, the command's own options."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient

from veriwild_clustering import Dataset
from veriwild_clustering.apps.cli import main
from veriwild_clustering.apps.page.command import _token as token_of
from veriwild_clustering.apps.page.command import add_arguments
from veriwild_clustering.apps.page.server.application import create_app
from veriwild_clustering.apps.page.workspace import Workspace


def insist(client: httpx.Client, name: str, rows: list[int]) -> int:
    """Mark each row, again wherever another edit came first; return how often it did."""
    path, conflicts = f"/api/partitions/{name}/edits", 0
    for row in rows:
        version = 1
        while True:
            edit = {"base_version": version, "edit": {"kind": "mark_outlier", "rows": [row]}}
            answer = client.post(path, json=edit)
            if answer.status_code == 201:
                assert answer.json()["version"] == version + 1
                break
            assert answer.status_code == 409, answer.text
            assert answer.json()["error"]["code"] == "conflict"
            version, conflicts = answer.json()["error"]["current"], conflicts + 1
    return conflicts


def test_of_many_threads_no_edit_is_lost(fresh: Workspace, client_of: Callable[..., TestClient]) -> None:
    client, name = client_of(fresh), fresh.default_partition
    rows = np.arange(0, 32).reshape(8, 4).tolist()
    with ThreadPoolExecutor(8) as pool:
        conflicts = sum(pool.map(lambda own: insist(client, name, own), rows))
    assert conflicts > 0
    shown = client.get("/api/partitions").json()["items"][0]
    assert (shown["version"], shown["n_marked"], len(shown["history"])) == (33, 32, 32)


@contextmanager
def started(*options: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Give the address of a server in a process of its own, which ends with the block."""
    command = [sys.executable, "-m", "veriwild_clustering", "app", *options, "--port", "0", "--api-only", "--no-umap"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        yield next(line.strip().removesuffix("/api/dataset") for line in lines if line.startswith("http")), process
    finally:
        process.kill()
        process.communicate()


def test_of_two_processes_no_edit_is_lost_and_the_token_is_asked_for(raw_data: Path, tmp_path: Path) -> None:
    csv = tmp_path / "transport_dataset.csv"
    assert main(["create-dataset", "--raw-data", str(raw_data), "--output", str(csv), "--no-images", "--quiet"]) == 0
    rows = [f"{path},{row % 2}" for row, path in enumerate(Dataset.open(csv).images["path"])]
    (tmp_path / "given.csv").write_text("\n".join(["path,cluster", *rows]))
    options = [str(csv), "--folder", str(tmp_path / "app"), "--partition", str(tmp_path / "given.csv")]
    headers = {"Authorization": "Bearer secret"}
    with (
        started(*options, VERIWILD_TOKEN="secret") as (one, _),  # noqa: S106
        started(*options, "--token", "secret") as (other, last),
    ):
        assert httpx.get(f"{one}/api/dataset").status_code == 401
        clients = [httpx.Client(base_url=address, headers=headers, timeout=60) for address in (one, other)]
        name = clients[0].get("/api/partitions").json()["items"][0]["id"]
        with ThreadPoolExecutor(2) as pool:
            list(
                pool.map(
                    lambda pair: insist(pair[0], name, pair[1]), zip(clients, ([0, 1, 2, 3], [4, 5, 6, 7]), strict=True)
                )
            )
        shown = [client.get("/api/partitions").json()["items"][0] for client in clients]
        assert shown[0] == shown[1]
        assert (shown[0]["version"], shown[0]["n_marked"]) == (9, 8)
        with ThreadPoolExecutor(8) as pool:
            seen = list(
                pool.map(lambda row: clients[row % 2].get(f"/api/images/{row % 30}/thumbnail").status_code, range(40))
            )
        assert set(seen) == {200}
        for client in clients:
            client.close()
        last.send_signal(signal.SIGINT)
        is_heard = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN  # a shell lets its background jobs ignore it
        assert last.wait(60) == (130 if is_heard else 0)


def test_two_hundred_clients_at_once(workspace: Workspace) -> None:
    config = uvicorn.Config(create_app(workspace, interface=False), port=0, log_level="warning", timeout_keep_alive=60)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
        [listener] = server.servers[0].sockets
        statuses = asyncio.run(_ask(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    finally:
        server.should_exit = True
        thread.join()
    assert len(statuses) == 600
    assert set(statuses) == {200}


async def _ask(address: str) -> list[int]:
    """Ask three times with each of two hundred clients, all at once."""
    paths = (
        "/api/images/{}",
        "/api/images/{}/thumbnail?size=64",
        "/api/images/{}/neighbors",
        "/api/outliers?offset={}",
    )
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:

        async def three(number: int) -> list[int]:
            rows = (number % 89, (number * 7) % 89, (number * 13) % 89)
            return [(await client.get(paths[(number + row) % 4].format(row))).status_code for row in rows]

        return [status for answers in await asyncio.gather(*map(three, range(200))) for status in answers]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nothing.csv"], "does not exist"),
        (["nothing.csv", "--port", "99999"], "`--port` must be"),
        (["nothing.csv", "--host", "no.such.host.invalid"], "Cannot listen"),
        (["nothing.csv", "--token", " "], "token"),
        (["nothing.csv", "--token-file", "nothing.txt"], "nothing.txt"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["app", *options, *([] if "--port" in options else ["--port", "0"]), "--api-only"]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def test_the_token_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    (tmp_path / "token.txt").write_text("from-file\nrest\n")
    monkeypatch.setenv("VERIWILD_TOKEN", "from-environment")
    given = {"--token": "from-option", "--token-file": str(tmp_path / "token.txt")}
    assert [token_of(parser.parse_args(["x.csv", *pair])) for pair in given.items()] == ["from-option", "from-file"]
    assert token_of(parser.parse_args(["x.csv"])) == "from-environment"
    monkeypatch.setenv("VERIWILD_TOKEN", "")
    assert token_of(parser.parse_args(["x.csv"])) is None
