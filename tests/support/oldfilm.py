"""A film that needs repair."""

import cv2
import numpy as np
from numpy.typing import NDArray

HW = (96, 128)


def damaged_picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a soft texture that moves, with a bright or a dark spot and flicker."""
    rng = np.random.default_rng(number)
    coarse = np.random.default_rng(1).random((12, 20)).astype(np.float32)
    large = np.asarray(cv2.resize(coarse, (240, 144), interpolation=cv2.INTER_CUBIC))
    height, width = size_hw
    picture = (70 + 90 * large[:height, number : number + width]) * (0.9 + 0.2 * rng.random())
    x, y = rng.integers(20, width - 20), rng.integers(20, height - 20)
    picture[y : y + 4, x : x + 4] = 250 * (number % 2)
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
