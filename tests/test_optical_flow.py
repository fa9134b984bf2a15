"""Motion between small images: fine, and inverted."""

import cv2
import numpy as np
from numpy.typing import NDArray
from support.faces import example_images

from vidrestore.optical_flow import dense_flow, fine_flow, invert_flow

SIDE_PX = 128
INNER = (slice(12, -12), slice(12, -12))


def face_moved(x: float, y: float, *, grow: float = 1.0) -> NDArray[np.uint8]:
    """Return gray levels of a face, moved by so many pixels and enlarged about the middle."""
    middle = SIDE_PX / 2
    cut = cv2.cvtColor(example_images(1)[0][0:256, 170:426], cv2.COLOR_RGB2GRAY)
    small = cv2.resize(cut, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    shift_xy = (x + middle * (1 - grow), y + middle * (1 - grow))
    moved = cv2.warpAffine(
        small,
        np.array([[grow, 0, shift_xy[0]], [0, grow, shift_xy[1]]]),
        (SIDE_PX, SIDE_PX),
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, dtype=np.uint8)


def error_px(flow: NDArray[np.float32], expected_xy: tuple[float, float]) -> float:
    return float(np.linalg.norm(flow[INNER] - np.array(expected_xy), axis=2).mean())


def test_fine_flow_is_accurate_to_a_tenth_of_a_pixel_where_quick_flow_is_not() -> None:
    first, second = face_moved(0, 0), face_moved(1.4, -0.7, grow=1.03)
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX].astype(np.float32)
    middle = SIDE_PX / 2
    expected = np.stack([1.4 + 0.03 * (x - middle), -0.7 + 0.03 * (y - middle)], axis=2)
    fine, quick = (
        float(np.linalg.norm((flow - expected)[INNER], axis=2).mean())
        for flow in (fine_flow(first, second), dense_flow(first, second, quick=True))
    )
    assert fine < 0.1
    assert fine < 0.7 * quick


def test_an_inverse_flow_returns_to_the_start() -> None:
    first, second = face_moved(0, 0), face_moved(2.0, 1.0)
    back = invert_flow(fine_flow(first, second))
    assert error_px(back, (-2.0, -1.0)) < 0.15
    assert error_px(fine_flow(second, first), (-2.0, -1.0)) < 0.15
