"""Image files by their path in the image table, from a folder or out of a zip in place."""

from __future__ import annotations

import os
import re
import stat
import threading
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from veriwild_clustering.core.validation import DatasetError, reason_of

__all__ = ["ImageStore", "safe_path"]

MAX_IMAGE_BYTES = 512 * 2**20
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def safe_path(path: str) -> str:
    """Return `path` with forward slashes and without empty or `.` parts.

    Raises
    ------
    DatasetError
        If the path is empty, absolute, holds control characters or could leave its folder (`..`, a drive letter).
    """
    if _CONTROL.search(path):
        raise DatasetError(f"The path {path!r} holds control characters.")
    slashed = path.replace("\\", "/")
    parts = [part for part in slashed.split("/") if part not in {"", "."}]
    if slashed.startswith("/") or (parts and _DRIVE.match(parts[0])):
        raise DatasetError(f"The path {path!r} is absolute. Paths must be relative to the folder of the images.")
    if ".." in parts:
        raise DatasetError(f"The path {path!r} leaves the folder of the images.")
    if not parts:
        raise DatasetError(f"The path {path!r} names no file.")
    return "/".join(parts)


@dataclass(frozen=True)
class ImageStore:
    """The bytes of an image by its path in the image table.

    No path leaves the location: `..`, absolute paths, drive letters and symbolic links that point outside are refused.
    It can be pickled and shared between threads; each process opens a zip for itself when it first needs it.

    Parameters
    ----------
    location : path
        A folder, or a zip file that is read in place.
    strip : str, optional
        Leading part of every path for which the location stands: with ``strip="veriwild"`` the image
        ``veriwild/1/00001/000001.jpg`` is the file ``1/00001/000001.jpg`` of the location.
    inside : str, optional
        Folder inside the zip that holds the files, for example ``veriwild/veriwild``.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from veriwild_clustering import ImageStore
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> size = (folder / "1.jpg").write_bytes(b"an image")
    >>> store = ImageStore(folder, strip="veriwild")
    >>> "veriwild/1.jpg" in store, "veriwild/2.jpg" in store, store.read("veriwild/1.jpg")
    (True, False, b'an image')
    """

    location: Path
    strip: str = ""
    inside: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "location", Path(self.location))

    def __getstate__(self) -> dict[str, Any]:
        return {"location": self.location, "strip": self.strip, "inside": self.inside}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @cached_property
    def is_zip(self) -> bool:
        """Whether the images are read out of a zip."""
        return self.location.is_file()

    def __contains__(self, path: str) -> bool:
        archive = self._archive if self.is_zip else None  # outside of `try`: a damaged zip is no set of lost images
        try:
            return self.file(path).is_file() if archive is None else self._member(path) in archive.members
        except (DatasetError, OSError):
            return False

    def read(self, path: str) -> bytes:
        """Return the bytes of the file of an image.

        Parameters
        ----------
        path : str
            Path as in the image table; slashes of either kind.

        Returns
        -------
        bytes
            The encoded image.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        DatasetError
            If the path leaves the location or the file is far too large for an image.
        OSError
            If the file cannot be read.
        """
        if self.is_zip:
            return self._archive.read(self._member(path))
        file = self.file(path)
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
            raise FileNotFoundError(f"{path!r} is not a file")
        _check_size(path, status.st_size)
        return file.read_bytes()

    def members(self) -> list[str]:
        """Return the path of every file of a zip.

        Returns
        -------
        list of str
            Paths in the order of the zip, none in a folder.

        Raises
        ------
        DatasetError
            If the zip is damaged or a member would leave it.
        """
        prefix = f"{self.inside}/" if self.inside else ""
        listed = self._archive.members if self.is_zip else ()
        above = f"{self.strip}/" if self.strip else ""
        return [above + name[len(prefix) :] for name in listed if name.startswith(prefix)]

    def stamp(self, path: str) -> tuple[int, int] | None:
        """Return size and time of change of the file of an image, in a zip size and checksum; None without a file."""
        archive = self._archive if self.is_zip else None  # outside of `try`, as above
        try:
            if archive is None:
                status = self.file(path).stat()
                return status.st_size, status.st_mtime_ns
            info = archive.members[self._member(path)]
            return info.file_size, info.CRC
        except (DatasetError, OSError, KeyError):
            return None

    def file(self, path: str) -> Path:
        """Return the file of an image in a folder, symbolic links followed; it need not exist.

        Raises
        ------
        DatasetError
            If the path leaves the location.
        FileNotFoundError
            If the path is not under `strip`.
        """
        # realpath, not resolve: it is cheaper, and this runs once per image.
        file = os.path.realpath(self._root_prefix + self._relative(path))
        if not file.startswith(self._root_prefix):
            raise DatasetError(f"The path {path!r} leads outside {self.location} through a symbolic link.")
        return Path(file)

    def _relative(self, path: str) -> str:
        relative = safe_path(path)
        if not self.strip:
            return relative
        if not relative.startswith(f"{self.strip}/"):
            raise FileNotFoundError(f"{path!r} is not under {self.strip!r}")
        return relative[len(self.strip) + 1 :]

    @cached_property
    def _root_prefix(self) -> str:
        return os.path.realpath(self.location / self.inside).rstrip(os.sep) + os.sep

    def _member(self, path: str) -> str:
        relative = self._relative(path)
        return f"{self.inside}/{relative}" if self.inside else relative

    @cached_property
    def _archive(self) -> _Archive:
        # The process id, because forked processes would otherwise share one position in one open file.
        return _open_archive(str(self.location), self.location.stat().st_mtime_ns, os.getpid())


@lru_cache(maxsize=4)
def _open_archive(location: str, _modified: int, _process: int) -> _Archive:
    """Open a zip once per process: a pickled store arrives with every chunk of work, the index costs seconds."""
    return _Archive(location)


class _Archive:
    """An open zip with an index of its members by safe path."""

    def __init__(self, location: str) -> None:
        try:
            self._zip = zipfile.ZipFile(location)
        except (OSError, zipfile.BadZipFile) as error:
            raise DatasetError(
                f"{location} cannot be read as a zip: {reason_of(error)}. Download it again or move it away."
            ) from error
        self.members: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            if not info.is_dir():
                try:
                    self.members[safe_path(info.filename)] = info
                except DatasetError as error:
                    raise DatasetError(
                        f"{location} holds a member that does not stay inside it: {info.filename!r}. "
                        f"The file is not the original archive; nothing was read from it."
                    ) from error
        self._lock = threading.Lock()

    def read(self, member: str) -> bytes:
        info = self.members.get(member)
        if info is None:
            raise FileNotFoundError(f"no member {member!r} in the zip")
        _check_size(member, info.file_size)
        try:
            with self._lock:
                return self._zip.read(info)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            raise OSError(f"the zip member {member!r} is damaged or encrypted: {error}") from error


def _check_size(path: str, n_bytes: int) -> None:
    if n_bytes > MAX_IMAGE_BYTES:
        raise DatasetError(
            f"{path!r} has {n_bytes / 2**20:,.0f} MiB, more than an image can have ({MAX_IMAGE_BYTES // 2**20} MiB)."
        )
