"""The plan of a sorting: which image goes where, decided before the first file is touched."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.partition import NOISE
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.storage.image_store import ImageStore, safe_path
from veriwild_clustering.core.storage.tables import index_by_path
from veriwild_clustering.core.validation import DatasetError, check_choice, check_rows, reason_of

__all__ = [
    "STATE",
    "TRANSFERS",
    "Plan",
    "check_source",
    "cluster_folder",
    "load_plan",
    "make_plan",
    "refuse_links_in",
    "remove_plan",
    "save_plan",
]

STATE = ".veriwild_folders"
TRANSFERS = ("copy", "move", "hardlink", "symlink")
_PLAN = "plan.jsonl"
_VERSION = 1
_MAX_NAME = 255  # bytes that file systems allow in a name
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Plan:
    """Which image goes where.

    Parameters
    ----------
    store : ImageStore
        Where the images lie.
    paths : sequence of str
        Path of each image.
    clusters : array of shape (n_images,), int
        Cluster of each image; −1 is noise.
    destinations : sequence of str
        Where each image goes, relative to the folder that is written.
    transfer : str
        One of `TRANSFERS`.
    """

    store: ImageStore
    paths: Sequence[str]
    clusters: NDArray[np.int64]
    destinations: Sequence[str]
    transfer: str
    _: KW_ONLY
    names: Mapping[int, str] = field(default_factory=dict)
    listed: Path
    contact_sheets: bool = True
    made_out: bool = False
    request: str = ""

    def __len__(self) -> int:
        return len(self.paths)

    def cluster_name(self, cluster: int) -> str:
        """Return what a cluster is called, "" for one without a name."""
        return "outliers" if cluster == NOISE else self.names.get(cluster, "")

    def follows(self, other: Plan) -> bool:
        """Tell whether two plans come to the same."""
        return self._core() == other._core()

    def _core(self) -> tuple[Any, ...]:
        place = os.path.realpath(self.store.location), self.store.strip, self.store.inside
        return (*place, self.transfer, self.contact_sheets, [*self.rows()], dict(self.names))

    def rows(self) -> list[tuple[str, int, str]]:
        """Return path, cluster and destination of each image."""
        return list(zip(self.paths, self.clusters.tolist(), self.destinations, strict=True))


def make_plan(
    store: ImageStore,
    paths: Sequence[str],
    clusters: ArrayLike,
    *,
    transfer: str,
    names: Mapping[int, str] | None = None,
    listed: Path | None = None,
    contact_sheets: bool = True,
    request: str = "",
) -> Plan:
    """Plan a sorting, or raise if it is not possible as it is asked for.

    `listed` is the folder of which all other files are listed; by default the one that holds all images.
    """
    check_choice("transfer", transfer, TRANSFERS)
    labels = np.maximum(check_rows("clusters", clusters, len(paths)).astype(np.int64), NOISE)
    safe = list(index_by_path(Path("The image table"), pd.Series(list(paths), dtype=object)))
    if store.is_zip and transfer != "copy":
        raise DatasetError(f"{store.location} is a zip, from which images can only be copied. Use `transfer='copy'`.")
    if transfer == "move":
        _refuse_links(store, safe)
    return Plan(
        store,
        safe,
        labels,
        _destinations(safe, labels),
        transfer,
        names=names or {},
        listed=listed or _shared_folder(store, safe),
        contact_sheets=contact_sheets,
        request=request,
    )


def cluster_folder(cluster: int) -> str:
    """Return the name of the folder of a cluster."""
    return "outliers" if cluster == NOISE else f"cluster_{cluster}"


def save_plan(plan: Plan, out: Path) -> None:
    """Write a plan into its folder as a whole or not at all."""
    store = plan.store
    header = {
        "version": _VERSION,
        "location": os.path.realpath(store.location),
        "strip": store.strip,
        "inside": store.inside,
        "transfer": plan.transfer,
        "names": {str(cluster): name for cluster, name in plan.names.items()},
        "listed": str(plan.listed),
        "contact_sheets": plan.contact_sheets,
        "made_out": plan.made_out,
        "request": plan.request,
    }
    with write_atomically(out / STATE / _PLAN) as temporary, temporary.open("w", encoding="ascii") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in (header, *plan.rows()))


def load_plan(out: Path) -> Plan | None:
    """Return the plan that a folder was written after, None where there is none."""
    file = out / STATE / _PLAN
    if not file.is_file():
        return None
    try:
        header, *rows = (json.loads(line) for line in file.read_text(encoding="ascii").splitlines())
        if header["version"] != _VERSION:
            raise ValueError(f"version {header['version']}")
        paths, clusters, destinations = zip(*rows, strict=True)
        _check_rows(paths, clusters, destinations)
        if header["transfer"] not in TRANSFERS:
            raise ValueError(f"transfer {header['transfer']!r}")
        return Plan(
            ImageStore(Path(header["location"]), header["strip"], header["inside"]),
            paths,
            np.array(clusters, dtype=np.int64),
            destinations,
            header["transfer"],
            names={int(cluster): name for cluster, name in header["names"].items()},
            listed=Path(header["listed"]),
            **{key: header[key] for key in ("contact_sheets", "made_out", "request")},
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DatasetError(
            f"{file} is damaged or of another version ({reason_of(error)}). Keep it and ask for advice."
        ) from error


def check_source(plan: Plan, source: str | Path | None, out: Path) -> None:
    """Refuse a plan that would write elsewhere than into its own folder and the one that the user names."""
    location = os.path.realpath(plan.store.location)
    inside = os.path.realpath(plan.store.location / plan.store.inside)
    if source is None:
        if plan.transfer == "move":
            raise DatasetError(
                f"The images in {out} were moved out of {location}, as is written there. If they shall go back to that "
                f"folder, name it as `source`."
            )
        return
    told = os.path.realpath(source)
    if told not in {location, inside} or os.path.commonpath([told, inside]) != told:
        raise DatasetError(f"{out} was not sorted from {source} but from {inside}. Name that folder.")


def refuse_links_in(out: Path, plan: Plan | None = None) -> None:
    """Refuse a folder whose parts are links: what is written there would go elsewhere."""
    state = out / STATE
    parts = [state, state / "stage", *(state.iterdir() if state.is_dir() and not state.is_symlink() else ())]
    if plan is not None:
        parts += [out / folder for folder in {place.partition("/")[0] for place in plan.destinations}]
    links = [str(part) for part in (*parts, out / "contact_sheets") if part.is_symlink()]
    if links:
        raise DatasetError(f"{links[0]} is a link, which no sorting makes: what is done there would be done elsewhere.")


def _check_rows(paths: Sequence[str], clusters: Sequence[int], destinations: Sequence[str]) -> None:
    """Refuse paths that leave the images' folder, and places that are not a name in the folder of a cluster."""
    for path, cluster, place in zip(paths, clusters, destinations, strict=True):
        safe_path(path)
        folder, _, name = safe_path(place).partition("/")
        if place != f"{folder}/{name}" or "/" in name or folder != cluster_folder(cluster):
            raise ValueError(f"{place!r} is no place of an image of cluster {cluster!r}")
    if len(set(paths)) != len(paths) or len(set(destinations)) != len(destinations):
        raise ValueError("two images have one place")


def remove_plan(out: Path) -> None:
    """Delete the plan of a sorting that was undone, and what a run left that was killed while it wrote one."""
    for unfinished in (out / STATE).glob(f".{_PLAN}.*"):
        unfinished.unlink()
    (out / STATE / _PLAN).unlink(missing_ok=True)


def _destinations(paths: Sequence[str], clusters: NDArray[np.int64]) -> list[str]:
    """Return a place for each image; of equal names in a folder the first stays and the others get a number.

    Names are equal if a file system that ignores case or composes letters would take one for the other.
    """
    folders = [cluster_folder(cluster) for cluster in clusters.tolist()]
    names = [_fitted(PurePosixPath(path).name) for path in paths]
    taken: set[tuple[str, str]] = set()
    places, waiting = [""] * len(paths), []
    for row, (folder, name) in enumerate(zip(folders, names, strict=True)):
        if (folder, _folded(name)) in taken:
            waiting.append(row)
            continue
        taken.add((folder, _folded(name)))
        places[row] = f"{folder}/{name}"
    numbers: dict[tuple[str, str], int] = {}
    for row in waiting:
        folder, name = folders[row], names[row]
        number = numbers.get((folder, _folded(name)), 2)
        while (folder, _folded(_fitted(name, number))) in taken:
            number += 1
        numbers[folder, _folded(name)] = number + 1
        taken.add((folder, _folded(_fitted(name, number))))
        places[row] = f"{folder}/{_fitted(name, number)}"
    return places


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _fitted(name: str, number: int | None = None) -> str:
    """Return a name with a number before its suffix, its stem cut where the whole would be too long for a file."""
    pure = PurePosixPath(name)
    ending = ("" if number is None else f"_{number}") + pure.suffix
    room = max(1, _MAX_NAME - len(ending.encode()))
    return pure.stem.encode()[:room].decode(errors="ignore") + ending


def _shared_folder(store: ImageStore, paths: Sequence[str]) -> Path:
    """Return the folder that holds all images, the zip where they lie in one."""
    if store.is_zip or not paths:
        return store.location.absolute()
    cut = len(store.strip) + 1 if store.strip else 0
    shared = os.path.commonpath([f"/{PurePosixPath(path[cut:]).parent}" for path in paths])
    return (store.location / store.inside / shared.strip("/")).absolute()


def _refuse_links(store: ImageStore, paths: Sequence[str]) -> None:
    root = os.path.realpath(store.location / store.inside)
    cut = len(store.strip) + 1 if store.strip else 0
    links = [
        path for path in paths if os.path.realpath(f"{root}/{path[cut:]}") != os.path.normpath(f"{root}/{path[cut:]}")
    ]
    if links:
        shown = ", ".join(map(repr, links[:_SHOWN])) + (" …" if len(links) > _SHOWN else "")
        raise DatasetError(
            f"{len(links):,} images are symbolic links or lie behind one ({shown}): moving the files would break "
            f"them. Copy the images, or take the links away."
        )
