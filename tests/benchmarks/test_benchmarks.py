"""Every benchmark runs at its smallest size and prints figures of one form; measuring and simulating work as said."""

from __future__ import annotations

import json
import operator
import os
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import harness
from benchmarks.__main__ import benchmarks, main
from benchmarks.harness import Bench
from benchmarks.simulation import (
    N_IMAGES,
    RAW_DESCRIPTORS,
    image_list,
    pickle_blocks,
    simulated_raw_data,
    simulated_space,
)
from veriwild_clustering import locate_raw_data

NUMBERS = ("ours", "baseline", "ratio", "n_features", "peak_memory", "baseline_peak_memory")
MIB = 2**20


@pytest.mark.filterwarnings("default")  # the plain loops call other libraries as a user would, whatever those warn of
@pytest.mark.parametrize("name", benchmarks())
def test_prints_figures_of_one_form(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERIWILD_SHARED", str(tmp_path))  # nothing but what the benchmark draws
    assert main([name, "--size", "tiny", "--here", "--folder", str(tmp_path)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines
    for line in lines:
        assert (line["benchmark"], line["size"]) == (name, "tiny")
        assert isinstance(line["figure"], str)
        assert isinstance(line["unit"], str)
        assert all(line[key] is None or isinstance(line[key], int | float) for key in NUMBERS)
        assert line["n_images"] > 0
        assert line["cores"] > 0
        assert {"python", "numpy", "scikit-learn", "hdbscan", "faiss-cpu", "veriwild_clustering"} <= set(
            line["versions"]
        )
    assert not list(tmp_path.iterdir())


def test_list_names_every_benchmark_with_its_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in benchmarks())
    assert all(summary in shown for summary in benchmarks().values())
    assert f"{N_IMAGES:,}" in shown


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench("trial", "tiny", 10, tmp_path)


def test_measures_in_a_process_of_its_own(bench: Bench) -> None:
    array = np.ones(128 * MIB, dtype=np.uint8)
    small, large = bench.measure(os.getpid), bench.measure(np.sum, array)
    assert small.value != os.getpid()
    assert large.value == array.sum()
    assert small.peak_memory < array.nbytes < large.peak_memory


def test_clock_runs_during_the_call_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [0.0]

    def work(seconds: float) -> float:
        moments.append(moments[-1] + seconds)
        return moments[-1]

    monkeypatch.setattr(harness, "perf_counter", lambda: moments[-1])
    bench.isolated = False
    measured = bench.measure(work, 2.0, prepare=partial(work, 5.0))
    assert (measured.value, measured.seconds) == (7.0, 2.0)


@pytest.mark.parametrize(("function", "arguments"), [(operator.truediv, (1, 0)), (os._exit, (3,))])
def test_goes_on_after_a_failure(
    bench: Bench, function: Callable[..., Any], arguments: tuple[Any, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    with bench.independent():
        bench.measure(function, *arguments)
    assert bench.failures == 1
    shown = capfd.readouterr()
    assert "ChildFailedError" in shown.err
    assert ("ZeroDivisionError" in shown.err) == (function is operator.truediv)
    assert not shown.out


def test_ratio_is_baseline_over_ours(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.figure("pairs", ours=np.float64(2.0), baseline=8.0, n_features=3, settings=np.arange(2))
    bench.figure("agreement", ours=1.0, unit="ARI")
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["ratio"], first["unit"], first["n_images"], first["settings"]) == (4.0, "s", 10, [0, 1])
    assert (second["ratio"], second["unit"]) == (None, "ARI")


def test_table_keeps_the_last_of_equal_figures(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.figure("pairs", ours=3.0, baseline=9.0)
    bench.figure("pairs", ours=2.0, baseline=8.0, peak_memory=5 * MIB)
    lines = tmp_path / "lines.jsonl"
    lines.write_text(capsys.readouterr().out)
    assert main(["table", str(lines)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "`python -m benchmarks trial --size tiny`"
    assert shown[-1] == "| pairs | 10 | 2 s | 8 s | 4 | 5 MiB |  |"
    assert sum("pairs" in line for line in shown) == 1


def test_simulated_space_is_seeded_and_structured() -> None:
    space, again, other = simulated_space(3_000), simulated_space(3_000), simulated_space(3_000, random_state=1)
    np.testing.assert_array_equal(space.vectors, again.vectors)
    assert not np.array_equal(space.vectors, other.vectors)
    assert (space.vectors.shape, space.vectors.dtype) == ((3_000, 64), np.float32)
    variance = space.vectors.var(axis=0)
    assert variance[:8].mean() > 3 * variance[-8:].mean()
    assert 0.01 < np.mean(space.groups < 0) < 0.06
    assert np.bincount(space.vehicles).mean() == pytest.approx(10, rel=0.1)
    same_vehicle = np.flatnonzero((np.diff(space.vehicles) == 0) & (space.groups[1:] >= 0) & (space.groups[:-1] >= 0))
    gaps = np.linalg.norm(np.diff(space.vectors, axis=0), axis=1)
    rng = np.random.default_rng(0)
    pairs = rng.integers(3_000, size=(2, 2_000))
    assert np.median(gaps[same_vehicle]) < 0.6 * np.median(np.linalg.norm(np.subtract(*space.vectors[pairs]), axis=1))


@pytest.mark.parametrize("shape", [(10, 3), (5_000, 16)])
def test_pickle_is_what_pickle_writes(shape: tuple[int, int], tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    pickle_blocks(tmp_path / "a.pickle", iter(np.array_split(array, 7)), shape=shape)
    assert (tmp_path / "a.pickle").read_bytes() == pickle.dumps(array, protocol=4)


def test_raw_folder_has_the_layout_of_the_case(tmp_path: Path) -> None:
    groups = simulated_raw_data(tmp_path / "raw_data", 1_000)
    raw = locate_raw_data(tmp_path / "raw_data")
    assert list(raw.descriptor_files) == list(groups) == list(RAW_DESCRIPTORS)
    assert (
        (tmp_path / "raw_data" / "images_paths.csv").read_bytes().startswith(b"paths\nveriwild\\1\\00001\\000001.jpg\n")
    )
    folders = [path.split("/")[1] for path in raw.paths]
    assert list(dict.fromkeys(folders)) == ["1", "10", "2", "3", "4", "5", "6", "7", "8", "9"]
    for name, made in RAW_DESCRIPTORS.items():
        vectors = pickle.loads(raw.descriptor_files[name].read_bytes())  # noqa: S301
        assert (vectors.shape, vectors.dtype) == ((1_000, made.n_features), np.float32)


def test_image_list_has_the_known_ends_of_folders_at_full_size() -> None:
    vehicles, paths = image_list(N_IMAGES)
    assert (len(vehicles), len(paths), len(set(vehicles.tolist()))) == (N_IMAGES, N_IMAGES, 40_671)
    assert paths[41_149:41_151] == [r"veriwild\1\04028\041150.jpg", r"veriwild\10\36191\370004.jpg"]
    assert paths[-1] == r"veriwild\9\36190\370003.jpg"


def test_spectrum_is_that_of_the_case(tmp_path: Path) -> None:
    simulated_raw_data(tmp_path, 4_000, names=("type_model", "color_model"))
    for file, n_components in (
        ("vdc_type.pickle", 20),
        ("vdc_color.pickle", 69),
    ):  # which hold 90 % of the real variance
        vectors = pickle.loads((tmp_path / "descriptors" / file).read_bytes())  # noqa: S301
        shares = np.linalg.eigvalsh(np.corrcoef(vectors.T))[::-1] / vectors.shape[1]
        assert shares[:n_components].sum() == pytest.approx(0.9, abs=0.06)
