"""The finished files of an extraction: vectors, the table of images, and what each descriptor was made of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.storage.atomic import clear_errors, write_atomically
from veriwild_clustering.core.storage.vector_files import map_npy

__all__ = ["Results"]

_MANIFEST, _TABLE = "extraction.json", "images.parquet"


class Results:
    """The folder of an extraction. The manifest says which of its files are whole, and what they were made of.

    Parameters
    ----------
    folder : Path
        The folder; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: dict[str, Any] = {}
        try:
            made = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))["descriptors"]
            if (folder / _TABLE).exists():
                self._made = {name: {"key": entry["key"], "params": entry["params"]} for name, entry in made.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # not there yet, or damaged: made anew
            return

    def holds(self, name: str, key: str) -> bool:
        """Tell whether the folder holds a descriptor of this key."""
        return self._made.get(name, {}).get("key") == key and self._file(name).exists()

    def take_over(self, unfinished: Path, table: pd.DataFrame, made: Mapping[str, Mapping[str, Any]]) -> None:
        """Take the vectors of new descriptors out of the folder in which they grew, and remove that.

        Descriptors that are here stay if the table says the same of them: same images, same preparation. Each step can
        be repeated: a run killed between two of them is finished by the next.
        """
        told = _told(next(iter(made.values())))
        same = {name: entry for name, entry in self._made.items() if _told(entry) == told}
        kept = {name: entry for name, entry in same.items() if name not in made and self._file(name).exists()}
        with clear_errors(self.folder):
            if self._made != kept:
                self._note(kept)  # from here on nothing vouches for a file that is about to be replaced
            for name in made:
                if (unfinished / f"{name}.npy").exists():
                    (unfinished / f"{name}.npy").replace(self._file(name))
            flags = [f"has_{name}" for name in kept]
            if flags:
                table = table.join(pd.read_parquet(self.folder / _TABLE, columns=flags))
            with write_atomically(unfinished / _TABLE) as temporary:  # there, nothing is left of it after a kill
                table.to_parquet(temporary)
            (unfinished / _TABLE).replace(self.folder / _TABLE)
            self._note({**kept, **made})
            shutil.rmtree(unfinished)

    def open(self, names: Sequence[str]) -> tuple[pd.DataFrame, dict[str, Descriptor]]:
        """Return the table, with the flags of these descriptors alone, and the descriptors."""
        table = pd.read_parquet(self.folder / _TABLE)
        flags = [column for column in table.columns if column.startswith("has_")]
        descriptors = {
            name: Descriptor(
                name,
                map_npy(self._file(name)),
                table[f"has_{name}"].to_numpy(dtype=bool),
                params=self._made[name]["params"],
            )
            for name in names
        }
        return table.drop(columns=flags).join(table[[f"has_{name}" for name in names]]), descriptors

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _note(self, made: dict[str, Any]) -> None:
        with write_atomically(self.folder / _MANIFEST) as temporary:
            temporary.write_text(json.dumps({"descriptors": made}, indent=2, sort_keys=True), encoding="utf-8")
        self._made = made


def _told(entry: Mapping[str, Any]) -> list[Any]:
    """Return what the table of images depends on."""
    return [entry["params"].get(name) for name in ("images", "preparation", "max_pixels")]
