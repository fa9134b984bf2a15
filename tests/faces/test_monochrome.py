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
    for plane in (1, 2):
        small = luma[::2, ::2] if planes[plane].shape != luma.shape else luma
        chroma = 128 + rng.normal(0, 1.5, small.shape)
        if kind == "sepia":
            chroma += (-1) ** plane * 0.12 * small
        if kind == "color" and plane == 2:
            chroma[10:30, 10:30] += 40
        if pixel_format.model == "rgb":
            chroma = luma + (40 if kind == "color" else 0) * (np.arange(96) < 30)[:, None]
        planes[plane] = (
            np.rint(chroma * unit).clip(0, pixel_format.max_value).astype(planes[plane].dtype)
        )
    return frame.with_planes(tuple(planes))


@pytest.mark.parametrize(
    "pixel_format", [YUV420, YUV420P10], ids=lambda pixel_format: pixel_format.name
)
def test_color_spreads_more_than_gray_and_sepia(pixel_format: PixelFormat) -> None:
    gray, sepia, color = (
        chroma_spread(picture(pixel_format, kind)) for kind in ("gray", "sepia", "color")
    )
    assert gray < 2.5
    assert sepia < 2.5
    assert color > 5.0


def test_rgb_and_gray_frames_are_measured() -> None:
    assert chroma_spread(picture(GBR, "color")) > 5.0
    assert chroma_spread(picture(GBR, "gray")) < 2.5
    assert chroma_spread(random_frame(GRAY, (20, 20))) == 0.0


def labels(kinds: list[tuple[int, str]]) -> list[bool]:
    frames = (
        TrackedFrame(frame=picture(YUV420, kind, seed=index), shot=shot, faces=())
        for index, (shot, kind) in enumerate(kinds)
    )
    return [item.is_monochrome for item in mark_monochrome(frames)]


def test_each_shot_is_judged_monochrome_on_its_own() -> None:
    kinds = [(0, "gray")] * 20 + [(1, "color")] * 15 + [(2, "sepia")] * 3
    assert labels(kinds) == [True] * 20 + [False] * 15 + [True] * 3


def test_one_odd_frame_does_not_change_the_decision_for_its_shot() -> None:
    kinds = [(0, "gray")] * 5 + [(0, "color")] + [(0, "gray")] * 20
    assert labels(kinds) == [True] * 26


def test_every_frame_is_returned_once_and_in_order() -> None:
    frames = [
        TrackedFrame(frame=random_frame(GRAY, (8, 8), index=index), shot=index // 7, faces=())
        for index in range(40)
    ]
    assert [item.frame.index for item in mark_monochrome(frames)] == list(range(40))
