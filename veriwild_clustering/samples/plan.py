"""The plan of a drawn sample, its truth: what each image shows, when, from where, and what is wrong with it."""

from __future__ import annotations

import string
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.samples.bodies import BODIES, PAINTS
from veriwild_clustering.samples.scenes import SITES

__all__ = ["CORRUPTIONS", "TRUTH_COLUMNS", "plan_images"]

CORRUPTIONS = ("blur", "dark", "glare", "empty", "not a vehicle")
TRUTH_COLUMNS = ["path", "vehicle_id", "camera", "time", "time_of_day", "view", "type", "color", "corruption"]

_BAD_SHARE = 0.04
_IMAGES_PER_VEHICLE, _MOST_IMAGES = 6, 12
_FOLDERS, _MODELS = 10, 4
_VIEW_ANGLES = {"front": (0, 15), "side": (90, 10), "rear": (180, 15)}
_HOURS = {"day": (7.0, 17.0), "dusk": (17.0, 19.5), "night": (19.5, 24.0)}
_HOUR_SHARES = (0.62, 0.16, 0.22)


def plan_images(n_images: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return one row per image in the row order of the raw data, with the truth and what drawing needs beside it.

    Folders follow each other as a listing gives them (1, 10, 2, …, 9); image numbers run on over folders as numbers.
    """
    vehicles = _plan_vehicles(max(_FOLDERS, n_images // _IMAGES_PER_VEHICLE), rng)
    counts = _images_per_vehicle(len(vehicles), n_images, rng)
    plan = vehicles.loc[vehicles.index.repeat(counts)].reset_index(drop=True)
    plan = plan.join(_plan_sightings(n_images, rng))
    plan = plan.sort_values(["vehicle_id", "moment"], kind="stable", ignore_index=True)
    plan["time"] = plan.pop("moment").dt.strftime("%Y-%m-%d %H:%M:%S")
    number = pd.Series(np.arange(1, n_images + 1)).map("{:06d}".format)
    plan["path"] = "veriwild/" + plan["folder"] + "/" + plan["vehicle_id"] + "/" + number + ".jpg"
    plan = plan.join(_plan_damage(n_images, rng))
    return plan.sort_values("folder", kind="stable", ignore_index=True)


def _plan_vehicles(n_vehicles: int, rng: np.random.Generator) -> pd.DataFrame:
    """One row per vehicle: one type, one model, one colour."""
    types = _quota({name: body.share for name, body in BODIES.items()}, n_vehicles, rng)
    colors = _quota({name: share for name, (_, share) in PAINTS.items()}, n_vehicles, rng)
    letters = rng.integers(_MODELS, size=n_vehicles)
    tints = rng.normal(0, 2, (n_vehicles, 3)) + rng.normal(0, 7, (n_vehicles, 1))
    paints = np.clip(np.array([PAINTS[color][0] for color in colors]) + tints, 12, 245)
    folders = np.repeat(np.arange(1, _FOLDERS + 1), [len(part) for part in np.array_split(types, _FOLDERS)])
    return pd.DataFrame(
        {
            "vehicle_id": [f"{number:05d}" for number in range(1, n_vehicles + 1)],
            "folder": folders.astype(str),
            "type": types,
            "model": [f"{name} {string.ascii_uppercase[letter]}" for name, letter in zip(types, letters, strict=True)],
            "color": colors,
            "paint": list(map(tuple, paints.tolist())),
        }
    )


def _quota(shares: Mapping[str, float], total: int, rng: np.random.Generator) -> NDArray[np.str_]:
    """Return `total` names in random order, each at least once where there is room, the rest by `shares`."""
    names = np.array(list(shares))
    weights = np.array(list(shares.values()))
    rest = max(0, total - len(names))
    exact = rest * weights / weights.sum()
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: rest - counts.sum()]] += 1
    return rng.permutation(np.concatenate([names[:total], np.repeat(names, counts)]))


def _images_per_vehicle(n_vehicles: int, n_images: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return counts from 1 to 12 that add up to `n_images`."""
    counts = rng.integers(1, _MOST_IMAGES + 1, n_vehicles)
    while excess := int(counts.sum()) - n_images:
        step = -int(np.sign(excess))
        movable = np.flatnonzero(counts > 1 if step < 0 else counts < _MOST_IMAGES)
        counts[rng.choice(movable, min(abs(excess), len(movable)), replace=False)] += step
    return counts


def _plan_sightings(n_images: int, rng: np.random.Generator) -> pd.DataFrame:
    """When and from where each image is taken: a camera mostly sees one view."""
    camera = rng.integers(len(SITES), size=n_images)
    usual = np.array([site.view for site in SITES])[camera]
    view = np.where(rng.random(n_images) < 0.8, usual, rng.choice(list(_VIEW_ANGLES), n_images))
    middle, spread = np.array([_VIEW_ANGLES[name] for name in view], dtype=float).T
    lean = np.array([site.lean for site in SITES])[camera]
    azimuth = middle + lean * (view != "side") + np.clip(rng.normal(0, 0.4, n_images), -1, 1) * spread
    time_of_day = rng.choice(list(_HOURS), n_images, p=_HOUR_SHARES)
    first, last = np.array([_HOURS[name] for name in time_of_day]).T
    hours = 24 * rng.integers(0, 30, n_images) + first + (last - first) * rng.random(n_images)
    moment = pd.Timestamp("2018-03-01") + pd.to_timedelta((hours * 3600).astype(int), unit="s")
    return pd.DataFrame(
        {
            "camera": camera + 1,
            "moment": moment,
            "time_of_day": time_of_day,
            "view": view,
            "azimuth": azimuth * np.where((view == "side") & (rng.random(n_images) < 0.5), -1, 1),
        }
    )


def _plan_damage(n_images: int, rng: np.random.Generator) -> pd.DataFrame:
    """What is wrong with which image, and how much (0 for a good one)."""
    n_bad = max(len(CORRUPTIONS), round(_BAD_SHARE * n_images))
    bad = rng.choice(n_images, n_bad, replace=False)
    corruption = np.full(n_images, "", dtype=object)
    corruption[bad] = np.resize(np.array(CORRUPTIONS, dtype=object), n_bad)
    severity = np.zeros(n_images)
    severity[bad] = rng.uniform(0.2, 1.0, n_bad)
    return pd.DataFrame({"corruption": corruption, "severity": severity})
