"""Where the cameras stand and what they see besides vehicles: road, verge, buildings, things that are no vehicle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from veriwild_clustering.samples.canvas import Canvas, Color, mix_colors

__all__ = ["SITES", "STRAY_OBJECTS", "Site", "draw_object", "draw_scene"]

_FAR = 90.0
_LANE, _KERB, _WALL = 1.9, 6.2, 10.0


@dataclass(frozen=True)
class Site:
    """One camera: the view it mostly sees, its angles in degrees, its surroundings and its lamp at night."""

    view: str
    lean: float
    elevation: float
    asphalt: Color
    verge: Color
    wall: str
    wall_color: Color
    night: Color
    marking: Color = (222, 222, 216)
    crossing: bool = False


_SODIUM, _LED, _MOON = (1.12, 0.9, 0.58), (0.94, 1.0, 1.12), (0.8, 0.9, 1.15)
_GRASS, _PAVING, _SAND = (92, 118, 62), (158, 152, 144), (176, 158, 122)

SITES = (
    Site("front", 14, 15, (104, 106, 110), _GRASS, "hedge", (52, 84, 42), _SODIUM),
    Site("front", -18, 19, (128, 126, 122), _PAVING, "building", (172, 148, 124), _LED),
    Site("front", 5, 24, (86, 90, 98), _PAVING, "barrier", (176, 180, 184), _SODIUM, (232, 190, 60)),
    Site("front", 24, 12, (116, 112, 106), _SAND, "fence", (110, 96, 78), _MOON),
    Site("front", -8, 21, (96, 100, 104), _GRASS, "building", (148, 162, 172), _LED, crossing=True),
    Site("rear", 12, 16, (110, 112, 112), _PAVING, "building", (186, 172, 140), _LED),
    Site("rear", -20, 20, (94, 94, 98), _GRASS, "hedge", (64, 96, 52), _SODIUM),
    Site("rear", 6, 25, (122, 120, 118), _SAND, "barrier", (168, 172, 176), _MOON, (232, 190, 60)),
    Site("rear", -10, 14, (102, 106, 112), _PAVING, "fence", (84, 92, 100), _LED),
    Site("side", 0, 8, (108, 108, 110), _PAVING, "building", (164, 116, 96), _SODIUM),
    Site("side", 0, 11, (118, 118, 114), _GRASS, "hedge", (58, 92, 48), _LED),
    Site("side", 0, 6, (98, 100, 106), _SAND, "fence", (120, 112, 100), _SODIUM, crossing=True),
)


def draw_scene(canvas: Canvas, site: Site, rng: np.random.Generator) -> None:
    """Draw what a camera sees of its street; the vehicle stands at the origin of the middle lane."""
    canvas.polygon(np.array([(0, 0), (4e3, 0), (4e3, 4e3), (0, 4e3)], dtype=float), (186, 198, 210))
    shift = rng.uniform(-0.35, 0.35)
    asphalt = site.asphalt
    canvas.shaded(_ground(-_FAR, _FAR, -_FAR, _FAR), [mix_colors(asphalt, (190, 196, 204), 0.25), asphalt, asphalt])
    for _ in range(9):
        x, y, length, width = rng.uniform((-14, -6, 0.6, 0.3), (14, 6, 7, 1.6)).tolist()
        tone = (40, 40, 42) if rng.random() < 0.6 else (200, 200, 200)
        canvas.face(_ground(x, x + length, y, y + width), tone, alpha=0.1)
    for y in (-_LANE, _LANE):
        _dashes(canvas, y + shift, site.marking, float(rng.uniform(0, 6)))
    if site.crossing:
        for y in np.arange(-5.6, 5.6, 1.0):
            canvas.face(_ground(3.2, 6.4, y + shift, y + shift + 0.5), site.marking, alpha=0.8)
    for side in (-1, 1):
        canvas.face(_ground(-_FAR, _FAR, side * _KERB, side * _FAR), site.verge)
        kerb = mix_colors(site.verge, (210, 208, 204), 0.7)
        canvas.face(_ground(-_FAR, _FAR, side * _KERB, side * (_KERB + 0.25)), kerb)
        if side * canvas.viewpoint.position[1] < _KERB:
            _WALLS[site.wall](canvas, side * _WALL, site.wall_color)


def _ground(x0: float, x1: float, y0: float, y1: float) -> list[tuple[float, float, float]]:
    return [(x0, y0, 0), (x1, y0, 0), (x1, y1, 0), (x0, y1, 0)]


def _upright(x0: float, x1: float, y: float, low: float, high: float) -> list[tuple[float, float, float]]:
    return [(x0, y, low), (x1, y, low), (x1, y, high), (x0, y, high)]


def _dashes(canvas: Canvas, y: float, color: Color, start: float) -> None:
    for x in np.arange(-36 + start, 36, 6.0).tolist():
        canvas.face(_ground(x, x + 3.4, y - 0.08, y + 0.08), color, alpha=0.85)


def _building(canvas: Canvas, y: float, color: Color) -> None:
    canvas.shaded(_upright(-_FAR, _FAR, y, 0, 9), [color, mix_colors(color, (30, 30, 34), 0.25)])
    canvas.face(_upright(-_FAR, _FAR, y, 0, 0.5), mix_colors(color, (40, 40, 44), 0.5))
    frame = mix_colors(color, (240, 240, 240), 0.5)
    for x in np.arange(-24, 20, 2.8).tolist():
        for low in (1.0, 4.0):
            canvas.face(_upright(x - 0.08, x + 1.48, y, low - 0.08, low + 1.78), frame)
            canvas.shaded(_upright(x, x + 1.4, y, low, low + 1.7), [(120, 136, 150), (48, 58, 68)])


def _hedge(canvas: Canvas, y: float, color: Color) -> None:
    canvas.face(_upright(-_FAR, _FAR, y, 0, 2.4), mix_colors(color, (10, 20, 8), 0.4))
    place = np.random.default_rng(5)
    for x in np.arange(-24, 20, 0.5).tolist():
        height, tone = place.uniform(0.6, 3.2), place.uniform(-0.3, 0.35)
        leaf = mix_colors(color, (150, 176, 100) if tone > 0 else (8, 18, 6), abs(tone))
        _blob(canvas, x, y, height, float(place.uniform(0.45, 1.0)), leaf)


def _fence(canvas: Canvas, y: float, color: Color) -> None:
    canvas.face(_upright(-_FAR, _FAR, y - 0.02, 0, 1.2), mix_colors(color, (200, 200, 190), 0.35))
    for x in np.arange(-24, 20, 0.9).tolist():
        canvas.face(_upright(x, x + 0.12, y, 0, 2.1), color)
    for low in (0.4, 1.8):
        canvas.face(_upright(-_FAR, _FAR, y, low, low + 0.12), color)


def _barrier(canvas: Canvas, y: float, color: Color) -> None:
    y *= 0.72
    for x in np.arange(-24, 20, 2.0).tolist():
        canvas.face(_upright(x, x + 0.14, y, 0, 0.8), mix_colors(color, (30, 30, 30), 0.5))
    canvas.shaded(_upright(-_FAR, _FAR, y, 0.45, 0.85), [color, mix_colors(color, (60, 60, 66), 0.4), color])


_WALLS = {"building": _building, "hedge": _hedge, "fence": _fence, "barrier": _barrier}


def _blob(canvas: Canvas, x: float, y: float, z: float, radius: float, color: Color) -> None:
    angle = np.linspace(0, 2 * np.pi, 11, endpoint=False)
    canvas.face(np.column_stack([x + radius * np.cos(angle), np.full(11, y), z + radius * np.sin(angle)]), color)


class _Stand:
    """Flat shapes that stand at the origin and face the camera: (across, height) in metres."""

    def __init__(self, canvas: Canvas) -> None:
        lens = canvas.viewpoint.position[:2]
        self._canvas, self._across = canvas, np.array([-lens[1], lens[0]]) / np.linalg.norm(lens)

    def outline(self, points: Sequence[tuple[float, float]], color: Color) -> None:
        """Fill a polygon."""
        self._canvas.face([(*(u * self._across), z) for u, z in points], color)

    def block(self, left: float, right: float, low: float, high: float, color: Color) -> None:
        """Fill a rectangle."""
        self.outline([(left, low), (right, low), (right, high), (left, high)], color)

    def disc(self, u: float, z: float, radius: float, color: Color, *, tall: float = 1.0) -> None:
        """Fill a circle, or an ellipse `tall` times as high as wide."""
        angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        self.outline([(u + radius * np.cos(a), z + tall * radius * np.sin(a)) for a in angles], color)


def draw_object(canvas: Canvas, kind: str, rng: np.random.Generator) -> None:
    """Draw one of `STRAY_OBJECTS` at the origin."""
    canvas.shadow([(-0.4, -0.4, 0), (0.4, -0.4, 0), (0.6, 0.6, 0), (-0.4, 0.5, 0)], strength=0.5, radius=3)
    _OBJECTS[kind](_Stand(canvas), rng)


def _person(stand: _Stand, rng: np.random.Generator) -> None:
    (r, g, b), trousers = rng.uniform(30, 200, 3).tolist(), rng.uniform(20, 110)
    for side in (-1, 1):
        legs = [(side * 0.03, 0.85), (side * 0.2, 0.85), (side * 0.18, 0.05), (side * 0.06, 0.05)]
        arms = [(side * 0.2, 1.42), (side * 0.3, 1.38), (side * 0.36, 0.85), (side * 0.27, 0.85)]
        stand.outline(legs, (trousers, trousers, 1.2 * trousers))
        stand.block(side * 0.04, side * 0.24, 0, 0.08, (30, 28, 28))
        stand.outline(arms, (0.75 * r, 0.75 * g, 0.75 * b))
    stand.outline([(-0.23, 1.45), (0.23, 1.45), (0.2, 0.82), (-0.2, 0.82)], (r, g, b))
    stand.disc(0, 1.61, 0.115, (206, 166, 140), tall=1.2)
    stand.disc(0, 1.7, 0.11, (48, 36, 30), tall=0.6)


def _sign(stand: _Stand, rng: np.random.Generator) -> None:
    stand.block(-0.04, 0.04, 0, 1.7, (150, 152, 156))
    stand.disc(0, 1.7, 0.42, (196, 30, 34))
    stand.disc(0, 1.7, float(rng.uniform(0.28, 0.36)), (238, 238, 236))
    stand.block(-0.2, 0.2, 1.65, 1.75, (40, 40, 44))


def _bush(stand: _Stand, rng: np.random.Generator) -> None:
    for u, z, radius, tone in rng.uniform((-0.6, 0.15, 0.1, 0), (0.6, 1.25, 0.24, 0.6), (70, 4)).tolist():
        stand.disc(u * (1.2 - 0.5 * z), z, radius, mix_colors((38, 70, 30), (140, 170, 90), tone))


def _bin(stand: _Stand, rng: np.random.Generator) -> None:
    color = mix_colors((40, 90, 50), (60, 80, 150), float(rng.integers(2)))
    stand.outline([(-0.5, 0), (0.5, 0), (0.55, 1.1), (-0.55, 1.1)], color)
    stand.outline([(-0.6, 1.1), (0.6, 1.1), (0.5, 1.3), (-0.5, 1.3)], mix_colors(color, (0, 0, 0), 0.4))
    for u in (-0.3, 0.0, 0.3):
        stand.block(u, u + 0.05, 0.1, 1.0, mix_colors(color, (0, 0, 0), 0.5))


_OBJECTS: dict[str, Callable[[_Stand, np.random.Generator], None]] = {
    "person": _person,
    "sign": _sign,
    "bush": _bush,
    "bin": _bin,
}
STRAY_OBJECTS = tuple(_OBJECTS)
