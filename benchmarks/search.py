"""Finding the nearest images: exact, approximate and filtered queries, building and opening, as the set grows.

Exact and approximate queries stand beside the same query in plain NumPy, in a flat FAISS index and in a loop that
scores one document after the other, as a search engine's script does. Times are medians of single queries, one after
the other, on vectors like those of a deep descriptor; a query is a row, which does not count as its own neighbour.
"""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench, Measured
from benchmarks.simulation import RAW_DESCRIPTORS, simulated_raw_data

SIZES = {"tiny": 600, "small": 5_000, "medium": 20_000, "full": 416_314}
_NAME = "osnet"
_N_FEATURES = RAW_DESCRIPTORS[_NAME].n_features
_EXACT, _GRAPH = "SQfp16", "PCA128,L2norm,HNSW48,SQfp16"
_N_RESULTS = 10
_SELECTIVITY = 0.01

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]


def run(bench: Bench) -> None:
    n_queries = bench.pick(tiny=10, small=50, medium=100, full=200)
    _one_size(bench, bench.n_images, n_queries, baselines=True)
    grown = bench.pick(
        tiny=(), small=(1_000,), medium=(5_000, 10_000), full=(10_000, 50_000, 100_000, 200_000, 1_000_000)
    )
    for n_images in grown:
        with bench.independent():
            _one_size(bench, n_images, n_queries, baselines=False)


def _one_size(bench: Bench, n_images: int, n_queries: int, *, baselines: bool) -> None:
    folder = bench.folder / f"search-{n_images}"
    try:
        csv = _dataset(folder, n_images)
        rows = np.sort(np.random.default_rng(0).choice(n_images, n_queries, replace=False))
        exact = _built(bench, csv, _EXACT, rows=rows)
        graph = _built(bench, csv, _GRAPH, rows=rows, truth=exact.value["rows"])
        if baselines:
            _beside(bench, csv, rows, exact=exact, graph=graph)
        _filtered(bench, csv, rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _dataset(folder: Path, n_images: int) -> Path:
    """Join a dataset of one descriptor, so that its vectors are a mapped file with a checksum."""
    import warnings

    from veriwild_clustering import join_dataset, locate_raw_data

    simulated_raw_data(folder / "raw_data", n_images, names=(_NAME,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        join_dataset(locate_raw_data(folder / "raw_data"), folder / "transport_dataset.csv")
    shutil.rmtree(folder / "raw_data")
    return folder / "transport_dataset.csv"


def _built(bench: Bench, csv: Path, factory: str, *, rows: Rows, truth: Rows | None = None) -> Measured:
    """Build, open and query an index, each in a process of its own, and print what that cost."""
    path = _index_path(csv, factory)
    build = bench.measure(_build, csv, factory, prepare=_imports)
    opened = bench.measure(_open, csv, factory, prepare=_imports)
    asked = bench.measure(_ask, csv, factory, rows, prepare=_imports)
    sizes: dict[str, Any] = {"n_images": build.value, "n_features": _N_FEATURES, "factory": factory}
    bench.compare(
        "build", build, **sizes, n_bytes=sum(file.stat().st_size for file in path.parent.glob(f"{path.stem}.*"))
    )
    bench.figure("open", ours=opened.value, peak_memory=opened.peak_memory, **sizes)
    seconds = asked.value["seconds"]
    extra = {"p95": float(np.quantile(seconds, 0.95)), "first": asked.value["first"]}
    if truth is not None:
        extra["recall_at_10"] = _recall(asked.value["rows"], truth)
    bench.figure(
        "one query, exact" if truth is None else "one query, approximate",
        ours=float(np.median(seconds)), peak_memory=asked.peak_memory, **sizes, **extra,
    )  # fmt: skip
    return asked


def _beside(bench: Bench, csv: Path, rows: Rows, *, exact: Measured, graph: Measured) -> None:
    sizes: dict[str, Any] = {"n_images": bench.n_images, "n_features": _N_FEATURES}
    for name, ask, n_queries in (
        ("NumPy", _ask_numpy, len(rows)),
        ("a flat FAISS index", _ask_faiss, len(rows)),
        ("a script per document", _ask_documents, 2),
    ):
        with bench.independent():
            theirs = bench.measure(ask, csv, rows[:n_queries], prepare=_imports)
            for kind, ours in (("exact", exact), ("approximate", graph)):
                bench.figure(
                    f"one query, {kind}, beside {name}",
                    ours=float(np.median(ours.value["seconds"])), baseline=float(np.median(theirs.value["seconds"])),
                    peak_memory=ours.peak_memory, baseline_peak_memory=theirs.peak_memory,
                    same_rows=_recall(ours.value["rows"][:n_queries], theirs.value["rows"]), **sizes,
                )  # fmt: skip


def _filtered(bench: Bench, csv: Path, rows: Rows) -> None:
    """Query the graph for the nearest among one per cent of the rows, beside FAISS's own filtered search of it."""
    truth = bench.measure(_ask, csv, _EXACT, rows, selectivity=_SELECTIVITY, exact=True, prepare=_imports).value["rows"]
    ours = bench.measure(_ask, csv, _GRAPH, rows, selectivity=_SELECTIVITY, prepare=_imports)
    theirs = bench.measure(_ask_selector, csv, rows, prepare=_imports)
    bench.figure(
        "one query, filter of 1 %",
        ours=float(np.median(ours.value["seconds"])), baseline=float(np.median(theirs.value["seconds"])),
        peak_memory=ours.peak_memory, n_images=len(_allowed(csv, 1.0)), n_features=_N_FEATURES,
        recall_at_10=_recall(ours.value["rows"], truth), baseline_recall_at_10=_recall(theirs.value["rows"], truth),
    )  # fmt: skip


def _imports() -> None:
    import faiss  # noqa: F401
    import pandas as pd  # noqa: F401

    from veriwild_clustering.search.index import SearchIndex  # noqa: F401


def _index_path(csv: Path, factory: str) -> Path:
    return csv.with_name(f"{factory.replace(',', '-')}.json")


def _build(csv: Path, factory: str) -> int:
    from veriwild_clustering import Dataset
    from veriwild_clustering.search.index import SearchIndex

    return len(SearchIndex.build(Dataset.open(csv), _NAME, _index_path(csv, factory), factory=factory))


def _open(csv: Path, factory: str) -> float:
    """Return the seconds that it takes to open the index of a dataset that is open."""
    from veriwild_clustering import Dataset
    from veriwild_clustering.search.index import SearchIndex

    dataset, started = Dataset.open(csv), perf_counter()
    SearchIndex.open(_index_path(csv, factory), dataset)
    return perf_counter() - started


def _allowed(csv: Path, selectivity: float) -> NDArray[np.bool_]:
    with csv.open() as lines:
        n_images = sum(1 for _ in lines) - 1
    return np.random.default_rng(1).random(n_images) < selectivity


def _ask(csv: Path, factory: str, rows: Rows, *, selectivity: float = 1.0, exact: bool = False) -> dict[str, Any]:
    from veriwild_clustering import Dataset
    from veriwild_clustering.search.index import SearchIndex

    index = SearchIndex.open(_index_path(csv, factory), Dataset.open(csv))
    allowed = None if selectivity == 1 else _allowed(csv, selectivity)
    queries = index.space.rows(rows)

    def ask(place: int) -> Rows:
        found = index.nearest(queries[place], _N_RESULTS, allowed=allowed, exclude=[rows[place]], exact=exact)
        return np.asarray(found.rows[0])

    return _each(ask, len(rows))


def _each(ask: Callable[[int], Rows], n_queries: int) -> dict[str, Any]:
    """Time single queries after each has been asked once, so that what is on the disk is in memory."""
    started = perf_counter()
    ask(0)
    first, seconds = perf_counter() - started, []
    rows = [ask(place) for place in range(n_queries)]
    for place in range(n_queries):
        started = perf_counter()
        ask(place)
        seconds.append(perf_counter() - started)
    return {"rows": np.stack(rows), "seconds": seconds, "first": first}


def _unit_vectors(csv: Path) -> Vectors:
    vectors = np.load(csv.with_suffix("") / f"{_NAME}.npy")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _ask_numpy(csv: Path, rows: Rows) -> dict[str, Any]:
    vectors = _unit_vectors(csv)

    def ask(place: int) -> Rows:
        scores = vectors @ vectors[rows[place]]
        scores[rows[place]] = -np.inf
        found = np.argpartition(scores, -_N_RESULTS)[-_N_RESULTS:]
        return found[np.argsort(-scores[found])]

    return _each(ask, len(rows))


def _ask_faiss(csv: Path, rows: Rows) -> dict[str, Any]:
    from faiss import IndexFlatIP

    vectors = _unit_vectors(csv)
    index = IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    queries = vectors[rows]
    del vectors

    def ask(place: int) -> Rows:
        found = index.search(queries[place : place + 1], _N_RESULTS + 1)[1][0]
        return found[found != rows[place]][:_N_RESULTS]

    return _each(ask, len(rows))


def _ask_documents(csv: Path, rows: Rows) -> dict[str, Any]:
    vectors = _unit_vectors(csv)

    def ask(place: int) -> Rows:
        query = vectors[rows[place]]
        scored = ((float(query @ vector) + 1.0, row) for row, vector in enumerate(vectors) if row != rows[place])
        return np.array([row for _, row in heapq.nlargest(_N_RESULTS, scored)])

    return _each(ask, len(rows))


def _ask_selector(csv: Path, rows: Rows) -> dict[str, Any]:
    """Let the graph itself skip what is not allowed, with the effort that suffices without a filter."""
    import json

    import faiss as untyped

    faiss: Any = untyped
    record = json.loads(_index_path(csv, _GRAPH).read_text())
    whole = faiss.read_index(str(csv.with_name(record["file"])))
    index = faiss.downcast_index(whole.index)
    allowed = _allowed(csv, _SELECTIVITY)
    queries = np.load(csv.with_suffix("") / f"{_NAME}.npy", mmap_mode="r")[rows]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    for step in range(whole.chain.size()):
        queries = faiss.downcast_VectorTransform(whole.chain.at(step)).apply(queries)

    def ask(place: int) -> Rows:
        bits = np.packbits(allowed, bitorder="little")
        params = faiss.SearchParametersHNSW(efSearch=record["effort"], sel=faiss.IDSelectorBitmap(bits))
        found = index.search(queries[place : place + 1], _N_RESULTS + 1, params=params)[1][0]
        kept = found[found != rows[place]][:_N_RESULTS]
        return np.pad(kept, (0, _N_RESULTS - len(kept)), constant_values=-1)

    return _each(ask, len(rows))


def _recall(found: Rows, truth: Rows) -> float:
    hits = [np.isin(one[one >= 0], other).sum() for one, other in zip(found, truth, strict=True)]
    return float(np.sum(hits) / max(1, np.count_nonzero(truth >= 0)))
