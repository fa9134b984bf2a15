"""Black-and-white and tinted footage is distinguished from colour, once per shot."""

import numpy as np
import pytest
from support.frames import GBR, GRAY, YUV420, YUV420P10, random_frame

from vidrestore.faces.monochrome import chroma_spread, mark_monochrome
from vidrestore.types import Frame, PixelFormat, TrackedFrame


def picture(pixel_format: PixelFormat, kind: str, *, seed: int = 0) -> Frame:
    """Return a frame of waves in black-and-white, in sepia, or with a red patch."""
    frame = random_frame(pixel_format, (96, 128), smooth=True, seed=seed)
    unit = pixel_format.max_value / 255
    rng = np.random.default_rng(seed)
    planes = [np.array(plane) for plane in frame.planes]
    luma = planes[0].astype(float) / unit
    for at in (1, 2):
        small = luma[::2, ::2] if planes[at].shape != luma.shape else luma
        chroma = 128 + rng.normal(0, 1.5, small.shape)
        if kind == "sepia":
            chroma += (-1) ** at * 0.12 * small
        if kind == "colour" and at == 2:
            chroma[10:30, 10:30] += 40
        if pixel_format.model == "rgb":
            chroma = luma + (40 if kind == "colour" else 0) * (np.arange(96) < 30)[:, None]
        planes[at] = np.rint(chroma * unit).clip(0, pixel_format.max_value).astype(planes[at].dtype)
    return frame.with_planes(tuple(planes))


@pytest.mark.parametrize("pixel_format", [YUV420, YUV420P10], ids=lambda each: each.name)
def test_colour_spreads_more_than_grey_and_sepia(pixel_format: PixelFormat) -> None:
    grey, sepia, colour = (
        chroma_spread(picture(pixel_format, kind)) for kind in ("grey", "sepia", "colour")
    )
    assert grey < 2.5
    assert sepia < 2.5
    assert colour > 5.0


def test_rgb_and_gray_frames_are_judged_too() -> None:
    assert chroma_spread(picture(GBR, "colour")) > 5.0
    assert chroma_spread(picture(GBR, "grey")) < 2.5
    assert chroma_spread(random_frame(GRAY, (20, 20))) == 0.0


def labels(kinds: list[tuple[int, str]]) -> list[bool]:
    frames = (
        TrackedFrame(frame=picture(YUV420, kind, seed=at), shot=shot, faces=())
        for at, (shot, kind) in enumerate(kinds)
    )
    return [each.is_monochrome for each in mark_monochrome(frames)]


def test_every_shot_is_judged_by_itself() -> None:
    kinds = [(0, "grey")] * 20 + [(1, "colour")] * 15 + [(2, "sepia")] * 3
    assert labels(kinds) == [True] * 20 + [False] * 15 + [True] * 3


def test_one_odd_frame_does_not_flip_a_shot() -> None:
    kinds = [(0, "grey")] * 5 + [(0, "colour")] + [(0, "grey")] * 20
    assert labels(kinds) == [True] * 26


def test_frames_come_in_order_and_none_is_lost() -> None:
    frames = [
        TrackedFrame(frame=random_frame(GRAY, (8, 8), index=at), shot=at // 7, faces=())
        for at in range(40)
    ]
    assert [each.frame.index for each in mark_monochrome(frames)] == list(range(40))
