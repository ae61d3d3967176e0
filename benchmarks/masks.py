"""Masks of vehicles: do descriptors and colours agree better with the truth once the background is removed?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import Bench, shared_folder

SIZES = {"tiny": 100, "small": 300, "medium": 1_000, "full": 1_284}

_MODELS = ("hog", "lab-histogram")


def run(bench: Bench) -> None:
    """Print, for the drawn and the real sample, the agreement with and without each masker."""
    from veriwild_clustering import draw_sample

    drawn = bench.folder / "drawn"
    if not drawn.exists():
        draw_sample(drawn, n_images=bench.n_images, random_state=0)
    samples = {"drawn": drawn}
    real = shared_folder() / "data/veriwild_sample/raw_data"
    if real.is_dir():
        samples["real"] = real
    weights = _weights(bench.folder / "weights")
    for name, raw_data in samples.items():
        for masker in ["grabcut", *(["deeplab-v3"] if weights else [])]:
            with bench.independent():
                _compare(bench, name, raw_data, masker=masker, weights=weights)


def _compare(bench: Bench, sample: str, raw_data: Path, *, masker: str, weights: Path | None) -> None:
    from veriwild_clustering import Masker, Preparation, appearance, locate_raw_data

    located = locate_raw_data(raw_data)
    truth = pd.read_csv(located.attribute_files["truth"], dtype=str, keep_default_na=False)
    rng = np.random.default_rng(0)
    rows = np.flatnonzero(~truth["corruption"].isin(["empty", "not a vehicle"]))
    rows = np.sort(rng.permutation(rows)[: bench.n_images])
    truth = truth.iloc[rows].reset_index(drop=True)
    images = _images(located.image_store, truth["path"])
    prepared = Preparation(masker=Masker(masker, folder=weights))(images)
    removed = [one.image for one in prepared]
    for model in (*_MODELS, *(["osnet-x0-25"] if weights else [])):
        with_background, without = (_type_ari(one, truth["type"], model, weights=weights) for one in (images, removed))
        bench.figure(
            f"{sample}, {masker}: type by {model}", ours=without, baseline=with_background, unit="ARI",
            n_images=len(images),
        )  # fmt: skip
    before, after = (_color_agreement(appearance(one)["measured_color"], truth) for one in (images, removed))
    bench.figure(f"{sample}, {masker}: colour", ours=after, baseline=before, unit="agreement", n_images=len(images))


def _images(store: Any, paths: pd.Series) -> list[np.ndarray]:
    from veriwild_clustering.images.inspection import inspect_image
    from veriwild_clustering.images.reading import upright

    return [np.asarray(inspect_image(store, path, decode=upright)[1]) for path in paths]


def _type_ari(images: list[np.ndarray], types: pd.Series, model: str, *, weights: Path | None) -> float:
    """Return how far k-means, told the number of types, agrees with them."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.metrics import adjusted_rand_score
    from sklearn.preprocessing import normalize

    from veriwild_clustering.descriptors.extraction.embedders import find_embedders

    vectors = normalize(find_embedders([model], folder=weights)[model](images))
    reduced = PCA(min(32, *vectors.shape), random_state=0).fit_transform(vectors)
    found = KMeans(types.nunique(), n_init=10, random_state=0).fit_predict(reduced)
    return float(adjusted_rand_score(types, found))


def _color_agreement(measured: pd.Series, truth: pd.DataFrame) -> float:
    """Return the share of right names or, where no colour is known, of pairs of one vehicle with the same name."""
    if "color" in truth:
        return float((measured == truth["color"]).mean())
    table = pd.DataFrame({"vehicle": truth["vehicle_id"], "color": measured})
    sizes = table.groupby("vehicle")["color"].agg(["size", "nunique"])
    seen_twice = sizes[sizes["size"] > 1]
    return float((seen_twice["nunique"] == 1).mean())


def _weights(folder: Path) -> Path | None:
    """Return a cache of the real weights that are at hand, None without any."""
    files = list((shared_folder() / "weights").glob("*/*"))
    folder.mkdir(exist_ok=True)
    for file in files:
        if not (folder / file.name).exists():
            (folder / file.name).symlink_to(file)
    return folder if files else None
