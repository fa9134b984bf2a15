import re
import tracemalloc
import weakref
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import pytest
import torch
from support.faces import example_images
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.restore import detail_blending
from vidrestore.restore.detail_blending import (
    BLEND_CONTEXT_FRAMES,
    FaceImage,
    blend_clip,
    luma_changes,
)
from vidrestore.restore.luma import luma_of_crop
from vidrestore.restore.settings import TemporalConfig
from vidrestore.types import FloatArray

SIDE_PX = 512
CONFIG = TemporalConfig()
EYES = ((192, 202), (322, 208))
"""Centers (x, y) of the eyes of ``face``."""
EYE_REGION = (slice(None), slice(176, 232), slice(152, 364))
MOUTH_XY = (252, 328)
MOUTH_REGION = (slice(None), slice(296, 372), slice(196, 312))
INNER = (slice(None), slice(40, -40), slice(40, -40))

Pair = tuple[Tensor, Tensor]
"""A crop before and after it is restored."""


class Item:
    """Something that comes with its faces."""


def face() -> FloatArray:
    """Return ``(512, 512, 3)``: a face that fills the image."""
    square = example_images(1)[0][0:256, 170:426].astype(np.float32) / 255
    large = cv2.resize(square, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, dtype=np.float32)


def with_closed_eyes(image: FloatArray) -> FloatArray:
    closed = image.copy()
    for x, y in EYES:
        skin = image[y + 30, x].tolist()
        cv2.ellipse(closed, (x, y), (36, 18), 0, 0, 360, skin, -1)
        cv2.ellipse(closed, (x, y), (30, 10), 0, 20, 160, [0.25, 0.15, 0.1], 3)
    return np.asarray(cv2.GaussianBlur(closed, (0, 0), 1.5), dtype=np.float32)


def with_open_mouth(image: FloatArray) -> FloatArray:
    opened = image.copy()
    cv2.ellipse(opened, MOUTH_XY, (44, 24), 0, 0, 360, [0.2, 0.08, 0.08], -1)
    return np.asarray(cv2.GaussianBlur(opened, (0, 0), 1.5), dtype=np.float32)


def shift(image: FloatArray, x: float, y: float) -> FloatArray:
    affine = np.array([[1, 0, x], [0, 1, y]], dtype=np.float64)
    size_wh = (SIDE_PX, SIDE_PX)
    return np.asarray(
        cv2.warpAffine(image, affine, size_wh, borderMode=cv2.BORDER_REFLECT), dtype=np.float32
    )


def rotate_head(image: FloatArray, degrees: float) -> FloatArray:
    """Return a head turned to a side, as if it were painted on a cylinder."""
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX].astype(np.float32)
    radius = 0.75 * SIDE_PX
    angle = np.arcsin((x - SIDE_PX / 2) / radius) + np.radians(degrees)
    source_x = (SIDE_PX / 2 + radius * np.sin(angle)).astype(np.float32)
    return np.asarray(
        cv2.remap(image, source_x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.float32
    )


def add_noise(image: FloatArray, seed: int, sigma: float = 0.006) -> FloatArray:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return (image + noise).clip(0, 1).astype(np.float32)


def sharpen(image: FloatArray) -> FloatArray:
    """Return a stand-in for a restored image, the same every time."""
    soft = cv2.GaussianBlur(image, (0, 0), 3)
    return (2.5 * image - 1.5 * np.asarray(soft)).clip(0, 1).astype(np.float32)


def random_detail(seed: int, sigma: float = 0.05) -> FloatArray:
    """Return invented detail, different in every frame."""
    noise = np.random.default_rng(seed).normal(0, 1, (SIDE_PX, SIDE_PX, 1)).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), dtype=np.float32)[:, :, None]
    return soft * np.float32(sigma) / soft.std()


def chw(image: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)


def pair(degraded: FloatArray, restored: FloatArray) -> Pair:
    return chw(degraded), chw(restored)


def restored_by_sharpening(images: Sequence[FloatArray]) -> list[Pair]:
    return [pair(add_noise(image, index), sharpen(image)) for index, image in enumerate(images)]


def blend(clip: Sequence[Pair], config: TemporalConfig = CONFIG) -> list[Tensor]:
    return list(blend_clip(clip, config=config))


def distance(first: Tensor, second: Tensor) -> float:
    return float((first - second)[INNER].abs().mean())


def sharpness(image: Tensor) -> float:
    inner = image[INNER]
    return float(inner.diff(dim=1).abs().mean() + inner.diff(dim=2).abs().mean())


def fine_part(image: Tensor) -> Tensor:
    hwc = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    return chw(hwc - np.asarray(cv2.GaussianBlur(hwc, (0, 0), 6), dtype=np.float32))


def ghost_ratio(
    result: Tensor, original: Tensor, other: Tensor, region: tuple[slice, ...]
) -> float:
    """Return the fraction of another frame's detail in ``result``, which was ``original``."""
    difference, change = (fine_part(image - original)[region] for image in (other, result))
    return float((difference * change).sum() / (difference * difference).sum())


@pytest.mark.parametrize("step_px", [0.0, 4.5])
def test_detail_that_differs_from_frame_to_frame_is_halved_at_rest_and_in_motion(
    step_px: float,
) -> None:
    images = [shift(face(), step_px * k, -step_px * k / 2) for k in range(5)]
    steady = [chw(sharpen(image)) for image in images]
    clip = [
        pair(add_noise(image, k), sharpen(image) + random_detail(k))
        for k, image in enumerate(images)
    ]
    result = blend(clip)[2]
    assert distance(result, steady[2]) < 0.55 * distance(clip[2][1], steady[2])


def test_nine_frames_of_detail_are_averaged() -> None:
    steady = chw(sharpen(face()))
    clip = [flickering(k) for k in range(9)]
    assert distance(blend(clip)[4], steady) < 0.4 * distance(clip[4][1], steady)


def test_constant_detail_stays_sharp_in_motion() -> None:
    clip = restored_by_sharpening([shift(face(), 4.5 * k, -2.0 * k) for k in range(5)])
    assert sharpness(blend(clip)[2]) > 0.95 * sharpness(clip[2][1])


def full_weight(residual_hw: FloatArray, _noise: float) -> FloatArray:
    return np.ones_like(residual_hw)


@pytest.mark.parametrize(
    ("changed", "region"), [(with_closed_eyes, EYE_REGION), (with_open_mouth, MOUTH_REGION)]
)
@pytest.mark.parametrize("lasts", [1, 2, 3])
def test_blinking_and_speaking_leave_no_ghosts(
    changed: Callable[[FloatArray], FloatArray],
    region: tuple[slice, ...],
    lasts: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = [face()] * 3 + [changed(face())] * lasts + [face()] * 3
    clip = restored_by_sharpening(images)
    before, during = clip[2][1], clip[3][1]

    def ghosts() -> tuple[float, float]:
        result = blend(clip)
        return (
            ghost_ratio(result[2], before, during, region),
            ghost_ratio(result[3], during, before, region),
        )

    assert max(ghosts()) < 0.05
    monkeypatch.setattr(detail_blending, "similarity_weight", full_weight)
    assert max(ghosts()) > 0.2


def test_a_head_that_turns_fast_is_hardly_blended() -> None:
    clip = restored_by_sharpening([rotate_head(face(), 5.0 * k) for k in range(-2, 3)])
    result, original, following = blend(clip)[2], clip[2][1], clip[3][1]
    assert distance(result, original) < 0.12 * distance(following, original)
    assert sharpness(result) > 0.93 * sharpness(original)


def test_flickering_light_is_kept_in_each_frame() -> None:
    gains = (0.8, 0.95, 0.7, 0.9, 0.75)
    clip = restored_by_sharpening([face() * np.float32(gain) for gain in gains])
    for result, (_, original) in zip(blend(clip), clip, strict=True):
        assert float(result.mean()) == pytest.approx(float(original.mean()), abs=0.001)


def test_strength_is_the_weight_of_the_neighbors() -> None:
    truth = chw(sharpen(face()))
    clip = [pair(add_noise(face(), k), sharpen(face()) + random_detail(k)) for k in range(7)]
    errors = [
        distance(blend(clip, TemporalConfig(strength=strength))[3], truth)
        for strength in (0.0, 0.3, 1.0)
    ]
    assert errors[0] > 1.1 * errors[1] > 1.2 * errors[2]
    assert blend(clip, TemporalConfig(strength=0.0))[3] is clip[3][1]


def test_a_frame_depends_only_on_its_window_bit_for_bit() -> None:
    images = [shift(face(), 1.5 * k, 0.0) for k in range(12)]
    clip = [
        pair(add_noise(image, k), sharpen(image) + random_detail(k))
        for k, image in enumerate(images)
    ]
    index, context = 5, BLEND_CONTEXT_FRAMES
    full = blend(clip)
    part = blend(clip[index - context : index + context + 1])
    assert torch.equal(full[index], part[context])
    nearer = blend(clip[index - context + 1 : index + context + 1])
    assert not torch.equal(full[index], nearer[context - 1])


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    images = [shift(face(), 3.0 * k, 1.0 * k) for k in range(3)]
    clip = [
        pair(add_noise(image, k), sharpen(image) + random_detail(k))
        for k, image in enumerate(images)
    ]
    threads = cv2.getNumThreads(), torch.get_num_threads()
    results: list[Tensor] = []
    try:
        for count in (1, 4):
            cv2.setNumThreads(count)
            torch.set_num_threads(count)
            results.append(torch.stack(blend(clip)))
    finally:
        cv2.setNumThreads(threads[0])
        torch.set_num_threads(threads[1])
    assert torch.equal(*results)


def image_of(crops: Pair, origin_xy: tuple[int, int] = (0, 0)) -> FaceImage:
    before, after = (luma_of_crop(crop) for crop in crops)
    return FaceImage(origin_xy=origin_xy, before_hw=before, after_hw=after)


def changes_of(
    items: Sequence[dict[int, FaceImage]], config: TemporalConfig = CONFIG
) -> list[dict[int, FloatArray]]:
    """Return the changes of items, which are given back in order."""
    pairs = list(luma_changes(enumerate(items), config=config))
    assert [index for index, _ in pairs] == list(range(len(items)))
    return [changes for _, changes in pairs]


def flickering(seed: int) -> Pair:
    return pair(add_noise(face(), seed), sharpen(face()) + random_detail(seed))


def test_a_single_image_is_not_blended() -> None:
    faces = {1: image_of(flickering(0)), 2: image_of(flickering(1))}
    assert changes_of([faces]) == [{}]


def test_faces_are_blended_within_their_track_up_to_a_gap() -> None:
    images = [image_of(flickering(k)) for k in range(5)]
    changes = changes_of(
        [{1: images[0], 2: images[1]}, {2: images[2]}, {}, {1: images[3], 2: images[4]}]
    )
    assert [sorted(each) for each in changes] == [[2], [2], [], []]


def test_frames_of_another_track_have_no_influence() -> None:
    images = [image_of(flickering(k)) for k in range(6)]
    tracks = [1, 1, 1, 2, 2, 2]
    together = changes_of([{track: image} for track, image in zip(tracks, images, strict=True)])
    alone = changes_of([{2: image} for image in images[3:]])
    for result, expected in zip(together[3:], alone, strict=True):
        np.testing.assert_array_equal(result[2], expected[2])


def test_a_region_may_follow_the_face() -> None:
    """What is blended does not depend on where in the frame the regions begin and end."""
    scenes = [np.roll(face(), (2 * k, 3 * k), axis=(0, 1)) for k in range(5)]
    clip = [
        pair(add_noise(scene, k), sharpen(scene) + random_detail(k))
        for k, scene in enumerate(scenes)
    ]

    def blended(corners: Sequence[tuple[int, int]]) -> FloatArray:
        regions = [
            {
                0: image_of(
                    (crops[0][:, y : y + 300, x : x + 300], crops[1][:, y : y + 300, x : x + 300]),
                    (x, y),
                )
            }
            for crops, (x, y) in zip(clip, corners, strict=True)
        ]
        return changes_of(regions)[2][0]

    still = blended([(100, 100)] * 5)
    moving = blended([(90 + 5 * k, 92 + 4 * k) for k in range(5)])
    inner = (slice(40, -40), slice(40, -40))
    assert np.abs(still - moving)[inner].mean() < 0.1 * np.abs(still)[inner].mean()


def test_a_neighbor_with_less_of_the_restored_face_counts_less() -> None:
    images = [image_of(flickering(k)) for k in range(3)]
    faint = [image._replace(strength=0.1) for image in images]
    full, fainter, absent = (
        np.abs(changes_of([{0: outer}, {0: images[1]}, {0: outer}])[1][0]).mean()
        for outer in (images[0], faint[0], images[0]._replace(strength=0.0))
    )
    assert 0.1 * full < fainter < 0.7 * full
    assert absent == 0.0


def test_fields_are_blended_with_fields_of_the_same_lines() -> None:
    images = [image_of(flickering(k)) for k in range(5)]
    fields = [image._replace(is_bottom_field=k % 2 == 1) for k, image in enumerate(images)]
    changed = list(fields)
    changed[1] = images[1]._replace(after_hw=images[1].after_hw * 0.5, is_bottom_field=True)
    first, other = (changes_of([{0: field} for field in each])[2][0] for each in (fields, changed))
    np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize("hw", [(5, 300), (300, 11), (12, 12)])
def test_a_sliver_of_a_face_is_no_error(hw: tuple[int, int]) -> None:
    height, width = hw
    crops = [tuple(crop[:, :height, :width] for crop in flickering(k)) for k in range(3)]
    changes = changes_of([{0: image_of((first, other))} for first, other in crops])
    assert all(change.shape == hw for each in changes for change in each.values())
    assert any(changes) == (min(hw) >= 12)


def test_a_region_larger_than_the_grid_keeps_its_finest_detail() -> None:
    """Only what a restorer can have drawn is blended: detail of a 512th of the region."""
    fine = np.random.default_rng(0).normal(0, 0.1, (1024, 1024)).astype(np.float32)
    images = [
        FaceImage((0, 0), before, before + (fine if k == 1 else 0))
        for k in range(3)
        for before in [np.asarray(cv2.resize(luma_of_crop(chw(face())), (1024, 1024)), np.float32)]
    ]
    change = changes_of([{0: image} for image in images])[1][0]
    kept = images[1].after_hw + change - images[1].before_hw
    assert kept.std() > 0.8 * fine.std()


def test_only_the_later_neighbors_are_buffered() -> None:
    clip = [image_of(flickering(k)) for k in range(2)]
    items: list[weakref.ref[Item]] = []
    peak = 0

    def frames() -> Iterator[tuple[Item, dict[int, FaceImage]]]:
        nonlocal peak
        for index in range(10):
            item = Item()
            items.append(weakref.ref(item))
            yield item, {1: clip[index % 2]}
            del item
            peak = max(peak, sum(item() is not None for item in items))

    count = sum(1 for _ in luma_changes(frames(), config=CONFIG))
    assert count == 10
    assert peak <= 2 + 3 + 1  # what the passes reach, of frames or fields


def test_memory_does_not_grow_with_the_film() -> None:
    crops = flickering(0)

    def peak_bytes(count: int) -> int:
        tracemalloc.start()
        for _ in blend_clip((crops for _ in range(count)), config=CONFIG):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    # Of every face in the window two images of luma, and some motion; 20 more to work with.
    window_bytes = (2 * BLEND_CONTEXT_FRAMES + 1) * 3 * SIDE_PX * SIDE_PX * 4
    peak_bytes(3)  # fills caches that are kept from one film to the next
    few, many = peak_bytes(12), peak_bytes(24)
    assert many < 1.05 * few
    assert few < window_bytes + 20 * SIDE_PX * SIDE_PX * 4


@pytest.mark.parametrize(
    ("setting", "value"),
    [("strength", 1.5), ("strength", -0.1), ("context_frames", 0)],
)
def test_settings_out_of_range_are_refused(setting: str, value: object) -> None:
    with pytest.raises(ConfigError, match=re.escape(str(value))):
        TemporalConfig(**{setting: value})  # pyright: ignore[reportArgumentType]
