"""Restored detail is blended along the motion: steadier, no ghosts, bounded."""

import tracemalloc
import weakref
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import pytest
import torch
from support.faces import example_pictures
from support.frames import GRAY, random_frame
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.restore import detail_blending
from vidrestore.restore.detail_blending import blend_clip, blend_frames
from vidrestore.restore.settings import BlendingConfig
from vidrestore.types import AlignedFace, AlignedFrame, FloatArray, RestoredFace, RestoredFrame
from vidrestore.types import TrackedFace as Tracked

SIDE_PX = 512
CONFIG = BlendingConfig()
POINTS = np.array([[1, 1], [3, 1], [2, 2], [1, 3], [3, 3]], dtype=np.float32)
EYES = ((192, 202), (322, 208))
"""Centres (x, y) of the eyes of ``face``."""
EYE_REGION = (slice(None), slice(176, 232), slice(152, 364))
MOUTH_XY = (252, 328)
MOUTH_REGION = (slice(None), slice(296, 372), slice(196, 312))
INNER = (slice(None), slice(40, -40), slice(40, -40))

Pair = tuple[Tensor, Tensor]
"""What the restorer is shown, and what it makes of it."""


def face() -> FloatArray:
    """Return ``(512, 512, 3)``: a face that fills the picture."""
    cut = example_pictures(1)[0][0:256, 170:426].astype(np.float32) / 255
    large = cv2.resize(cut, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, dtype=np.float32)


def with_closed_eyes(picture: FloatArray) -> FloatArray:
    closed = picture.copy()
    for x, y in EYES:
        skin = picture[y + 30, x].tolist()
        cv2.ellipse(closed, (x, y), (36, 18), 0, 0, 360, skin, -1)
        cv2.ellipse(closed, (x, y), (30, 10), 0, 20, 160, [0.25, 0.15, 0.1], 3)
    return np.asarray(cv2.GaussianBlur(closed, (0, 0), 1.5), dtype=np.float32)


def with_open_mouth(picture: FloatArray) -> FloatArray:
    opened = picture.copy()
    cv2.ellipse(opened, MOUTH_XY, (44, 24), 0, 0, 360, [0.2, 0.08, 0.08], -1)
    return np.asarray(cv2.GaussianBlur(opened, (0, 0), 1.5), dtype=np.float32)


def moved(picture: FloatArray, x: float, y: float) -> FloatArray:
    shift = np.array([[1, 0, x], [0, 1, y]], dtype=np.float64)
    size_wh = (SIDE_PX, SIDE_PX)
    return np.asarray(
        cv2.warpAffine(picture, shift, size_wh, borderMode=cv2.BORDER_REFLECT), dtype=np.float32
    )


def turned(picture: FloatArray, degrees: float) -> FloatArray:
    """Return a head turned to a side, as if it were painted on a cylinder."""
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX].astype(np.float32)
    radius = 0.75 * SIDE_PX
    angle = np.arcsin((x - SIDE_PX / 2) / radius) + np.radians(degrees)
    there = (SIDE_PX / 2 + radius * np.sin(angle)).astype(np.float32)
    return np.asarray(
        cv2.remap(picture, there, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.float32
    )


def noisy(picture: FloatArray, seed: int, sigma: float = 0.006) -> FloatArray:
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return (picture + noise).clip(0, 1).astype(np.float32)


def sharpened(picture: FloatArray) -> FloatArray:
    """Return a stand-in for what a restorer makes of a picture, the same every time."""
    soft = cv2.GaussianBlur(picture, (0, 0), 3)
    return (2.5 * picture - 1.5 * np.asarray(soft)).clip(0, 1).astype(np.float32)


def invented(seed: int, sigma: float = 0.05) -> FloatArray:
    """Return detail as a restorer draws it, another in every frame."""
    noise = np.random.default_rng(seed).normal(0, 1, (SIDE_PX, SIDE_PX, 1)).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), dtype=np.float32)[:, :, None]
    return soft * np.float32(sigma) / soft.std()


def chw(picture: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)


def pair(shown: FloatArray, restored: FloatArray) -> Pair:
    return chw(shown), chw(restored)


def restored_by_sharpening(pictures: Sequence[FloatArray]) -> list[Pair]:
    return [pair(noisy(each, at), sharpened(each)) for at, each in enumerate(pictures)]


def blended(clip: Sequence[Pair], config: BlendingConfig = CONFIG) -> list[Tensor]:
    return list(blend_clip(clip, config=config))


def distance(one: Tensor, other: Tensor) -> float:
    return float((one - other)[INNER].abs().mean())


def sharpness(picture: Tensor) -> float:
    inner = picture[INNER]
    return float(inner.diff(dim=1).abs().mean() + inner.diff(dim=2).abs().mean())


def fine_part(picture: Tensor) -> Tensor:
    hwc = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
    return chw(hwc - np.asarray(cv2.GaussianBlur(hwc, (0, 0), 6), dtype=np.float32))


def ghost_share(found: Tensor, own: Tensor, other: Tensor, region: tuple[slice, ...]) -> float:
    """Return how much of another frame's detail has come into ``found``, which was ``own``."""
    apart, change = (fine_part(each - own)[region] for each in (other, found))
    return float((apart * change).sum() / (apart * apart).sum())


@pytest.mark.parametrize("step_px", [0.0, 4.5])
def test_detail_that_differs_from_frame_to_frame_is_halved_at_rest_and_in_motion(
    step_px: float,
) -> None:
    pictures = [moved(face(), step_px * k, -step_px * k / 2) for k in range(5)]
    steady = [chw(sharpened(each)) for each in pictures]
    clip = [pair(noisy(each, k), sharpened(each) + invented(k)) for k, each in enumerate(pictures)]
    found = blended(clip)[2]
    assert distance(found, steady[2]) < 0.55 * distance(clip[2][1], steady[2])


def test_detail_that_stays_stays_sharp_in_motion() -> None:
    clip = restored_by_sharpening([moved(face(), 4.5 * k, -2.0 * k) for k in range(5)])
    assert sharpness(blended(clip)[2]) > 0.95 * sharpness(clip[2][1])


def unguarded(residual_hw: FloatArray, _noise: float) -> FloatArray:
    return np.ones_like(residual_hw)


@pytest.mark.parametrize(
    ("changed", "region"), [(with_closed_eyes, EYE_REGION), (with_open_mouth, MOUTH_REGION)]
)
@pytest.mark.parametrize("lasts", [1, 2, 3])
def test_neither_a_blink_nor_a_word_leaves_a_ghost(
    changed: Callable[[FloatArray], FloatArray],
    region: tuple[slice, ...],
    lasts: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pictures = [face()] * 3 + [changed(face())] * lasts + [face()] * 3
    clip = restored_by_sharpening(pictures)
    before, during = clip[2][1], clip[3][1]

    def ghosts() -> tuple[float, float]:
        found = blended(clip)
        return (
            ghost_share(found[2], before, during, region),
            ghost_share(found[3], during, before, region),
        )

    assert max(ghosts()) < 0.05
    monkeypatch.setattr(detail_blending, "similarity_weight", unguarded)
    assert max(ghosts()) > 0.2


def test_a_head_that_turns_fast_stays_itself() -> None:
    clip = restored_by_sharpening([turned(face(), 5.0 * k) for k in range(-2, 3)])
    found, own, following = blended(clip)[2], clip[2][1], clip[3][1]
    assert distance(found, own) < 0.12 * distance(following, own)
    assert sharpness(found) > 0.93 * sharpness(own)


def test_light_that_flickers_stays_that_of_its_own_frame() -> None:
    gains = (0.8, 0.95, 0.7, 0.9, 0.75)
    clip = restored_by_sharpening([face() * np.float32(gain) for gain in gains])
    for found, (_, own) in zip(blended(clip), clip, strict=True):
        assert float(found.mean()) == pytest.approx(float(own.mean()), abs=0.001)


def test_strength_says_how_much_is_taken() -> None:
    truth = chw(sharpened(face()))
    clip = [pair(noisy(face(), k), sharpened(face()) + invented(k)) for k in range(3)]
    errors = [
        distance(blended(clip, BlendingConfig(strength=strength))[1], truth)
        for strength in (0.0, 0.3, 1.0)
    ]
    assert errors[0] > 1.1 * errors[1] > 1.2 * errors[2]
    assert torch.equal(blended(clip, BlendingConfig(strength=0.0))[1], clip[1][1].clamp(0, 1))


def test_a_frame_depends_on_its_window_alone_bit_for_bit() -> None:
    pictures = [moved(face(), 3.0 * k, 0.0) for k in range(8)]
    clip = [pair(noisy(each, k), sharpened(each) + invented(k)) for k, each in enumerate(pictures)]
    at, reach = 3, CONFIG.reach_frames
    whole = blended(clip)
    part = blended(clip[at - reach : at + reach + 1])
    assert torch.equal(whole[at], part[reach])
    nearer = blended(clip[at - reach + 1 : at + reach + 1])
    assert not torch.equal(whole[at], nearer[reach - 1])


def test_the_same_comes_out_whatever_the_number_of_threads() -> None:
    pictures = [moved(face(), 3.0 * k, 1.0 * k) for k in range(3)]
    clip = [pair(noisy(each, k), sharpened(each) + invented(k)) for k, each in enumerate(pictures)]
    threads = cv2.getNumThreads(), torch.get_num_threads()
    results: list[Tensor] = []
    try:
        for count in (1, 4):
            cv2.setNumThreads(count)
            torch.set_num_threads(count)
            results.append(torch.stack(blended(clip)))
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
                    crop_chw=torch.zeros(3, SIDE_PX, SIDE_PX),
                    denoised_chw=restorer_input_chw,
                ),
                restored_chw=restored_chw,
            )
            for track, (restorer_input_chw, restored_chw) in faces
        ),
    )


def flickering(seed: int) -> Pair:
    return pair(noisy(face(), seed), sharpened(face()) + invented(seed))


def test_the_stage_does_to_a_track_what_is_done_to_a_clip_by_what_was_shown() -> None:
    clip = [flickering(k) for k in range(4)]
    frames = [frame_with(at, [(7, each)]) for at, each in enumerate(clip)]
    done = list(blend_frames(frames, config=CONFIG))
    for found, expected in zip(done, blended(clip), strict=True):
        assert torch.equal(found.faces[0].restored_chw, expected)


def test_a_single_picture_stays_as_it_is() -> None:
    only = frame_with(0, [(1, flickering(0)), (2, flickering(1))])
    (done,) = blend_frames([only], config=CONFIG)
    for before, after in zip(only.faces, done.faces, strict=True):
        assert after.restored_chw is before.restored_chw


def test_nothing_crosses_a_cut_because_it_ends_the_track() -> None:
    before = [frame_with(at, [(1, flickering(at))]) for at in range(3)]
    after = [frame_with(3 + at, [(2, flickering(3 + at))], shot=1) for at in range(3)]
    alone = list(blend_frames(after, config=CONFIG))
    together = list(blend_frames([*before, *after], config=CONFIG))
    for found, expected in zip(together[3:], alone, strict=True):
        assert torch.equal(found.faces[0].restored_chw, expected.faces[0].restored_chw)


def test_each_face_meets_its_own_track_and_not_beyond_a_gap() -> None:
    pairs = [flickering(k) for k in range(5)]
    frames = [
        frame_with(0, [(1, pairs[0]), (2, pairs[1])]),
        frame_with(1, [(2, pairs[2])]),
        frame_with(2, []),
        frame_with(3, [(1, pairs[3]), (2, pairs[4])]),
    ]
    done = list(blend_frames(frames, config=CONFIG))
    assert [each.frame.index for each in done] == [0, 1, 2, 3]
    tracks = [[face.aligned.face.track_id for face in each.faces] for each in done]
    assert tracks == [[1, 2], [2], [], [1, 2]]
    stayed = [
        [new.restored_chw is old.restored_chw for new, old in zip(a.faces, b.faces, strict=True)]
        for a, b in zip(done, frames, strict=True)
    ]
    assert stayed == [[True, False], [False], [], [True, True]]


def test_no_more_frames_are_held_than_the_neighbours_to_come() -> None:
    clip = [flickering(k) for k in range(2)]
    crops: list[weakref.ref[Tensor]] = []
    most = 0

    def frames() -> Iterator[RestoredFrame]:
        nonlocal most
        for index in range(10):
            frame = frame_with(index, [(1, clip[index % 2])])
            crops.append(weakref.ref(frame.faces[0].aligned.crop_chw))
            yield frame
            del frame
            most = max(most, sum(each() is not None for each in crops))

    count = sum(1 for _ in blend_frames(frames(), config=CONFIG))
    assert count == 10
    assert most <= CONFIG.reach_frames + 1


def test_memory_does_not_grow_with_the_film() -> None:
    one = flickering(0)

    def peak_bytes(count: int) -> int:
        tracemalloc.start()
        for _ in blend_clip((one for _ in range(count)), config=CONFIG):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    # Of every face in the window 1.5 MB, and some ten pictures in luma to work with.
    window_bytes = (2 * CONFIG.reach_frames + 1) * 1_600_000
    peak_bytes(3)  # what is kept from one film to the next
    few, many = peak_bytes(8), peak_bytes(24)
    assert many < 1.05 * few
    assert few < window_bytes + 10 * SIDE_PX * SIDE_PX * 4


@pytest.mark.parametrize(
    ("setting", "value"), [("strength", 1.5), ("strength", -0.1), ("reach_frames", 0)]
)
def test_settings_out_of_range_are_refused(setting: str, value: float) -> None:
    with pytest.raises(ConfigError, match=str(value)):
        BlendingConfig(**{setting: value})  # pyright: ignore[reportArgumentType]
