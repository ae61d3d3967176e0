"""What tells two groups of images apart: the attribute values whose shares differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.interpretation.evidence.attributes import Attribute
from veriwild_clustering.interpretation.evidence.tallies import (
    MAX_FALSE_SHARE,
    Tally,
    difference_interval,
    difference_p,
    q_values,
)

__all__ = ["contrasts"]

_MIN_DIFFERENCE = 0.2

_DTYPES = {
    "column": "object",
    "value": "object",
    **dict.fromkeys(("share", "other_share", "difference", "low", "high"), "float64"),
    "missing": "int64",
    "p_value": "float64",
}
_COLUMNS = tuple(_DTYPES)


def contrasts(
    pairs: Mapping[tuple[int, int], tuple[NDArray[np.int64], NDArray[np.int64]]],
    attributes: Sequence[Attribute],
    vehicles: NDArray[np.int64],
    *,
    names: tuple[str, str],
) -> pd.DataFrame:
    """Compare each pair of row sets, by attribute and value; a pair's key fills the columns `names`.

    `difference` is `share` − `other_share` with its 95 % interval, in which a vehicle is one observation; `q_value` is
    adjusted for all comparisons of the table. A row is `clear` if the interval excludes 0, the q-value is at most
    0.05 and the difference at least 0.2. Clear rows of a pair come first, then those of larger difference. `missing`
    counts the images of both whose value is not known.
    """
    parts: dict[str, list[Any]] = {name: [] for name in (*names, *_COLUMNS)}
    for key, rows in pairs.items():
        for attribute in attributes:
            found = _contrast(rows, attribute, vehicles)
            for name, values in (dict(zip(names, key, strict=True)) | found).items():
                parts[name].extend(np.broadcast_to(values, found["value"].shape))
    table = pd.DataFrame(parts).astype(_DTYPES | dict.fromkeys(names, "int64"))
    table["q_value"] = q_values(table["p_value"].to_numpy(dtype=float))
    apart = (table["low"] > 0) | (table["high"] < 0)
    large = table["difference"].abs() >= _MIN_DIFFERENCE
    table["clear"] = apart & large & (table["q_value"] <= MAX_FALSE_SHARE)
    # Where two values differ about as much, the one that is more frequent here says it better.
    keys = {
        "unclear": ~table["clear"],
        "about": -table["difference"].abs().round(1),
        "rarer": table["difference"] < 0,
        "size": -table["difference"].abs(),
    }
    ordered = table.assign(**keys).sort_values([*names, *keys], kind="stable", ignore_index=True)
    return ordered[[*names, *_COLUMNS, "q_value", "clear"]]


def _contrast(
    rows: tuple[NDArray[np.int64], NDArray[np.int64]], attribute: Attribute, vehicles: NDArray[np.int64]
) -> dict[str, Any]:
    """Return the columns of one attribute, values that occur in either group; none where it is unknown in one."""
    both = np.concatenate(rows)
    sides = np.repeat([0, 1], [len(side) for side in rows])
    tally = Tally(Attribute(attribute.name, attribute.codes[both], attribute.values), sides, 2, vehicles[both])
    occurs = np.flatnonzero(tally.counts.any(axis=0) & tally.known.all())
    shares = tally.shares[0, occurs], tally.shares[1, occurs]
    totals = np.full(len(occurs), tally.effective[0]), np.full(len(occurs), tally.effective[1])
    low, high = difference_interval(shares, totals)
    return {
        "column": attribute.name,
        "value": attribute.values[occurs],
        "share": shares[0],
        "other_share": shares[1],
        "difference": shares[0] - shares[1],
        "low": low,
        "high": high,
        "missing": len(both) - tally.known.sum(),
        "p_value": difference_p(shares, totals),
    }
