"""Clustering by criteria in words: agreement with the truth, its spread over noisy answers, asking about few images.

Vectors and truth are those of the drawn sample, without its images being drawn: answers come from the truth, one in ten
of them wrong and many in other words. At the sizes "tiny" and "small" images are drawn too, for the measured answers.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import Bench
from benchmarks.noisy_answers import NoisyTruth

SIZES = {"tiny": 300, "small": 2_000, "medium": 20_000, "full": 100_000}

COLOR, TYPE, VIEW = "colour of the vehicle", "type of the vehicle", "view of the vehicle"
_SPACES = {COLOR: "vdc_color.pickle", TYPE: "vdc_type.pickle", VIEW: "vdc_type.pickle"}
_ASKED_SHARE, _N_SEEDS = 0.05, 5


def run(bench: Bench) -> None:
    for criterion, found in bench.measure(_by_seed, bench.n_images).value.items():
        accuracies, clusters, n_classes, chance = found
        bench.figure(
            f"{criterion}: accuracy of noisy answers", ours=float(np.mean(accuracies)), baseline=chance, unit="ACC",
            lowest=min(accuracies), spread=max(accuracies) - min(accuracies), n_clusters=clusters, n_classes=n_classes,
        )  # fmt: skip
    for (criterion, wrong), (few, everything, share) in bench.measure(_asking_few, bench.n_images).value.items():
        bench.figure(
            f"{criterion}: accuracy asking {share:.0%}, {wrong:.0%} of them wrong", ours=few, baseline=everything,
            unit="ACC", loss=everything - few,
        )  # fmt: skip
    if bench.size in {"tiny", "small"}:
        n_drawn = bench.pick(tiny=100, small=bench.n_images)
        accuracy, coverage = bench.measure(_measured_by_day, n_drawn, str(bench.folder / "raw_data")).value
        bench.figure("measured colour by day: accuracy", ours=accuracy, unit="ACC", coverage=coverage)


def _plan(n_images: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the plan of a drawn sample and its truth by criterion; silver is a grey."""
    from veriwild_clustering.samples.plan import plan_images

    plan = plan_images(n_images, np.random.default_rng(0))
    return plan, pd.DataFrame({COLOR: plan["color"].replace("silver", "grey"), TYPE: plan["type"], VIEW: plan["view"]})


def _by_seed(n_images: int) -> dict[str, tuple[list[float], list[int], int, float]]:
    """Return the accuracies and numbers of clusters over seeds of the noise, and the accuracy by chance."""
    from veriwild_clustering import Dataset, cluster_by, criterion_scores

    plan, truth = _plan(n_images)
    dataset = Dataset(plan[["path"]])
    found: dict[str, tuple[list[float], list[int], int, float]] = {}
    for seed in range(_N_SEEDS):
        for partition in cluster_by(dataset, [COLOR, TYPE, VIEW], NoisyTruth(truth, seed=seed), random_state=seed):
            criterion = partition.params["criterion"]
            scores = criterion_scores(partition, truth[criterion], n_permutations=5)
            one = found.setdefault(criterion, ([], [], int(scores["n_classes"]), scores["accuracy_by_chance"]))
            one[0].append(scores["accuracy"])
            one[1].append(partition.n_clusters)
    return found


def _asking_few(n_images: int) -> dict[tuple[str, float], tuple[float, float, float]]:
    """Return the accuracy when few images are asked about, that when all are, and the share that was asked about.

    By criterion and share of wrong answers.
    """
    from veriwild_clustering import Dataset, cluster_by, hungarian_accuracy
    from veriwild_clustering.samples.vectors import simulate_vectors

    plan, truth = _plan(n_images)
    dataset = Dataset(plan[["path"]])
    vectors: dict[str, Any] = {
        name: found for name, found in simulate_vectors(plan, np.random.default_rng(1)) if name in _SPACES.values()
    }
    found = {}
    for criterion, wrong in product(_SPACES, (0.0, 0.1)):
        name = _SPACES[criterion]
        space, answerer = _space(name, vectors[name]), NoisyTruth(truth, wrong=wrong)
        [few] = cluster_by(dataset, criterion, answerer, space=space, n_asked=int(_ASKED_SHARE * n_images))
        share = answerer.n_questions["image"] / n_images
        [everything] = cluster_by(dataset, criterion, answerer)
        right = [hungarian_accuracy(partition.labels, truth[criterion]) for partition in (few, everything)]
        found[criterion, wrong] = (right[0], right[1], share)
    return found


def _space(name: str, vectors: Any) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    from veriwild_clustering import Descriptor, transform

    steps = make_pipeline(Normalizer(), PCA(32, random_state=0))
    return transform(Descriptor(name.removesuffix(".pickle"), vectors), steps)


def _measured_by_day(n_images: int, folder: str) -> tuple[float, float]:
    """Return accuracy and coverage of the colour that is measured on drawn images taken by day, damaged ones too."""
    from veriwild_clustering import Dataset, ImageStore, cluster_by, criterion_scores, draw_sample

    raw = draw_sample(folder, n_images=n_images, progress=False)
    truth = pd.read_csv(raw / "truth.csv", dtype=str, keep_default_na=False)
    day = truth[truth["time_of_day"] == "day"].reset_index(drop=True)
    dataset = Dataset(day[["path"]], image_store=ImageStore(raw / "veriwild"))
    [partition] = cluster_by(dataset, COLOR, progress=False)
    scores = criterion_scores(partition, day["color"].replace("silver", "grey"))
    return scores["accuracy"], scores["coverage"]
