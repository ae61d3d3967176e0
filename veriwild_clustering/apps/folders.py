"""Sort a folder of images into one folder per group, in a way that can be undone."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.partition import NOISE
from veriwild_clustering.core.storage.atomic import MANIFEST, vectors_folder
from veriwild_clustering.core.storage.tables import index_by_path, path_column, read_csv
from veriwild_clustering.core.validation import DatasetError, reason_of
from veriwild_clustering.images.listing import find_images
from veriwild_clustering.images.reading import image_store_of
from veriwild_clustering.reporting.folders.plan import TRANSFERS, Plan, check_source, load_plan, make_plan
from veriwild_clustering.reporting.folders.sorting import LEFT, TABLE, check_place, foresee, sort_images
from veriwild_clustering.reporting.folders.undo import undo_folders

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
examples:
  veriwild folders photos sorted                                  copies of images that look alike, side by side
  veriwild folders photos sorted --dry-run                        what would be done, without doing it
  veriwild folders photos sorted --transfer move                  after a kill: the same command again
  veriwild folders photos sorted --undo                           everything back to its place
  veriwild folders photos sorted --partition best_partition.csv   groups that are known, columns path and cluster
"""
_SETTINGS = ("method", "threshold", "linkage", "merge", "batch_size", "n_jobs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `veriwild folders`."""
    parser.add_argument("source", type=Path, metavar="IN", help="a folder or zip of images, a CSV of paths, a dataset")
    parser.add_argument("out", type=Path, metavar="OUT", help="an empty or new folder, not inside IN")
    groups = parser.add_argument_group("which images belong together")
    groups.add_argument(
        "--partition", type=Path, metavar="CSV", help="a CSV with columns path and cluster; -1 is noise"
    )
    groups.add_argument("--method", help="how images are compared, such as phash; default: that of group_similar")
    groups.add_argument("--threshold", type=float, help="from which similarity two images belong together")
    groups.add_argument("--linkage", help="how pairs become groups, such as components")
    groups.add_argument("--merge", help="how batches are joined: exact or representatives")
    groups.add_argument("--batch-size", type=int, metavar="N", help="images in memory at once")
    groups.add_argument("--n-jobs", type=int, metavar="N", help="processes")
    files = parser.add_argument_group("what is done to the files")
    files.add_argument("--transfer", choices=TRANSFERS, default="copy", help="default: %(default)s")
    files.add_argument("--no-contact-sheets", action="store_true", help="write no thumbnails")
    files.add_argument("--dry-run", action="store_true", help="show what would be done and touch nothing")
    files.add_argument("--undo", action="store_true", help="take back what was done in OUT to the images of IN")


def run(arguments: argparse.Namespace) -> int:
    """Sort, go on with a sorting that was killed, show what would be done, or undo."""
    if arguments.undo:
        return _undo(arguments.source, arguments.out)
    begun = load_plan(arguments.out)
    plan = _plan(arguments) if begun is None else _same(begun, arguments)
    if arguments.dry_run:
        table = foresee(plan, arguments.out)
        for path, destination in zip(table["path"], table["destination"], strict=True):
            print(f"{path} -> {destination or 'cannot be read: left where it is'}")
        _print_counts(table, f"would be sorted into {arguments.out} ({plan.transfer}); nothing was touched")
        return 0
    table = sort_images(plan, arguments.out)
    _print_counts(table, f"are sorted into {arguments.out} ({plan.transfer})")
    print(f"table: {arguments.out / TABLE}")
    if (arguments.out / LEFT).exists():
        print(f"left where they are: {arguments.out / LEFT}")
    if begun is not None:
        _warn_of_new_images(begun, arguments.source)
    return 0


def _undo(source: Path, out: Path) -> int:
    done = undo_folders(out, source=_folder_of(source))["undone"].value_counts()
    parts = [f"{done[what]:,} images {what}" for what in ("moved back", "removed") if what in done]
    print(f"{out} is undone: {', '.join(parts) or 'there was nothing to do'}")
    return 0


def _request(arguments: argparse.Namespace) -> str:
    """Return what was asked for as text, so that the same command goes on and another is refused."""
    asked = {"source": os.path.realpath(arguments.source), "transfer": arguments.transfer}
    asked |= {"partition": arguments.partition and os.path.realpath(arguments.partition)}
    asked |= {"contact_sheets": not arguments.no_contact_sheets}
    return json.dumps(asked | {name: getattr(arguments, name) for name in _SETTINGS}, sort_keys=True)


def _same(begun: Plan, arguments: argparse.Namespace) -> Plan:
    if begun.request != _request(arguments):
        raise DatasetError(
            f"{arguments.out} holds another sorting. Repeat the command that began it, undo it with --undo, or name "
            f"another folder."
        )
    check_source(begun, _folder_of(arguments.source), arguments.out)  # it may have been written by somebody else
    return begun


def _folder_of(source: Path) -> Path:
    """Return where the images of a source lie, which of a CSV is another place."""
    is_csv = source.suffix.lower() == ".csv" and source.is_file()
    return image_store_of(_open(source)).location if is_csv else source


def _plan(arguments: argparse.Namespace) -> Plan:
    dataset = _open(arguments.source)
    check_place(_plan_of(dataset, np.full(len(dataset), NOISE), arguments), arguments.out)  # before the long work
    clusters, names = (
        _group(dataset, arguments) if arguments.partition is None else _read_clusters(arguments.partition, dataset)
    )
    return _plan_of(dataset, clusters, arguments, names=names)


def _plan_of(
    dataset: Dataset, clusters: NDArray[Any], arguments: argparse.Namespace, *, names: Mapping[int, str] | None = None
) -> Plan:
    plan = make_plan(
        image_store_of(dataset),
        dataset.images["path"].astype(str).to_list(),
        clusters,
        transfer=arguments.transfer,
        names=names,
        contact_sheets=not arguments.no_contact_sheets,
        request=_request(arguments),
    )
    return replace(plan, listed=arguments.source.absolute()) if arguments.source.is_dir() else plan


def _open(source: Path) -> Dataset:
    if source.suffix.lower() == ".csv" and (vectors_folder(source) / MANIFEST).is_file():
        return Dataset.open(source)
    store, paths = find_images(source)
    return Dataset(pd.DataFrame({"path": paths}), image_store=store)


def _group(dataset: Dataset, arguments: argparse.Namespace) -> tuple[NDArray[np.int32], Mapping[int, str]]:
    from veriwild_clustering.clustering.similar.groups import group_similar

    asked = {name: getattr(arguments, name) for name in _SETTINGS if getattr(arguments, name) is not None}
    found = group_similar(dataset, **asked)
    print(f"{found.partition.n_clusters:,} groups at similarity {found.threshold:g}. {found.reason}")
    return found.partition.labels, dict(enumerate(found.partition.cluster_names))


def _read_clusters(file: Path, dataset: Dataset) -> tuple[NDArray[np.int64], Mapping[int, str]]:
    """Return cluster and names of clusters out of a CSV; images that it does not name are noise."""
    try:
        table = read_csv(file, dtype="str", keep_default_na=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DatasetError(f"{file} cannot be read as a CSV: {reason_of(error)}.") from error
    column = path_column(table)
    if column is None or "cluster" not in table:
        raise DatasetError(f"{file} must have the columns `path` and `cluster`, as export_partition writes them.")
    clusters = pd.to_numeric(table["cluster"], errors="coerce")
    if clusters.isna().any() or (clusters % 1 != 0).any():
        raise DatasetError(f"{file}: `cluster` must hold whole numbers; -1 is noise.")
    by_path = pd.Series(clusters.to_numpy(dtype=np.int64), index=index_by_path(file, table[column]))
    labels = by_path.reindex(dataset.images["path"])
    n_known = int(labels.notna().sum())
    if not n_known:
        raise DatasetError(f"{file} names no image of this folder: its paths must be relative to it.")
    if n_known < len(dataset):
        print(f"{len(dataset) - n_known:,} images are not in {file}: they count as outliers", file=sys.stderr)
    names = table.get("cluster_name", pd.Series("", index=table.index)).groupby(by_path.to_numpy()).first()
    return labels.fillna(NOISE).to_numpy(dtype=np.int64), {int(str(cluster)): name for cluster, name in names.items()}


def _warn_of_new_images(plan: Plan, source: Path) -> None:
    try:
        new = set(_open(source).images["path"]) - set(plan.paths)
    except (OSError, DatasetError):  # after a move, no image is left there
        return
    if new:
        print(f"{len(new):,} images have come since: to sort them too, --undo and start again", file=sys.stderr)


def _print_counts(table: pd.DataFrame, what: str) -> None:
    there = table[table["destination"] != ""]
    n_outliers = int((there["cluster"] < 0).sum())
    n_groups = there.loc[there["cluster"] >= 0, "cluster"].nunique()
    lost = len(table) - len(there)
    also = f"; {lost:,} cannot be read and stay where they are" if lost else ""
    print(f"{len(there):,} images {what}: {n_groups:,} groups, {n_outliers:,} outliers{also}")
