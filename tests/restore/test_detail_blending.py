import re
import tracemalloc
import weakref
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import pytest
import torch
from support.faces import example_images
from support.frames import GRAY, random_frame
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.restore import detail_blending
from vidrestore.restore.detail_blending import blend_clip, blend_frames
from vidrestore.restore.settings import TemporalConfig
from vidrestore.types import AlignedFace, AlignedFrame, FloatArray, RestoredFace, RestoredFrame
from vidrestore.types import TrackedFace as Tracked
from vidrestore.warp import average_areas

SIDE_PX = 512
CONFIG = TemporalConfig()
POINTS = np.array([[1, 1], [3, 1], [2, 2], [1, 3], [3, 3]], dtype=np.float32)
EYES = ((192, 202), (322, 208))
"""Centers (x, y) of the eyes of ``face``."""
EYE_REGION = (slice(None), slice(176, 232), slice(152, 364))
MOUTH_XY = (252, 328)
MOUTH_REGION = (slice(None), slice(296, 372), slice(196, 312))
INNER = (slice(None), slice(40, -40), slice(40, -40))

Pair = tuple[Tensor, Tensor]
"""A crop before and after it is restored."""


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
    assert torch.equal(blend(clip, TemporalConfig(strength=0.0))[3], clip[3][1].clamp(0, 1))


def test_a_frame_depends_only_on_its_window_bit_for_bit() -> None:
    images = [shift(face(), 1.5 * k, 0.0) for k in range(12)]
    clip = [
        pair(add_noise(image, k), sharpen(image) + random_detail(k))
        for k, image in enumerate(images)
    ]
    index, context = 5, CONFIG.blend_context_frames
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


def frame_with(index: int, faces: Sequence[tuple[int, Pair]], shot: int = 0) -> RestoredFrame:
    source = AlignedFrame(frame=random_frame(GRAY, (8, 8), index=index), shot=shot, faces=())
    return RestoredFrame(
        frame=source.frame,
        shot=shot,
        faces=tuple(
            RestoredFace(
                aligned=AlignedFace(
                    face=Tracked(
                        track_id=track,
                        box_xyxy=(0, 0, 4, 4),
                        score=1.0,
                        landmarks_xy=POINTS,
                        raw_landmarks_xy=POINTS,
                    ),
                    display_to_crop=np.eye(2, 3),
                    crop_chw=crop_chw,
                    denoised_chw=torch.zeros_like(restored_chw),  # no motion is measured in it
                ),
                restored_chw=restored_chw,
            )
            for track, (crop_chw, restored_chw) in faces
        ),
    )


def flickering(seed: int) -> Pair:
    return pair(add_noise(face(), seed), sharpen(face()) + random_detail(seed))


def test_a_track_and_a_clip_are_blended_alike() -> None:
    clip = [flickering(k) for k in range(4)]
    frames = [frame_with(index, [(7, crops)]) for index, crops in enumerate(clip)]
    done = list(blend_frames(frames, config=CONFIG))
    for result, expected in zip(done, blend(clip), strict=True):
        assert torch.equal(result.faces[0].restored_chw, expected)


def test_a_single_image_is_not_blended() -> None:
    only = frame_with(0, [(1, flickering(0)), (2, flickering(1))])
    (done,) = blend_frames([only], config=CONFIG)
    for before, after in zip(only.faces, done.faces, strict=True):
        assert after.restored_chw is before.restored_chw


def test_frames_across_a_shot_change_have_no_influence() -> None:
    before = [frame_with(index, [(1, flickering(index))]) for index in range(3)]
    after = [frame_with(3 + index, [(2, flickering(3 + index))], shot=1) for index in range(3)]
    alone = list(blend_frames(after, config=CONFIG))
    together = list(blend_frames([*before, *after], config=CONFIG))
    for result, expected in zip(together[3:], alone, strict=True):
        assert torch.equal(result.faces[0].restored_chw, expected.faces[0].restored_chw)


def test_faces_are_blended_within_their_track_up_to_a_gap() -> None:
    pairs = [flickering(k) for k in range(5)]
    frames = [
        frame_with(0, [(1, pairs[0]), (2, pairs[1])]),
        frame_with(1, [(2, pairs[2])]),
        frame_with(2, []),
        frame_with(3, [(1, pairs[3]), (2, pairs[4])]),
    ]
    done = list(blend_frames(frames, config=CONFIG))
    assert [frame.frame.index for frame in done] == [0, 1, 2, 3]
    tracks = [[face.aligned.face.track_id for face in frame.faces] for frame in done]
    assert tracks == [[1, 2], [2], [], [1, 2]]
    stayed = [
        [new.restored_chw is old.restored_chw for new, old in zip(a.faces, b.faces, strict=True)]
        for a, b in zip(done, frames, strict=True)
    ]
    assert stayed == [[True, False], [False], [], [True, True]]


def test_only_the_later_neighbors_are_buffered() -> None:
    clip = [flickering(k) for k in range(2)]
    crops: list[weakref.ref[Tensor]] = []
    peak = 0

    def frames() -> Iterator[RestoredFrame]:
        nonlocal peak
        for index in range(10):
            frame = frame_with(index, [(1, clip[index % 2])])
            denoised = frame.faces[0].aligned.denoised_chw
            assert denoised is not None
            crops.append(weakref.ref(denoised))
            del denoised
            yield frame
            del frame
            peak = max(peak, sum(crop() is not None for crop in crops))

    count = sum(1 for _ in blend_frames(frames(), config=CONFIG))
    assert count == 10
    assert peak <= CONFIG.blend_context_frames + 1


def test_memory_does_not_grow_with_the_film() -> None:
    crops = flickering(0)

    def peak_bytes(count: int) -> int:
        tracemalloc.start()
        for _ in blend_clip((crops for _ in range(count)), config=CONFIG):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    # 2.5 MB for every face in the windows, and some ten luma images to work with.
    window_bytes = sum(2 * reach + 1 for reach in CONFIG.blend_distances) * 2_600_000
    peak_bytes(3)  # fills caches that are kept from one film to the next
    few, many = peak_bytes(12), peak_bytes(24)
    assert many < 1.05 * few
    assert few < window_bytes + 10 * SIDE_PX * SIDE_PX * 4


@pytest.mark.parametrize(
    ("setting", "value"),
    [("strength", 1.5), ("strength", -0.1), ("context_frames", 0), ("blend_distances", (1, 0))],
)
def test_settings_out_of_range_are_refused(setting: str, value: object) -> None:
    with pytest.raises(ConfigError, match=re.escape(str(value))):
        TemporalConfig(**{setting: value})  # pyright: ignore[reportArgumentType]


def test_crops_of_another_size_are_no_neighbors() -> None:
    def small(crops: Pair) -> Pair:
        half_hw = (SIDE_PX // 2, SIDE_PX // 2)
        return (average_areas(crops[0], half_hw), average_areas(crops[1], half_hw))

    clip = [flickering(k) if k < 3 else small(flickering(k)) for k in range(6)]
    frames = [frame_with(index, [(7, crops)]) for index, crops in enumerate(clip)]
    together = list(blend_frames(frames, config=CONFIG))
    alone = [*blend_frames(frames[:3], config=CONFIG), *blend_frames(frames[3:], config=CONFIG)]
    for result, expected in zip(together, alone, strict=True):
        assert torch.equal(result.faces[0].restored_chw, expected.faces[0].restored_chw)
