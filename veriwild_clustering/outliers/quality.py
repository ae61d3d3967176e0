"""From measured image quality to outlier scores: how rare so bad a value is, and what else is known of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_choice, check_known_names
from veriwild_clustering.images.quality.measures import QUALITY
from veriwild_clustering.outliers.calibration import tail_evidence
from veriwild_clustering.outliers.reasons import QUALITY_GROUP, joined_findings
from veriwild_clustering.outliers.scores import OutlierScores

__all__ = ["quality_outliers"]

_SHARES = frozenset({"dark_share", "glare_share"})

End = Literal["low", "high", "both"]


def quality_outliers(
    images: pd.DataFrame,
    *,
    columns: Sequence[str] | Mapping[str, End] | None = None,
    duplicates: pd.DataFrame | None = None,
    contamination: float | None = None,
) -> OutlierScores:
    """Score how bad each image is technically: a part per quality measure, to be joined with those of descriptors.

    Parameters
    ----------
    images : DataFrame
        The image table with quality measures, one row per image.
    columns : sequence of str or mapping of str to {"low", "high", "both"}, optional
        Which measures to take; a mapping says which end is bad, which other columns than the package's own need, such
        as `{"width": "low"}`. By default all measures of `quality_measures` that the table has.
    duplicates : DataFrame, optional
        What `near_duplicates` returns: these images are flagged as well, with the image that each repeats. By default
        they are not, since in video nearly all images have a look-alike.
    contamination : float in [0, 0.5], optional
        Share of the images to flag. By default the scores decide.

    Returns
    -------
    OutlierScores
        One part "quality: low sharpness" per measure and bad end. Images without any measure are flagged, and so are
        those with a finding: a file that cannot be read (`image_status`), no vehicle (`n_vehicles` is 0).

    Raises
    ------
    ValueError
        If a column is not in the table, it is not known which end of it is bad, or no measure has a value.

    Notes
    -----
    The tail beyond the 90 % quantile is exponential in the measure. The low end of what cannot be negative is taken in
    logarithms, since zero is near: half the sharpness is one step away, a quarter two. The high end of a share of
    pixels, which is 0 for most images, is taken as the arcsine of its root, which evens its spread. O(n log n).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import quality_outliers
    >>> rng = np.random.default_rng(0)
    >>> images = pd.DataFrame({"sharpness": rng.lognormal(7, size=200), "dark_share": rng.beta(1, 20, size=200)})
    >>> images.loc[[3, 7], "sharpness"], images.loc[7, "dark_share"] = 1.0, 0.9
    >>> found = quality_outliers(images)
    >>> for row in found.ranking()[:2]:
    ...     print(row, found.reasons[row])
    7 too dark: dark share in the highest 0.5 %
    3 blurred: sharpness in the lowest 1 %
    """
    parts: dict[str, NDArray[np.float64]] = {}
    for name, bad in _bad_ends(images, columns).items():
        values = pd.to_numeric(images[name]).to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isfinite(values).any():
            ends = ("low", "high") if bad == "both" else (bad,)
            values = np.arcsin(np.sqrt(values)) if name in _SHARES else values
            parts |= {f"{QUALITY_GROUP}: {end} {name}": _evidence(values, low=end == "low") for end in ends}
    if not parts:
        raise ValueError(
            "`images` must have values in a quality column. Got none: measure the images with `measure_images`, "
            "or name your own `columns`."
        )
    table = pd.DataFrame(parts)
    return OutlierScores(
        table,
        contamination,
        {"quality": tuple(part.partition(": ")[2] for part in parts)},
        groups=(QUALITY_GROUP,) * len(parts),
        findings=_findings(images, duplicates),
    )


def _bad_ends(images: pd.DataFrame, columns: Sequence[str] | Mapping[str, End] | None) -> Mapping[str, End]:
    """Return which end is bad of each column."""
    if columns is None:
        return {name: measure.bad for name, measure in QUALITY.items() if name in images}
    check_known_names("column", columns, [str(name) for name in images.columns])
    if isinstance(columns, Mapping):
        for name, end in columns.items():
            check_choice(f"columns[{name!r}]", end, ("low", "high", "both"))
        return columns
    check_known_names("quality measure, so say which end of it is bad,", columns, QUALITY)
    return {name: QUALITY[name].bad for name in columns}


def _evidence(values: NDArray[np.float64], *, low: bool) -> NDArray[np.float64]:
    """Return −log10 of the probability that an ordinary image is so far towards one end; NaN where it is unknown."""
    evidence = np.full(len(values), np.nan)
    known = np.isfinite(values)
    taken = values[known]
    if low and taken.min() >= 0 and taken.max() > 0:
        taken = np.log(np.maximum(taken, taken[taken > 0].min() / 2))
    evidence[known] = tail_evidence(-taken if low else taken)
    return evidence


def _findings(images: pd.DataFrame, duplicates: pd.DataFrame | None) -> NDArray[np.object_]:
    """Return what is known about each image beside the measures, "" for nothing."""
    said = np.full((len(images), 3), "", dtype=object)
    if "image_status" in images:
        status = images["image_status"].fillna("ok").to_numpy(dtype=object)
        said[:, 0] = np.where(status == "ok", "", "image file " + status)
    if "n_vehicles" in images:
        said[images["n_vehicles"].isin([0]).to_numpy(), 1] = "no vehicle found"
    if duplicates is not None:
        names = images["path"] if "path" in images else pd.Series(range(len(images)))
        said[duplicates["row"], 2] = [f"near-duplicate of {name}" for name in names.iloc[duplicates["other"]]]
    return joined_findings(said)
