"""Images into descriptors: each image decoded once for all models, vectors into files, a killed run goes on."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import KW_ONLY, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from math import ceil
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering import __version__
from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor, finite_rows
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.storage.atomic import only_run
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.validation import DatasetError, check_int
from veriwild_clustering.descriptors.extraction.decoding import MAX_PIXELS, Decoded, decoded_groups
from veriwild_clustering.descriptors.extraction.embedders import Embedder, find_embedders
from veriwild_clustering.descriptors.extraction.journal import Journal, open_journal
from veriwild_clustering.descriptors.extraction.results import Results
from veriwild_clustering.images.listing import find_images
from veriwild_clustering.images.models.record import Model
from veriwild_clustering.images.preparation.prepare import Prepared, preparation_table
from veriwild_clustering.images.reading import image_store_of

__all__ = ["Extraction", "extract"]

Source = str | Path | Dataset | tuple[ImageStore, Sequence[str]]

_PACKAGES = ("imagehash", "numpy", "onnxruntime", "opencv-contrib-python-headless", "openvino", "pillow")
_KINDS = {"width": "Int32", "height": "Int32", "image_status": "str", "detail": "str"}


class Prepare(Protocol):
    """What is done to images before the models see them; `params` says all that the pixels depend on."""

    @property
    def params(self) -> Mapping[str, Any]:
        """What the pixels depend on, as JSON holds it."""

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> Sequence[Prepared]:
        """Return each image prepared."""


@dataclass(frozen=True, eq=False)
class Extraction:
    """The descriptors of a set of images, and what came of each image.

    Parameters
    ----------
    folder : Path
        Where the files of vectors lie, `<name>.npy`.
    table : DataFrame
        One row per image: `path`; `width`, `height`, `image_status` and `detail` as `inspect_images` gives them; with a
        preparation the columns of `preparation_table`; and `has_<name>` per descriptor.
    descriptors : mapping of str to Descriptor
        By name; their `params` name the model, its checksum and the preparation.
    image_store : ImageStore
        Where the images lie.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> from veriwild_clustering import extract
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> Image.linear_gradient("L").save(folder / "a.png")
    >>> extraction = extract(folder, ["phash"], folder=folder / "vectors")
    >>> extraction.dataset().names, extraction.table["has_phash"].tolist()
    (['phash'], [True])
    """

    folder: Path
    table: pd.DataFrame = field(repr=False)
    descriptors: Mapping[str, Descriptor]
    _: KW_ONLY
    image_store: ImageStore

    def dataset(self, *, origin: str = "") -> Dataset:
        """Return the images and descriptors as a dataset, whose table is that of the extraction."""
        return Dataset(self.table, self.descriptors, self.image_store, origin=origin)


def extract(
    source: Source,
    models: Sequence[str | Model | Embedder],
    *,
    folder: str | Path,
    preparation: Prepare | None = None,
    batch_size: int = 64,
    n_jobs: int | None = None,
    provider: str | None = None,
    model_folder: str | Path | None = None,
    progress: bool | None = None,
) -> Extraction:
    """Make descriptors of images: row i of each is image i.

    Each image is decoded once for all models. A run that was stopped or killed goes on where it was and ends with the
    same bytes; what has been made of the same images by the same models is not made again. An image that cannot be read
    keeps its row: NaN, not valid, its status in the table.

    Parameters
    ----------
    source : path, Dataset, or pair of ImageStore and sequence of str
        The images: a folder, zip or CSV for `find_images`, what that returned, or a dataset that knows its images.
    models : list of str, Model or callable
        Names of networks and of descriptors without weights, such as "osnet-x0-25" or "hog"; records; or callables
        that make vectors of a list of RGB images and have a `name`, `n_features` and `params`.
    folder : path
        Where the files go. It is made if it is not there.
    preparation : Preparation, optional
        What is done to each image before the models see it.
    batch_size : int, default 64
        Images that go through the models together.
    n_jobs : int, optional
        Threads that decode. By default one per core.
    provider : str, optional
        What runs the networks, see `open_network`.
    model_folder : path, optional
        Where weights are kept, see `model_files`.
    progress : bool, optional
        Whether to show a progress bar with images per second. By default where somebody watches.

    Returns
    -------
    Extraction
        The descriptors, memory-mapped, with a table of what came of each image.

    Raises
    ------
    DatasetError
        If there are no images, the weights of a network cannot be had, the folder cannot be written to, or another run
        is at work in it; the space for all vectors is taken at the start.
    ValueError
        If a model is not known, given twice, or returns vectors of another length than it says.

    Notes
    -----
    O(n_images * (n_pixels + cost of the models)). Images are decoded in threads while the models run. Memory is that of
    the models, of the list of images and of pixels, whatever the number of images: at most some 300 MB and 100 MB per
    thread, but more while a thread decodes an image of tens of megapixels. An image of more than 4 megapixels is seen
    at a half, a third … of its size, whichever is the first to fit.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> from veriwild_clustering import extract
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> Image.linear_gradient("L").save(folder / "a.png")
    >>> size = (folder / "b.png").write_bytes(b"no image")
    >>> extraction = extract(folder, ["dhash"], folder=folder / "vectors")
    >>> extraction.descriptors["dhash"].valid.tolist(), extraction.table["image_status"].tolist()
    ([True, False], ['ok', 'unreadable'])
    """
    batch_size = check_int("batch_size", batch_size, low=1)
    store, paths = _images(source)
    embedders = find_embedders(models, folder=model_folder, provider=provider)
    params = _params(embedders, preparation, batch_size=batch_size, images=_state(store, paths))
    keys = {name: _digest(made_of) for name, made_of in params.items()}
    results = Results(Path(folder).absolute())
    if not all(results.holds(name, key) for name, key in keys.items()):
        with only_run(results.folder, target=results.folder):
            results = Results(results.folder)  # another run may have ended since
            missing = [name for name, key in keys.items() if not results.holds(name, key)]
            if missing:
                work = _Work({name: embedders[name] for name in missing}, preparation)
                plan = {"rows": len(paths), "keys": {name: keys[name] for name in missing}}
                with open_journal(
                    results.folder, plan, widths=work.widths, n_rows=len(paths), batch_size=batch_size
                ) as journal:
                    work.do(store, paths, journal, n_threads=_n_threads(n_jobs), progress=progress)
                table = journal.records(work.kinds)
                table.insert(0, "path", pd.Series(paths, dtype="str"))
                made = {name: {"key": keys[name], "params": params[name]} for name in missing}
                results.take_over(journal.folder, table, made)
    table, descriptors = results.open(list(embedders))
    return Extraction(results.folder, table, descriptors, image_store=store)


class _Work:
    """What is done to each group of images.

    Parameters
    ----------
    embedders : mapping of str to Embedder
        What makes the vectors.
    preparation : Preparation, optional
        What comes before.
    """

    def __init__(self, embedders: Mapping[str, Embedder], preparation: Prepare | None) -> None:
        self._embedders, self._prepare = embedders, preparation
        self.widths = {name: one.n_features for name, one in embedders.items()}
        prepared: Mapping[Any, Any] = {} if preparation is None else dict(preparation_table([]).dtypes)
        self.kinds = {
            **_KINDS,
            **{str(name): str(kind) for name, kind in prepared.items()},
            **{f"has_{name}": "bool" for name in embedders},
        }

    def do(
        self, store: ImageStore, paths: Sequence[str], journal: Journal, *, n_threads: int, progress: bool | None
    ) -> None:
        """Do the work of the rows that are left."""
        start, size = journal.n_done, journal.batch_size
        # Closed here, whatever happens: the traceback of an error would keep the threads.
        with closing(decoded_groups(store, paths, start=start, batch_size=size, n_threads=n_threads)) as groups:
            steps = track(
                self._batches(groups, journal), description="Images", total=ceil((len(paths) - start) / size),
                unit=" images", per_step=size, show=progress,
            )  # fmt: skip
            deque(steps, maxlen=0)
        journal.keep()

    def _batches(self, groups: Iterable[tuple[slice, list[Decoded]]], journal: Journal) -> Iterator[None]:
        """Do the work of each group, and yield after each batch."""
        for rows, images in groups:
            readable = [place for place, image in enumerate(images) if image.pixels is not None]
            pixels = [image.pixels for image in images if image.pixels is not None]
            records: list[list[Any]] = [list(image.row) for image in images]
            if self._prepare is not None:
                prepared = self._prepare(pixels)
                pixels = [one.image for one in prepared]
                records = _with_preparation(records, readable, prepared, scales=[image.scale for image in images])
            vectors = {name: self._vectors(one, pixels, readable, len(images)) for name, one in self._embedders.items()}
            flags = [finite_rows(block).tolist() for block in vectors.values()]
            journal.write(rows, vectors, [[*record, *own] for record, *own in zip(records, *flags, strict=True)])
            if rows.stop % journal.batch_size == 0 or rows.stop == journal.n_rows:
                yield

    def _vectors(
        self, embedder: Embedder, images: list[NDArray[np.uint8]], readable: list[int], n_rows: int
    ) -> NDArray[np.float32]:
        """Return one row per image of a group, NaN where it cannot be read."""
        block = np.full((n_rows, embedder.n_features), np.nan, dtype=np.float32)
        if images:
            vectors = np.asarray(embedder(images))
            if vectors.shape != (len(images), embedder.n_features):
                raise ValueError(
                    f"Model {embedder.name!r} must return vectors of shape ({len(images)}, {embedder.n_features}). "
                    f"Got {vectors.shape} instead."
                )
            with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, so not usable
                block[readable] = vectors
        return block


def _with_preparation(
    records: list[list[Any]], readable: list[int], prepared: Sequence[Prepared], *, scales: Sequence[float]
) -> list[list[Any]]:
    """Return the records with what was done to each image, boxes in pixels of the image as it is seen."""
    table = preparation_table(prepared)
    edges = [f"box_{edge}" for edge in ("left", "top", "right", "bottom")]
    table[edges] = table[edges].mul([scales[place] for place in readable], axis=0)
    done = table.astype(object).where(table.notna(), None).to_numpy().tolist()
    nothing = [False if kind == bool else None for kind in table.dtypes]  # noqa: E721
    by_place = dict(zip(readable, done, strict=True))
    return [[*record, *by_place.get(place, nothing)] for place, record in enumerate(records)]


def _images(source: Source) -> tuple[ImageStore, list[str]]:
    if isinstance(source, str | Path):
        return find_images(source)
    paths = source.images["path"] if isinstance(source, Dataset) else source[1]
    if not len(paths):
        raise DatasetError("`source` holds no image.")
    return image_store_of(source) if isinstance(source, Dataset) else source[0], list(paths)


def _params(
    embedders: Mapping[str, Embedder], preparation: Prepare | None, *, batch_size: int, images: str
) -> dict[str, dict[str, Any]]:
    """Return all that each descriptor depends on, as JSON holds it."""
    if preparation is not None and not hasattr(preparation, "params"):
        raise ValueError(f"`preparation` must have `params`, as a `Preparation` has. Got {preparation!r} instead.")
    common = {
        "images": images,
        "preparation": None if preparation is None else preparation.params,
        "batch_size": batch_size,
        "max_pixels": MAX_PIXELS,
        "versions": _versions(),
    }
    params = {name: {**one.params, "n_features": one.n_features, **common} for name, one in embedders.items()}
    plain: dict[str, dict[str, Any]] = json.loads(json.dumps(params, default=str))
    return plain


def _state(store: ImageStore, paths: Sequence[str]) -> str:
    """Return the hash of the paths and of the state of their files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(json.dumps([path, store.stamp(path)]).encode())
    return digest.hexdigest()


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _versions() -> dict[str, str]:
    found = {"veriwild_clustering": __version__}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _n_threads(n_jobs: int | None) -> int:
    from joblib import effective_n_jobs

    return int(effective_n_jobs(-1 if n_jobs is None else n_jobs))
