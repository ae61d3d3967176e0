"""Painting of one vehicle: the faces of its body that the camera sees, farthest first, with their details."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.samples.bodies import Body, Outline, Shell
from veriwild_clustering.samples.canvas import SUPERSAMPLING, Canvas, Color, mix_colors

__all__ = ["Lamp", "draw_vehicle"]

_SUN = np.array([0.45, 0.25, 0.86])
_GLASS_TOP, _GLASS_BOTTOM = (132, 150, 164), (26, 32, 38)
_RUBBER, _TRIM, _METAL = (26, 26, 28), (36, 37, 40), (160, 163, 168)


@dataclass(frozen=True)
class Lamp:
    """A lamp that faces the camera: pixels of the final image, radius in pixels, colour of its light."""

    x: float
    y: float
    radius: float
    color: Color


def draw_vehicle(canvas: Canvas, body: Body, paint: Color) -> list[Lamp]:
    """Draw a vehicle with its shadow and return the lamps that face the camera."""
    rear, front, half_width, _ = body.extent
    lens = canvas.viewpoint.position
    near_side = 1.0 if lens[1] >= 0 else -1.0
    ground = [(rear, -half_width, 0), (rear, half_width, 0), (front, half_width, 0), (front, -half_width, 0)]
    canvas.shadow(1.1 * np.array(ground) + [0.0, 0.25, 0.0], strength=0.55, radius=max(2.0, canvas.size[1] / 40))
    canvas.shadow(ground, strength=0.8, radius=max(1.0, canvas.size[1] / 90))
    _wheels(canvas, body, near_side, inner=True)
    floor = max(shell.profile[0][1] for shell in body.shells) + 0.08
    canvas.face([(x, near_side * 0.4 * half_width, z) for x, z in _rectangle(rear, front, 0.45, floor)], _TRIM)
    beside = abs(lens[1]) > half_width
    for side in (-near_side,) if beside or lens[0] > 0 else (-1, 1):
        _mirror(canvas, body, paint, side)
    order = body.shells if lens[0] > 0 else body.shells[::-1]
    for shell in order:
        color = mix_colors(paint, (206, 208, 210), 0.35) if shell.cargo else paint
        _Painter(canvas, shell, color, near_side).paint_shell()
    if beside or lens[0] > 0:
        _mirror(canvas, body, paint, near_side)
    if beside:
        _wheels(canvas, body, near_side, inner=False)
    if abs(lens[0]) < abs(front):
        return []
    return _front(canvas, body) if lens[0] > 0 else _rear(canvas, body)


class _Painter:
    """Paints one shell of a body."""

    def __init__(self, canvas: Canvas, shell: Shell, paint: Color, near_side: float) -> None:
        self.canvas, self.shell, self.paint, self.near_side = canvas, shell, paint, near_side
        self.points = _cut_corners(shell) if not shell.cargo else list(shell.profile)
        self.lens = canvas.viewpoint.position

    def paint_shell(self) -> None:
        """Draw the strips across the width that face the camera, then the side that does."""
        strips = list(zip(self.points, [*self.points[1:], self.points[0]], strict=True))
        for start, end in sorted(strips, key=lambda pair: -self._depth(*pair)):
            self._strip(start, end)
        if abs(self.lens[1]) > self.shell.width / 2:
            self._side()

    def _depth(self, start: tuple[float, float, str], end: tuple[float, float, str]) -> float:
        middle = [(start[0] + end[0]) / 2, 0.0, (start[1] + end[1]) / 2]
        return float(self.canvas.viewpoint.look([middle])[0, 2])

    def _shade(self, normal: NDArray[np.float64], gloss: float = 26.0) -> Color:
        """Colour of the paint under the sky and the sun, with a little of the sky mirrored by upper faces."""
        toward = _SUN * [np.sign(self.lens[0]), self.near_side, 1.0]
        light = 0.52 + 0.48 * max(0.0, float(normal @ toward))
        sky = gloss * max(0.0, float(normal[2])) ** 2
        r, g, b = (channel * light + sky for channel in self.paint)
        return r, g, b * 1.02

    def _strip(self, start: tuple[float, float, str], end: tuple[float, float, str]) -> None:
        (x0, z0, kind), (x1, z1, _) = start, end
        normal = np.array([z0 - z1, 0.0, x1 - x0])
        normal /= max(1e-9, np.linalg.norm(normal))
        if kind == "under" or normal @ (self.lens - [x0, 0.0, z0]) <= 0:
            return
        widths = _half_width(self.shell, np.array([x0, x1]), np.array([z0, z1]))
        quad = np.array([(x0, -widths[0], z0), (x0, widths[0], z0), (x1, widths[1], z1), (x1, -widths[1], z1)])
        self.canvas.face(quad, self._shade(normal))
        across = quad[[1, 0, 3, 2]] if self.lens[0] < 0 else quad
        if kind == "glass":
            self._glass(_patch(across, 0.07, 0.93, 0.04, 0.97))
        elif kind == "bed":
            self.canvas.face(_patch(across, 0.07, 0.93, 0.03, 0.97), _TRIM)
        elif kind == "doors":
            self._cargo_doors(across)
        elif kind == "roof" and not self.shell.cargo:
            self.canvas.face(_patch(across, 0.12, 0.3, 0.0, 1.0), (255, 255, 255), alpha=0.12)

    def _cargo_doors(self, quad: NDArray[np.float64]) -> None:
        seam = mix_colors(self.paint, (20, 20, 20), 0.55)
        for left, right, low, high in ((0.49, 0.51, 0, 1), (0.03, 0.05, 0, 1), (0.95, 0.97, 0, 1), (0, 1, 0.0, 0.05)):
            self.canvas.face(_patch(quad, left, right, low, high), seam)
        for left in (0.38, 0.6):
            self.canvas.face(_patch(quad, left, left + 0.015, 0.05, 0.9), _METAL)

    def _glass(self, quad: NDArray[np.float64]) -> None:
        """A pane: the sky mirrored at its top, the dark of the inside below, one bright streak."""
        self.canvas.shaded(quad, [_GLASS_TOP, _GLASS_BOTTOM, mix_colors(_GLASS_BOTTOM, (0, 0, 0), 0.2)])
        streak = [_at(quad, u, v) for u, v in ((0.12, 0.0), (0.26, 0.0), (0.42, 1.0), (0.3, 1.0))]
        self.canvas.face(streak, (205, 216, 224), alpha=0.28)

    def _side(self) -> None:
        outline = self._on_side([(x, z) for x, z, _ in self.points])
        body = self._shade(np.array([0.0, self.near_side * 0.97, 0.25]))
        bright, dark = mix_colors(body, (255, 255, 255), 0.2), mix_colors(body, (12, 12, 14), 0.5)
        upper, lower = mix_colors(body, dark, 0.2), mix_colors(body, dark, 0.6)
        self.canvas.shaded(outline, [upper, body, bright, body, lower, dark])
        if self.shell.cargo:
            self._ribs(dark)
        for window in self.shell.windows:
            pane = self._on_side(window)
            self.canvas.face(_swollen(pane, 0.05), _TRIM)
            self.canvas.shaded(pane, [_GLASS_TOP, (60, 72, 82), _GLASS_BOTTOM])
            x0, x1 = min(x for x, _ in window), max(x for x, _ in window)
            low, high = min(z for _, z in window), max(z for _, z in window)
            middle = (x0 + x1) / 2
            streak = ((middle, low), (middle + 0.1, low), (middle + 0.02, high * 0.99), (middle - 0.12, high * 0.99))
            self.canvas.face(self._on_side(streak), (205, 216, 224), alpha=0.22)
            self._door(x0, low, dark)

    def _door(self, x: float, belt: float, seam: Color) -> None:
        low = self.shell.profile[0][1] + 0.1
        if belt - low > 0.25:
            self.canvas.face(self._on_side(_rectangle(x, x + 0.03, low, belt)), seam, alpha=0.8)
            handle = self._on_side(_rectangle(x + 0.1, x + 0.28, belt - 0.14, belt - 0.1))
            self.canvas.face(handle, mix_colors(seam, (220, 220, 220), 0.3))

    def _ribs(self, seam: Color) -> None:
        (rear, floor, _), (_, roof, _), (front, _, _), _ = self.shell.profile
        for x in np.linspace(rear, front, 9)[1:-1].tolist():
            self.canvas.face(self._on_side(_rectangle(x, x + 0.05, floor, roof)), seam, alpha=0.35)

    def _on_side(self, outline: Outline | list[tuple[float, float]]) -> NDArray[np.float64]:
        x, z = np.array(outline).T
        return np.column_stack([x, self.near_side * (_half_width(self.shell, x, z) + 0.004), z])


def _half_width(shell: Shell, x: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half the width of a shell at (x, z): it leans inwards above the belt and rounds off at its ends."""
    along = np.array([point[0] for point in shell.profile])
    middle, reach = (along.max() + along.min()) / 2, (along.max() - along.min()) / 2
    roof = max(point[1] for point in shell.profile)
    leaning = 1 - shell.lean * np.clip((z - shell.belt) / max(1e-9, roof - shell.belt), 0, 1)
    rounding = 1.0 if shell.cargo else 1 - 0.1 * np.abs((x - middle) / reach) ** 8
    return shell.width / 2 * leaning * rounding


def _cut_corners(shell: Shell, share: float = 0.12) -> list[tuple[float, float, str]]:
    """Replace each corner of a profile by a short face, so that the body looks rounded."""
    points, cut = shell.profile, []
    for (x0, z0, kind), (x1, z1, _) in zip(points, [*points[1:], points[0]], strict=True):
        cut.append((x0 + share * (x1 - x0), z0 + share * (z1 - z0), kind))
        cut.append((x1 - share * (x1 - x0), z1 - share * (z1 - z0), "under" if kind == "under" else "body"))
    return [*cut[-1:], *cut[:-1]]


def _rectangle(left: float, right: float, low: float, high: float) -> list[tuple[float, float]]:
    return [(left, low), (right, low), (right, high), (left, high)]


def _at(quad: NDArray[np.float64], u: float, v: float) -> NDArray[np.float64]:
    low, high = (1 - u) * quad[0] + u * quad[1], (1 - u) * quad[3] + u * quad[2]
    return np.asarray((1 - v) * low + v * high)


def _patch(quad: NDArray[np.float64], left: float, right: float, low: float, high: float) -> NDArray[np.float64]:
    """Part of a quad, in shares of its width and height."""
    return np.array([_at(quad, left, low), _at(quad, right, low), _at(quad, right, high), _at(quad, left, high)])


def _swollen(points: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    middle = points.mean(axis=0)
    return middle + (points - middle) * (1 + margin / np.abs(points - middle).max(axis=0).clip(0.3))


def _circle(x: float, y: float, radius: float, share: float = 1.0) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    ring = share * radius
    return np.column_stack([x + ring * np.cos(angle), np.full(28, y), radius + ring * np.sin(angle)])


def _wheels(canvas: Canvas, body: Body, near_side: float, *, inner: bool) -> None:
    """Draw the wheels: as dark drums beneath the body, then their outer faces on the near side."""
    half_width, radius = body.extent[2], body.wheel_radius
    for x in body.wheels:
        if inner:
            for side in (-near_side, near_side):
                for y in np.linspace(half_width - 0.26, half_width - 0.02, 3):
                    canvas.face(_circle(x, side * y, radius), _RUBBER)
        else:
            arch, face = near_side * (half_width - 0.01), near_side * (half_width + 0.01)
            canvas.face(_circle(x, arch, radius, 1.18), (18, 18, 20))
            for share, color in ((1.0, _RUBBER), (0.66, _METAL), (0.58, (112, 115, 120)), (0.2, (188, 190, 194))):
                canvas.face(_circle(x, face, radius, share), color)
            for angle in np.arange(5) * 2 * np.pi / 5 + x:
                spoke = radius * np.array([(0, 0.12), (0.62, 0.1), (0.62, -0.1), (0, -0.12)])
                turned = spoke @ np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
                canvas.face(
                    np.column_stack([x + turned[:, 0], np.full(4, face), radius + turned[:, 1]]), (176, 179, 184)
                )


def _mirror(canvas: Canvas, body: Body, paint: Color, side: float) -> None:
    """Draw the mirror of one side: its face across the vehicle and its flank along it."""
    cab = body.shells[-1]
    x, z, y = cab.windows[-1][-1][0] - 0.12, cab.belt + 0.04, cab.width / 2
    size, shade = (0.13 if body.extent[3] < 2.2 else 0.3), mix_colors(paint, (10, 10, 10), 0.3)
    canvas.face([(x, side * (y + u), v) for u, v in _rectangle(0.0, 0.2, z, z + size)], shade)
    canvas.face([(u, side * (y + 0.1), v) for u, v in _rectangle(x - 0.1, x + 0.1, z, z + size)], shade)


def _end_patch(
    shell: Shell, across: tuple[float, float], heights: tuple[float, float], *, front: bool
) -> NDArray[np.float64]:
    """A patch on the front or the rear of a shell: `across` in shares of half the width, `heights` in metres."""
    profile = np.array([point[:2] for point in shell.profile])
    top = int(profile[:, 1].argmax())
    end = profile[top:][::-1] if front else profile[: top + 1]
    u, z = np.array(_rectangle(*across, *heights)).T
    x = np.interp(z, end[:, 1], end[:, 0])
    return np.column_stack([x + (0.02 if front else -0.02), u * _half_width(shell, x, z), z])


def _front(canvas: Canvas, body: Body) -> list[Lamp]:
    cab, (low, high, width), (sill, top) = body.shells[-1], body.lights, body.grille
    bottom = cab.profile[-1][1]

    def patch(u0: float, u1: float, z0: float, z1: float, color: Color) -> NDArray[np.float64]:
        points = _end_patch(cab, (u0, u1), (z0, z1), front=True)
        canvas.face(points, color)
        return points

    patch(-0.9, 0.9, bottom, bottom + 0.1, _TRIM)
    patch(-0.56, 0.56, sill, top, (22, 23, 25))
    for share in (0.25, 0.5, 0.75):
        z = sill + share * (top - sill)
        patch(-0.54, 0.54, z, z + 0.018, (128, 131, 136))
    patch(-0.07, 0.07, top - 0.09, top - 0.01, (206, 208, 212))
    patch(-0.25, 0.25, bottom + 0.12, bottom + 0.24, (52, 54, 60))
    lamps = []
    for side in (-1, 1):
        patch(side * (0.93 - width), side * 0.95, low, high, (70, 74, 80))
        light = patch(side * (0.95 - width), side * 0.92, low + 0.02, high - 0.02, (226, 232, 236))
        patch(side * 0.84, side * 0.93, low + 0.02, high - 0.02, (224, 150, 60))
        lamps.append(_lamp(canvas, light, (255, 246, 214)))
    return lamps


def _rear(canvas: Canvas, body: Body) -> list[Lamp]:
    tail, (low, high, width) = body.shells[0], body.lights
    bottom = tail.profile[0][1]
    upright = body.extent[3] > 1.5
    if tail.cargo:
        low, high = bottom - 0.28, bottom - 0.08
    elif upright:
        high = min(high + 0.36, tail.profile[2][1] - 0.03)
        low, width = high - 0.3, 0.16
    else:
        low, high = low + 0.1, high + 0.12
    lamps = []
    bumper = (bottom - 0.3, bottom) if tail.cargo else (bottom, bottom + 0.12)
    canvas.face(_end_patch(tail, (-0.92, 0.92), bumper, front=False), _TRIM)
    for side in (-1, 1):
        light = _end_patch(tail, (side * (0.96 - width), side * 0.96), (low, high), front=False)
        canvas.face(light, (150, 14, 20))
        canvas.shaded(_patch(light, 0.1, 0.9, 0.1, 0.9), [(232, 46, 44), (176, 20, 26)])
        canvas.face(_patch(light, 0.1, 0.45, 0.3, 0.6), (240, 196, 180))
        lamps.append(_lamp(canvas, light, (255, 60, 44)))
    height = bottom - 0.26 if tail.cargo else (bottom + 0.16 if upright else low - 0.02)
    canvas.face(_end_patch(tail, (-0.24, 0.24), (height, height + 0.14), front=False), (52, 54, 60))
    if not tail.cargo:
        seam = _end_patch(tail, (-0.9, 0.9), (bottom + 0.14, bottom + 0.16), front=False)
        canvas.face(seam, (10, 10, 12), alpha=0.5)
    return lamps


def _lamp(canvas: Canvas, points: NDArray[np.float64], color: Color) -> Lamp:
    pixels = canvas.project(points) / SUPERSAMPLING
    x, y = pixels.mean(axis=0)
    return Lamp(float(x), float(y), float(np.ptp(pixels, axis=0).max()), color)
