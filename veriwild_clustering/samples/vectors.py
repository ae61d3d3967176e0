"""Simulated descriptors: random features of what each image shows, rectified as the last layer of a deep network is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["simulate_vectors"]

_LATENT = 64
_OF_SCENE = ("camera", "time")
Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Recipe:
    """How strongly each factor of an image shows in one descriptor, beside what no factor explains."""

    n_features: int
    weights: Mapping[str, float]
    scatter: float


_RECIPES = {
    "efficientnet-b7.pickle": _Recipe(
        2560, {"camera": 0.75, "time": 0.6, "view": 0.5, "pose": 0.6, "type": 0.4, "paint": 0.4, "vehicle": 0.55}, 0.8
    ),
    "osnet.pickle": _Recipe(
        512, {"vehicle": 0.75, "paint": 0.75, "view": 0.6, "type view": 0.4, "type": 0.3, "camera": 0.2}, 0.55
    ),
    "vdc_type.pickle": _Recipe(
        512, {"type view": 0.55, "type": 0.65, "view": 0.7, "pose": 0.35, "model": 0.4, "vehicle": 0.4}, 1.3
    ),
    "vdc_color.pickle": _Recipe(128, {"paint": 1.4, "time": 0.35, "view": 0.25, "type": 0.2}, 1.0),
}


def simulate_vectors(plan: pd.DataFrame, rng: np.random.Generator) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield file name and vectors, shape (n_images, n_features), of each descriptor for the rows of a plan."""
    for file_name, recipe in _RECIPES.items():
        yield file_name, _simulate(plan, recipe, rng)


def _simulate(plan: pd.DataFrame, recipe: _Recipe, rng: np.random.Generator) -> NDArray[np.float32]:
    """Mix the codes of the factors, spread them over correlated features and rectify.

    A bad image loses part of what it shows, the more so the worse it is, and shows something of its own instead;
    blur silences the features of fine detail, darkness all of them.
    """
    n_images, n_features = len(plan), recipe.n_features
    codes = _codes(plan, rng)
    content, scene = (
        sum((weight * codes[name] for name, weight in recipe.weights.items() if (name in _OF_SCENE) == of_scene), 0.0)
        for of_scene in (False, True)
    )
    spectrum = 1 / np.sqrt(1 + np.arange(_LATENT) / 4)
    difficulty = rng.lognormal(0, 0.25, (n_images, 1))
    content = content + recipe.scatter * difficulty * rng.normal(size=(n_images, _LATENT)) * spectrum

    damage, severity = plan["corruption"].to_numpy(), plan["severity"].to_numpy()[:, None]
    no_vehicle = np.isin(damage, ["empty", "not a vehicle"])[:, None]
    lost = np.where(no_vehicle, 0.95, 0.84) * np.sqrt(severity)
    alien = 0.7 * rng.normal(size=(n_images, _LATENT)) + 0.7 * _codes_of(plan["corruption"], rng)
    latent = (1 - lost) * content + scene + 1.2 * lost * alien

    typical = rng.normal(0, 0.9, n_features)
    mixing = rng.normal(size=(_LATENT, n_features)) / np.sqrt(_LATENT)
    response = (1 - lost) * typical + latent @ mixing + rng.normal(0, 0.15, (n_images, n_features))
    fine_detail = rng.random(n_features) < 0.5
    response -= severity * ((damage == "blur")[:, None] & fine_detail)
    gains = rng.lognormal(0, 0.5, n_features) * (1 - 0.7 * severity * (damage == "dark")[:, None])
    return (np.maximum(response - 0.15, 0) ** 1.3 * gains).astype(np.float32)


def _codes(plan: pd.DataFrame, rng: np.random.Generator) -> dict[str, Array]:
    """Return a code of each factor for each image, shape (n_images, latent), of about unit variance."""
    labels = {
        "type": plan["type"],
        "view": plan["view"],
        "type view": plan["type"] + " " + plan["view"],
        "model": plan["model"],
        "vehicle": plan["vehicle_id"],
        "camera": plan["camera"],
        "time": plan["time_of_day"],
    }
    angle = np.radians(plan["azimuth"].to_numpy())
    waves = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(3 * angle)])
    return {
        **{name: _codes_of(values, rng) for name, values in labels.items()},
        "pose": waves @ rng.normal(0, 0.7, (waves.shape[1], _LATENT)),
        "paint": _paint_codes(plan, rng),
    }


def _codes_of(labels: pd.Series, rng: np.random.Generator) -> Array:
    """Return one random code per distinct label."""
    names, index = np.unique(labels.to_numpy(dtype=str), return_inverse=True)
    return rng.normal(size=(len(names), _LATENT))[index]


def _paint_codes(plan: pd.DataFrame, rng: np.random.Generator) -> Array:
    """Return smooth random functions of the paint in its light: near colours get near codes, night greys them."""
    paint = np.array(plan["paint"].tolist()) / 255
    grey = 0.6 * paint.mean(axis=1, keepdims=True) + 0.1
    muddle = plan["time_of_day"].map({"day": 0.05, "dusk": 0.2, "night": 0.4}).to_numpy()[:, None]
    muddle = muddle * rng.uniform(0.4, 1.6, muddle.shape)
    seen = (1 - muddle) * paint + muddle * grey
    return np.sqrt(2) * np.cos(seen @ rng.normal(0, 3.2, (3, _LATENT)) + rng.uniform(0, 2 * np.pi, _LATENT))
