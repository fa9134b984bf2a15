"""Types of arrays and boxes."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.uint8 | np.uint16]
"""Samples of one plane of a frame, ``(h, w)``."""
FloatArray: TypeAlias = NDArray[np.float32]
Affine: TypeAlias = NDArray[np.float64]
"""``(2, 3)``: maps a column (x, y, 1) of one space to (x, y) of another."""

Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right and bottom, the last two exclusive."""
