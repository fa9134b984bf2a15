"""Films of two fields to a frame: interlaced and telecined, of a moving scene."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from support.clips import Clip, make_clip

from vidrestore.types import Plane

LOSSLESS = {"codec": "ffv1", "options": {"level": "3"}}
NTSC = Fraction(30_000, 1001)


def moving_picture(moment: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return ``(h, w, 3)`` RGB, smooth, and several pixels further with every moment."""
    height, width = size_hw
    y, x = np.mgrid[0:height, 0:width]
    wave = np.sin((x - 3 * moment) / 8.0) + 0.5 * np.sin(y / 7.0 + moment / 5.0)
    gray = 125 + 55 * wave
    return np.stack([gray, 0.8 * gray + 20, 0.6 * gray + 50], axis=2).clip(0, 255).astype(np.uint8)


def interlaced_picture(
    number: int, size_hw: tuple[int, int], *, top_first: bool = True
) -> NDArray[np.uint8]:
    """Return the rows of moments ``2 number`` and ``2 number + 1`` in one picture."""
    return _woven(2 * number + (not top_first), 2 * number + top_first, size_hw)


def pulldown_fields(count: int) -> list[tuple[int, int]]:
    """Return which moment the top and the bottom rows of so many telecined frames show."""
    fields = [instant for instant in range(count) for _ in range(3 if instant % 2 else 2)]
    return [(fields[2 * index], fields[2 * index + 1]) for index in range(count)]


def telecined_picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return frame ``number`` of a film at 24 frames per second, spread over 60 fields."""
    return _woven(*pulldown_fields(number + 5)[number], size_hw)


def _woven(top: int, bottom: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    picture = moving_picture(top, size_hw)
    picture[1::2] = moving_picture(bottom, size_hw)[1::2]
    return picture


def interlaced_clip(path: Path, *, order: str = "tff", flagged: bool = True, **changes: object):
    """Write an interlaced film, lossless by default."""

    def picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        return interlaced_picture(number, size_hw, top_first=order == "tff")

    lossless = {} if "codec" in changes else LOSSLESS
    settings = {**lossless, "field_order": order if flagged else None, "picture": picture}
    return make_clip(path, Clip(**{**settings, **changes}))  # type: ignore[arg-type]


def telecined_clip(path: Path, count: int, *, flagged: bool = True, **changes: object) -> Path:
    """Write so many telecined frames, at the rate of NTSC."""
    settings = {
        **({} if "codec" in changes else LOSSLESS),
        "field_order": "tff" if flagged else None,
        "picture": telecined_picture,
        "ticks": tuple(1001 * index for index in range(count)),
        "time_base": Fraction(1, 30_000),
        "last_duration_ticks": 1001,
        "rate": NTSC,
    }
    return make_clip(path, Clip(**{**settings, **changes}))  # type: ignore[arg-type]


def combing(plane: Plane) -> float:
    """Return how much rows differ from the mean of their neighbors, less those two rows away."""
    rows = plane.astype(np.float64)
    near = np.abs(rows[2:-2] - (rows[1:-3] + rows[3:-1]) / 2).mean()
    far = np.abs(rows[2:-2] - (rows[:-4] + rows[4:]) / 2).mean()
    return float(near - far)


def best_matching_instant(
    rows: Plane, size_hw: tuple[int, int], moments: Sequence[int], which: slice = slice(None)
) -> int:
    """Return which moment of ``moving_picture`` some rows of luma show best.

    Args:
        rows: The rows.
        size_hw: Of the whole picture.
        moments: Those that it may be.
        which: Where the rows lie in the whole picture.
    """
    samples = rows.astype(np.float64).ravel()
    similar = [
        np.corrcoef(samples, moving_picture(instant, size_hw)[which, :, 0].ravel())[0, 1]
        for instant in moments
    ]
    return moments[int(np.argmax(similar))]
