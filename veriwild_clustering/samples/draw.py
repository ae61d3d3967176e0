"""Drawing a sample of vehicle images with known truth and simulated descriptors, in VeRi-Wild's raw layout."""

from __future__ import annotations

import pickle
import shutil
import zlib
from collections.abc import Hashable
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed, effective_n_jobs

from veriwild_clustering.core.progress import track
from veriwild_clustering.core.validation import DatasetError, check_int
from veriwild_clustering.samples.bodies import BODIES, Body, model_of
from veriwild_clustering.samples.canvas import Canvas, Viewpoint
from veriwild_clustering.samples.exposure import expose
from veriwild_clustering.samples.plan import TRUTH_COLUMNS, plan_images
from veriwild_clustering.samples.scenes import SITES, STRAY_OBJECTS, draw_object, draw_scene
from veriwild_clustering.samples.vectors import simulate_vectors
from veriwild_clustering.samples.vehicles import draw_vehicle

__all__ = ["draw_sample"]

_SMALLEST, _LARGEST = 110, 320
_PARALLEL_PAYS = 400
_ORIGIN = (
    "Drawn sample: these {n_images} images are drawn by a program and the vectors are simulated from the drawing plan; "
    "no camera took the images and no deep model computed the vectors. "
    "Made by draw_sample(n_images={n_images}, random_state={random_state}).\n"
)


def draw_sample(
    folder: str | PathLike[str] = "raw_data",
    *,
    n_images: int = 2000,
    masks: bool = False,
    random_state: int = 0,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> Path:
    """Draw vehicle images with known truth and simulated descriptors, in VeRi-Wild's raw layout.

    About `n_images` / 6 vehicles of eight body types and ten colours are each seen 1 to 12 times by twelve cameras,
    from the front, the side and the rear, by day, at dusk and at night. Four images in a hundred are bad: blurred,
    dark, dazzled, of an empty road, or of something that is no vehicle.

    Parameters
    ----------
    folder : path, default "raw_data"
        Where to write. May exist, but must not hold raw data: nothing is ever overwritten.
    n_images : int, default 2000
        Number of images, at least 50.
    masks : bool, default False
        Whether to write a mask of each image too: 255 where the vehicle is drawn, its shadow left out, else 0. Where
        no vehicle is, the mask is 0 throughout; of a blurred image it is the vehicle before the blur.
    random_state : int, default 0
        Seed. The same seed and number give the same files to the byte, whatever `n_jobs` is.
    n_jobs : int, optional
        Number of processes. By default that of `joblib.parallel_config`, or else all cores where that pays.
    progress : bool, optional
        Whether to show a progress bar; by default where somebody watches.

    Returns
    -------
    Path
        The folder, which now holds `images_paths.csv`, `veriwild/veriwild/`, `descriptors/`,
        `train_test_split/vehicle_info.txt`, `truth.csv` (row order of `images_paths.csv`) and `origin.txt`; with
        `masks`, `masks/` holds a PNG under the path of each image.

    Raises
    ------
    DatasetError
        If the folder already holds raw data or cannot be written.

    Notes
    -----
    O(n_images): about 20 ms of one core and 25 kB of disk per image. The files are made in a hidden folder beside
    `folder` and moved at the end, `images_paths.csv` last, so a killed run leaves no half-made raw data.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from veriwild_clustering import draw_sample
    >>> with TemporaryDirectory() as parent:
    ...     folder = draw_sample(f"{parent}/raw_data", n_images=50)
    ...     sorted(path.name for path in folder.iterdir())
    ['descriptors', 'images_paths.csv', 'origin.txt', 'train_test_split', 'truth.csv', 'veriwild']
    """
    n_images = check_int("n_images", n_images, low=50)
    random_state = check_int("random_state", random_state, low=0)
    target = Path(folder)
    unfinished = target.absolute().with_name(f".{target.absolute().name}.unfinished")
    _check_free(target)
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        _write_all(unfinished, n_images, random_state, masks=masks, n_jobs=n_jobs, progress=progress)
        target.mkdir(exist_ok=True)
        for path in sorted(unfinished.iterdir(), key=lambda path: path.name == "images_paths.csv"):
            path.rename(target / path.name)
    except OSError as error:
        raise DatasetError(f"Cannot write the drawn sample to {target}: {error}. Choose a writable folder.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _check_free(target: Path) -> None:
    """Raise if the folder holds anything that the sample would replace."""
    if target.exists() and not target.is_dir():
        raise DatasetError(f"{target} is a file, not a folder. Choose another folder for the drawn sample.")
    names = (
        "images_paths.csv",
        "descriptors",
        "veriwild",
        "veriwild.zip",
        "masks",
        "train_test_split",
        "truth.csv",
        "origin.txt",
    )
    present = [name for name in names if (target / name).exists()]
    if present:
        raise DatasetError(
            f"{target} already holds {', '.join(present)}; a drawn sample never overwrites data. "
            "Choose another folder, or move these away first."
        )


def _write_all(
    folder: Path, n_images: int, random_state: int, *, masks: bool, n_jobs: int | None, progress: bool | None
) -> None:
    """Write the images, then the tables and the descriptors."""
    plan_seed, vector_seed, image_seed = np.random.SeedSequence(random_state).spawn(3)
    plan = plan_images(n_images, np.random.default_rng(plan_seed))
    image_root = folder / "veriwild"
    mask_root = folder / "masks" if masks else None
    for parent in sorted({Path(path).parent for path in plan["path"]}):
        for root in (image_root, mask_root) if mask_root else (image_root,):
            (root / parent).mkdir(parents=True)
    rows = zip(plan.to_dict("records"), image_seed.spawn(n_images), strict=True)
    if n_jobs is None and effective_n_jobs() == 1 and n_images >= _PARALLEL_PAYS:
        n_jobs = -1
    written = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_draw_image)(image_root, row, seed, mask_root=mask_root) for row, seed in rows
    )
    for _ in track(written, description="Drawing images", total=n_images, show=progress):
        pass
    _write_tables(folder, plan)
    _write_vectors(folder / "descriptors", plan, np.random.default_rng(vector_seed))
    (folder / "origin.txt").write_text(
        _ORIGIN.format(n_images=n_images, random_state=random_state), encoding="utf-8", newline="\n"
    )


def _write_tables(folder: Path, plan: pd.DataFrame) -> None:
    with (folder / "images_paths.csv").open("w", encoding="utf-8", newline="\n") as file:
        file.write("paths\n")
        file.writelines(path.replace("/", "\\") + "\n" for path in plan["path"])
    plan[TRUTH_COLUMNS].to_csv(folder / "truth.csv", index=False, lineterminator="\n")
    info = plan.assign(image=plan["path"].str[-10:-4]).sort_values("image")
    (folder / "train_test_split").mkdir()
    with (folder / "train_test_split/vehicle_info.txt").open("w", encoding="utf-8", newline="\n") as file:
        file.write("id/image;Camera ID;Time;Model;Type;Color\n")
        file.writelines(
            f"{row.vehicle_id}/{row.image};{row.camera};{row.time};{row.model};{row.type};{row.color}\n"
            for row in info.itertuples()
        )


def _write_vectors(folder: Path, plan: pd.DataFrame, rng: np.random.Generator) -> None:
    folder.mkdir()
    for file_name, vectors in simulate_vectors(plan, rng):
        with (folder / file_name).open("wb") as file:
            pickle.dump(vectors, file)


def _draw_image(root: Path, row: dict[Hashable, Any], seed: np.random.SeedSequence, *, mask_root: Path | None) -> None:
    """Draw one row of the plan and write it as JPEG, its mask as PNG."""
    rng = np.random.default_rng(seed)
    site, body, damage = SITES[row["camera"] - 1], _body(row["type"], row["model"]), row["corruption"]
    stray = damage == "not a vehicle"
    extent = (-0.6, 0.6, 0.7, 1.9) if stray else body.extent
    canvas = _framed_canvas(extent, row["azimuth"], site.elevation, rng)
    draw_scene(canvas, site, rng)
    lamps = []
    if stray:
        draw_object(canvas, str(rng.choice(STRAY_OBJECTS)), rng)
    elif damage != "empty":
        if mask_root:
            canvas.trace()
        lamps = draw_vehicle(canvas, body, row["paint"])
    image = expose(
        canvas.finished(), lamps, time_of_day=row["time_of_day"], lamp_color=site.night, damage=damage,
        severity=row["severity"], rng=rng,
    )  # fmt: skip
    image.save(root / row["path"], quality=int(rng.integers(70, 92)))
    if mask_root:
        canvas.mask().save((mask_root / row["path"]).with_suffix(".png"), optimize=True)


@lru_cache
def _body(type_name: str, model: str) -> Body:
    """Return the body of a model: the same in every sample."""
    return model_of(BODIES[type_name], np.random.default_rng(zlib.crc32(model.encode())))


def _framed_canvas(
    extent: tuple[float, float, float, float], azimuth: float, elevation: float, rng: np.random.Generator
) -> Canvas:
    """Return a canvas that frames a box of `extent` (rear, front, half width, height) as loosely as a detector."""
    rear, front, half_width, height = extent
    viewpoint = Viewpoint(
        azimuth=np.radians(azimuth),
        elevation=np.radians(elevation + rng.uniform(-2, 2)),
        distance=rng.uniform(11, 15) + 1.4 * (front - rear),
        target_height=height / 2,
    )
    box = [(x, y, z) for x in (rear, front) for y in (-half_width, half_width) for z in (0, height)]
    seen = viewpoint.look(box)
    corners = np.column_stack([seen[:, 0], -seen[:, 1]]) / seen[:, 2:]
    low, high = corners.min(axis=0), corners.max(axis=0)
    span = high - low
    left, top, right, bottom = rng.uniform(-0.02, 0.14, 4)
    low, high = low - span * [left, top], high + span * [right, bottom]
    wide, tall = high - low
    size = rng.uniform(170, _LARGEST) * np.array([wide, tall]) / max(wide, tall)
    width, rows = np.clip(np.round(size * max(1.0, _SMALLEST / size.min())), _SMALLEST, _LARGEST).astype(int).tolist()
    return Canvas(viewpoint, (width, rows), (*low.tolist(), *high.tolist()))
