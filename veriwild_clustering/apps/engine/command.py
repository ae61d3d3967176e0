"""Group the images of a folder and lay them out in 3-D: prepare, describe, cluster, write a JSON and a viewer page."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from veriwild_clustering.apps.engine.grouping import FEWEST_IMAGES, Grouping, group_images
from veriwild_clustering.apps.engine.labels import LABEL_SOURCES, image_labels, labelling_models
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.images.models.weights import ModelError

__all__ = ["EXAMPLES", "TOO_FEW", "add_arguments", "run"]

EXAMPLES = """\
examples:
  veriwild engine --image_dir ./data/images --output ./results/clustering_result.json
  veriwild engine --image_dir cars.zip --output cars.json --model osnet-x0-25 --no-crop
  veriwild engine --image_dir cars --output cars.json --labels "bus,car,truck"     zero-shot, with CLIP

The JSON is an array with one object per image: filename, label, x, y, z, group (-1: none), quality (high or low),
confidence, box, upscaled, quality_reason, group_quality, status. Beside it: a viewer page and the vectors.
An image that cannot be read is in it too: group -1, no coordinates, low quality, its status.
"""

TOO_FEW = 3
DEFAULT_MODEL = "clip-vit-b-32"
WITHOUT_WEIGHTS = "hog"
_UPSCALER, _DETECTOR = "fsrcnn-x3", "yolox-nano"
_SIMILAR = 0.7  # mean cosine similarity with the other images of a group, from which on it is compact
_log = logging.getLogger(__name__)
T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `veriwild engine`."""
    parser.add_argument(
        "--image_dir", "--image-dir", required=True, metavar="D", help="folder or zip of images, or CSV of paths"
    )
    parser.add_argument(
        "--output", required=True, type=Path, metavar="JSON", help="the result; a viewer lies beside it"
    )
    parser.add_argument(
        "--model", action="append", metavar="NAME",
        help=f"what describes the images; may be repeated (default: {DEFAULT_MODEL}, without its weights "
        f"{WITHOUT_WEIGHTS})",
    )  # fmt: skip
    _add_step(parser, "upscale", f"make images below 128 pixels larger (default: {_UPSCALER}, if it can be had)")
    _add_step(parser, "crop", f"cut out the vehicle that this model finds (default: {_DETECTOR}, if it can be had)")
    parser.add_argument("--labels", metavar="A,B,C", help="names to tell apart by CLIP, zero-shot")
    parser.add_argument(
        "--label-from", choices=LABEL_SOURCES, default="model",
        help="model: --labels, else the class of the detector; attributes: a network for types of vehicles; "
        "filename: text before the first underscore (default: model)",
    )  # fmt: skip
    parser.add_argument("--keep-noise", action="store_true", help="leave images between groups without one")
    parser.add_argument("--no-viewer", action="store_true", help="write no page")
    parser.add_argument("--vectors", type=Path, metavar="FOLDER", help="where vectors go (default: beside the output)")
    parser.add_argument("--models-folder", type=Path, metavar="FOLDER", help="the cache (default: $VERIWILD_MODELS)")
    parser.add_argument("--provider", metavar="NAME", help="what runs the networks (default: the best there is)")
    parser.add_argument(
        "--random-state", type=int, default=0, metavar="SEED", help="same seed, same bytes (default: 0)"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="workers that read images (default: one per core)")
    parser.add_argument("--quiet", dest="progress", action="store_false", default=None, help="no bars and no summary")


def _add_step(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    step = parser.add_mutually_exclusive_group()
    step.add_argument(f"--{name}", metavar="MODEL", help=text)
    step.add_argument(f"--no-{name}", dest=name, action="store_const", const="", help="leave this step out")


def run(arguments: argparse.Namespace) -> int:
    """Do all of it, say what came of it, and return 0, or 3 where there were too few usable images to group.

    Raises
    ------
    DatasetError
        If there is no image, the output cannot be written, or a model that was named cannot be had.
    """
    from veriwild_clustering.images.listing import find_images
    from veriwild_clustering.reporting.viewer.records import image_records, write_records
    from veriwild_clustering.reporting.viewer.viewer import write_viewer

    output: Path = arguments.output
    _check_writable(output)
    source = find_images(arguments.image_dir)
    extraction, names = _extract(source, arguments)
    descriptor = _joined([extraction.descriptors[name] for name in names])
    grouping = group_images(
        descriptor, keep_noise=arguments.keep_noise, random_state=arguments.random_state, progress=arguments.progress
    )
    reasons = _quality(source, arguments)
    labels = image_labels(extraction, arguments)
    table = _table(source, extraction.table, grouping, labels, reasons).assign(
        group_quality=_group_quality(descriptor, grouping)
    )
    records = image_records(table)
    write_records(output, records)
    page = output.with_suffix(".html")
    if not arguments.no_viewer:
        title = f"{Path(arguments.image_dir).resolve().name}: groups of images"
        write_viewer(
            records, page, dataset=extraction.dataset(), title=title,
            random_state=arguments.random_state, progress=arguments.progress,
        )  # fmt: skip
    if arguments.progress is not False:
        places = [f"result: {output}", *([] if arguments.no_viewer else [f"viewer: {page}"])]
        print("\n".join([*_summary(table, grouping, names), *places]))
    return TOO_FEW if descriptor.n_valid < FEWEST_IMAGES else 0


def _check_writable(output: Path) -> None:
    """Raise before hours of work rather than after."""
    folder = output.absolute().parent
    if output.is_dir():
        raise DatasetError(f"Cannot write {output}: it is a folder. Name a file, such as {output / 'result.json'}.")
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise DatasetError(f"Cannot write {output}: no permission to write in {folder}. Choose another place.")


def _vectors_folder(arguments: argparse.Namespace) -> Path:
    output: Path = arguments.output
    return arguments.vectors or output.with_name(f"{output.stem}_vectors")


def _extract(source: tuple[ImageStore, list[str]], arguments: argparse.Namespace) -> tuple[Any, list[str]]:
    """Return the extraction and the names of the descriptors that groups are found in."""
    from veriwild_clustering.descriptors.extraction.extract import extract

    names = arguments.model or [_default_model(arguments)]
    extraction = extract(
        source, list(dict.fromkeys([*names, *labelling_models(arguments, names)])),
        folder=_vectors_folder(arguments), preparation=_preparation(arguments), n_jobs=arguments.jobs,
        provider=arguments.provider, model_folder=arguments.models_folder, progress=arguments.progress,
    )  # fmt: skip
    return extraction, names


def _default_model(arguments: argparse.Namespace) -> str:
    from veriwild_clustering.images.models.weights import model_files

    if arguments.labels:
        return DEFAULT_MODEL
    have = _or_warn(
        lambda: model_files(DEFAULT_MODEL, folder=arguments.models_folder, progress=arguments.progress),
        f"images are described by {WITHOUT_WEIGHTS!r}, which needs no weights and knows shapes, not meanings; "
        "name another with --model",
    )
    return WITHOUT_WEIGHTS if have is None else DEFAULT_MODEL


def _preparation(arguments: argparse.Namespace) -> Any:
    """Return what is done to each image first; None where that is nothing."""
    from veriwild_clustering.images.preparation.detection import Detector
    from veriwild_clustering.images.preparation.prepare import Preparation
    from veriwild_clustering.images.preparation.super_resolution import Upscaler

    cache: dict[str, Any] = {"folder": arguments.models_folder, "provider": arguments.provider}
    upscaler = _step(
        arguments.upscale, lambda name: Upscaler(name, **cache), default=_UPSCALER, without="small images stay small"
    )
    detector = _step(
        arguments.crop, lambda name: Detector(name, **cache), default=_DETECTOR, without="images are not cropped"
    )
    return None if upscaler is None and detector is None else Preparation(upscaler, detector)


def _step(asked: str | None, opened: Callable[[str], T], *, default: str, without: str) -> T | None:
    """Return the model that was asked for, the default if it can be had, or None; "" asks for none."""
    if asked is None:
        return _or_warn(lambda: opened(default), without)
    return opened(asked) if asked else None


def _or_warn(made: Callable[[], T], without: str) -> T | None:
    try:
        return made()
    except ModelError as error:
        _log.warning("%s So %s.", error, without)
        return None


def _joined(descriptors: list[Descriptor]) -> Descriptor:
    """Return one space, each descriptor at unit length and with the same say."""
    from sklearn.preprocessing import Normalizer

    from veriwild_clustering.descriptors.mixtures import mix
    from veriwild_clustering.descriptors.transforms import transform

    if len(descriptors) == 1:
        return descriptors[0]
    telling = [each for each in descriptors if each.n_valid >= FEWEST_IMAGES and not each.is_constant]
    return mix([transform(each, Normalizer()) for each in telling]) if len(telling) > 1 else (telling or descriptors)[0]


def _quality(source: tuple[ImageStore, list[str]], arguments: argparse.Namespace) -> pd.Series:
    """Return why each image is of low quality as it lies on the disk, "" where it is not."""
    from veriwild_clustering.images.measurement import measure_images
    from veriwild_clustering.images.quality.verdicts import quality_reasons

    unfinished = _vectors_folder(arguments) / ".measures"
    measured = measure_images(*source, store=unfinished, n_jobs=arguments.jobs, progress=arguments.progress)
    shutil.rmtree(unfinished, ignore_errors=True)
    return quality_reasons(measured.reset_index(drop=True))


def _table(
    source: tuple[ImageStore, list[str]],
    images: pd.DataFrame,
    grouping: Grouping,
    labels: list[str],
    reasons: pd.Series,
) -> pd.DataFrame:
    """Return the fields of the records as columns, one row per image."""
    store, paths = source
    base = Path(os.path.relpath(store.location)).as_posix()
    n_images = len(paths)
    edges = [f"box_{edge}" for edge in ("left", "top", "right", "bottom")]
    boxes = images[edges].to_numpy(dtype=np.float64) if edges[0] in images else np.full((n_images, 4), np.nan)
    layout = grouping.layout.vectors.astype(np.float64)
    return pd.DataFrame(
        {
            "filename": [path if base == "." else f"{base}/{path}" for path in paths],
            "label": labels,
            **{axis: layout[:, place] for place, axis in enumerate("xyz")},
            "group": grouping.partition.labels,
            "quality": np.where(reasons == "", "high", "low"),
            "confidence": grouping.partition.confidence.astype(np.float64),
            "box": [None if np.isnan(box).any() else [round(edge, 1) for edge in box.tolist()] for box in boxes],
            "upscaled": images["upscaled"].to_numpy(dtype=bool) if "upscaled" in images else False,
            "quality_reason": reasons.to_numpy(),
            "status": images["image_status"].to_numpy(),
        }
    )


def _group_quality(descriptor: Descriptor, grouping: Grouping) -> pd.Series:
    """Return for each image whether its group is compact: how alike its images are, whatever other groups there are."""
    from sklearn.preprocessing import normalize

    partition = grouping.partition
    compact: dict[int, str] = {}
    for group in range(partition.n_clusters):
        vectors = normalize(descriptor.vectors[partition.members(group)].astype(np.float64))
        n = len(vectors)
        similarity = (np.square(vectors.sum(axis=0)).sum() - n) / (n * (n - 1)) if n > 1 else 1.0
        compact[group] = "high" if similarity >= _SIMILAR else "low"
    return pd.Series(partition.labels).map(compact)


def _summary(table: pd.DataFrame, grouping: Grouping, names: list[str]) -> list[str]:
    partition = grouping.partition
    counts = table["status"].value_counts().drop("ok", errors="ignore")
    unread = "".join(f", {count:,} {status}" for status, count in counts.items())
    low = int((table["quality"] == "low").sum())
    sizes = ", ".join(f"{size:,}" for size in partition.sizes[:12]) + (" …" if partition.n_clusters > 12 else "")
    return [
        f"{len(table):,} images{unread}; {low:,} of low quality; described by {' + '.join(names)}",
        f"{partition.n_clusters} groups ({sizes}); {partition.noise_fraction:.1%} of the images in none",
        f"compared: {grouping.n_compared} partitions",
        *grouping.reasons,
    ]
