"""What each rule of choosing without truth loses: on simulated groups, the drawn sample and, if there, the real one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.harness import Bench, shared_folder
from benchmarks.simulation import simulated_space

if TYPE_CHECKING:
    from veriwild_clustering.core.descriptor import Descriptor
    from veriwild_clustering.evaluation.leaderboard import Leaderboard

SIZES = {"tiny": 240, "small": 1_000, "medium": 2_000, "full": 5_000}
REAL_SAMPLE = shared_folder() / "data/veriwild_sample/raw_data"

_N_FEATURES = 16
_N_COMPONENTS = 64
_OF_DRAWN = {
    "osnet": ["vehicle_id"],
    "vdc_type": ["type", "view"],
    "vdc_color": ["color"],
    "efficientnet-b7": ["camera"],
}


@dataclass(frozen=True)
class Case:
    """Descriptors of one set of images with what is known of each image: class (missing for bad ones), vehicle."""

    name: str
    spaces: Sequence[Descriptor]
    truth: NDArray[Any]
    vehicles: NDArray[Any] | None
    most_clusters: int = 15


def run(bench: Bench) -> None:
    """Print the figures."""
    from veriwild_clustering import regret

    n_repeats = bench.pick(tiny=2, small=10, medium=10, full=10)
    ratios: dict[str, list[float]] = {}
    for case in _cases(bench):
        bench.say(case.name)
        board = board_of(case, n_repeats=n_repeats, thorough=bench.size != "tiny")
        parts = {case.name: board}
        if len(case.spaces) > 1:
            parts |= {f"{case.name}, {space.name}": board.of(space.name) for space in case.spaces}
        for name, part in parts.items():
            for rule, row in regret(part, case.truth).iterrows():
                ratios.setdefault(str(rule), []).append(row["ratio"])
                said = {"chosen": row["partition"], "best": row["best"], "best_ari": round(row["best_ari"], 4)}
                _figure(bench, f"“{rule}” on {name}", row["ratio"], n_images=len(case.truth), **said)
    for rule, found in ratios.items():
        for how, amount in (("mean", sum(found) / len(found)), ("worst", min(found))):
            _figure(bench, f"“{rule}”, {how} of {len(found)} boards", amount, n_images=bench.n_images)


def board_of(case: Case, *, n_repeats: int, thorough: bool = True) -> Leaderboard:
    """Return the leaderboard of a sweep over all descriptors, with reruns."""
    from veriwild_clustering import leaderboard, rerun, sweep

    counts = {"n_clusters": range(2, case.most_clusters + 1)}
    grid: dict[str, Any] = {"kmeans": counts, "agglomerative": counts | {"linkage": "ward"}}
    if thorough:
        few = [max(5, len(case.truth) // share) for share in (50, 25, 12)]
        grid["gaussian_mixture"] = counts | {"covariance_type": "diag"}
        grid["hdbscan"] = {"min_cluster_size": few, "min_samples": [5, 10]}
    partitions = sweep(list(case.spaces), grid)
    reruns = [rerun(partitions, on, n_repeats=n_repeats) for on in ("half samples", "gaussian")]
    return leaderboard(partitions, groups=case.vehicles, reruns=reruns)


def _figure(bench: Bench, figure: str, ratio: float, **extra: Any) -> None:
    bench.figure(figure, ours=round(ratio, 4), unit="of the best ARI", **extra)


def _cases(bench: Bench) -> Iterator[Case]:
    simulated = [*_simulated(bench.n_images)]
    for case in simulated[:1] if bench.size == "tiny" else simulated:
        yield case
        yield replace(case, name=f"{case.name}, vehicles unknown", vehicles=None)
    yield from _drawn(bench.n_images, names=[*_OF_DRAWN][: 1 if bench.size == "tiny" else None])
    if bench.size != "tiny" and REAL_SAMPLE.is_dir():
        yield from real_cases(REAL_SAMPLE)


def _simulated(n_images: int) -> Iterator[Case]:
    """Yield groups of known number in many shapes; half of the variance of a group lies between its vehicles."""
    rng = np.random.default_rng(7)
    coarse = np.repeat(3.0 * rng.normal(size=(3, _N_FEATURES)), 3, axis=0)
    stretch = rng.normal(size=(5, _N_FEATURES))
    stretch /= np.linalg.norm(stretch, axis=1, keepdims=True)
    unequal = np.array([0.44, 0.28, 0.13, 0.08, 0.045, 0.025])
    shapes: Mapping[str, tuple[Any, Any, Callable[..., Any] | None]] = {
        "three groups of three": (coarse + 1.3 * rng.normal(size=coarse.shape), None, None),
        "unequal groups": (1.4 * rng.normal(size=(6, _N_FEATURES)), unequal, None),
        "long groups": (
            2.2 * rng.normal(size=(5, _N_FEATURES)),
            None,
            lambda groups: 4 * stretch[groups] * rng.normal(size=(len(groups), 1)),
        ),
        "overlapping groups": (1.1 * rng.normal(size=(10, _N_FEATURES)), None, None),
        "few groups": (1.3 * rng.normal(size=(4, _N_FEATURES)), None, None),
    }
    for name, (centers, shares, more) in shapes.items():
        groups, vehicles, rows = _rows(n_images, centers, shares, rng)
        yield _case(name, rows if more is None else rows + more(groups), groups, vehicles=vehicles)
    groups, vehicles, rows = _rows(n_images, 1.6 * rng.normal(size=(7, _N_FEATURES)), None, rng)
    noise = rng.random(n_images) < 0.25
    rows[noise] = 2.5 * rng.normal(size=(noise.sum(), _N_FEATURES))
    yield _case("groups in noise", rows, np.where(noise, -1, groups), vehicles=vehicles)
    made = simulated_space(2 * n_images, 32)
    yield _case("forty groups, falling spectrum", made.vectors, made.groups, vehicles=made.vehicles, most_clusters=49)


def _rows(
    n_images: int, centers: NDArray[np.float64], shares: NDArray[np.float64] | None, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return group, vehicle and vector of each image; six images of a vehicle on average."""
    of_vehicle = rng.choice(len(centers), size=max(20, n_images // 6), p=shares)
    vehicles = rng.integers(len(of_vehicle), size=n_images)
    groups = of_vehicle[vehicles]
    offsets = rng.normal(size=(len(of_vehicle), centers.shape[1]))[vehicles]
    rows = centers[groups] + np.sqrt(0.5) * (offsets + rng.normal(size=offsets.shape))
    return groups, vehicles, rows


def _case(name: str, rows: Any, groups: NDArray[Any], *, vehicles: NDArray[Any], most_clusters: int = 15) -> Case:
    """Return a case of one descriptor; a group of −1 is none, and its images have no vehicle."""
    from veriwild_clustering import Descriptor

    known = groups >= 0
    truth, named = (pd.Series(one, dtype=object).where(known).to_numpy() for one in (groups, vehicles))
    return Case(name, [Descriptor("simulated", np.asarray(rows, dtype=np.float32))], truth, named, most_clusters)


def _drawn(n_images: int, *, names: Sequence[str]) -> Iterator[Case]:
    """Yield the descriptors of the drawn sample, each with what it shows most; without the images, which take long."""
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from veriwild_clustering import Descriptor, transform
    from veriwild_clustering.samples.plan import plan_images
    from veriwild_clustering.samples.vectors import simulate_vectors

    plan = plan_images(n_images, np.random.default_rng(0))
    for file, vectors in simulate_vectors(plan, np.random.default_rng(1)):
        name = file.removesuffix(".pickle")
        if name in names:
            reduced = make_pipeline(StandardScaler(), PCA(_N_COMPONENTS, random_state=0))
            space = transform(Descriptor(name, vectors), reduced, name=name)
            shown = plan[_OF_DRAWN[name]].astype(str).agg(" ".join, axis=1).mask(plan["corruption"] != "")
            said = " × ".join(_OF_DRAWN[name])
            yield Case(f"drawn {name} against {said}", [space], shown.to_numpy(), plan["vehicle_id"].to_numpy(), 30)


def real_cases(raw_data: Path) -> Iterator[Case]:
    """Yield the descriptors of the real sample and two mixtures, scaled in two ways, against type × view."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import Normalizer, StandardScaler

    from veriwild_clustering import join_dataset, locate_raw_data, mix, transform

    with tempfile.TemporaryDirectory() as folder:
        dataset = join_dataset(locate_raw_data(raw_data), Path(folder) / "transport_dataset.csv")
        known = pd.read_csv(raw_data.parent / "truth.csv", keep_default_na=False)
        truth = (known["type"] + " " + known["view"]).mask(known["corruption"] != "").to_numpy()
        for name, scaler in (("unit length", Normalizer()), ("standardised", StandardScaler())):
            scaled = {one.name: transform(one, scaler, name=one.name) for one in dataset}
            pairs = [("efficientnet-b7", "osnet"), ("type_model", "color_model")]
            mixed = [mix([scaled[one], scaled[other]], name=f"{one} + {other}") for one, other in pairs]
            spaces = [
                transform(one, PCA(_N_COMPONENTS, random_state=0), name=one.name) for one in (*scaled.values(), *mixed)
            ]
            yield Case(f"real sample, {name}", spaces, truth, dataset.images["vehicle_id"].to_numpy())
