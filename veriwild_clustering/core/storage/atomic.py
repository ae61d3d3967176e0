"""Writing so that a killed run leaves the old files or the new ones, and so that no two runs write into each other."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from veriwild_clustering.core.validation import DatasetError

__all__ = [
    "MANIFEST",
    "clear_errors",
    "create_atomically",
    "finish_commit",
    "only_run",
    "staged_dataset",
    "vectors_folder",
    "write_atomically",
]

MANIFEST = "manifest.json"
_STAGE, _LOCK = ".partial", ".lock"


@contextmanager
def write_atomically(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary name beside `path`; on leaving without an error, what was written there becomes `path`.

    What is not `durable`, such as a cache, is not pushed to the disk: a machine that loses its power may lose it.

    Raises
    ------
    DatasetError
        If the folder cannot be written to.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "note.txt"
    >>> with write_atomically(target) as temporary:
    ...     size = temporary.write_text("whole")
    >>> target.read_text(), len(list(target.parent.iterdir()))
    ('whole', 1)
    """
    target = Path(path)
    with clear_errors(target), _temporary(target) as temporary:
        yield temporary
        if durable:
            _sync(temporary)
        temporary.replace(target)


@contextmanager
def create_atomically(path: str | Path) -> Iterator[Path]:
    """Do as `write_atomically` does, but never replace: of several that create one file, in any process, one does.

    Raises
    ------
    FileExistsError
        If the file is there already, also where it came while this one was written.
    DatasetError
        If the folder cannot be written to, or its file system has no hard links.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "note.txt"
    >>> for text in ("first", "second"):
    ...     try:
    ...         with create_atomically(target) as temporary:
    ...             size = temporary.write_text(text)
    ...     except FileExistsError:
    ...         print(text, "came too late")
    second came too late
    >>> target.read_text()
    'first'
    """
    target = Path(path)
    taken = False
    with clear_errors(target), _temporary(target) as temporary:
        yield temporary
        _sync(temporary)
        try:
            os.link(temporary, target)  # a rename would replace
            _sync(target.parent)
        except FileExistsError:
            taken = True
    if taken:
        raise FileExistsError(f"{target} exists already.")


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """Give an empty file beside the target, which is gone in the end unless it was moved."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes it private; a result is not a secret
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def only_run(folder: Path, *, target: Path) -> Iterator[None]:
    """Keep other runs that write `target` out of a folder, which is made for that, and removed again if it is empty.

    Raises
    ------
    DatasetError
        If another run is at work, or the folder cannot be written to.
    """
    from filelock import FileLock, Timeout

    with clear_errors(target):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise DatasetError(f"Another run is writing {target}. Wait until it has ended.") from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no file that is open
            (folder / _LOCK).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):  # it is not empty
            folder.rmdir()


def vectors_folder(csv: Path) -> Path:
    """Return the folder that holds the vectors and the manifest of a dataset's CSV."""
    return csv.with_suffix("")


@contextmanager
def staged_dataset(csv: Path) -> Iterator[Path]:
    """Give an empty folder for the files of a dataset; on leaving without an error they take their places together.

    The CSV is written into it under its own name, everything else belongs to `vectors_folder(csv)`. The manifest, in
    the staging folder, marks it complete: from then on `finish_commit` can finish the move, whoever calls it.

    Raises
    ------
    DatasetError
        If the folder cannot be written to.
    """
    folder = vectors_folder(csv)
    with clear_errors(csv):
        if csv.is_dir():
            raise IsADirectoryError("it is a folder")
        if csv.parent.is_dir() and not os.access(csv.parent, os.W_OK):
            raise PermissionError("no permission to write in its folder")
        stage = folder / _STAGE
        existed = folder.exists()
        if stage.exists():
            shutil.rmtree(stage)
        stage.mkdir(parents=True)
        try:
            yield stage
        except BaseException:
            shutil.rmtree(folder if not existed else stage, ignore_errors=True)
            raise
        for file in sorted(stage.iterdir(), key=lambda file: file.name == MANIFEST):
            _sync(file)
        _sync(stage)
        finish_commit(csv)


def finish_commit(csv: Path) -> None:
    """Move the files of a complete staging folder to their places; do nothing where there is none.

    Each step can be repeated, so a run killed between two of them is finished by the next call.
    """
    folder = vectors_folder(csv)
    stage = folder / _STAGE
    if not (stage / MANIFEST).is_file():
        return
    with clear_errors(csv):
        for stale in _vector_files(folder / MANIFEST) - _vector_files(stage / MANIFEST):
            (folder / stale).unlink(missing_ok=True)
        # Vectors first, then the CSV, the manifest last: as long as it is in the stage the work is not done.
        for file in sorted(stage.iterdir(), key=lambda file: (file.name == MANIFEST, file.name == csv.name)):
            file.replace(csv if file.name == csv.name else folder / file.name)
        _sync(folder)
        _sync(csv.parent)
        stage.rmdir()


def _vector_files(manifest: Path) -> set[str]:
    try:
        listed = json.loads(manifest.read_text(encoding="utf-8"))["descriptors"]
        return {Path(entry["file"]).name for entry in listed if entry["file"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


@contextmanager
def clear_errors(target: Path) -> Iterator[None]:
    """Say which output cannot be written, and what to do, whatever the system call."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise DatasetError(
            f"Cannot write {target}: {reason}. Choose another place, or make room and give permission to write there."
        ) from error


def _sync(path: Path) -> None:
    """Push a file or a folder to the disk; folders cannot be opened for that on Windows."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
