import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vidrestore.review.jpeg import face_pair, jpeg


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


def decode_jpeg(data: bytes) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(picture, np.uint8)


@pytest.mark.parametrize(("height", "width"), [(700, 500), (1, 1), (2, 4000), (384, 384)])
def test_images_stay_below_the_size_limit_even_for_noise(height: int, width: int) -> None:
    picture = jpeg(noise(height, width), max_side_px=384, max_bytes=20_000)

    assert len(picture.data) <= 20_000
    assert decode_jpeg(picture.data).shape == (picture.height, picture.width, 3)
    assert max(picture.height, picture.width) <= 384


def test_a_small_image_is_not_enlarged() -> None:
    picture = jpeg(np.full((30, 20, 3), 90, np.uint8), max_side_px=384, max_bytes=20_000)

    assert (picture.height, picture.width) == (30, 20)
    assert np.abs(decode_jpeg(picture.data).astype(int) - 90).max() <= 2


def test_both_images_of_a_pair_show_the_same_region() -> None:
    before, after = np.zeros((100, 200, 3), np.uint8), np.full((200, 400, 3), 40, np.uint8)

    pair = face_pair(before, after, np.array([50, 30, 80, 70], np.float32))
    assert (pair.after.width, pair.after.height) == (2 * pair.before.width, 2 * pair.before.height)
    assert pair.before.height == pytest.approx(40 * 1.6, abs=2)
    assert pair.change == pytest.approx(40)


@pytest.mark.parametrize("box", [(-50, -50, 10, 10), (190, 90, 260, 160), (-9, -9, 300, 300)])
def test_the_image_of_a_face_at_the_edge_ends_at_the_frame(box: tuple[float, ...]) -> None:
    picture = noise(100, 200)

    pair = face_pair(picture, picture, np.array(box, np.float32))
    assert pair.before.width >= 1
    assert pair.change == 0


def test_change_is_measured_inside_the_face_only() -> None:
    before = np.zeros((100, 200, 3), np.uint8)
    after = before.copy()
    after[:, :45] = 255
    assert face_pair(before, after, np.array([50, 30, 80, 70], np.float32)).change == 0

    after[30:70, 50:65] = 100
    assert face_pair(before, after, np.array([50, 30, 80, 70], np.float32)).change == 50
