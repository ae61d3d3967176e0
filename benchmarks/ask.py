"""Questions to an endpoint: many at once with our limits, retries and cache, beside one call after the other.

The server runs in a process of its own on this machine and takes 200 ms for each answer. The size is the number of
questions, each about an image of its own.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Bench

SIZES = {"tiny": 40, "small": 400, "medium": 2_000, "full": 10_000}
_LATENCY = 0.2
_N_AT_ONCE = 16
_QUESTION = "Describe the vehicle in one sentence."


def run(bench: Bench) -> None:
    folder = bench.folder / "images"
    _draw(folder, bench.n_images)
    cache = bench.folder / "answers"
    with _server() as url:
        loop = bench.measure(_loop, url, folder, prepare=_imports)
        ours = bench.measure(_ask, url, folder, cache=cache, prepare=_imports)
        again = bench.measure(_ask, url, folder, cache=cache, prepare=_imports)
    if not loop.value == ours.value == again.value == bench.n_images:
        raise RuntimeError("Some questions have no answer.")
    bench.compare("16 at once, beside one at a time", ours, loop)
    bench.figure("answers per second, 16 at once", ours=bench.n_images / ours.seconds, unit="1/s")
    bench.compare("answers known already", again)


def _draw(folder: Path, n_images: int) -> None:
    from PIL import Image

    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for row in range(n_images):
        coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
        coarse.resize((320, 240), Image.Resampling.BICUBIC).save(folder / f"{row:06}.jpg")


@contextmanager
def _server() -> Iterator[str]:
    """Give the base URL of a server in another process, so that it does not compete for this interpreter."""
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=_serve, args=(its,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("end")
        process.join()


def _serve(pipe: Connection) -> None:
    from tests.chat_server import chat_server

    with chat_server(lambda _: "A grey sedan, seen from the front.", latency=_LATENCY) as server:
        pipe.send(server.url)
        pipe.recv()


def _imports() -> None:
    import openai  # noqa: F401

    from veriwild_clustering.images.captioning import endpoint  # noqa: F401

    os.environ["OPENAI_API_KEY"] = "none"


def _dataset(folder: Path) -> Any:
    import pandas as pd

    from veriwild_clustering import Dataset, ImageStore

    names = sorted(file.name for file in folder.iterdir())
    return Dataset(pd.DataFrame({"path": names}), image_store=ImageStore(folder))


def _ask(url: str, folder: Path, *, cache: Path) -> int:
    from veriwild_clustering.images.captioning.endpoint import ChatEndpoint
    from veriwild_clustering.images.captioning.prompts import Prompt

    dataset = _dataset(folder)
    endpoint = ChatEndpoint("m", base_url=url, cache=cache, concurrency=_N_AT_ONCE)
    answers = endpoint.ask([Prompt(_QUESTION, row=row) for row in range(len(dataset))], dataset)
    return sum(answer.value is not None for answer in answers)


def _loop(url: str, folder: Path) -> int:
    """What one writes without a library: the same images, shrunk in the same way, one call after the other."""
    from openai import OpenAI

    from veriwild_clustering.images.captioning.chat.sent_images import data_url

    dataset, n_answers = _dataset(folder), 0
    with OpenAI(base_url=url) as client:
        for row in range(len(dataset)):
            content: Any = [
                {"type": "text", "text": _QUESTION},
                {"type": "image_url", "image_url": {"url": data_url(dataset, row, side=512)}},
            ]
            said = client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": content}], max_tokens=300, temperature=0
            )
            n_answers += said.choices[0].message.content is not None
    return n_answers
