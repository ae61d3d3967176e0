"""A plan carried out: images in batches behind a journal, then what was left, contact sheets and the table."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

from veriwild_clustering.core.progress import track
from veriwild_clustering.core.storage.atomic import clear_errors, only_run
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.reporting.folders.contact_sheets import sheets_of, write_sheet
from veriwild_clustering.reporting.folders.files import InTheWayError, SourceError, hash_file, publish
from veriwild_clustering.reporting.folders.journal import Journal
from veriwild_clustering.reporting.folders.leftovers import list_leftovers
from veriwild_clustering.reporting.folders.plan import STATE, Plan, load_plan, refuse_links_in, save_plan
from veriwild_clustering.reporting.folders.transfers import Places

__all__ = ["LEFT", "TABLE", "check_place", "foresee", "sort_images"]

TABLE, LEFT = "folders.csv", "not_sorted.csv"
_BATCH = 64
_SHOWN = 5


def foresee(plan: Plan, out: Path) -> pd.DataFrame:
    """Return the table that a sorting would write, without hashes, or raise if it is not possible."""
    check_place(plan, out)
    moved = ImageStore(out)  # by a run that was killed, or has ended
    stamps = [
        plan.store.stamp(path) or moved.stamp(place) for path, place in zip(plan.paths, plan.destinations, strict=True)
    ]
    return _table(
        plan,
        n_bytes=[None if stamp is None else stamp[0] for stamp in stamps],
        digests=[""] * len(plan),
        there=[stamp is not None for stamp in stamps],
    )


def sort_images(plan: Plan, out: Path, *, progress: bool | None = None) -> pd.DataFrame:
    """Carry out a plan, or go on with it where a run that was killed left it; return its table."""
    check_place(plan, out)
    with clear_errors(out):
        existed = out.is_dir()
        out.mkdir(parents=True, exist_ok=True)
        with only_run(out / STATE, target=out):
            begun = load_plan(out)
            if begun is None:
                check_place(plan, out)  # again, now that nobody else is at work
                begun = replace(plan, made_out=not existed)
                save_plan(begun, out)
            _refuse_another(plan, begun, out)
            run = _Run(begun, out, Journal(out / STATE, n_rows=len(begun)), progress)
            run.finish()
            return run.table()


@dataclass(frozen=True)
class _Run:
    """One run over a plan with its journal."""

    plan: Plan
    out: Path
    journal: Journal
    progress: bool | None

    def finish(self) -> None:
        """Do all that the journal does not call done."""
        if self.journal.undoing:
            raise DatasetError(f"The sorting in {self.out} is half undone. Finish that first: undo it again.")
        if self.journal.complete:
            return
        places = Places(self.plan, self.out)
        places.stage.mkdir(exist_ok=True)
        for folder in sorted({place.partition("/")[0] for place in self.plan.destinations}):
            (self.out / folder).mkdir(exist_ok=True)
        starts = range(0, len(self.plan), _BATCH)
        for start in track(starts, description="sort images", unit="image", per_step=_BATCH, show=self.progress):
            self._sort(range(start, min(start + _BATCH, len(self.plan))), places)
        self._write_lists()
        for stale in places.stage.iterdir():  # halves of copies; a moved image is at its place by now
            stale.unlink()
        places.stage.rmdir()
        if hasattr(os, "sync"):
            os.sync()
        self.journal.append([("complete",)])

    def table(self) -> pd.DataFrame:
        """Return one row per image: what it was and where it is."""
        files = self.journal.files
        return _table(
            self.plan,
            n_bytes=[files[row].n_bytes if row in files else None for row in range(len(self.plan))],
            digests=[files[row].sha256 if row in files else "" for row in range(len(self.plan))],
            there=[row in files and row not in self.journal.left for row in range(len(self.plan))],
        )

    def _sort(self, rows: Sequence[int], places: Places) -> None:
        files, left = self.journal.files, self.journal.left
        entries: list[tuple[object, ...]] = []
        for row in rows:
            if row not in files and row not in left:
                try:
                    entries.append(("file", row, *places.prepare(row)))
                except SourceError as error:
                    entries.append(("left", row, str(error)))
        self.journal.append(entries)
        for row in rows:
            if row not in left:
                self._settle(row, places)

    def _settle(self, row: int, places: Places) -> None:
        """Bring one image to its place; one that changed since it was read is recorded anew first."""
        try:
            while (found := places.settle(row, self.journal.files[row])) != self.journal.files[row]:
                self.journal.append([("file", row, *found)])
        except SourceError as error:
            self.journal.append([("left", row, str(error))])
        except InTheWayError as error:
            raise DatasetError(
                f"{error} is in the way: another program put it there. Move it away and run this again."
            ) from error

    def _write_lists(self) -> None:
        left = [(self.plan.paths[row], reason) for row, reason in sorted(self.journal.left.items())]
        left += list_leftovers(self.plan, self.out)
        if left:
            lines = pd.DataFrame(left, columns=["path", "reason"])
            self._make(LEFT, lambda file: _write_csv(lines, file))
        if self.plan.contact_sheets:
            table = self.table()
            sheets = list(sheets_of(self.plan, table, self.out))
            if sheets:
                (self.out / "contact_sheets").mkdir(exist_ok=True)
            for sheet in track(sheets, description="contact sheets", unit="sheet", show=self.progress):
                self._make(sheet.name, partial(write_sheet, sheet))
        self._make(TABLE, lambda file: _write_csv(self.table(), file))

    def _make(self, name: str, write: Callable[[Path], None]) -> None:
        """Write a file of our own, in place of one from before a kill, but of nobody else."""
        staged, target = self.out / STATE / "made", self.out / name
        staged.unlink(missing_ok=True)  # after a kill it may be another name of the target
        write(staged)
        digest = hash_file(staged)
        if os.path.lexists(target):
            ours = target.is_file() and hash_file(target) in self.journal.made.get(name, set())
            if not ours:
                raise DatasetError(f"{target} is in the way: another program put it there. Move it away and run again.")
            target.unlink()
        self.journal.append([("made", name, digest)])
        publish(staged, target)


def check_place(plan: Plan, out: Path) -> None:
    """Refuse a folder that lies among the images, or holds files of somebody else."""
    with clear_errors(out):
        if out.exists() and not out.is_dir():
            raise DatasetError(f"{out} is a file. Name a folder that is empty or does not exist yet.")
        refuse_links_in(out, plan)
        begun = load_plan(out)
        if begun is not None:
            _refuse_another(plan, begun, out)
            return
        _refuse_among_images(plan, out)
        foreign = sorted(entry.name for entry in out.iterdir() if not _is_hidden(entry)) if out.is_dir() else []
    if foreign:
        shown = ", ".join(map(repr, foreign[:_SHOWN])) + (" …" if len(foreign) > _SHOWN else "")
        raise DatasetError(
            f"{out} is not empty: {len(foreign):,} files or folders, such as {shown}. Name a folder that is empty or "
            f"does not exist yet; nothing in it would be replaced."
        )


def _refuse_among_images(plan: Plan, out: Path) -> None:
    if plan.store.is_zip:
        return
    real = Path(os.path.realpath(out))
    for above in (real, *real.parents):
        with suppress(FileNotFoundError):
            if above.samefile(plan.listed):
                raise DatasetError(
                    f"{out} lies inside {plan.listed}, the folder of the images, and would be sorted with them next "
                    f"time. Name a folder beside it."
                )


def _refuse_another(plan: Plan, begun: Plan, out: Path) -> None:
    if not begun.follows(plan):
        raise DatasetError(
            f"{out} holds another sorting: other images, groups or options. Undo it first, or name another folder."
        )


def _is_hidden(entry: Path) -> bool:
    return entry.name.startswith(".") or entry.name in {"Thumbs.db", "desktop.ini"}


def _table(plan: Plan, *, n_bytes: Iterable[int | None], digests: Iterable[str], there: Sequence[bool]) -> pd.DataFrame:
    clusters = plan.clusters.tolist()
    return pd.DataFrame(
        {
            "path": list(plan.paths),
            "cluster": plan.clusters,
            "cluster_name": [plan.cluster_name(cluster) for cluster in clusters],
            "destination": [place if known else "" for place, known in zip(plan.destinations, there, strict=True)],
            "n_bytes": pd.array(list(n_bytes), dtype="Int64"),
            "sha256": list(digests),
        }
    )


def _write_csv(table: pd.DataFrame, file: Path) -> None:
    table.to_csv(file, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
