"""The vehicles that are drawn: body types in metres (profiles, windows, wheels, lights) and colours of paint."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from veriwild_clustering.samples.canvas import Color

__all__ = ["BODIES", "PAINTS", "Body", "Outline", "Shell", "model_of"]

Profile = tuple[tuple[float, float, str], ...]
Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Shell:
    """One extruded part: `profile` runs from the rear bottom over the roof to the front bottom.

    Each point is (x, z, what the surface from here to the next point is); `belt` is the height above which the
    sides lean inwards by `lean`.
    """

    profile: Profile
    width: float
    belt: float
    lean: float
    windows: tuple[Outline, ...] = ()
    cargo: bool = False


@dataclass(frozen=True)
class Body:
    """A body type: shells from rear to front, wheels by x, light heights, share among vehicles."""

    shells: tuple[Shell, ...]
    wheels: tuple[float, ...]
    wheel_radius: float
    lights: tuple[float, float, float]
    grille: tuple[float, float]
    share: float

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Rear x, front x, half the width, height."""
        points = np.array([point[:2] for shell in self.shells for point in shell.profile])
        half_width = max(shell.width for shell in self.shells) / 2
        return float(points[:, 0].min()), float(points[:, 0].max()), half_width, float(points[:, 1].max())


def _window_row(first: float, last: float, count: int, low: float, high: float) -> tuple[Outline, ...]:
    edges, gap = np.linspace(first, last, count + 1), 0.06
    return tuple(
        ((a + gap, low), (a + gap, high), (b - gap, high), (b - gap, low))
        for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    )


def _box(rear: float, front: float, floor: float, roof: float, width: float) -> Shell:
    profile = ((rear, floor, "doors"), (rear, roof, "roof"), (front, roof, "body"), (front, floor, "under"))
    return Shell(profile, width, belt=roof, lean=0.0, cargo=True)


_SEDAN = Body(
    shells=(
        Shell(
            ((-2.3, 0.3, "body"), (-2.33, 0.62, "body"), (-2.27, 0.98, "body"), (-1.62, 1.04, "glass"),
             (-0.88, 1.42, "roof"), (0.25, 1.45, "glass"), (1.02, 1.0, "body"), (2.05, 0.82, "body"),
             (2.3, 0.62, "body"), (2.3, 0.26, "under")),
            width=1.8, belt=0.96, lean=0.2,
            windows=(((-1.42, 1.02), (-0.86, 1.35), (-0.33, 1.38), (-0.33, 1.0)),
                     ((-0.25, 1.0), (-0.25, 1.38), (0.2, 1.37), (0.82, 1.0))),
        ),
    ),
    wheels=(-1.4, 1.42), wheel_radius=0.33, lights=(0.62, 0.78, 0.3), grille=(0.42, 0.66), share=0.36,
)  # fmt: skip

_HATCHBACK = Body(
    shells=(
        Shell(
            ((-1.85, 0.3, "body"), (-1.9, 0.68, "body"), (-1.82, 1.0, "glass"), (-1.42, 1.48, "roof"),
             (0.15, 1.54, "glass"), (0.95, 1.05, "body"), (1.7, 0.88, "body"), (1.9, 0.66, "body"),
             (1.9, 0.26, "under")),
            width=1.72, belt=1.0, lean=0.18,
            windows=(((-1.5, 1.06), (-1.25, 1.4), (-0.45, 1.45), (-0.45, 1.03)),
                     ((-0.37, 1.03), (-0.37, 1.45), (0.12, 1.45), (0.76, 1.03))),
        ),
    ),
    wheels=(-1.2, 1.22), wheel_radius=0.31, lights=(0.68, 0.88, 0.34), grille=(0.44, 0.62), share=0.11,
)  # fmt: skip

_SUV = Body(
    shells=(
        Shell(
            ((-2.25, 0.5, "body"), (-2.3, 0.9, "body"), (-2.26, 1.24, "glass"), (-2.1, 1.84, "roof"),
             (0.2, 1.88, "glass"), (0.8, 1.3, "body"), (2.0, 1.22, "body"), (2.25, 1.02, "body"),
             (2.28, 0.46, "under")),
            width=1.96, belt=1.22, lean=0.11,
            windows=(((-2.06, 1.3), (-1.96, 1.74), (-1.3, 1.76), (-1.3, 1.28)),
                     ((-1.22, 1.28), (-1.22, 1.77), (-0.35, 1.78), (-0.35, 1.26)),
                     ((-0.27, 1.26), (-0.27, 1.78), (0.16, 1.78), (0.62, 1.26))),
        ),
    ),
    wheels=(-1.38, 1.42), wheel_radius=0.44, lights=(0.96, 1.14, 0.3), grille=(0.66, 1.08), share=0.2,
)  # fmt: skip

_MINIBUS = Body(
    shells=(
        Shell(
            ((-2.5, 0.38, "body"), (-2.55, 0.9, "body"), (-2.55, 1.25, "glass"), (-2.42, 1.98, "roof"),
             (1.2, 2.02, "glass"), (1.95, 1.22, "body"), (2.42, 0.98, "body"), (2.5, 0.75, "body"),
             (2.5, 0.32, "under")),
            width=1.9, belt=1.18, lean=0.1,
            windows=(*_window_row(-2.35, 0.55, 3, 1.25, 1.82),
                     ((0.62, 1.22), (0.62, 1.82), (1.15, 1.82), (1.66, 1.22))),
        ),
    ),
    wheels=(-1.6, 1.6), wheel_radius=0.35, lights=(0.76, 0.98, 0.26), grille=(0.5, 0.72), share=0.1,
)  # fmt: skip

_BUS = Body(
    shells=(
        Shell(
            ((-5.2, 0.4, "body"), (-5.25, 1.7, "glass"), (-5.2, 2.7, "body"), (-5.05, 3.1, "roof"),
             (5.0, 3.1, "body"), (5.16, 2.85, "glass"), (5.25, 1.25, "body"), (5.25, 0.35, "under")),
            width=2.5, belt=1.5, lean=0.03,
            windows=(*_window_row(-5.0, 3.7, 7, 1.55, 2.6), ((3.85, 0.6), (3.85, 2.6), (4.85, 2.6), (4.85, 0.6))),
        ),
    ),
    wheels=(-3.2, 2.9), wheel_radius=0.5, lights=(0.75, 0.98, 0.24), grille=(0.5, 0.68), share=0.06,
)  # fmt: skip

_PICKUP = Body(
    shells=(
        Shell(
            ((-2.6, 0.5, "body"), (-2.62, 1.12, "bed"), (-0.95, 1.12, "glass"), (-0.78, 1.72, "roof"),
             (0.42, 1.75, "glass"), (1.06, 1.18, "body"), (2.3, 1.06, "body"), (2.58, 0.88, "body"),
             (2.58, 0.42, "under")),
            width=1.92, belt=1.12, lean=0.15,
            windows=(((-0.78, 1.2), (-0.7, 1.62), (-0.2, 1.65), (-0.2, 1.17)),
                     ((-0.12, 1.17), (-0.12, 1.65), (0.4, 1.65), (0.9, 1.17))),
        ),
    ),
    wheels=(-1.7, 1.62), wheel_radius=0.41, lights=(0.84, 1.02, 0.28), grille=(0.56, 0.98), share=0.05,
)  # fmt: skip

_LIGHT_TRUCK = Body(
    shells=(
        _box(-3.0, 1.25, 0.78, 2.55, 2.05),
        Shell(
            ((1.4, 0.5, "body"), (1.4, 1.95, "roof"), (2.35, 2.02, "glass"), (2.84, 1.2, "body"),
             (2.95, 0.9, "body"), (2.95, 0.38, "under")),
            width=1.86, belt=1.2, lean=0.1,
            windows=(((1.72, 1.22), (1.72, 1.82), (2.28, 1.82), (2.6, 1.2)),),
        ),
    ),
    wheels=(-1.7, 2.1), wheel_radius=0.38, lights=(0.68, 0.86, 0.24), grille=(0.92, 1.08), share=0.07,
)  # fmt: skip

_HEAVY_TRUCK = Body(
    shells=(
        _box(-5.6, 2.6, 1.05, 3.85, 2.55),
        Shell(
            ((2.9, 0.7, "body"), (2.9, 3.2, "body"), (3.3, 3.55, "roof"), (4.5, 3.3, "body"),
             (4.85, 2.95, "glass"), (5.02, 1.9, "body"), (5.08, 1.2, "body"), (5.08, 0.4, "under")),
            width=2.45, belt=1.9, lean=0.05,
            windows=(((3.8, 1.95), (3.8, 2.75), (4.6, 2.75), (4.82, 1.95)),),
        ),
    ),
    wheels=(-4.7, -3.5, -2.3, 2.0, 4.0), wheel_radius=0.52, lights=(0.72, 0.95, 0.22), grille=(1.1, 1.78), share=0.05,
)  # fmt: skip

BODIES: dict[str, Body] = {
    "sedan": _SEDAN,
    "suv": _SUV,
    "hatchback": _HATCHBACK,
    "minibus": _MINIBUS,
    "bus": _BUS,
    "pickup": _PICKUP,
    "light truck": _LIGHT_TRUCK,
    "heavy truck": _HEAVY_TRUCK,
}

PAINTS: dict[str, tuple[Color, float]] = {
    "white": ((232, 234, 235), 0.25),
    "black": ((34, 35, 38), 0.19),
    "grey": ((104, 108, 114), 0.12),
    "silver": ((172, 177, 184), 0.12),
    "red": ((176, 26, 30), 0.09),
    "blue": ((36, 74, 158), 0.08),
    "brown": ((98, 62, 38), 0.05),
    "green": ((34, 108, 62), 0.035),
    "yellow": ((232, 190, 36), 0.035),
    "orange": ((226, 104, 28), 0.03),
}
"""Colour of the paint and its share among vehicles."""


def model_of(body: Body, rng: np.random.Generator) -> Body:
    """Return `body` with the proportions and the lights of one model: same silhouette, other details."""
    length, height = rng.uniform(0.95, 1.05, 2).tolist()
    shells = tuple(
        replace(
            shell,
            profile=tuple((x * length, z * height, kind) for x, z, kind in shell.profile),
            windows=tuple(tuple((x * length, z * height) for x, z in window) for window in shell.windows),
            belt=shell.belt * height,
        )
        for shell in body.shells
    )
    low, high, width = body.lights
    lights = (low * height, (high + rng.uniform(-0.04, 0.05)) * height, width * rng.uniform(0.8, 1.25))
    grille = (body.grille[0] * height, body.grille[1] * height)
    return replace(body, shells=shells, wheels=tuple(x * length for x in body.wheels), lights=lights, grille=grille)
