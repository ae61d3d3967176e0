"""Assign the images of a dataset to the clusters of a saved partition model."""

from __future__ import annotations

import argparse
from pathlib import Path

from veriwild_clustering.clustering.assignment import PartitionModel
from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.storage.atomic import write_atomically

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
example:
  veriwild create-dataset --raw-data new_images --output new.csv
  veriwild assign reports/best_partition.model new.csv --output assigned.csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `veriwild assign`."""
    parser.add_argument("model", type=Path, help="what PartitionModel.save wrote")
    parser.add_argument("dataset", type=Path, help="the dataset of the new images, made by create-dataset")
    parser.add_argument("--output", type=Path, default=Path("assigned.csv"), help="default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    """Write `path, vehicle_id, cluster, confidence`, one row per image of the dataset, in its order."""
    model = PartitionModel.load(arguments.model)
    dataset = Dataset.open(arguments.dataset)
    labels, confidence = model.assign({descriptor.name: descriptor.vectors for descriptor in dataset})
    table = dataset.images.reindex(columns=["path", "vehicle_id"]).assign(cluster=labels, confidence=confidence)
    with write_atomically(arguments.output) as temporary:
        table.to_csv(temporary, index=False)
    print(f"{len(table):,} images assigned: {arguments.output}")
    return 0
