"""How much landmarks tremble."""

import math
from collections.abc import Iterable


def landmark_jump_px(
    before_xy: Iterable[Iterable[float]],
    landmarks_xy: Iterable[Iterable[float]],
    after_xy: Iterable[Iterable[float]],
) -> float:
    """Return the mean length of the second difference of landmarks over three frames.

    It is zero for a face that rests or moves evenly, and NaN where a landmark is.
    """
    # Plain floats: for five points, arrays are slower.
    jumps = [
        math.hypot(x0 - 2 * x1 + x2, y0 - 2 * y1 + y2)
        for (x0, y0), (x1, y1), (x2, y2) in zip(before_xy, landmarks_xy, after_xy, strict=True)
    ]
    return sum(jumps) / len(jumps)
