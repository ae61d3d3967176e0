"""Show the networks that are known and whether they are here, or download them."""

from __future__ import annotations

import argparse
from typing import Any

from veriwild_clustering.images.models.catalog import MODELS, find_model
from veriwild_clustering.images.models.record import Model
from veriwild_clustering.images.models.weights import cache_folder, is_cached, model_files

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
examples:
  veriwild models                                     what is known, and what is here already
  veriwild models get osnet-x0-25 yolox-nano          download weights into the cache
  veriwild models get yolov10s --accept-license       a licence that binds whoever uses the model
  veriwild models path                                the folder of the cache ($VERIWILD_MODELS)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to a parser."""
    folder: dict[str, Any] = {"metavar": "FOLDER", "help": "the cache (default: $VERIWILD_MODELS, or the user's cache)"}
    parser.add_argument("--folder", **folder)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    get = actions.add_parser("get", help="download weights and print where they lie")
    path = actions.add_parser("path", help="print the folder of the cache")
    for action in (get, path):  # before the action or after it
        action.add_argument("--folder", default=argparse.SUPPRESS, **folder)
    get.add_argument("names", nargs="+", metavar="NAME", help="a model, as in the table")
    get.add_argument("--accept-license", action="store_true", help="accept a licence that binds whoever uses the model")
    get.add_argument("--quiet", dest="progress", action="store_false", default=None, help="no progress bars")


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments ask for and return 0.

    Raises
    ------
    ModelError
        If weights cannot be had.
    """
    if arguments.action == "path":
        print(cache_folder(arguments.folder))
    elif arguments.action == "get":
        for model in [find_model(name) for name in arguments.names]:
            files = model_files(
                model,
                folder=arguments.folder,
                accept_license=arguments.accept_license,
                progress=arguments.progress,
            )
            print(*files, sep="\n")
    else:
        print("\n".join(_table(arguments.folder)))
    return 0


def _table(folder: str | None) -> list[str]:
    rows = [["name", "task", "features", "licence", "size", "here"]]
    rows += [_row(model, folder) for model in MODELS.values()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(model: Model, folder: str | None) -> list[str]:
    sizes = [file.n_bytes for file in model.files]
    size = "?" if None in sizes else f"{sum(filter(None, sizes)) / 1e6:,.2f} MB"
    by_hand = any(file.url is None for file in model.files)
    here = "yes" if is_cached(model, folder=folder) else "by hand" if by_hand else "no"
    return [model.name, model.task, str(model.n_features or ""), model.license, size, here]
