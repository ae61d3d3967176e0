"""The page's server: from the start to the map, search, clusters, outliers, and two hundred clients at once.

The server runs as `veriwild app` does, in a process of its own, over simulated vectors without image files (thumbnails
are tiles). Times are those a client sees on this machine, after a first request of the kind; the client is one of
httpx. Under load each of the clients asks for something else as soon as it has its answer; memory is that of the
server, sampled every half second once each kind has been asked for.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import statistics
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.harness import Bench
from benchmarks.simulation import simulated_raw_data

if TYPE_CHECKING:
    from httpx import Client

SIZES = {"tiny": 600, "small": 5_000, "medium": 20_000, "full": 416_314}
_NAMES = ("osnet", "color_model")
_N_CLIENTS = 200


def run(bench: Bench) -> None:
    import httpx

    folder = bench.folder / f"app-{bench.n_images}"
    try:
        csv = joined_dataset(folder, bench.n_images)
        for figure in ("first start, until the map is there", "second start, until the map is there"):
            started = perf_counter()
            with _server(csv) as (address, process), httpx.Client(base_url=address, timeout=600) as client:
                _map(client)
                bench.figure(figure, ours=perf_counter() - started, peak_memory=_memory(process, "VmHWM"))
                if figure.startswith("second"):
                    _answers(bench, client)
                    _load(bench, address, process, seconds=bench.pick(tiny=1, small=5, medium=20, full=60))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def joined_dataset(folder: Path, n_images: int) -> Path:
    from veriwild_clustering import join_dataset, locate_raw_data

    simulated_raw_data(folder / "raw_data", n_images, names=_NAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        join_dataset(locate_raw_data(folder / "raw_data"), folder / "transport_dataset.csv")
    shutil.rmtree(folder / "raw_data")
    return folder / "transport_dataset.csv"


@contextmanager
def _server(csv: Path) -> Iterator[tuple[str, int]]:
    """Give address and process id of a server that ends with the block."""
    command = [sys.executable, "-m", "veriwild_clustering", "app", str(csv), "--port", "0", "--api-only", "--no-umap"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        address = next(line.strip().removesuffix("/api/dataset") for line in lines if line.startswith("http"))
        yield address, process.pid
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _map(client: Client) -> None:
    """Ask for what the map needs."""
    for path in ("/api/dataset", "/api/layouts/pca-3d", "/api/colors", "/api/colors?codes=1"):
        client.get(path).raise_for_status()


def _answers(bench: Bench, client: Client) -> None:
    """Time the first and the later answers of each kind."""
    name = client.get("/api/partitions").json()["items"][0]["id"]
    row = bench.n_images // 2
    mixture = {"rows": [row], "weights": {"osnet": 0.6, "color_model": 0.4}}
    vehicle = str(client.get(f"/api/images/{row}").json()["record"]["folder"])
    asked: dict[str, tuple[str, Any]] = {
        "a page of outliers": ("/api/outliers", None),
        "clusters with their sentences": (f"/api/partitions/{name}/clusters", None),
        "one cluster with its members": (f"/api/partitions/{name}/clusters/0", None),
        "the map: places and colours": ("", None),
        "search by a row": ("/api/search", {"rows": [row]}),
        "search by a row, mixture of two descriptors": ("/api/search", mixture),
        "search by a row, filtered by a column": ("/api/search", {"rows": [row], "where": {"folder": vehicle}}),
        "search by a row, re-ranked": ("/api/search", {"rows": [row], "rerank": "local-scaling"}),
        "a page of images by condition": (f'/api/images?where={{"folder":"{vehicle}"}}', None),
    }
    for figure, (path, body) in asked.items():
        seconds = [_timed(client, path, body) for _ in range(bench.pick(tiny=3, small=5, medium=10, full=20))]
        bench.figure(figure, ours=statistics.median(seconds[1:]), first=seconds[0], worst=max(seconds[1:]))


def _timed(client: Client, path: str, body: Any) -> float:
    started = perf_counter()
    if not path:
        _map(client)
    else:
        (client.get(path) if body is None else client.post(path, json=body)).raise_for_status()
    return perf_counter() - started


def _load(bench: Bench, address: str, process: int, *, seconds: float) -> None:
    """Let all clients ask for so many seconds; print answers per second, errors, times and memory."""
    asyncio.run(_clients(bench.n_images, address, seconds=min(5.0, seconds)))  # each kind has been asked for
    with _sampled(process) as samples:
        times, errors = asyncio.run(_clients(bench.n_images, address, seconds=seconds))
    quarter = max(1, len(samples) // 4)
    first, last = (float(np.median(part)) for part in (samples[:quarter], samples[-quarter:]))
    bench.figure(
        f"{_N_CLIENTS} clients: answers per second", ours=len(times) / seconds, unit="1/s",
        errors=errors.total(), kinds=dict(errors),
        median=float(np.median(times)), p95=float(np.quantile(times, 0.95)), worst=max(times), n_answers=len(times),
        memory_first_quarter=first, memory_last_quarter=last, peak_memory=int(max(samples)), seconds=seconds,
    )  # fmt: skip


async def _clients(n_images: int, address: str, *, seconds: float) -> tuple[list[float], Counter[str]]:
    """Return the time of every answer, and how often what went wrong."""
    import httpx

    end, times, errors = perf_counter() + seconds, list[float](), Counter[str]()
    limits = httpx.Limits(max_connections=_N_CLIENTS, max_keepalive_connections=_N_CLIENTS)

    async def ask(client: httpx.AsyncClient, rng: random.Random) -> None:
        while perf_counter() < end:
            started = perf_counter()
            try:
                answer = await client.get(_some_path(rng, n_images))
                if answer.status_code != 200:
                    errors[str(answer.status_code)] += 1
            except httpx.HTTPError as error:
                errors[type(error).__name__] += 1
            times.append(perf_counter() - started)

    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
        await asyncio.gather(*(ask(client, random.Random(seed)) for seed in range(_N_CLIENTS)))
    return times, errors


def _some_path(rng: random.Random, n_images: int) -> str:
    row, offset = rng.randrange(n_images), rng.randrange(n_images)
    paths: Sequence[tuple[str, int]] = (
        (f"/api/images/{row}", 20), (f"/api/images/{row}/thumbnail?size=96", 40),
        (f"/api/images?offset={offset}&limit=20", 10),
        (f"/api/images/{row}/neighbors", 10), (f"/api/outliers?offset={offset}&limit=20", 10), ("/api/colors", 5),
        ("/api/partitions", 4), ("/api/layouts/pca-2d", 1),
    )  # fmt: skip
    return rng.choices([path for path, _ in paths], [weight for _, weight in paths])[0]


@contextmanager
def _sampled(process: int) -> Iterator[list[int]]:
    """Give the memory of a process, sampled every half second."""
    samples, over = [_memory(process, "VmRSS")], Event()

    def sample() -> None:
        while not over.wait(0.5):
            samples.append(_memory(process, "VmRSS"))

    thread = Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def _memory(process: int, field: str) -> int:
    """Return what Linux says of the memory of a process, 0 elsewhere."""
    status = Path(f"/proc/{process}/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)
