"""A small three-dimensional world in metres, drawn flat through one camera.

``x`` runs along the street to the right, ``y`` up, ``z`` away from the camera, all in metres. The
camera stands at ``x = z = 0`` and turns by a yaw angle. Pictures are drawn at twice their size and
halved at the end, which smooths every edge.
"""

import math
import random
from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw

from streetimd_assets.synthetic.scenes.place import Place

Colour = tuple[int, int, int]
Point = tuple[float, float, float]

SUPERSAMPLING = 2
NEAR_M = 0.6
BEHIND_THE_VIEW_RAD = math.radians(80.0)


def shade(colour: Colour, factor: float) -> Colour:
    """Darken (factor below 1) or lighten a colour."""
    return (
        min(255, int(colour[0] * factor)),
        min(255, int(colour[1] * factor)),
        min(255, int(colour[2] * factor)),
    )


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Blend two colours; ``share`` is how much of the second."""
    keep = 1.0 - share
    return (
        int(first[0] * keep + second[0] * share),
        int(first[1] * keep + second[1] * share),
        int(first[2] * keep + second[2] * share),
    )


class Canvas:
    """One picture being painted: its camera, its light, its chances and its wear.

    Parameters
    ----------
    place
        Weather, light, season and camera height, shared by the views of one place.
    disrepair
        Visible neglect, from 0 (tidy) to 1.
    view_seed
        Fixes the layout; the same layout at any disrepair.
    size_px
        Width and height of the finished picture, pixels.

    Notes
    -----
    ``rng`` decides the layout and is never asked by anything that depends on disrepair; ``wear`` and
    ``tidy`` each ask their own stream exactly once. So a picture changes step by step, and only in
    its wear, when nothing but the disrepair changes.
    """

    def __init__(self, place: Place, *, disrepair: float, view_seed: int, size_px: int) -> None:
        self.place = place
        self.disrepair = disrepair
        self.size = size_px * SUPERSAMPLING
        self.rng = random.Random(f"layout {view_seed}")
        self._wear_rng = random.Random(f"wear {view_seed}")
        self.image = Image.new("RGB", (self.size, self.size))
        self.draw = ImageDraw.Draw(self.image)
        self.glaze = ImageDraw.Draw(self.image, "RGBA")
        self.camera_height_m = place.camera_height_m
        self.aim(yaw=self.rng.uniform(-0.5, 0.5))

    def aim(self, *, yaw: float) -> None:
        """Turn the camera; focal length, horizon and centre vary a little from view to view."""
        self.yaw = yaw
        self._cos, self._sin = math.cos(yaw), math.sin(yaw)
        self.focal = self.size * self.rng.uniform(0.6, 0.95)
        self.horizon = self.size * (self.place.horizon + self.rng.uniform(-0.07, 0.07))
        self.centre = self.size * self.rng.uniform(0.4, 0.6)

    def wear(self, chance: float = 1.0) -> random.Random | None:
        """A sign of neglect: present with probability disrepair x chance, with its own details."""
        draw = self._wear_rng.random()
        return random.Random(int(draw * 2**30)) if draw < self.disrepair * chance else None

    def tidy(self, chance: float = 1.0) -> random.Random | None:
        """A sign of care: present with probability (1 - disrepair) x chance, with its own details."""
        draw = self._wear_rng.random()
        return random.Random(int(draw * 2**30)) if draw < (1.0 - self.disrepair) * chance else None

    def scale(self, x: float, z: float) -> float:
        """Pixels per metre at a spot on the ground plan; 0 behind the camera."""
        depth = x * self._sin + z * self._cos
        return self.focal / depth if depth > NEAR_M else 0.0

    def visible_span(self, z: float, reach_m: float = 45.0) -> tuple[float, float]:
        """The stretch of the line at depth ``z`` that the picture shows, metres along x."""
        ends = []
        for pixel in (0.0, float(self.size)):
            angle = self.yaw + math.atan((pixel - self.centre) / self.focal)
            angle = max(-BEHIND_THE_VIEW_RAD, min(BEHIND_THE_VIEW_RAD, angle))
            ends.append(max(-reach_m, min(reach_m, z * math.tan(angle))))
        return ends[0], ends[1]

    def spot(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Pixel position of a point in front of the camera."""
        depth = max(NEAR_M, x * self._sin + z * self._cos)
        return (
            self.centre + self.focal * (x * self._cos - z * self._sin) / depth,
            self.horizon - self.focal * (y - self.camera_height_m) / depth,
        )

    def flat(self, corners: Iterable[Point]) -> list[tuple[float, float]]:
        """Pixel outline of a flat face, cut off where it passes behind the camera."""
        cos, sin = self._cos, self._sin
        seen = [(x * cos - z * sin, y, x * sin + z * cos) for x, y, z in corners]
        if min(point[2] for point in seen) < NEAR_M:
            seen = _cut_near(seen)
        focal, height = self.focal, self.camera_height_m
        return [
            (self.centre + focal * x / depth, self.horizon - focal * (y - height) / depth) for x, y, depth in seen
        ]

    def face(self, corners: Sequence[Point], colour: Colour) -> None:
        """Fill a flat face."""
        outline = self.flat(corners)
        if len(outline) > 2:
            self.draw.polygon(outline, fill=colour)

    def veil(self, corners: Sequence[Point], colour: Colour, opacity: float) -> None:
        """Fill a flat face with a see-through colour."""
        outline = self.flat(corners)
        if len(outline) > 2:
            self.glaze.polygon(outline, fill=(*colour, int(255 * opacity)))

    def wall(self, x0: float, x1: float, y0: float, y1: float, z: float, colour: Colour) -> None:
        """A rectangle that faces the camera, at depth ``z``."""
        self.face(((x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)), colour)

    def side(self, x: float, z0: float, z1: float, y0: float, y1: float, colour: Colour) -> None:
        """A rectangle at right angles to the street."""
        self.face(((x, y0, z0), (x, y0, z1), (x, y1, z1), (x, y1, z0)), colour)

    def floor(self, x0: float, x1: float, z0: float, z1: float, colour: Colour, y: float = 0.0) -> None:
        """A level rectangle at height ``y``."""
        self.face(((x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)), colour)

    def box(self, x0: float, x1: float, y0: float, y1: float, z0: float, z1: float, colour: Colour) -> None:
        """A box with its front at ``z0``; only the sides that can be seen are drawn."""
        if y1 < self.camera_height_m:
            self.floor(x0, x1, z0, z1, shade(colour, 1.15), y=y1)
        flank = x0 if x0 > 0 else x1 if x1 < 0 else None
        if flank is not None:
            self.side(flank, z0, z1, y0, y1, shade(colour, self.place.flank_light(flank)))
        self.wall(x0, x1, y0, y1, z0, colour)

    def disc(self, x: float, y: float, z: float, across: float, tall: float, colour: Colour) -> None:
        """An upright ellipse that always faces the camera; sizes are full widths in metres."""
        pixels = self.scale(x, z)
        if pixels:
            left, top = self.spot(x, y, z)
            half, rise = across * pixels / 2, tall * pixels / 2
            self.draw.ellipse((left - half, top - rise, left + half, top + rise), fill=colour)

    def shadow(self, x: float, z: float, across: float, deep: float = 1.0) -> None:
        """A soft patch of shade on the ground."""
        pixels = self.scale(x, z)
        if pixels:
            left, top = self.spot(x, 0.0, z)
            half = across * pixels / 2
            flat = max(1.0, half * 0.22 * deep)
            fill = (20, 22, 30, int(255 * self.place.shadow))
            self.glaze.ellipse((left - half, top - flat, left + half, top + flat), fill=fill)

    def line(self, start: Point, end: Point, colour: Colour, width_m: float = 0.1) -> None:
        """A stroke whose width shrinks with distance; at least one finished pixel wide."""
        pixels = self.scale(start[0], start[2])
        if pixels and self.scale(end[0], end[2]):
            width = max(SUPERSAMPLING - 1, round(width_m * pixels))
            self.draw.line((self.spot(*start), self.spot(*end)), fill=colour, width=width)


def _cut_near(seen: list[Point]) -> list[Point]:
    """Keep the part of an outline that lies in front of the camera."""
    kept: list[Point] = []
    for here, there in zip(seen, seen[1:] + seen[:1], strict=True):
        if here[2] >= NEAR_M:
            kept.append(here)
        if (here[2] >= NEAR_M) != (there[2] >= NEAR_M):
            share = (NEAR_M - here[2]) / (there[2] - here[2])
            kept.append(
                (
                    here[0] + share * (there[0] - here[0]),
                    here[1] + share * (there[1] - here[1]),
                    NEAR_M,
                )
            )
    return kept
