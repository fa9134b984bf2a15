from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.faces import example_images

from vidrestore.faces.tracking.shot_detection import DELAY_FRAMES, ShotDetector, mark_cuts

RgbImage = NDArray[np.uint8]


def scene(seed: int, *, width: int = 240, height: int = 135) -> RgbImage:
    """Return a image with large shapes and fine texture, as different per seed as shots are."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(10, 246, (5, 7, 3)).astype(np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(float)
    return np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)


def noisy(image: RgbImage, seed: int, sigma: float = 4.0) -> RgbImage:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def luma(image: RgbImage) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def detected_cuts(images: Sequence[RgbImage]) -> list[int]:
    marked = list(mark_cuts(enumerate(images), lambda item: luma(item[1])))
    assert [index for (index, _), _ in marked] == list(range(len(images)))
    return [index for (index, _), cut in marked if cut]


def still_shot(seed: int, count: int) -> list[RgbImage]:
    return [noisy(scene(seed), 100 * seed + number) for number in range(count)]


def gray(images: Sequence[RgbImage]) -> list[RgbImage]:
    return [np.repeat(p.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2) for p in images]


@pytest.mark.parametrize("lengths", [(10, 10), (3, 9), (10, 2), (1, 8), (9, 1), (4, 4, 4)])
def test_hard_cuts_are_detected_in_their_frame(lengths: tuple[int, ...]) -> None:
    images = [image for seed, count in enumerate(lengths) for image in still_shot(seed, count)]
    starts = np.cumsum(lengths)[:-1].tolist()

    assert detected_cuts(images) == starts
    assert detected_cuts(gray(images)) == starts


def test_a_cut_to_another_scene_of_the_same_brightness_is_detected() -> None:
    images = [p for seed in (1, 2) for p in still_shot(seed, 8)]
    level = images[0].mean()
    balanced = [
        np.clip(p.astype(float) - p.mean() + level, 0, 255).astype(np.uint8) for p in images
    ]

    assert detected_cuts(balanced) == [8]


def test_a_film_of_unrelated_images_has_a_shot_for_each() -> None:
    assert detected_cuts([scene(seed) for seed in range(6)]) == [1, 2, 3, 4, 5]


def test_a_steady_pan_is_one_shot() -> None:
    wide = scene(3, width=900)

    assert detected_cuts([wide[:, 12 * n : 12 * n + 240] for n in range(50)]) == []


def test_a_pan_that_starts_and_stops_is_one_shot() -> None:
    wide = scene(3, width=900)
    positions = np.cumsum([0] * 8 + [1, 4, 8, 12, 14, 14, 14, 12, 8, 4, 1] + [0] * 8)

    assert (
        detected_cuts([noisy(wide[:, x : x + 240], int(n)) for n, x in enumerate(positions)]) == []
    )


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("level", [0, 255])
def test_a_flash_or_a_black_frame_is_not_a_cut(length: int, level: int) -> None:
    images = still_shot(1, 20)
    for number in range(9, 9 + length):
        images[number] = np.full_like(images[number], level)

    assert detected_cuts(images) == []


def test_a_single_different_frame_is_not_a_cut() -> None:
    images = still_shot(1, 20)
    images[9] = scene(2)

    assert detected_cuts(images) == []


def test_flicker_and_exposure_jumps_are_not_cuts() -> None:
    gains = np.random.default_rng(0).uniform(0.5, 1.2, 30)
    gains[15:] *= 0.6
    images = [
        np.clip(image * gain, 0, 255).astype(np.uint8)
        for image, gain in zip(still_shot(1, 30), gains, strict=True)
    ]

    assert detected_cuts(gray(images)) == []


def test_fades_and_dissolves_are_not_cuts() -> None:
    first, second = scene(1).astype(float), scene(2).astype(float)
    shares = np.linspace(0, 1, 30)
    dissolve = [((1 - share) * first + share * second).astype(np.uint8) for share in shares]
    fade_in = [(share * first).astype(np.uint8) for share in shares]

    assert detected_cuts([*still_shot(1, 5), *dissolve, *still_shot(2, 5)]) == []
    assert detected_cuts([*fade_in, *still_shot(1, 5)]) == []


def test_noise_scratches_and_blotches_of_old_film_are_not_cuts() -> None:
    rng = np.random.default_rng(7)
    images = gray([noisy(scene(1), number, sigma=25.0) for number in range(30)])
    for image in images:
        column = int(rng.integers(0, image.shape[1] - 3))
        image[:, column : column + 2] = 255
        x, y = (int(rng.integers(0, side)) for side in (image.shape[1], image.shape[0]))
        cv2.circle(image, (x, y), int(rng.integers(5, 25)), (10, 10, 10), -1)

    assert detected_cuts(images) == []


def test_a_moving_face_is_one_shot() -> None:
    assert detected_cuts(example_images()) == []


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_every_frame_of_even_the_shortest_film_gets_a_decision(count: int) -> None:
    assert detected_cuts(still_shot(1, count)) == []


def test_shot_decisions_come_after_the_documented_delay() -> None:
    detector = ShotDetector()
    decisions = [detector.push(luma(image)) for image in still_shot(1, 6)]

    assert decisions[:DELAY_FRAMES] == [None] * DELAY_FRAMES
    assert decisions[DELAY_FRAMES:] == [False] * (6 - DELAY_FRAMES)
    assert detector.finish() == [False] * DELAY_FRAMES


def test_images_that_change_size_can_be_compared() -> None:
    images = [*still_shot(1, 6), *(scene(2, width=300, height=200) for _ in range(6))]

    assert detected_cuts(images) == [6]
