"""Pasting changes samples under the mask, and no others."""

from fractions import Fraction

import numpy as np
import pytest
from support.frames import FORMATS, GBRA16, GRAY, YUV420, YUV420P10, YUV444, random_frame
from support.restoring import face_at, restored_face

from vidrestore.errors import ConfigError
from vidrestore.paste.composite import paste_faces
from vidrestore.paste.face_mask import face_mask
from vidrestore.paste.settings import MaskShape, PasteConfig
from vidrestore.types import ColorTags, DisplayGeometry, Frame, PixelFormat, RestoredFace

PLAIN = PasteConfig()
both_masks = pytest.mark.parametrize("shape", ["face", "head"])
both_sizes = pytest.mark.parametrize("side_px", [256, 512])
HW = (150, 202)


def may_change(
    frame: Frame,
    geometry: DisplayGeometry,
    face: RestoredFace,
    plane: int,
    shape: MaskShape,
) -> np.ndarray:
    """Return where a plane's samples lie under the mask, chroma by its whole footprint."""
    mask = face_mask(frame, geometry, face, shape=shape)
    assert mask is not None
    whole = np.zeros(frame.coded_hw, dtype=bool)
    left, top, right, bottom = mask.box_xyxy
    whole[top:bottom, left:right] = mask.mask_hw > 0
    if frame.planes[plane].shape == whole.shape:
        return whole
    shift_x, shift_y = frame.pixel_format.chroma_shift_xy
    # A chroma sample is averaged over its neighbors' luma pixels on both sides.
    grown = whole.copy()
    reach_x, reach_y = 1 << shift_x, 1 << shift_y
    for dy in range(-reach_y, reach_y + 1):
        for dx in range(-reach_x, reach_x + 1):
            grown |= np.roll(whole, (dy, dx), axis=(0, 1))
    return grown[:: 1 << shift_y, :: 1 << shift_x]


@pytest.mark.parametrize("pixel_format", FORMATS, ids=lambda pixel_format: pixel_format.name)
@pytest.mark.parametrize("hw", [HW, (121, 163)])
@both_masks
@both_sizes
def test_samples_outside_the_mask_are_untouched(
    pixel_format: PixelFormat, hw: tuple[int, int], shape: MaskShape, side_px: int
) -> None:
    frame = random_frame(pixel_format, hw)
    geometry = DisplayGeometry(coded_hw=hw)
    where = face_at((90, 70), size_px=110, angle=0.3)
    face = restored_face(frame, geometry, where, gain=0.2, side_px=side_px)
    config = PasteConfig(mask=shape)
    after = paste_faces(frame, geometry, (face,), config=config, keep_chroma=False).frame
    for index, (old, new) in enumerate(zip(frame.planes, after.planes, strict=True)):
        inside = may_change(frame, geometry, face, index, shape)
        np.testing.assert_array_equal(new[~inside], old[~inside])
        is_alpha = pixel_format.has_alpha and index == pixel_format.plane_count - 1
        assert bool((new != old).any()) is not is_alpha


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@both_masks
def test_a_rotated_film_is_restored_at_the_place_of_its_face(turns: int, shape: MaskShape) -> None:
    frame = random_frame(YUV444, HW, smooth=True)
    geometry = DisplayGeometry(coded_hw=HW, quarter_turns=turns, mirrored=turns == 3)
    height, width = geometry.display_hw
    face = restored_face(
        frame, geometry, face_at((width * 0.4, height * 0.5), size_px=80), gain=0.0
    )
    after = paste_faces(
        frame,
        geometry,
        (face,),
        config=PasteConfig(color_match=0.0, mask=shape),
        keep_chroma=False,
    ).frame
    changed = (after.planes[0] != frame.planes[0]) * 1
    displayed = np.rot90(changed[:, ::-1] if geometry.mirrored else changed, k=-turns)
    y, x = np.nonzero(displayed)
    assert abs(x.mean() - width * 0.4) < 8
    assert abs(y.mean() - height * 0.5) < 12


def test_anamorphic_samples_get_a_mask_of_the_displayed_shape() -> None:
    frame = random_frame(YUV444, (120, 90))
    geometry = DisplayGeometry(coded_hw=(120, 90), sample_aspect_ratio=Fraction(2))
    face = restored_face(frame, geometry, face_at((90, 60), size_px=100), gain=0.0)
    mask = face_mask(frame, geometry, face)
    assert mask is not None
    left, top, right, bottom = mask.box_xyxy
    # An upright face is higher than wide on screen; here x counts double.
    assert 0.35 < (right - left) / (bottom - top) < 0.5


@pytest.mark.parametrize("pixel_format", FORMATS, ids=lambda pixel_format: pixel_format.name)
def test_a_strength_of_zero_changes_nothing(pixel_format: PixelFormat) -> None:
    frame = random_frame(pixel_format, HW)
    geometry = DisplayGeometry(coded_hw=HW)
    face = restored_face(frame, geometry, face_at((90, 70), size_px=110), gain=0.0)
    after = paste_faces(
        frame, geometry, (face,), config=PasteConfig(strength=0.0), keep_chroma=False
    ).frame
    for old, new in zip(frame.planes, after.planes, strict=True):
        np.testing.assert_array_equal(old, new)


@both_masks
def test_half_the_strength_gives_half_the_change(shape: MaskShape) -> None:
    frame = random_frame(GRAY, HW, smooth=True)
    geometry = DisplayGeometry(coded_hw=HW)
    face = restored_face(frame, geometry, face_at((90, 70), size_px=110), gain=0.0)

    def change(strength: float) -> np.ndarray:
        config = PasteConfig(strength=strength, color_match=0.0, mask=shape)
        after = paste_faces(frame, geometry, (face,), config=config, keep_chroma=False).frame
        return after.planes[0].astype(float) - frame.planes[0]

    np.testing.assert_allclose(change(0.5), change(1.0) / 2, atol=1.0)
    assert np.abs(change(1.0)).max() > 20


@both_masks
def test_an_identity_restorer_keeps_a_large_face_exactly(shape: MaskShape) -> None:
    frame = random_frame(YUV420, (700, 800), smooth=True)
    geometry = DisplayGeometry(coded_hw=(700, 800))
    face = restored_face(frame, geometry, face_at((400, 350), size_px=680), gain=1.0)
    config = PasteConfig(mask=shape)
    after = paste_faces(frame, geometry, (face,), config=config, keep_chroma=False).frame
    for old, new in zip(frame.planes, after.planes, strict=True):
        np.testing.assert_array_equal(old, new)


@both_masks
def test_a_small_crop_changes_a_small_face_as_a_large_one_does(shape: MaskShape) -> None:
    frame = random_frame(YUV444, HW, smooth=True)
    geometry = DisplayGeometry(coded_hw=HW)
    where = face_at((90, 70), size_px=110, angle=0.3)
    faces = [restored_face(frame, geometry, where, gain=4.0, side_px=side) for side in (256, 512)]
    config = PasteConfig(mask=shape)
    small, large = (
        paste_faces(frame, geometry, (face,), config=config, keep_chroma=False) for face in faces
    )
    assert small.masks_xyxy == large.masks_xyxy
    difference = small.frame.planes[0].astype(int) - large.frame.planes[0]
    change = large.frame.planes[0].astype(int) - frame.planes[0]
    assert np.abs(difference).max() <= 2 < 10 < np.abs(change).max()


def test_detail_finer_than_the_crop_survives_on_a_large_face() -> None:
    frame = random_frame(GRAY, (1300, 1300))
    geometry = DisplayGeometry(coded_hw=(1300, 1300))
    face = restored_face(frame, geometry, face_at((650, 650), size_px=1280), gain=1.0)
    after = paste_faces(frame, geometry, (face,), config=PLAIN, keep_chroma=False).frame
    assert np.abs(after.planes[0].astype(int) - frame.planes[0]).max() <= 1


@pytest.mark.parametrize("shape", ["face", "head"])
def test_strong_fine_detail_survives_on_a_small_crop_and_noise_does_not(shape: MaskShape) -> None:
    frame = random_frame(GRAY, (420, 420), smooth=True)
    levels = frame.planes[0].astype(np.int16).clip(60, 190)
    levels[::2] += 2  # finer than the crop, of whose pixels each covers 1.6 of the frame's
    levels[200:220, 150:270:2] += 50
    levels[200:220, 151:270:2] -= 50
    frame = frame.with_planes((levels.astype(np.uint8),))
    geometry = DisplayGeometry(coded_hw=(420, 420))
    where = face_at((210, 210), size_px=400)
    face = restored_face(frame, geometry, where, gain=1.0, side_px=256)
    config = PasteConfig(mask=shape)
    (after,) = paste_faces(frame, geometry, (face,), config=config, keep_chroma=False).frame.planes

    def row_to_row(plane: np.ndarray, rows: slice) -> float:
        return float(np.abs(np.diff(plane[rows, 180:240].astype(float), n=2, axis=0)).mean())

    noise = slice(240, 260)
    assert row_to_row(after, noise) < 0.3 * row_to_row(frame.planes[0], noise)
    stripes = [plane[204:216, 180:240].astype(float) for plane in (frame.planes[0], after)]
    before, kept = (float(np.abs(np.diff(part, n=2, axis=1)).mean()) for part in stripes)
    assert kept > 0.8 * before


def test_a_color_cast_of_the_restorer_is_removed() -> None:
    frame = random_frame(YUV444, HW, smooth=True, color=ColorTags(matrix=6))
    geometry = DisplayGeometry(coded_hw=HW)
    face = restored_face(frame, geometry, face_at((100, 75), size_px=100), gain=1.0, shift=0.1)
    after = paste_faces(frame, geometry, (face,), config=PLAIN, keep_chroma=False).frame
    change = np.abs(after.planes[0].astype(int) - frame.planes[0])
    assert change.max() <= 2


def test_black_and_white_faces_keep_their_chroma_bit_for_bit() -> None:
    frame = random_frame(YUV420, HW)
    geometry = DisplayGeometry(coded_hw=HW)
    face = restored_face(frame, geometry, face_at((90, 70), size_px=110), gain=0.2)
    after = paste_faces(frame, geometry, (face,), config=PLAIN, keep_chroma=True).frame
    assert (after.planes[0] != frame.planes[0]).any()
    np.testing.assert_array_equal(after.planes[1], frame.planes[1])
    np.testing.assert_array_equal(after.planes[2], frame.planes[2])


def test_a_face_at_the_border_is_restored_up_to_the_edge_of_the_frame() -> None:
    frame = random_frame(YUV420, HW)
    geometry = DisplayGeometry(coded_hw=HW)
    face = restored_face(frame, geometry, face_at((4, 6), size_px=110), gain=0.0)
    after = paste_faces(frame, geometry, (face,), config=PLAIN, keep_chroma=False).frame
    assert (
        after.planes[0][0, 0] != frame.planes[0][0, 0]
        or (after.planes[0][:30, :30] != frame.planes[0][:30, :30]).any()
    )


@both_masks
def test_overlapping_faces_do_not_add_up_their_changes(shape: MaskShape) -> None:
    frame = random_frame(GRAY, HW, smooth=True)
    geometry = DisplayGeometry(coded_hw=HW)
    config = PasteConfig(color_match=0.0, mask=shape)
    faces = tuple(
        restored_face(frame, geometry, face_at((90, 70), size_px=110, track_id=index), gain=0.0)
        for index in (1, 2)
    )
    once = paste_faces(frame, geometry, faces[:1], config=config, keep_chroma=False).frame
    twice = paste_faces(frame, geometry, faces, config=config, keep_chroma=False).frame
    core = (slice(60, 80), slice(80, 100))
    np.testing.assert_allclose(
        twice.planes[0][core].astype(int), once.planes[0][core].astype(int), atol=1
    )


def test_the_source_frame_is_not_modified() -> None:
    frame = random_frame(YUV420, HW)
    copies = [plane.copy() for plane in frame.planes]
    geometry = DisplayGeometry(coded_hw=HW)
    face = restored_face(frame, geometry, face_at((90, 70), size_px=110), gain=0.0)
    paste_faces(frame, geometry, (face,), config=PasteConfig(), keep_chroma=False)
    for plane, copy in zip(frame.planes, copies, strict=True):
        np.testing.assert_array_equal(plane, copy)


def test_strength_outside_its_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="strength"):
        PasteConfig(strength=1.5)


def test_an_unknown_mask_is_refused() -> None:
    with pytest.raises(ConfigError, match="mask must be one of face, head, got 'body'"):
        PasteConfig(mask="body")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("transfer", [14, 16, 18], ids=["BT.2020", "PQ", "HLG"])
@pytest.mark.parametrize(
    "pixel_format", [YUV420P10, YUV444, GBRA16], ids=lambda pixel_format: pixel_format.name
)
@both_masks
def test_hdr_changes_inside_the_mask_only_and_an_unchanged_face_keeps_every_sample(
    pixel_format: PixelFormat, transfer: int, shape: MaskShape
) -> None:
    color = ColorTags(matrix=9, primaries=9, transfer=transfer, range_known=True)
    frame, geometry = random_frame(pixel_format, HW, color=color), DisplayGeometry(coded_hw=HW)
    # Larger than its crop: what is pasted is the change of the crop alone.
    where = face_at((100, 75), size_px=640)
    same = restored_face(frame, geometry, where, gain=1.0)
    config = PasteConfig(mask=shape)
    kept = paste_faces(frame, geometry, (same,), config=config, keep_chroma=False).frame
    for old, new in zip(frame.planes, kept.planes, strict=True):
        np.testing.assert_array_equal(new, old)

    face = restored_face(frame, geometry, face_at((90, 70), size_px=110), gain=0.4)
    after = paste_faces(frame, geometry, (face,), config=config, keep_chroma=False).frame
    for index, (old, new) in enumerate(zip(frame.planes, after.planes, strict=True)):
        inside = may_change(frame, geometry, face, index, shape)
        np.testing.assert_array_equal(new[~inside], old[~inside])
        is_alpha = pixel_format.has_alpha and index == pixel_format.plane_count - 1
        assert bool((new != old).any()) is not is_alpha
