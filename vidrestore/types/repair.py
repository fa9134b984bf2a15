"""What repairing a frame changed: its brightness, and boxes with dust and scratches."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vidrestore.types.arrays import Box, Plane
from vidrestore.types.color import PixelFormat

if TYPE_CHECKING:
    from vidrestore.types.frame import Frame

CURVE_KNOTS = 33
_FULL = 1 << 16


@dataclass(frozen=True, slots=True)
class ToneCurve:
    """A rising curve from sample values to sample values, the same on every machine.

    Only integers are computed, so that whoever has the knots and the source's samples gets the
    result's samples bit for bit.
    """

    knots: tuple[int, ...]
    """The new values at ``CURVE_KNOTS`` evenly spaced values from 0 to full scale, 65536."""

    def __post_init__(self) -> None:
        if len(self.knots) != CURVE_KNOTS:
            raise ValueError(f"knots: expected {CURVE_KNOTS}, got {len(self.knots)}")
        if not 0 <= self.knots[0] <= self.knots[-1] <= _FULL:
            raise ValueError(f"knots: out of range: {self.knots}")
        if any(after < before for before, after in zip(self.knots, self.knots[1:], strict=False)):
            raise ValueError(f"knots: must not fall, got {self.knots}")

    def table(self, bit_depth: int) -> Plane:
        """Return the new value of every sample value, ``(2 ** bit_depth,)``."""
        step = (1 << bit_depth) // (CURVE_KNOTS - 1)
        knots = np.array(self.knots, dtype=np.int64)
        part = np.arange(step, dtype=np.int64)
        lows, highs = knots[:-1, None], knots[1:, None]
        parts = step * (_FULL >> bit_depth)
        values = (lows * (step - part) + highs * part + parts // 2) // parts
        values = np.minimum(values.ravel(), (1 << bit_depth) - 1)
        return values.astype(np.uint8 if bit_depth == 8 else np.uint16)

    def apply(self, planes: tuple[Plane, ...], pixel_format: PixelFormat) -> tuple[Plane, ...]:
        """Return the planes with the curve applied to luma, or to red, green and blue."""
        table = self.table(pixel_format.bit_depth)
        count = 3 if pixel_format.model == "rgb" else 1
        changed = [table[np.minimum(plane, pixel_format.max_value)] for plane in planes[:count]]
        for plane in changed:
            plane.flags.writeable = False
        return (*changed, *planes[count:])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Repair:
    """What was repaired in one frame. Every other sample is the source's."""

    source: "Frame"
    """The frame as decoded."""
    curve: ToneCurve | None = None
    """Applied to the whole frame before anything else; None where brightness was left alone."""
    dust_xyxy: tuple[Box, ...] = ()
    """Boxes outside of which no dust was removed, in coded pixels."""
    scratches_xyxy: tuple[Box, ...] = ()
    """Boxes outside of which no scratch was removed, in coded pixels."""
    specks: int = 0
    """Number of specks that were removed."""
