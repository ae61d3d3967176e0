"""From what is drawn to what a camera records: daylight, lamps at night, noise, and the damage of bad images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from veriwild_clustering.samples.canvas import Color
from veriwild_clustering.samples.vehicles import Lamp

__all__ = ["expose"]

Pixels = NDArray[np.float32]


def expose(
    pixels: Pixels, lamps: Sequence[Lamp], *, time_of_day: str, lamp_color: Color, damage: str, severity: float,
    rng: np.random.Generator,
) -> Image.Image:  # fmt: skip
    """Return the image that a camera records of `pixels`, shape (height, width, 3), values in [0, 255]."""
    lit = _light(pixels, time_of_day, lamp_color, rng)
    for lamp in lamps if time_of_day == "night" or (time_of_day == "dusk" and rng.random() < 0.5) else ():
        lit += _glow(lit.shape, lamp.x, lamp.y, lamp.radius) * np.array(lamp.color, dtype=np.float32)
    if damage == "glare":
        lit = _glare(lit, severity, rng)
    if damage == "dark":
        lit *= 0.16 - 0.13 * severity
    if damage == "blur":
        lit = _blur(lit, severity, rng)
    lit += (7.0 if time_of_day == "night" else 2.5) * rng.standard_normal(lit.shape, dtype=np.float32)
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))


def _light(pixels: Pixels, time_of_day: str, lamp_color: Color, rng: np.random.Generator) -> Pixels:
    """Colour and strength of the light; at night a street lamp lights the middle more than the edges."""
    height, width = pixels.shape[:2]
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    if time_of_day == "day":
        gain, cast, falloff = rng.uniform(0.9, 1.12), (1.02, 1.0, 0.97), 0.1
    elif time_of_day == "dusk":
        gain, cast, falloff = rng.uniform(0.55, 0.75), (1.1, 0.96, 0.88), 0.2
    else:
        gain, cast, falloff = rng.uniform(0.38, 0.52), lamp_color, 0.45
    field = gain * (1 - falloff * np.minimum(1, 0.5 * (x**2 + y**2)))
    return pixels * (field[..., None] * np.array(cast)).astype(np.float32)


def _glow(shape: tuple[int, ...], x: float, y: float, radius: float) -> Pixels:
    """A bright core in a wide halo, shape (height, width, 1)."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    square = (columns - x) ** 2 + (rows - y) ** 2
    core, halo = max(1.5, 0.45 * radius), max(4.0, 1.6 * radius)
    light = 0.9 * np.exp(-square / (2 * core**2)) + 0.28 * np.exp(-square / (2 * halo**2))
    return np.asarray(light[..., None], dtype=np.float32)


def _glare(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    x, y = rng.uniform(0.2, 0.8, 2) * [width, height]
    bloom = _glow(pixels.shape, x, y, (0.12 + 0.3 * severity) * max(height, width))
    washed = pixels + severity * 0.5 * (235 - pixels)
    return np.asarray(washed + bloom * [300, 292, 270], dtype=np.float32)


def _blur(pixels: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Out of focus, or smeared along by movement."""
    reach = (0.008 + 0.03 * severity) * max(pixels.shape)
    radius = (1.6 * reach, 0.4 * reach) if rng.random() < 0.5 else (reach, reach)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32)
