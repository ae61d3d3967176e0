"""Group the images of a folder and lay them out in 3-D: prepare, describe, cluster, write a JSON and a viewer page."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from veriwild_clustering.apps.engine.grouping import FEWEST_IMAGES, Grouping, group_images
from veriwild_clustering.apps.engine.labels import LABEL_SOURCES, image_labels, labelling_models
from veriwild_clustering.apps.networks.options import (
    add_model_options,
    add_preparation_options,
    if_at_hand,
    models_from,
    preparation_from,
)
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.validation import DatasetError, check_int
from veriwild_clustering.descriptors.text.embedding import CLIP
from veriwild_clustering.images.models.record import Model

if TYPE_CHECKING:
    from veriwild_clustering.descriptors.extraction.extract import Extraction

__all__ = ["EXAMPLES", "TOO_FEW", "add_arguments", "run"]

EXAMPLES = """\
examples:
  veriwild engine --image_dir ./data/images --output ./results/clustering_result.json
  veriwild engine --image_dir cars.zip --output cars.json --models osnet-x0-25 --no-crop
  veriwild engine --image_dir cars --output cars.json --models osnet-x0-25 hog     both, with the same say
  veriwild engine --image_dir cars --output cars.json --labels "bus,car,truck"     zero-shot, with CLIP
  veriwild engine --image_dir cars --output cars.json --groups 5                   five groups, no more, no fewer

The JSON is an array with one object per image: filename, label, x, y, z, group (-1: none), quality (high or low),
confidence, box, upscaled, quality_reason, group_quality, status. Beside it: a viewer page and the vectors. When it is
interrupted, the same command goes on where it was.

An image that cannot be read is in the JSON too: group -1, no coordinates, low quality, its status. `quality` is that of
the image as it lies on the disk, by fixed bounds. `group_quality` is that of its group: high where two images of the
group differ at most three quarters as much as any two of all images, by their mean squared distance.

exit codes: 0 done; 2 input that cannot be used; 3 the result is written, but fewer than five images could be used;
130 interrupted
"""

TOO_FEW = 3
DEFAULT_MODEL = CLIP
WITHOUT_WEIGHTS = "hog"
_COMPACT = 0.75  # of the mean squared distance of two of all images


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `veriwild engine`."""
    parser.add_argument(
        "--image_dir", "--image-dir", required=True, metavar="D", help="folder or zip of images, or CSV of paths"
    )
    parser.add_argument(
        "--output", required=True, type=Path, metavar="JSON", help="the result; a viewer lies beside it"
    )
    parser.add_argument("--no-viewer", action="store_true", help="write no page")
    parser.add_argument("--vectors", type=Path, metavar="FOLDER", help="where vectors go (default: beside the output)")
    add_model_options(parser, default=f"{DEFAULT_MODEL}, without its weights {WITHOUT_WEIGHTS}")
    add_preparation_options(parser, by_default=True)
    groups = parser.add_argument_group("groups and labels")
    groups.add_argument("--groups", type=int, metavar="N", help="how many groups there are (default: the data decide)")
    groups.add_argument("--keep-noise", action="store_true", help="leave images between groups without one")
    groups.add_argument("--labels", metavar="A,B,C", help="names to tell apart by CLIP, zero-shot")
    groups.add_argument(
        "--label-from", choices=LABEL_SOURCES, default="model",
        help="model: --labels, else the class of the detector; attributes: a network for types of vehicles; "
        "filename: text before the first underscore (default: model)",
    )  # fmt: skip
    running = parser.add_argument_group("running")
    running.add_argument("--models-folder", type=Path, metavar="FOLDER", help="the cache (default: $VERIWILD_MODELS)")
    running.add_argument("--provider", metavar="NAME", help="what runs the networks (default: the best there is)")
    running.add_argument(
        "--random-state", type=int, default=0, metavar="SEED", help="same seed, same bytes (default: 0)"
    )
    running.add_argument("--jobs", type=int, metavar="N", help="workers that read images (default: one per core)")
    shown = running.add_mutually_exclusive_group()
    shown.add_argument("--progress", action="store_true", default=None, help="show progress bars, always")
    shown.add_argument("--quiet", dest="progress", action="store_false", help="no progress bars and no summary")


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
    page = _checked_page(arguments)
    source = find_images(arguments.image_dir)
    extraction, names = _extract(source, arguments)
    descriptor = _joined([extraction.descriptors[name] for name in names])
    grouping = group_images(
        descriptor, n_groups=arguments.groups, keep_noise=arguments.keep_noise,
        random_state=arguments.random_state, progress=arguments.progress,
    )  # fmt: skip
    reasons = _quality(source, arguments)
    labels = image_labels(extraction, arguments)
    table = _table(source, extraction.table, grouping, labels, reasons).assign(
        group_quality=_group_quality(descriptor, grouping)
    )
    records = image_records(table)
    write_records(output, records)
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


def _checked_page(arguments: argparse.Namespace) -> Path:
    """Return where the viewer goes, or raise before hours of work rather than after."""
    if arguments.jobs is not None and arguments.jobs != -1:
        check_int("--jobs", arguments.jobs, low=1)
    check_int("--random-state", arguments.random_state, low=0, high=2**32)
    if arguments.groups is not None:
        check_int("--groups", arguments.groups, low=2)
    if not arguments.image_dir:
        raise DatasetError("--image_dir is empty. Name a folder of images; . is the one you are in.")
    output: Path = arguments.output
    if output.is_dir():
        raise DatasetError(f"Cannot write {output}: it is a folder. Name a file, such as {output / 'result.json'}.")
    page = output.with_suffix(".html")
    if page == output or (page.is_dir() and not arguments.no_viewer):
        taken = "it is a folder" if page.is_dir() else "--output names the JSON"
        raise DatasetError(f"Cannot write the viewer to {page}: {taken}. Choose another --output, such as result.json.")
    folder = output.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise DatasetError(f"Cannot write {output}: no permission to write in {folder}. Choose another place.")
    return page


def _vectors_folder(arguments: argparse.Namespace) -> Path:
    output: Path = arguments.output
    return arguments.vectors or output.with_name(f"{output.stem}_vectors")


def _extract(source: tuple[ImageStore, list[str]], arguments: argparse.Namespace) -> tuple[Extraction, list[str]]:
    """Return the extraction and the names of the descriptors that groups are found in."""
    from veriwild_clustering.descriptors.extraction.extract import extract

    folder, provider = arguments.models_folder, arguments.provider
    models = models_from(arguments, folder=folder) or [_default_model(arguments)]
    names = [each.name if isinstance(each, Model) else each for each in models]
    labelling = [name for name in labelling_models(arguments) if name not in names]
    extraction = extract(
        source, [*models, *labelling], folder=_vectors_folder(arguments),
        preparation=preparation_from(arguments, folder=folder, provider=provider), n_jobs=arguments.jobs,
        provider=provider, model_folder=folder, progress=arguments.progress,
    )  # fmt: skip
    return extraction, names


def _default_model(arguments: argparse.Namespace) -> str:
    from veriwild_clustering.images.models.weights import model_files

    if arguments.labels:
        return DEFAULT_MODEL
    have = if_at_hand(
        lambda: model_files(DEFAULT_MODEL, folder=arguments.models_folder, progress=arguments.progress),
        without=f"images are described by {WITHOUT_WEIGHTS!r}, which needs no weights and knows shapes, not meanings; "
        "name others with --models",
    )
    return WITHOUT_WEIGHTS if have is None else DEFAULT_MODEL


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
    """Return for each image whether its group is compact, whatever other groups there are.

    The unit is what any two images differ by: a similarity of 0.7 is near in one space and far in another. In wide
    spaces most of a distance is noise, and groups that a person would make reach half to three quarters of it.
    """
    partition = grouping.partition
    overall = _difference(descriptor)
    compact = {
        group: _difference(descriptor.take(partition.members(group))) <= _COMPACT * overall
        for group in range(partition.n_clusters)
    }
    return pd.Series(partition.labels).map({group: "high" if is_so else "low" for group, is_so in compact.items()})


def _difference(descriptor: Descriptor) -> float:
    """Return the mean squared distance of two vectors at unit length, without the last digits, which are rounding."""
    from sklearn.preprocessing import normalize

    n = descriptor.n_valid
    if n < 2:
        return 0.0
    total, squares = np.zeros(descriptor.n_features), 0.0
    for _, block in descriptor.blocks():
        unit = normalize(block.astype(np.float64))
        total += unit.sum(axis=0)
        squares += float(np.square(unit).sum())
    return round(2 * (n * squares - float(np.square(total).sum())) / (n * (n - 1)), 9)


def _summary(table: pd.DataFrame, grouping: Grouping, names: list[str]) -> list[str]:
    partition = grouping.partition
    counts = table["status"].value_counts().drop("ok", errors="ignore")
    unread = "".join(f", {count:,} {status}" for status, count in counts.items())
    low = int((table["quality"] == "low").sum())
    sizes = ", ".join(f"{size:,}" for size in partition.sizes[:12]) + (" …" if partition.n_clusters > 12 else "")
    groups = f"{partition.n_clusters} groups ({sizes})" if partition.n_clusters > 1 else f"one group ({sizes})"
    return [
        f"{len(table):,} images{unread}; {low:,} of low quality; described by {' + '.join(names)}",
        f"{groups if sizes else 'no group'}; {partition.noise_fraction:.1%} of the images in none",
        f"compared: {grouping.n_compared} partitions",
        *grouping.reasons,
    ]
