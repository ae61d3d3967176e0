"""What is done to single files: hash, copy, give a name that nobody has; nothing here replaces a file."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.validation import DatasetError, reason_of
from veriwild_clustering.reporting.folders.journal import Record, sync_folder

__all__ = [
    "InTheWayError",
    "SourceError",
    "bring_over",
    "copy_image",
    "hash_file",
    "is_same",
    "is_under_way",
    "publish",
    "record_of",
    "take_away",
]

_CHUNK = 1 << 20
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}


class SourceError(Exception):
    """An image file that cannot be read: it is left where it is."""


class InTheWayError(Exception):
    """A file of somebody else has the name that is needed."""


def hash_file(file: Path) -> str:
    """Return the sha256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def record_of(file: Path) -> Record:
    """Return size, time and sha256 of an image file; SourceError if it cannot be read."""
    try:
        if not file.is_file():  # reading a pipe would wait for ever
            raise FileNotFoundError(errno.ENOENT, "no such file")
        before = file.stat()
        digest = hash_file(file)
        after = file.stat()
    except OSError as error:
        raise SourceError(error.strerror or reason_of(error)) from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise SourceError("changed while it was read")
    return Record(after.st_size, after.st_mtime_ns, digest)


def is_same(file: Path, record: Record, *, exactly: bool = False) -> bool:
    """Tell whether a file still is as recorded, by size and time, or else (always, with `exactly`) by its bytes."""
    if file.is_symlink() or not file.is_file():
        return False
    status = file.stat()
    if status.st_size != record.n_bytes:
        return False
    return (not exactly and status.st_mtime_ns == record.mtime_ns) or hash_file(file) == record.sha256


def is_under_way(source: Path, staged: Path, record: Record) -> bool:
    """Tell whether a file that is moved has left its place and waits to be named; else what is staged is a copy.

    Whatever lies at its old place by then came later and is none of our business.
    """
    if not staged.exists():
        return False
    return not os.path.lexists(source) or (
        is_same(staged, record, exactly=True) and not is_same(source, record, exactly=True)
    )


def copy_image(store: ImageStore, path: str, target: Path) -> Record:
    """Copy an image to `target` with times and permissions; SourceError if it cannot be read."""
    digest, n_bytes = hashlib.sha256(), 0
    source = None if store.is_zip else _checked_source(store, path)
    with target.open("wb") as stream:
        for chunk in _chunks(store, path, source):
            digest.update(chunk)
            n_bytes += len(chunk)
            _write(stream, chunk)
    if source is not None:
        shutil.copystat(source, target)
    return Record(n_bytes, target.stat().st_mtime_ns, digest.hexdigest())


def publish(staged: Path, target: Path) -> None:
    """Give a file its name, unless somebody else has it."""
    try:
        os.link(staged, target, follow_symlinks=False)
    except FileExistsError as error:
        if not target.is_symlink() and target.samefile(staged):  # killed between the two steps
            staged.unlink()
            return
        raise InTheWayError(str(target)) from error
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise InTheWayError(str(target)) from error
        staged.rename(target)
    else:
        staged.unlink()


def take_away(source: Path, staged: Path, target: Path, *, record: Record) -> None:
    """Move a file to `target` by way of `staged`, on another file system by a copy that is verified."""
    try:
        source.rename(staged)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        bring_over(source, staged, target, record=record)
    else:
        publish(staged, target)


def bring_over(source: Path, staged: Path, target: Path, *, record: Record) -> None:
    """Copy a file to another file system, verify it on the disk, give it its name, and only then delete it here."""
    with source.open("rb") as reading, staged.open("wb") as writing:
        while chunk := reading.read(_CHUNK):
            _write(writing, chunk)
        writing.flush()
        os.fsync(writing.fileno())
    shutil.copystat(source, staged)
    if not is_same(staged, record, exactly=True):
        raise OSError(errno.EIO, f"the copy of {source} is not what was read before")
    publish(staged, target)
    sync_folder(target.parent)
    source.unlink()


def _checked_source(store: ImageStore, path: str) -> Path:
    try:
        source = store.file(path)
        if not source.is_file():
            raise FileNotFoundError(errno.ENOENT, "no such file")
    except (DatasetError, OSError) as error:
        raise SourceError(getattr(error, "strerror", None) or reason_of(error)) from error
    return source


def _chunks(store: ImageStore, path: str, source: Path | None) -> Iterator[bytes]:
    """Yield the bytes of an image; what fails here fails for reading."""
    try:
        if source is None:
            yield store.read(path)
            return
        with source.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except (DatasetError, OSError) as error:
        raise SourceError(getattr(error, "strerror", None) or reason_of(error)) from error


def _write(stream: BinaryIO, chunk: bytes) -> None:
    stream.write(chunk)
