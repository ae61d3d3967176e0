"""Groups of similar images beside icas 1.1: which pairs, copies found, time, and growth to 100,000 images.

icas is installed into an environment of its own (`python -m venv`, `pip install icas==1.1`; it needs no torch for what
is measured here). It gets the same images, as one batch: for each pair it looks both of them up in a list, so that its
time grows faster than the number of pairs and cannot be scaled from a subset. Images are those of the real sample where
it is at hand (VERIWILD_SHARED), else drawn ones. Copies have three quarters of the size, or are recompressed, cropped
by 5 % or brightened; where time is measured each seventh image has them, where copies are to be found each.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import Bench, Measured, shared_folder

SIZES = {"tiny": 60, "small": 500, "full": 2_000}
_GROWTH = {"tiny": (300, 600), "small": (1_000, 5_000, 20_000), "full": (1_000, 10_000, 30_000, 100_000)}
_EVERY = 7  # original has copies, where time is measured
_AGREEMENT = 300
_METHODS = {
    "orb": ("ORB", 0.3),
    "minhash": ("minhash", 0.9),  # below, icas takes all images for one
    "ssim": ("SSIM", 0.8),
    "template": ("TM", 0.97),
    "phash": ("imagehash", 0.9),
}
_SOUND = {"ssim": 0.5, "template": 0.9}  # thresholds at which the pairs of both are compared
_OTHERS = ("dhash", "whash")
_COPIES = ("small", "recompressed", "cropped", "bright")


def run(bench: Bench) -> None:
    originals = _originals(bench)
    folder = bench.folder / "images"
    _plant(originals, folder, bench.n_images, every=1)
    mixed = bench.folder / "mixed"
    _plant(originals, mixed, bench.n_images, every=_EVERY)
    icas = _icas(bench)
    for method, (name, threshold) in _METHODS.items():
        with bench.independent():
            ours = bench.measure(_group, mixed, method, threshold, prepare=partial(_warm_up, method))
            baseline = None if icas is None else _theirs(bench, icas, mixed, name, threshold)
            counts = {key: value for key, value in ours.value.items() if key.startswith("pairs_")}
            bench.compare(f"{method} at {threshold}", ours, baseline, n_images=ours.value["n_images"], **counts)
            alone = bench.measure(_features, mixed, method, prepare=partial(_warm_up, method))
            bench.compare(f"{method}: reading and features alone, one process", alone, n_images=alone.value)
    if icas is not None:
        with bench.independent():
            _agreement(bench, icas, originals)
        with bench.independent():
            _differences(bench, icas)
    _growth(bench)
    for method in (*_METHODS, *_OTHERS):
        with bench.independent():
            _copies(bench, folder, method)


def _originals(bench: Bench) -> list[Path]:
    real = shared_folder() / "data/veriwild_sample/raw_data/veriwild/veriwild"
    if not real.is_dir():
        from veriwild_clustering import draw_sample

        draw_sample(bench.folder / "drawn", n_images=max(60, bench.n_images // 5), random_state=0)
        real = bench.folder / "drawn/veriwild"
    found = sorted(real.rglob("*.jpg"))
    order = np.random.default_rng(0).permutation(len(found))
    return [found[place] for place in order]


def _plant(originals: list[Path], folder: Path, n_images: int, *, every: int) -> None:
    """Write originals, each `every`-th with its copies, until there are as many files as asked for."""
    from PIL import Image

    folder.mkdir(exist_ok=True)
    n_files = 0
    for number, path in enumerate(originals):
        image = Image.open(path).convert("RGB")
        width, height = image.size
        left, top = max(1, round(width * 0.025)), max(1, round(height * 0.025))
        image.save(folder / f"{number:04d}-original.png")
        if number % every == 0:
            smaller = image.resize((width * 3 // 4, height * 3 // 4), Image.Resampling.LANCZOS)
            smaller.save(folder / f"{number:04d}-small.png")
            image.save(folder / f"{number:04d}-recompressed.jpg", quality=50)
            image.crop((left, top, width - left, height - top)).save(folder / f"{number:04d}-cropped.png")
            image.point(lambda value: min(255, round(value * 1.15 + 5))).save(folder / f"{number:04d}-bright.png")
        n_files += 5 if number % every == 0 else 1
        if n_files >= n_images:
            return


def _group(folder: Path, method: str, threshold: float | None) -> dict[str, Any]:
    """Return what was found in a folder: counts, labels, and why this threshold."""
    import veriwild_clustering as vc

    store, paths = vc.find_images(folder)
    dataset = vc.Dataset(pd.DataFrame({"path": paths}), image_store=store)
    groups = vc.group_similar(dataset, method=method, threshold=threshold)
    return {
        "n_images": len(paths), "threshold": groups.threshold, "pairs_similar": groups.n_pairs,
        "pairs_computed": groups.n_compared, "pairs_possible": groups.n_possible,
        "labels": groups.partition.labels.tolist(), "paths": paths,
    }  # fmt: skip


def _features(folder: Path, method: str) -> int:
    """Do what no way of grouping gets around: decode every image, and describe it."""
    import veriwild_clustering as vc
    from veriwild_clustering.descriptors.pairwise.catalog import MEASURES

    store, paths = vc.find_images(folder)
    dataset = vc.Dataset(pd.DataFrame({"path": paths}), image_store=store)
    MEASURES[method].features([np.asarray(vc.read_image(dataset, row)) for row in range(len(paths))])
    return len(paths)


def _warm_up(method: str) -> None:
    """Import and compile all that grouping needs."""
    from PIL import Image

    rng = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        for number in range(4):
            pixels = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(f"{folder}/{number}.png")
        _group(Path(folder), method, 0.1)


def _copies(bench: Bench, folder: Path, method: str) -> None:
    """Print precision and recall of pairs of copies, at the threshold that is chosen."""
    found = bench.measure(_group, folder, method, None).value
    originals = np.array([path.partition("-")[0] for path in found["paths"]])
    labels = np.array(found["labels"])
    same = np.tril(originals[:, None] == originals, -1)
    together = np.tril((labels[:, None] == labels) & (labels >= 0), -1)
    hits = int((same & together).sum())
    for what, total in (("precision", together.sum()), ("recall", same.sum())):
        bench.figure(
            f"{method}: {what} of pairs of copies", ours=hits / max(1, int(total)), unit="", n_images=len(labels),
            threshold=found["threshold"], pairs_computed=found["pairs_computed"],
        )  # fmt: skip


def _icas(bench: Bench) -> Path | None:
    """Return the Python of an environment with icas, None where there is none to be had."""
    python = bench.folder / "icas-env/bin/python"
    if bench.size == "tiny":
        return None
    if not python.exists():
        bench.say("installing icas 1.1 into an environment of its own …")
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        install = subprocess.run([str(python), "-m", "pip", "install", "-q", "icas==1.1"], check=False)
        if install.returncode:
            bench.say("icas cannot be installed: ours is measured alone")
            return None
    return python


def _ask(icas: Path, folder: Path, name: str, threshold: float, what: str) -> dict[str, Any]:
    script = Path(__file__).with_name("icas_side.py")
    command = [str(icas), str(script), str(folder), name, str(threshold), what]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, env={"MPLBACKEND": "Agg"})
    answer: dict[str, Any] = json.loads(shown.stdout.splitlines()[-1])
    return answer


def _theirs(bench: Bench, icas: Path, folder: Path, name: str, threshold: float) -> Measured:
    bench.say(f"icas {name} …")
    answer = _ask(icas, folder, name, threshold, "groups")
    return Measured(answer["groups"], answer["seconds"], answer["cpu_seconds"], 0)


def _agreement(bench: Bench, icas: Path, originals: list[Path]) -> None:
    """Print how far the pairs called similar are the same, where icas has a sound definition, on the same pixels."""
    from PIL import Image

    folder = bench.folder / "squares"
    folder.mkdir(exist_ok=True)
    grey = [Image.open(path).convert("L").resize((64, 64)) for path in originals[:_AGREEMENT]]
    for number, image in enumerate(grey):
        image.convert("RGB").save(folder / f"{number:04d}.png")
    pixels = [np.asarray(image.convert("RGB")) for image in grey]
    import veriwild_clustering as vc

    for method, threshold in _SOUND.items():
        theirs = np.array(_ask(icas, folder, _METHODS[method][0], threshold, "pairs")["similarities"])
        ours = vc.similarity(pixels, method=method)[np.triu_indices(len(pixels), 1)]
        one, other = ours >= threshold, theirs > threshold
        agreement = float((one & other).sum() / (one | other).sum())
        bench.figure(
            f"{method}: pairs called similar by both / by either", ours=agreement, unit="", n_images=len(pixels),
            threshold=threshold, pairs=int(one.sum()),
            largest_difference=float(np.abs(ours - np.maximum(theirs, 0)).max()),
        )  # fmt: skip


def _differences(bench: Bench, icas: Path) -> None:
    """Print what becomes of rules that icas states: 1 for the same image, values in [0, 1], chains in one group."""
    from PIL import Image

    import veriwild_clustering as vc

    folder = bench.folder / "images"
    some = bench.folder / "some"
    some.mkdir(exist_ok=True)
    for file in sorted(folder.iterdir())[:10]:
        (some / file.name).unlink(missing_ok=True)
        (some / file.name).symlink_to(file)
    pixels = [np.asarray(Image.open(file).convert("RGB")) for file in sorted(some.iterdir())]
    for method, (name, _) in _METHODS.items():
        answer = _ask(icas, some, name, 0.5, "pairs")
        ours = vc.similarity(pixels, method=method)
        least = min((value for value in answer["similarities"] if value is not None), default=None)
        bench.figure(f"{method}: an image with itself", ours=ours[0, 0], baseline=answer["own"], unit="", n_images=1)
        bench.figure(f"{method}: least similarity", ours=ours.min(), baseline=least, unit="", n_images=10)
    chain = bench.folder / "chain"
    chain.mkdir(exist_ok=True)
    for number, value in enumerate((40, 60, 90, 135, 202)):  # neighbours are similar at 0.8, others are not
        Image.new("RGB", (64, 64), (value,) * 3).save(chain / f"{number}.png")
    groups = _ask(icas, chain, "TM", 0.8, "groups")["groups"]
    ours_of_chain = _group(chain, "template", 0.8)["labels"]
    bench.figure(
        "template: groups of a chain of five",
        ours=len(set(ours_of_chain)),
        baseline=len(groups),
        unit="groups",
        n_images=5,
    )


def _growth(bench: Bench) -> None:
    curves: dict[str, dict[int, Measured]] = {"hashes": {}, "vectors": {}}
    for n_images in _GROWTH[bench.size]:
        for what, function in (("hashes", _group_hashes), ("vectors", _group_vectors)):
            with bench.independent():
                measured = bench.measure(function, n_images, prepare=partial(function, 300))
                curves[what][n_images] = measured
                bench.compare(f"growth: {what}", measured, n_images=n_images, **measured.value)
    if "figure" in bench.options:
        _draw(curves, bench.options["figure"])


def _group_hashes(n_images: int) -> dict[str, Any]:
    """Group hashes of 64 bits: each third one is another with three bits changed."""
    from veriwild_clustering.clustering.components import linked
    from veriwild_clustering.descriptors.pairwise.catalog import MEASURES
    from veriwild_clustering.descriptors.pairwise.measure import similar_pairs

    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2**63, n_images, dtype=np.uint64)
    for _ in range(3):
        codes[2::3] = codes[: len(codes[2::3])] ^ (
            np.uint64(1) << rng.integers(0, 64, len(codes[2::3]), dtype=np.uint64)
        )
    pairs = similar_pairs(MEASURES["phash"], codes[:, None], np.arange(n_images), threshold=0.93)
    _, found, compared = linked(n_images, pairs, linkage="components", threshold=0.93, matrix=np.zeros)
    return {"pairs_similar": found, "pairs_computed": compared, "n_features": 64}


def _group_vectors(n_images: int) -> dict[str, Any]:
    import veriwild_clustering as vc
    from benchmarks.simulation import simulated_space

    space = simulated_space(n_images, 64)
    dataset = vc.Dataset(pd.DataFrame({"path": [f"{row}.jpg" for row in range(n_images)]}))
    groups = vc.group_similar(dataset, method=vc.Descriptor("space", space.vectors), threshold=0.95)
    return {"pairs_similar": groups.n_pairs, "pairs_computed": groups.n_compared, "n_features": 64}


def _draw(curves: Mapping[str, Mapping[int, Measured]], path: str) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from veriwild_clustering.reporting.figures.style import THEME, palette

    with mpl.rc_context(THEME):
        figure = Figure(figsize=(6.5, 3.6), layout="constrained")
        axis = figure.subplots()
        for (what, points), color in zip(curves.items(), palette(len(curves)), strict=True):
            seconds = [point.cpu_seconds for point in points.values()]
            axis.plot(
                list(points),
                seconds,
                "o-",
                color=color,
                label=f"{what} of 64 {'bits' if what == 'hashes' else 'features'}",
            )
        axis.set(
            xscale="log", yscale="log", xlabel="images", ylabel="CPU seconds", title="Grouping similar images: CPU time"
        )
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.grid(visible=True)
        axis.legend(loc="upper left")
        figure.savefig(path, dpi=150)
