"""A sorting taken back: everything is checked first, then each image goes back to its place."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd

from veriwild_clustering.core.progress import track
from veriwild_clustering.core.storage.atomic import clear_errors, only_run
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.reporting.folders.files import (
    InTheWayError,
    SourceError,
    bring_over,
    hash_file,
    is_same,
    is_under_way,
    publish,
)
from veriwild_clustering.reporting.folders.journal import Journal, Record
from veriwild_clustering.reporting.folders.plan import (
    STATE,
    Plan,
    check_source,
    load_plan,
    refuse_links_in,
    remove_plan,
)
from veriwild_clustering.reporting.folders.transfers import Places

__all__ = ["undo_folders"]

_SHOWN = 20


def undo_folders(out: str | Path, *, source: str | Path | None = None, progress: bool | None = None) -> pd.DataFrame:
    """Take back what `write_folders` did: moved images return to their places, copies and links are removed.

    Parameters
    ----------
    out : str or Path
        The folder that was written.
    source : str or Path, optional
        The folder from which the images came, needed where they were moved. Nothing outside of these two folders is
        touched, whatever is written in `out`: it may come from somebody else.
    progress : bool, optional
        Show a progress bar; by default where somebody watches.

    Returns
    -------
    DataFrame
        One row per image: `path`, `destination`, and `undone`: "moved back", "removed", or "" where nothing was to do.

    Raises
    ------
    DatasetError
        If the folder holds no sorting, another run is at work in it, or an image cannot go back: it was changed since,
        another file lies at its place, or the original of a copy is gone. All of these are listed, and nothing is done.
        Also if `source` is missing or another folder, or what is written in `out` is damaged or leads out of it.

    Notes
    -----
    O(bytes of all images): each file is read and compared with its checksum before the first is touched. Bytes, names
    and times of the images are as before. Files that others put into the folders stay, and so do their folders. An undo
    that was killed is finished by the same call.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor, ImageStore, Partition, undo_folders, write_folders
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "in").mkdir()
    >>> size = (folder / "in/a.jpg").write_bytes(b"an image")
    >>> dataset = Dataset(pd.DataFrame({"path": ["a.jpg"]}), image_store=ImageStore(folder / "in"))
    >>> partition = Partition([0], Descriptor("toy", np.zeros((1, 1))), "by hand")
    >>> table = write_folders(dataset, partition, folder / "out", transfer="move", contact_sheets=False)
    >>> undo_folders(folder / "out", source=folder / "in")["undone"].to_list()
    ['moved back']
    >>> sorted(path.name for path in folder.iterdir())
    ['in']
    """
    out = Path(out)
    refuse_links_in(out)
    plan = load_plan(out)
    if plan is None:
        raise DatasetError(f"{out} holds no sorting that could be undone. Name the folder that was written.")
    refuse_links_in(out, plan)
    check_source(plan, source, out)
    with clear_errors(out):
        with only_run(out / STATE, target=out):
            journal = Journal(out / STATE, n_rows=len(plan))
            places = Places(plan, out)
            rows = [row for row in sorted(journal.files) if row not in journal.left]
            try:
                _check(rows, journal, places, progress=progress)
            except SourceError as error:
                raise DatasetError(f"{out} cannot be undone: {error}.") from error
            if not journal.undoing:
                journal.append([("undo",)])
            done = [""] * len(plan)
            for row in track(rows, description="undo", unit="image", show=progress):
                done[row] = _put_back(row, journal.files[row], places)
            _remove_own_files(plan, places, journal)
            journal.remove()
            remove_plan(out)  # last: as long as it is there, there is something to undo
        if plan.made_out:
            with suppress(OSError):  # others put files there
                out.rmdir()
    return pd.DataFrame({"path": list(plan.paths), "destination": list(plan.destinations), "undone": done})


def _check(rows: list[int], journal: Journal, places: Places, *, progress: bool | None) -> None:
    """Refuse an undo that would lose something, with a list of all images in question."""
    found = (
        f"{places.plan.destinations[row]} {reason}"
        for row in track(rows, description="check", unit="image", show=progress)
        for reason in _hindrances(row, journal.files[row], places)
    )
    listed = list(found)
    if listed:
        more = f"; and {len(listed) - _SHOWN:,} more" if len(listed) > _SHOWN else ""
        raise DatasetError(
            f"{places.out} cannot be undone, nothing was touched. {len(listed):,} images are not as they were left: "
            f"{'; '.join(listed[:_SHOWN])}{more}. Put these right and undo again."
        )


def _hindrances(row: int, record: Record, places: Places) -> Iterator[str]:
    target = places.target(row)
    if places.plan.transfer == "move":
        yield from _hindrances_of_move(row, record, places)
    elif not os.path.lexists(target):
        return
    elif places.plan.transfer == "symlink":
        if not target.is_symlink() or target.readlink() != places.source(row):
            yield "is another file by now"
    elif not _is_one_file(target, row, places):
        if not is_same(target, record, exactly=True):
            yield "was changed"
        elif not _has_original(places.plan.store, places.plan.paths[row], record):
            yield f"is the only one left: its original {places.plan.paths[row]} was changed or removed"


def _hindrances_of_move(row: int, record: Record, places: Places) -> Iterator[str]:
    source, staged, target = places.source(row), places.staged(row), places.target(row)
    here = os.path.lexists(target)
    if here and not is_same(target, record, exactly=True):
        yield "was changed"
    elif (here or is_under_way(source, staged, record)) and os.path.lexists(source):
        if not is_same(source, record, exactly=True):
            yield f"cannot go back: another file is at {source}"
    elif not here and not os.path.lexists(source) and not is_same(staged, record, exactly=True):
        yield "was changed" if os.path.lexists(staged) else "is gone"
    above = next(folder for folder in source.parents if os.path.lexists(folder))
    if not above.is_dir():
        yield f"cannot go back: {above} is a file by now"


def _is_one_file(target: Path, row: int, places: Places) -> bool:
    """Tell whether a hard link and its image are one file still: then nothing is lost with the link."""
    if places.plan.transfer != "hardlink" or target.is_symlink():
        return False
    source = places.source(row)
    return source.exists() and target.samefile(source)


def _has_original(store: ImageStore, path: str, record: Record) -> bool:
    if not store.is_zip:
        return is_same(store.file(path), record, exactly=True)
    stamp = store.stamp(path)
    if stamp is None or stamp[0] != record.n_bytes:
        return False
    try:
        return hashlib.sha256(store.read(path)).hexdigest() == record.sha256  # reading checks the CRC of the member
    except (DatasetError, OSError):
        return False


def _put_back(row: int, record: Record, places: Places) -> str:
    """Undo what was done to one image; each step can be repeated after a kill."""
    target = places.target(row)
    if places.plan.transfer != "move":
        if not os.path.lexists(target):
            return ""
        target.unlink()
        return "removed"
    source, staged = places.source(row), places.staged(row)
    try:
        if os.path.lexists(source):
            if not os.path.lexists(target):
                return ""
            if not is_same(source, record, exactly=True):
                raise InTheWayError(str(source))
            target.unlink()  # a second copy: of a run killed between copying and deleting
            return "moved back"
        source.parent.mkdir(parents=True, exist_ok=True)
        _return(target if os.path.lexists(target) else staged, source, record=record)
    except (InTheWayError, SourceError) as error:
        raise DatasetError(f"{error} is in the way. Move it away and undo again.") from error
    return "moved back"


def _return(file: Path, source: Path, *, record: Record) -> None:
    try:
        publish(file, source)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        bring_over(file, source.parent / f"{STATE}-{record.sha256}", source, record=record)


def _remove_own_files(plan: Plan, places: Places, journal: Journal) -> None:
    """Remove what was written besides the images, as far as nobody changed it, and folders that are empty."""
    for name, digests in journal.made.items():
        file = places.out / name
        inside = file.resolve() == places.out.resolve() / name  # no link leads away
        if inside and file.is_file() and hash_file(file) in digests:
            file.unlink()
    (places.out / STATE / "made").unlink(missing_ok=True)
    if places.stage.is_dir():
        for staged in places.stage.iterdir():  # halves of copies: what had left its place is back
            staged.unlink()
        places.stage.rmdir()
    for folder in sorted({place.partition("/")[0] for place in plan.destinations} | {"contact_sheets"}):
        with suppress(OSError):  # it holds files of others, or was never made
            (places.out / folder).rmdir()
