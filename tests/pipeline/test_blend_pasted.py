"""Blending in the film: what it may change, and the grain that it leaves."""

import numpy as np
import pytest
from support.frames import FORMATS, GBR, GRAY, YUV420, YUV420P10, random_frame
from support.restoring import face_at, restored_face

from vidrestore.media.color.region_rgb import region_luma
from vidrestore.paste.composite import PasteResult, paste_faces
from vidrestore.paste.grain import noise_inside
from vidrestore.paste.settings import PasteConfig
from vidrestore.pipeline.blend_pasted import blend_pasted
from vidrestore.pipeline.on_device.stages import PasteTarget
from vidrestore.restore.settings import TemporalConfig
from vidrestore.types import DisplayGeometry, FloatArray, Frame, PixelFormat, RestoredFrame

HW = (150, 202)
GEOMETRY = DisplayGeometry(coded_hw=HW)
FACE = face_at((90, 70), size_px=110)
OFF = TemporalConfig(strength=0.0)


def noisy(frame: Frame, seed: int, sigma: float) -> Frame:
    """Return a frame with other noise in its planes of color."""
    rng, top = np.random.default_rng(seed), frame.pixel_format.max_value
    count = frame.pixel_format.plane_count - int(frame.pixel_format.has_alpha)
    planes = [
        np.clip(plane + rng.normal(0, sigma * top, plane.shape), 0, top).round().astype(plane.dtype)
        if number < count
        else plane
        for number, plane in enumerate(frame.planes)
    ]
    return frame.with_planes(tuple(planes))


def pasted(frame: Frame) -> tuple[PasteTarget, PasteResult]:
    """Return a frame with a face whose contrast is halved."""
    face = restored_face(frame, GEOMETRY, FACE, gain=0.5)
    restored = RestoredFrame(frame=frame, shot=0, faces=(face,))
    result = paste_faces(frame, GEOMETRY, (face,), config=PasteConfig(), keep_chroma=False)
    return PasteTarget(restored, restored, GEOMETRY), result


def clip_of(
    pixel_format: PixelFormat, sigma: float = 0.01
) -> list[tuple[PasteTarget, PasteResult]]:
    still = random_frame(pixel_format, HW, smooth=True)
    return [pasted(noisy(still, seed, sigma)) for seed in range(5)]


def inner_of(frame: Frame) -> FloatArray:
    """Return the luma of the middle of the face."""
    return region_luma(frame, (65, 45, 115, 95))


@pytest.mark.parametrize("pixel_format", FORMATS, ids=lambda pixel_format: pixel_format.name)
def test_only_luma_inside_the_mask_changes(pixel_format: PixelFormat) -> None:
    clip = clip_of(pixel_format)
    blended = list(blend_pasted(clip, config=TemporalConfig(), grain=0.0))
    changing = 3 if pixel_format.model == "rgb" else 1
    for (_, result), (target, before) in zip(blended, clip, strict=True):
        (face,) = before.faces
        assert face is not None
        left, top, right, bottom = face.mask.box_xyxy
        inside = np.zeros(HW, dtype=bool)
        inside[top:bottom, left:right] = face.mask.mask_hw > 0
        assert result.faces == before.faces
        for number, plane in enumerate(result.frame.planes):
            if number >= changing:
                np.testing.assert_array_equal(plane, before.frame.planes[number])
                continue
            np.testing.assert_array_equal(plane[~inside], before.frame.planes[number][~inside])
            assert (plane != before.frame.planes[number]).any()
        assert target.shown.frame.planes[0] is not result.frame.planes[0]


@pytest.mark.parametrize("pixel_format", [YUV420, YUV420P10, GRAY, GBR], ids=lambda each: each.name)
def test_noise_of_the_restored_face_is_averaged(pixel_format: PixelFormat) -> None:
    clip = clip_of(pixel_format, sigma=0.03)
    blended = list(blend_pasted(clip, config=TemporalConfig(), grain=0.0))

    def flicker(frames: list[Frame]) -> float:
        return float(np.abs(np.diff([inner_of(frame) for frame in frames], axis=0)).mean())

    before, after = ([result.frame for _, result in each] for each in (clip, blended))
    assert flicker(after) < 0.5 * flicker(before)


def test_a_single_image_stays_as_it_is() -> None:
    (only,) = clip_of(YUV420)[:1]
    ((_, result),) = blend_pasted([only], config=TemporalConfig(), grain=0.0)
    assert result is only[1]


@pytest.mark.parametrize("config", [OFF, TemporalConfig()], ids=["alone", "blended"])
def test_the_grain_of_the_film_is_put_back_on_what_is_left(config: TemporalConfig) -> None:
    clip = clip_of(YUV420, sigma=0.03)
    without, half, full = (
        [result.frame for _, result in blend_pasted(clip, config=config, grain=grain)]
        for grain in (0.0, 0.5, 1.0)
    )

    def noise(frame: Frame) -> float:
        image = inner_of(frame)
        return noise_inside(image, np.ones(image.shape, dtype=np.float32))

    source = noise(clip[2][0].shown.frame)
    assert noise(without[2]) < noise(half[2]) < noise(full[2])
    assert noise(without[2]) < 0.7 * source
    assert noise(full[2]) == pytest.approx(source, rel=0.25)


def test_clean_film_gets_no_grain() -> None:
    clip = [pasted(random_frame(YUV420, HW, smooth=True))]
    ((_, result),) = blend_pasted(clip, config=OFF, grain=1.0)
    np.testing.assert_array_equal(result.frame.planes[0], clip[0][1].frame.planes[0])
