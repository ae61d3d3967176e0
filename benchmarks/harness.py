"""What every benchmark runs on: a fresh child process per measurement, one JSON line per figure.

A benchmark is a module `benchmarks/<name>.py`: its docstring's first line says what it measures, `SIZES` gives the
number of images of each size, and `run(bench)` prints its figures. A minimal one:

    SIZES = {"tiny": 600, "small": 5_000, "medium": 20_000, "full": 416_314}

    def run(bench: Bench) -> None:
        space = simulated_space(bench.n_images)
        ours = bench.measure(_ours, space.vectors)          # _ours(vectors) is a top-level function of the module
        loop = bench.measure(_loop, space.vectors, prepare=_imports)
        bench.compare("all pairs", ours, loop, n_images=bench.n_images, n_features=64)
        bench.figure("agreement", ours=score(ours.value, loop.value), unit="ARI", n_images=bench.n_images)

Modules import heavy packages inside their functions, as the library does: a child is charged for what it loads.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import platform
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

__all__ = ["SIZES", "Bench", "ChildFailedError", "Measured"]

SIZES: Mapping[str, int] = {"tiny": 600, "small": 5_000, "medium": 20_000, "full": 416_314}
_PACKAGES = ("numpy", "scipy", "scikit-learn", "hdbscan", "faiss-cpu", "umap-learn", "pyod", "joblib")


class ChildFailedError(RuntimeError):
    """A measured function raised, or its process was killed."""


@dataclass(frozen=True)
class Measured:
    """What a function returned in its own process, and what that cost.

    Parameters
    ----------
    value : object
        The result.
    seconds, cpu_seconds : float
        Wall time and CPU time of the call, all threads together.
    peak_memory : int
        Largest resident memory of the process in bytes, the interpreter and imports included.
    """

    value: Any
    seconds: float
    cpu_seconds: float
    peak_memory: int


@dataclass
class Bench:
    """One run of one benchmark at one size.

    Parameters
    ----------
    name, size : str
        Which benchmark, how large.
    n_images : int
        Number of images of that size, from `SIZES` of the module.
    folder : Path
        For big files; what lies there from an earlier run may be used again.
    options : mapping of str to str
        What the command line gave beyond that, such as "figure".
    isolated : bool
        Whether each measurement has a process of its own, as it must for its memory to mean anything.
    """

    name: str
    size: str
    n_images: int
    folder: Path
    options: Mapping[str, str] = field(default_factory=dict)
    isolated: bool = True
    failures: int = 0

    def pick(self, **by_size: Any) -> Any:
        """Return the value given for this size: `pick(tiny=3, small=5, medium=10, full=30)`."""
        return by_size[self.size]

    def say(self, message: str) -> None:
        """Print a remark on the progress, which is no figure, to stderr."""
        print(f"{self.name} {self.size}: {message}", file=sys.stderr, flush=True)

    def measure(
        self, function: Callable[..., Any], *args: Any, prepare: Callable[[], Any] | None = None, **kwargs: Any
    ) -> Measured:
        """Run a top-level function in a fresh process and return its result with time and peak memory.

        The clock runs during the call alone: the module of `function` is imported before, arrays among the arguments
        (they travel as .npy files) are in memory, and `prepare`, a top-level function without arguments, has run: it
        imports packages and lets compilers warm up where that is not to count. Give the path of a .npy file instead of
        an array to have reading it measured. Thread settings are inherited.

        Raises
        ------
        ChildFailedError
            If the function raised or its process died; the traceback is on stderr.
        """
        self.say(f"{function.__name__} …")
        if not self.isolated:
            return _timed(function, args, kwargs, prepare=prepare)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="call-") as scratch:
            call = _Call.save(function, prepare, args=args, kwargs=kwargs, folder=Path(scratch))
            child = multiprocessing.get_context("spawn").Process(target=call.run)
            child.start()
            child.join()
            if not call.answer.exists():
                raise ChildFailedError(f"{function.__name__} ended with exit code {child.exitcode}.")
            measured: Measured = pickle.loads(call.answer.read_bytes())
        self.say(f"{function.__name__}: {measured.seconds:.2f} s, {measured.peak_memory / 2**20:.0f} MiB")
        return measured

    def figure(
        self,
        figure: str,
        *,
        ours: float | None,
        baseline: float | None = None,
        unit: str = "s",
        n_images: int | None = None,
        n_features: int | None = None,
        peak_memory: int | None = None,
        baseline_peak_memory: int | None = None,
        **extra: Any,
    ) -> None:
        """Print one figure as a JSON line; `ratio` is baseline / ours, further fields are kept as they are."""
        line = {
            "benchmark": self.name,
            "figure": figure,
            "size": self.size,
            "n_images": self.n_images if n_images is None else n_images,
            "n_features": n_features,
            "ours": ours,
            "baseline": baseline,
            "ratio": baseline / ours if unit == "s" and baseline is not None and ours else None,
            "unit": unit,
            "peak_memory": peak_memory,
            "baseline_peak_memory": baseline_peak_memory,
            **extra,
            "versions": versions(),
            "cores": n_cores(),
        }
        print(json.dumps(line, default=_plain), flush=True)

    def compare(self, figure: str, ours: Measured, baseline: Measured | None = None, **extra: Any) -> None:
        """Print the seconds and peak memory of ours beside those of the baseline."""
        self.figure(
            figure,
            ours=ours.seconds,
            baseline=baseline.seconds if baseline else None,
            peak_memory=ours.peak_memory,
            baseline_peak_memory=(baseline.peak_memory or None) if baseline else None,  # 0: not measured
            cpu_seconds=ours.cpu_seconds,
            baseline_cpu_seconds=baseline.cpu_seconds if baseline else None,
            **extra,
        )

    @contextmanager
    def independent(self) -> Iterator[None]:
        """Let the benchmark go on if what is inside fails: the traceback goes to stderr, the run ends with 1."""
        try:
            yield
        except Exception:
            self.failures += 1
            traceback.print_exc()


@dataclass(frozen=True)
class _Call:
    """A function with its arguments, arrays among them as files, and where the answer goes."""

    function: Callable[..., Any]
    prepare: Callable[[], Any] | None
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    answer: Path

    @classmethod
    def save(
        cls, function: Any, prepare: Any, *, args: tuple[Any, ...], kwargs: Mapping[str, Any], folder: Path
    ) -> Any:
        kept = tuple(_stored(value, folder / f"{place}.npy") for place, value in enumerate(args))
        named = {key: _stored(value, folder / f"{key}.npy") for key, value in kwargs.items()}
        return cls(function, prepare, kept, named, folder / "answer.pickle")

    def run(self) -> None:
        """Do the call in this process, which is the child."""
        os.dup2(2, 1)  # stdout is for figures alone
        args = [_loaded(value) for value in self.args]
        kwargs = {key: _loaded(value) for key, value in self.kwargs.items()}
        measured = _timed(self.function, args, kwargs, prepare=self.prepare)
        unfinished = self.answer.with_suffix(".part")
        unfinished.write_bytes(pickle.dumps(measured))
        unfinished.rename(self.answer)


def _timed(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], *, prepare: Callable[[], Any] | None
) -> Measured:
    """Call a function in this process."""
    if prepare:
        prepare()
    cpu, started = process_time(), perf_counter()
    value = function(*args, **kwargs)
    seconds, cpu_seconds = perf_counter() - started, process_time() - cpu
    return Measured(value, seconds, cpu_seconds, peak_memory())


@dataclass(frozen=True)
class _Array:
    """Stands for an array on its way to the child."""

    file: Path


def _stored(value: Any, file: Path) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    np.save(file, value)
    return _Array(file)


def _loaded(value: Any) -> Any:
    return np.load(value.file) if isinstance(value, _Array) else value


def peak_memory() -> int:
    """Return the largest resident memory that this process has had, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: ru_maxrss would count what the parent held when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def shared_folder() -> Path:
    """Return where the real sample and real weights lie, if they are at hand: VERIWILD_SHARED, or ../shared."""
    return Path(os.environ.get("VERIWILD_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def versions() -> dict[str, str]:
    """Return the versions that the figures depend on."""
    import veriwild_clustering

    found = {"python": platform.python_version(), "veriwild_clustering": veriwild_clustering.__version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays as Python's."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in a figure.")
