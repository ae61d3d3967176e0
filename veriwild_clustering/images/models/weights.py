"""The cache of weights: where the files of a network lie, how they come there, and that they are the right ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from veriwild_clustering.core.validation import DatasetError, reason_of
from veriwild_clustering.images.models.catalog import find_model
from veriwild_clustering.images.models.checksums import (
    file_checksum,
    note_path,
    noted_checksum,
    read_note,
    remember,
    write_note,
)
from veriwild_clustering.images.models.download import DownloadError, fetch
from veriwild_clustering.images.models.record import Model, ModelFile

__all__ = ["ModelError", "accept_license", "cache_folder", "is_cached", "model_files"]

_FREE = frozenset({"", "Apache-2.0", "BSD-3-Clause", "MIT"})  # of a file of one's own nothing is known
_ACCEPTED = "accepted_licenses.json"


class ModelError(DatasetError):
    """A network whose files cannot be had: the message says what, where, and what to do by hand."""


def cache_folder(folder: str | Path | None = None) -> Path:
    """Return the folder of weights.

    Parameters
    ----------
    folder : str or Path, optional
        A folder of one's own.

    Returns
    -------
    Path
        `folder`, else what the environment variable VERIWILD_MODELS says, else a folder in the user's cache.

    Examples
    --------
    >>> from veriwild_clustering.images.models.weights import cache_folder
    >>> cache_folder("models").name
    'models'
    """
    given = folder or os.environ.get("VERIWILD_MODELS")
    if given:
        return Path(given).expanduser()
    with _models_extra():
        from platformdirs import user_cache_path
    return user_cache_path("veriwild-clustering", appauthor=False) / "models"


def model_files(
    model: str | Model,
    *,
    folder: str | Path | None = None,
    download: bool = True,
    accept_license: bool = False,
    progress: bool | None = None,
) -> list[Path]:
    """Return the files of a network, downloaded on first use.

    Parameters
    ----------
    model : str or Model
        A name in the catalog, or a record.
    folder : str or Path, optional
        The cache. By default as `cache_folder` says.
    download : bool
        Whether files that are missing may be downloaded.
    accept_license : bool
        Accepts a licence that binds whoever uses the network, such as the AGPL. The cache remembers it.
    progress : bool, optional
        Whether to show a progress bar. By default where somebody watches.

    Returns
    -------
    list of Path
        The file to open first.

    Raises
    ------
    ModelError
        If a file cannot be had, has another checksum, or the licence has not been accepted.
    ValueError
        If the catalog has no such name.

    Notes
    -----
    A checksum is computed once and remembered beside the file, for as long as its size and time stay the same. Where
    none is known, that of the first file counts from then on. A download that broke off is continued; of several
    processes that need a file one downloads it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from veriwild_clustering import model_files, user_model
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "cars.onnx"
    >>> size = file.write_bytes(b"weights")
    >>> [path.name for path in model_files(user_model(file))]
    ['cars.onnx']
    """
    record = find_model(model)
    cache = cache_folder(folder)
    if not accept_license:
        _check_license(record, cache)
    else:
        with suppress(ModelError):  # a cache that can only be read remembers nothing, and serves this time
            _accept(record, cache)
    files = [_CachedFile(cache, file, record) for file in record.files]
    for file in files:
        file.provide(may_download=download, progress=progress)
    return [file.path for file in files]


def is_cached(model: str | Model, *, folder: str | Path | None = None) -> bool:
    """Tell whether all files of a network are in the cache; their checksums are not looked at."""
    cache = cache_folder(folder)
    return all((cache / file.name).is_file() for file in find_model(model).files)


def accept_license(model: str | Model, *, folder: str | Path | None = None) -> None:
    """Accept the licence of a network; the cache remembers it.

    Raises
    ------
    ModelError
        If the cache cannot be written to.
    """
    _accept(find_model(model), cache_folder(folder))


def _accept(record: Model, cache: Path) -> None:
    if record.license in _FREE:
        return
    note = cache / _ACCEPTED
    try:
        with _alone(note):
            write_note(note, read_note(note) | {record.name: record.license})
    except (OSError, DatasetError) as error:
        raise ModelError(f"The licence of {record.name!r} cannot be noted in {cache}: {reason_of(error)}.") from error


def _check_license(record: Model, cache: Path) -> None:
    if record.license in _FREE or read_note(cache / _ACCEPTED).get(record.name) == record.license:
        return
    raise ModelError(
        f"The licence of the model {record.name!r}, {record.license}, binds whoever uses it. If you accept it, say so "
        f"once: `veriwild models --folder {cache} get {record.name} --accept-license`, or `model_files` with "
        f"accept_license=True. Its file, {record.files[0].name}, belongs in that folder."
    )


@dataclass(frozen=True)
class _CachedFile:
    """One file of a network, in the cache or, under an absolute name, anywhere."""

    cache: Path
    file: ModelFile
    record: Model

    @property
    def path(self) -> Path:
        """Where it lies or will lie."""
        return self.cache / self.file.name

    def provide(self, *, may_download: bool, progress: bool | None) -> None:
        """See that the file is there and the right one."""
        try:
            if not self.path.is_file():
                self._bring(may_download=may_download, progress=progress)
            self._check()
        except OSError as error:
            raise self._error(f"cannot be used in {self.path.parent}: {error.strerror or reason_of(error)}") from error

    def _bring(self, *, may_download: bool, progress: bool | None) -> None:
        if not self._is_ours:
            raise ModelError(f"There is no file {self.path} any more, which the model {self.record.name!r} needs.")
        if not may_download:
            raise self._error(f"is not in {self.cache}, and nothing may be downloaded")
        if self.file.url is None:
            raise self._error("has no address to be downloaded from")
        with _alone(self.path):
            if not self.path.is_file():  # another process may have brought it meanwhile
                self._download(self.file.url, progress=progress)

    def _download(self, url: str, *, progress: bool | None) -> None:
        part = self.path.with_name(f"{self.path.name}.part")
        expected, n_bytes = self.file.sha256, self.file.n_bytes
        resumed = part.is_file()
        try:
            with _models_extra():
                found = fetch(url, part, may_resume=expected is not None, n_bytes=n_bytes, progress=progress)
            if resumed and expected not in {None, found}:  # what lay there was of something else
                part.unlink()
                found = fetch(url, part, n_bytes=n_bytes, progress=progress)
        except DownloadError as error:
            raise self._error(f"was not downloaded: {error}") from error
        if expected not in {None, found}:
            part.unlink()
            raise self._error(f"came with the SHA-256 {found} instead of {expected} and was removed")
        part.replace(self.path)
        self._remember(found)

    def _check(self) -> None:
        """Compare the checksum, at the first use and whenever the file has changed since."""
        kept = noted_checksum(self.path) if self._is_ours else None
        expected, found = self.file.sha256 or kept, file_checksum(self.path)
        if expected not in {None, found}:
            differs = f"has in {self.path.parent} the SHA-256 {found} instead of {expected}"
            if not self._is_ours:
                raise ModelError(f"{self.path.name} {differs}: it has changed since it was named as a model.")
            may_stay = "" if self.file.sha256 else f", or {note_path(self.path)} if it is to be kept"
            raise self._error(f"{differs}: delete it{may_stay}")
        self._remember(found)

    def _remember(self, checksum: str) -> None:
        if self._is_ours:
            with suppress(DatasetError):  # a cache that can only be read does without
                remember(self.path, checksum)

    @property
    def _is_ours(self) -> bool:
        return not Path(self.file.name).is_absolute()

    def _error(self, what: str) -> ModelError:
        origin = (
            f"download it from {self.file.url}"
            if self.file.url
            else f"get it from {self.record.source or 'its makers'}"
        )
        return ModelError(
            f"{self.file.name}, which the model {self.record.name!r} needs, {what}. "
            f"By hand: {origin} and put it into {self.cache} under that name."
        )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from writing the same file of the cache."""
    with _models_extra():
        from filelock import FileLock
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        yield


@contextmanager
def _models_extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModelError(
            f"Networks need the package {error.name!r}: install it with `pip install veriwild-clustering[models]`."
        ) from error
