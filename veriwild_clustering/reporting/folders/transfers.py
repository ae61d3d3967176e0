"""The four ways to bring an image into its folder; each can be repeated after a kill at any moment."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from veriwild_clustering.core.validation import DatasetError, reason_of
from veriwild_clustering.reporting.folders.files import (
    InTheWayError,
    SourceError,
    copy_image,
    is_same,
    is_under_way,
    publish,
    record_of,
    take_away,
)
from veriwild_clustering.reporting.folders.journal import Record
from veriwild_clustering.reporting.folders.plan import STATE, Plan

__all__ = ["Places"]


@dataclass(frozen=True)
class Places:
    """Where the files of a sorting are and shall be.

    `prepare` reads an image and says what it is, `settle` brings it into its folder. Between the two the journal takes
    the record, so whatever `settle` finds after a kill, it knows which file it is.
    """

    plan: Plan
    out: Path

    @property
    def stage(self) -> Path:
        """Where files are whole but have no name yet."""
        return self.out / STATE / "stage"

    def staged(self, row: int) -> Path:
        """Return the name of an image on its way."""
        return self.stage / str(row)

    def source(self, row: int) -> Path:
        """Return where an image lay; SourceError if that is no place it may be in."""
        try:
            return self.plan.store.file(self.plan.paths[row])
        except (DatasetError, OSError) as error:
            raise SourceError(reason_of(error)) from error

    def target(self, row: int) -> Path:
        """Return where an image shall lie."""
        return self.out / self.plan.destinations[row]

    def prepare(self, row: int) -> Record:
        """Return what an image is, for copying with the copy made; SourceError if it cannot be read."""
        if self.plan.transfer == "copy":
            return copy_image(self.plan.store, self.plan.paths[row], self.staged(row))
        return record_of(self.source(row))

    def settle(self, row: int, record: Record) -> Record:
        """Bring an image into its folder if it is not there, and return what it is.

        Raises
        ------
        InTheWayError
            If another file has its place.
        SourceError
            If it is gone.
        """
        steps: dict[str, Callable[[int, Record], Record]] = {
            "copy": self._copy,
            "move": self._move,
            "hardlink": self._hardlink,
            "symlink": self._symlink,
        }
        return steps[self.plan.transfer](row, record)

    def _copy(self, row: int, record: Record) -> Record:
        staged, target = self.staged(row), self.target(row)
        if os.path.lexists(target):
            if not is_same(target, record):
                raise InTheWayError(str(target))
            staged.unlink(missing_ok=True)
            return record
        if not is_same(staged, record):
            again = self.prepare(row)
            if again != record:
                return again  # not settled yet: the new record goes into the journal first
        publish(staged, target)
        return record

    def _move(self, row: int, record: Record) -> Record:
        source, staged, target = self.source(row), self.staged(row), self.target(row)
        if is_under_way(source, staged, record):
            publish(staged, target)
            return record
        if not os.path.lexists(source):
            if not os.path.lexists(target):
                raise SourceError("neither at its old place nor at its new one")
            return record
        if os.path.lexists(target):  # killed between copying and deleting, or not ours
            if not (is_same(source, record, exactly=True) and is_same(target, record, exactly=True)):
                raise InTheWayError(str(target))
            source.unlink()
            return record
        if not is_same(source, record):
            return record_of(source)
        try:
            take_away(source, staged, target, record=record)
        except FileNotFoundError as error:
            if os.path.lexists(source) or os.path.lexists(staged):
                raise
            raise SourceError("another program took it away") from error
        return record

    def _hardlink(self, row: int, record: Record) -> Record:
        source, target = self.source(row), self.target(row)
        try:
            os.link(source, target)
        except FileExistsError as error:
            if not source.exists() or target.is_symlink() or not target.samefile(source):
                raise InTheWayError(str(target)) from error
        except FileNotFoundError as error:
            raise SourceError("no such file") from error
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise DatasetError(
                    f"{self.out} is on another file system than {source}: hard links cannot lead there. Copy or move."
                ) from error
            raise
        return record

    def _symlink(self, row: int, record: Record) -> Record:
        source, target = self.source(row), self.target(row)
        try:
            target.symlink_to(source)
        except FileExistsError as error:
            if not (target.is_symlink() and target.readlink() == source):
                raise InTheWayError(str(target)) from error
        return record
