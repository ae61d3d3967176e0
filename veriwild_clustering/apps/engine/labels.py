"""Where the engine's label of an image comes from: a model that names things, or the file name."""

from __future__ import annotations

import argparse
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.descriptors.text.embedding import CLIP, CLIP_TEXT
from veriwild_clustering.images.models.weights import model_files

if TYPE_CHECKING:
    from veriwild_clustering.descriptors.extraction.extract import Extraction

__all__ = ["LABEL_SOURCES", "UNKNOWN", "image_labels", "labelling_models"]

LABEL_SOURCES = ("model", "attributes", "filename")
UNKNOWN = "unknown"
_ATTRIBUTES = "vehicle-attributes-0039-type"


def labelling_models(arguments: argparse.Namespace) -> list[str]:
    """Return the models of images that labels need, and make sure of what else they need before hours of work.

    Raises
    ------
    DatasetError
        If the options contradict each other, the names are no names, or the text model cannot be had.
    """
    if arguments.labels is None:
        return [_ATTRIBUTES] if arguments.label_from == "attributes" else []
    if arguments.label_from != "model":
        raise DatasetError(f"--labels come from CLIP: leave --label-from {arguments.label_from} out.")
    _names(arguments.labels)
    model_files(CLIP_TEXT, folder=arguments.models_folder, progress=arguments.progress)
    return [CLIP]


def image_labels(extraction: Extraction, arguments: argparse.Namespace) -> list[str]:
    """Return one label per image, "unknown" where nothing says."""
    table = extraction.table
    if arguments.label_from == "filename":
        return [_before_underscore(path) for path in table["path"]]
    if arguments.label_from == "attributes":
        return _of_attributes(extraction)
    if arguments.labels:
        return _zero_shot(extraction, arguments)
    return _filled(table["box_label"]) if "box_label" in table else [UNKNOWN] * len(table)


def _before_underscore(path: str) -> str:
    name = PurePosixPath(path).name
    return name.partition("_")[0] or UNKNOWN if "_" in name else UNKNOWN


def _filled(labels: pd.Series) -> list[str]:
    return [UNKNOWN if pd.isna(label) else str(label) for label in labels]


def _of_attributes(extraction: Extraction) -> list[str]:
    """Return the type of vehicle with the highest mean logit over the map."""
    from veriwild_clustering.images.models.catalog import find_model

    names = find_model(_ATTRIBUTES).labels
    descriptor = extraction.descriptors[_ATTRIBUTES]
    logits = descriptor.vectors.reshape(len(descriptor), len(names), -1).mean(axis=2)
    best = np.where(descriptor.valid, np.nan_to_num(logits).argmax(axis=1), -1)
    return [names[place] if place >= 0 else UNKNOWN for place in best]


def _zero_shot(extraction: Extraction, arguments: argparse.Namespace) -> list[str]:
    from veriwild_clustering.descriptors.text.zero_shot import zero_shot

    found = zero_shot(
        extraction.descriptors[CLIP], _names(arguments.labels), text_model=CLIP_TEXT,
        folder=arguments.models_folder, provider=arguments.provider,
    )  # fmt: skip
    return _filled(found["label"])


def _names(labels: str) -> list[str]:
    names = [name for name in (part.strip() for part in labels.split(",")) if name]
    if len(set(names)) < max(2, len(names)):
        raise DatasetError(f'--labels must name two or more that differ, such as "bus,car,truck". Got {labels!r}.')
    return names
