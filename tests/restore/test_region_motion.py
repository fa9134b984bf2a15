"""Motion between regions that follow a face."""

import cv2
import numpy as np
import pytest
from support.faces import example_images

from vidrestore.restore.region_motion import RegionImage, find_motion, follow
from vidrestore.types import FloatArray

SIDE_PX = 128
INNER = (slice(12, -12), slice(12, -12))


def face_moved(x: float, y: float) -> FloatArray:
    """Return the luma of a face, moved by so many pixels."""
    cut = cv2.cvtColor(example_images(1)[0][0:256, 170:426], cv2.COLOR_RGB2GRAY)
    small = cv2.resize(cut, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    moved = cv2.warpAffine(
        small,
        np.array([[1.0, 0, x], [0, 1.0, y]]),
        (SIDE_PX, SIDE_PX),
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, dtype=np.float32) / np.float32(255)


@pytest.mark.parametrize("origins", [((0, 0),) * 3, ((40, 10), (42, 9), (43, 9))])
def test_chained_motion_reaches_the_last_image(origins: tuple[tuple[int, int], ...]) -> None:
    """Wherever the regions begin in the frame, a face is followed in its pixels."""
    regions: list[RegionImage] = []
    for number, (left, top) in enumerate(origins):
        x, y = origins[0][0] - left, origins[0][1] - top
        moved = face_moved(1.5 * number + x, -0.5 * number + y)
        regions.append(RegionImage((left, top), (1.0, 1.0), moved))
    first, second, third = regions
    to_second = find_motion(second, first, max_side=SIDE_PX).from_previous
    to_third = find_motion(third, second, max_side=SIDE_PX).from_previous
    start = first.places()
    end = follow(to_third, follow(to_second, start))
    moved = np.stack([after - before for after, before in zip(end, start, strict=True)], axis=2)
    assert np.linalg.norm(moved[INNER] - np.array((3.0, -1.0)), axis=2).mean() < 0.15
