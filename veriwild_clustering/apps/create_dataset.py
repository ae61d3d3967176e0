"""Join the raw data into one table, row i = image i in every file of vectors."""

from __future__ import annotations

import argparse
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pandas as pd

from veriwild_clustering.apps.networks.options import (
    add_model_options,
    add_preparation_options,
    models_from,
    preparation_from,
)
from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.storage.atomic import MANIFEST, only_run, vectors_folder
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.storage.join import REPORT, Inspection, check_output, join_dataset
from veriwild_clustering.core.storage.raw_data import RawData, given_vectors, locate_raw_data
from veriwild_clustering.core.storage.reading import read_manifest
from veriwild_clustering.core.validation import DatasetError, check_int
from veriwild_clustering.images.inspection import inspect_images
from veriwild_clustering.images.measurement import measure_images
from veriwild_clustering.images.models.record import Model

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
examples:
  veriwild create-dataset                                  raw_data/ -> transport_dataset.csv
  veriwild create-dataset --sample 500                     first draw 500 images into raw_data/
  veriwild create-dataset --descriptor clip=clip.npy --no-images
  veriwild create-dataset --pictures photos --models hog color-histogram
                                                           without any vectors: they are made from the images
  veriwild create-dataset --pictures photos.zip --models osnet-x0-25 --crop --upscale

When it is interrupted, the same command goes on where it stopped.
"""

DEFAULT_SAMPLE = 2000
_VECTORS = "vectors"
_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to a parser."""
    parser.add_argument("--raw-data", default="raw_data", metavar="FOLDER", help="the case data (default: %(default)s)")
    parser.add_argument(
        "--pictures", metavar="FOLDER|ZIP|CSV",
        help="make a dataset of these images instead, all of a folder or zip or those that a CSV lists; needs --models",
    )  # fmt: skip
    parser.add_argument(
        "--output", default="transport_dataset.csv", metavar="CSV",
        help="the table to write; vectors go to the folder of the same name (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--descriptor", action="append", default=[], metavar="NAME=FILE",
        help="join your own vectors too: .npy, pickle, CSV or parquet, one row per image; may be repeated",
    )  # fmt: skip
    reading = parser.add_mutually_exclusive_group()
    reading.add_argument("--no-images", action="store_true", help="do not read the images: sizes and checks stay empty")
    reading.add_argument(
        "--no-measures", action="store_true",
        help="only check the images, several times faster: no columns of quality, appearance and perceptual hash",
    )  # fmt: skip
    parser.add_argument("--inline-vectors", action="store_true", help="put the vectors into the CSV, for small sets")
    parser.add_argument(
        "--sample", nargs="?", type=int, const=DEFAULT_SAMPLE, metavar="N",
        help=f"first draw N images (default: {DEFAULT_SAMPLE}) with simulated vectors into the raw-data folder",
    )  # fmt: skip
    parser.add_argument("--random-state", type=int, default=0, metavar="SEED", help="seed of --sample (default: 0)")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes that read images (default: one per core)")
    add_model_options(parser)
    add_preparation_options(parser, by_default=False)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--progress", action="store_true", default=None, help="show progress bars, always")
    shown.add_argument("--quiet", dest="progress", action="store_false", help="no progress bars and no summary")


def run(arguments: argparse.Namespace) -> int:
    """Join what the arguments name, print what came of it, and return 0.

    What is measured of the images is kept in a hidden folder beside the output until the dataset is complete.

    Raises
    ------
    DatasetError
        If an argument or the data cannot be used.
    """
    own, models = _own_descriptors(arguments.descriptor), models_from(arguments)
    _check_options(arguments, models)
    if arguments.sample is not None:
        _draw(arguments)
    output = Path(arguments.output)
    unfinished = output.parent / f".{output.stem}.unfinished"
    if models:
        raw = _found_images(Path(arguments.pictures), models, own, folder=unfinished / _VECTORS)
    else:
        raw = locate_raw_data(arguments.raw_data, descriptors=own)
    check_output(raw, output)  # before hours of work
    if raw.image_store is None and not arguments.no_images:
        _log.warning("No images were found beside the vectors: sizes and checks stay empty.")
    all_measures = partial(measure_images, store=unfinished)
    measure: Inspection = partial(
        inspect_images if arguments.no_measures else all_measures, n_jobs=arguments.jobs, progress=arguments.progress
    )
    inspected: pd.DataFrame | Inspection | None = None if arguments.no_images else measure
    with only_run(unfinished, target=output):
        if models:
            raw, told = _with_vectors(raw, models, arguments, folder=unfinished / _VECTORS)
            inspected = told if arguments.no_measures else partial(_measured, measure, told)
        dataset = join_dataset(
            raw, output, inspected=inspected, inline_vectors=arguments.inline_vectors, progress=arguments.progress
        )
        shutil.rmtree(unfinished, ignore_errors=True)
    if arguments.progress is not False:
        print("\n".join(_summary(raw, dataset, output)))
    return 0


def _check_options(arguments: argparse.Namespace, models: Sequence[str | Model]) -> None:
    """Raise where options contradict each other, before anything is drawn or written."""
    if arguments.jobs is not None and arguments.jobs != -1:
        check_int("--jobs", arguments.jobs, low=1)
    if (arguments.pictures is None) != (not models):
        raise DatasetError("--pictures and --models go together: which images, and what makes vectors of them.")
    if not models and (arguments.upscale or arguments.crop or arguments.mask):
        raise DatasetError("--upscale, --crop and --mask prepare the images of --pictures, which is not given.")
    if models and arguments.sample is not None:
        raise DatasetError("--sample draws images of its own; leave it out or leave out --pictures.")
    if models and arguments.no_images:
        raise DatasetError("--no-images leaves nothing to make vectors of; --no-measures is as fast.")


def _found_images(source: Path, models: Sequence[str | Model], own: dict[str, Path], *, folder: Path) -> RawData:
    """Return the images that `--pictures` names, with the vectors that are to be made of them in `folder`."""
    from veriwild_clustering.images.listing import find_images

    store, paths = find_images(source)
    names = [model if isinstance(model, str) else model.name for model in models]
    return RawData(
        folder=source if source.is_dir() else source.parent,
        paths_file=source,
        paths=tuple(paths),
        descriptor_files=given_vectors(own, beside={name: folder / f"{name}.npy" for name in names}),
        image_store=store,
        attribute_files={"truth": source} if source.suffix.lower() == ".csv" else {},
        from_images=True,
    )


def _with_vectors(
    raw: RawData, models: Sequence[str | Model], arguments: argparse.Namespace, *, folder: Path
) -> tuple[RawData, pd.DataFrame]:
    """Make vectors of the images; return the raw data with what made them, and what came of each image."""
    from veriwild_clustering.descriptors.extraction.extract import extract

    source = cast("ImageStore", raw.image_store), raw.paths
    extraction = extract(
        source, models, folder=folder, preparation=preparation_from(arguments),
        n_jobs=arguments.jobs, progress=arguments.progress,
    )  # fmt: skip
    params = {name: descriptor.params for name, descriptor in extraction.descriptors.items()}
    flags = [f"has_{name}" for name in params]
    return replace(raw, descriptor_params=params), extraction.table.drop(columns=["path", *flags])


def _measured(measure: Inspection, told: pd.DataFrame, store: ImageStore, paths: Sequence[str]) -> pd.DataFrame:
    """Return the measures of the images, and beside them what the extraction alone knows: their preparation."""
    measures = measure(store, paths)
    return measures.join(told.drop(columns=measures.columns.intersection(told.columns)))


def _own_descriptors(given: Sequence[str]) -> dict[str, Path]:
    own: dict[str, Path] = {}
    for entry in given:
        name, separator, file = entry.partition("=")
        if not (name and separator and file):
            raise DatasetError(f"--descriptor takes NAME=FILE. Got {entry!r} instead.")
        if name in own:
            raise DatasetError(f"--descriptor names {name!r} twice.")
        own[name] = Path(file)
    return own


def _draw(arguments: argparse.Namespace) -> None:
    from veriwild_clustering.samples.draw import draw_sample

    draw_sample(
        arguments.raw_data,
        n_images=arguments.sample,
        random_state=arguments.random_state,
        n_jobs=arguments.jobs,
        progress=arguments.progress,
    )
    if arguments.progress is not False:
        print(
            f"Drew {arguments.sample:,} images into {arguments.raw_data}: drawn images and simulated vectors, "
            f"not VeRi-Wild: good for trying the tools, not for conclusions about vehicles."
        )


def _summary(raw: RawData, dataset: Dataset, output: Path) -> list[str]:
    manifest: dict[str, Any] = read_manifest(output) or {}
    n_vehicles = dataset.images["vehicle_id"].nunique()
    lines = [f"{len(dataset):,} images of {n_vehicles:,} vehicles" if n_vehicles else f"{len(dataset):,} images"]
    for entry in manifest["descriptors"]:
        facts = [f"{entry['dims']:,} features", f"{entry['usable_rows']:,} usable rows"]
        if entry["same_vehicle_auc"] is not None:
            facts.append(
                f"same-vehicle ROC AUC {entry['same_vehicle_auc']:.3f} over {entry['same_vehicle_pairs']:,} pairs"
            )
        elif entry["name"] not in raw.descriptor_params:  # of those that were just made the order is known
            facts.append("too few vehicles seen twice to check the row order")
        lines.append(f"  {entry['name']}: {', '.join(facts)}")
    lines += [f"  {count:,} rows: {what}" for what, count in sorted(manifest["issues"].items())]
    folder = vectors_folder(output)
    places = {
        "table": output,
        "manifest": folder / MANIFEST,
        "bad rows": folder / REPORT,
        "images" if raw.from_images else "raw data": raw.folder,
    }
    if any(entry["file"] for entry in manifest["descriptors"]):
        places["vectors"] = folder
    return lines + [f"{what}: {place}" for what, place in places.items()]
