"""Divide images into segments: label maps as 16-bit PNG, and the segments drawn over each image."""

from __future__ import annotations

import argparse
import json
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.progress import track
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.images.inspection import inspect_image
from veriwild_clustering.images.listing import find_images
from veriwild_clustering.images.reading import upright
from veriwild_clustering.images.segmentation.segmenting import METHODS, PROMPTED, segment
from veriwild_clustering.reporting.segments.overlays import overlay

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
examples:
  veriwild segment photos segments                              SLIC superpixels
  veriwild segment photos segments --method felzenszwalb --set scale=200 --set min_size=50

A file NAME.EXT becomes NAME.EXT.labels.png and NAME.EXT.overlay.jpg in the same folders below the output.
"""

_MAX_PIXELS, _MAX_LABEL = 4_000_000, 65_535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to a parser."""
    parser.add_argument("images", metavar="FOLDER|ZIP|CSV", help="the images")
    parser.add_argument("output", type=Path, metavar="OUT", help="the folder that label maps and overlays go into")
    methods = [name for name in METHODS if name not in PROMPTED]
    parser.add_argument("--method", choices=methods, default="slic", help="default: %(default)s")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the method")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--connected", action="store_true", help="parts that do not touch are segments of their own")
    parser.add_argument("--no-overlays", action="store_true", help="label maps alone")


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments ask for and return 0.

    Raises
    ------
    DatasetError
        If no image can be read.
    """
    params = dict(_parameter(text) for text in arguments.set)
    store, paths = find_images(arguments.images)
    skipped = []
    for path in track(paths, description="Segments", unit=" images"):
        row, image = inspect_image(store, path, decode=lambda image: upright(image, max_pixels=_MAX_PIXELS))
        if image is None:
            skipped.append(f"{path}: {row[2]}: {row[3]}")
            continue
        pixels = np.asarray(image)
        labels = segment(pixels, arguments.method, random_state=arguments.seed, connected=arguments.connected, **params)
        _write(arguments.output / PurePosixPath(path), pixels, labels, overlays=not arguments.no_overlays)
    if len(skipped) == len(paths):
        raise DatasetError(f"No image of {arguments.images} can be read. The first: {skipped[0]}.")
    print(f"{len(paths) - len(skipped):,} of {len(paths):,} images segmented into {arguments.output}")
    print(*(f"cannot be read: {line}" for line in skipped), sep="\n", end="\n" if skipped else "")
    return 0


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError as error:
        if equals and name:
            return name, value
        raise ValueError(f"`--set` must be NAME=VALUE. Got {text!r} instead.") from error


def _write(target: Path, image: NDArray[np.uint8], labels: NDArray[np.int32], *, overlays: bool) -> None:
    from PIL import Image

    if labels.max() > _MAX_LABEL:
        raise DatasetError(
            f"{target.name} has {labels.max():,} segments, a label map at most {_MAX_LABEL:,}: make them larger."
        )
    with write_atomically(target.with_name(f"{target.name}.labels.png")) as temporary:
        Image.fromarray(labels.astype(np.uint16)).save(temporary, format="PNG")
    if overlays:
        with write_atomically(target.with_name(f"{target.name}.overlay.jpg")) as temporary:
            Image.fromarray(overlay(image, labels)).save(temporary, format="JPEG", quality=90)
