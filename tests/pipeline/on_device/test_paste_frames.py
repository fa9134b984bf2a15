"""Faces that are pasted in batches change samples as those pasted one by one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.devicestages import (
    DEVICE_FORMATS,
    RANGES,
    fields_of,
    geometry_of,
    levels_apart,
    mean_levels_apart,
    names,
    tagged,
)
from support.frames import YUV420, YUV420P10, random_frame
from support.restoring import face_at, restored_face

from vidrestore.media.color.code_points import HLG, LINEAR, PQ
from vidrestore.paste.composite import PasteResult, paste_faces
from vidrestore.paste.settings import PasteConfig
from vidrestore.pipeline.on_device.images.planes import upload_planes
from vidrestore.pipeline.on_device.paste_frames import FrameToPaste, StartedPaste
from vidrestore.pipeline.on_device.transfers import Uploader
from vidrestore.settings import MaskShape
from vidrestore.types import Assessment, ColorTags, Frame, PixelFormat, RestoredFace

CPU = torch.device("cpu")
FACES = (face_at((60, 70), size_px=110, angle=0.3), face_at((140, 90), size_px=130, track_id=2))
LARGE = face_at((100, 70), size_px=620, angle=-0.2, track_id=3)


def restored(frame: Frame, *, shift: float = 0.0, parser: bool = False) -> tuple[RestoredFace, ...]:
    sides = (512, 256)
    faces = [
        restored_face(frame, geometry_of(frame), face, gain=0.5, shift=shift, side_px=side)
        for face, side in zip(FACES, sides, strict=True)
    ]
    if parser:
        cells = torch.zeros(128, 128)
        cells[30:110, 28:100] = 0.9
        faces = [replace(face, face_mask_hw=cells, head_mask_hw=cells.flip(1)) for face in faces]
    return tuple(faces)


def to_paste(
    frame: Frame, faces: tuple[RestoredFace, ...], *, keep_chroma: bool = False
) -> FrameToPaste:
    (planes,) = upload_planes([frame], Uploader(CPU))
    return FrameToPaste(
        frame=frame,
        geometry=geometry_of(frame),
        planes=planes,
        faces=faces,
        crops=tuple((face.aligned.crop_chw, face.restored_chw) for face in faces),
        keep_chroma=keep_chroma,
    )


def on_device(items: list[FrameToPaste], config: PasteConfig, size: int = 2) -> list[PasteResult]:
    return StartedPaste(items, config=config, batch_size=size, device=CPU).wait()


def one_by_one(item: FrameToPaste, config: PasteConfig) -> PasteResult:
    return paste_faces(
        item.frame, item.geometry, item.faces, config=config, keep_chroma=item.keep_chroma
    )


def rows_and_columns(skin: tuple[slice, slice], shape: tuple[int, ...]) -> list[range]:
    return [range(*part.indices(side)) for part, side in zip(skin, shape, strict=True)]


def assert_alike(item: FrameToPaste, config: PasteConfig, *, most: float = 2.0) -> None:
    expected, (result,) = one_by_one(item, config), on_device([item], config)
    assert levels_apart(expected.frame, item.frame) > 2
    assert levels_apart(result.frame, expected.frame) < most
    assert mean_levels_apart(result.frame, expected.frame) < 0.1
    for face, other in zip(result.faces, expected.faces, strict=True):
        assert face is not None and other is not None  # noqa: PT018
        assert face.mask.box_xyxy == other.mask.box_xyxy
        assert face.strength == other.strength
        shape = other.mask.mask_hw.shape
        assert rows_and_columns(face.mask.skin, shape) == rows_and_columns(other.mask.skin, shape)
        np.testing.assert_allclose(face.mask.mask_hw, other.mask.mask_hw, atol=0.02)


@pytest.mark.parametrize("mask", ["face", "head"])
@pytest.mark.parametrize("full_range", RANGES)
@pytest.mark.parametrize("pixel_format", DEVICE_FORMATS, ids=names(DEVICE_FORMATS))
def test_a_batch_of_faces_is_pasted_as_one_by_one(
    pixel_format: PixelFormat, full_range: bool, mask: MaskShape
) -> None:
    frame = tagged(pixel_format, full_range=full_range)
    assert_alike(to_paste(frame, restored(frame)), PasteConfig(mask=mask))


@pytest.mark.parametrize("mask", ["face", "head"])
def test_a_face_larger_than_its_crop_is_pasted_alike(mask: MaskShape) -> None:
    frame = tagged(YUV420, full_range=False)
    face = restored_face(frame, geometry_of(frame), LARGE, gain=0.5)
    assert_alike(to_paste(frame, (face,)), PasteConfig(mask=mask))


@pytest.mark.parametrize("mask", ["face", "head"])
def test_the_map_of_a_parser_narrows_the_mask_alike(mask: MaskShape) -> None:
    frame = tagged(YUV420, full_range=False)
    assert_alike(to_paste(frame, restored(frame, parser=True)), PasteConfig(mask=mask))


@pytest.mark.parametrize("mask", ["face", "head"])
def test_fields_are_pasted_alike(mask: MaskShape) -> None:
    for field in fields_of(tagged(YUV420, full_range=False)):
        assert_alike(to_paste(field, restored(field)), PasteConfig(mask=mask))


def test_chroma_stays_in_a_monochrome_shot() -> None:
    frame = tagged(YUV420, full_range=False)
    item = to_paste(frame, restored(frame), keep_chroma=True)
    assert_alike(item, PasteConfig())
    (result,) = on_device([item], PasteConfig())
    for plane, before in zip(result.frame.planes[1:], frame.planes[1:], strict=True):
        np.testing.assert_array_equal(plane, before)


def test_tone_can_be_left_out() -> None:
    frame = tagged(YUV420, full_range=False)
    assert_alike(to_paste(frame, restored(frame, shift=0.1)), PasteConfig(color_match=0.0))


def test_nothing_outside_the_boxes_of_the_masks_changes() -> None:
    frame = tagged(YUV420, full_range=False)
    item = to_paste(frame, restored(frame))
    (result,) = on_device([item], PasteConfig())
    outside = np.ones(frame.planes[0].shape, dtype=bool)
    for box in result.masks_xyxy:
        assert box is not None
        outside[box[1] : box[3], box[0] : box[2]] = False
    changed = result.frame.planes[0] != frame.planes[0]
    assert changed.any()
    assert not (changed & outside).any()


def test_a_face_of_no_strength_changes_nothing() -> None:
    frame = tagged(YUV420, full_range=False)
    first, second = restored(frame)
    item = to_paste(frame, (replace(first, assessment=Assessment(0.0, "occluded")), second))
    (result,) = on_device([item], PasteConfig())
    assert result.masks_xyxy[0] is None
    assert result.masks_xyxy == one_by_one(item, PasteConfig()).masks_xyxy
    (nothing,) = on_device([to_paste(frame, ())], PasteConfig())
    assert nothing.frame is frame


@pytest.mark.parametrize("transfer", [PQ, HLG, LINEAR])
def test_hdr_is_pasted_alike(transfer: int) -> None:
    color = ColorTags(matrix=9, primaries=9, transfer=transfer, range_known=True)
    frame = random_frame(YUV420P10, (152, 202), color=color, smooth=True)
    assert_alike(to_paste(frame, restored(frame, shift=0.1)), PasteConfig(color_match=0.0))


def test_a_result_does_not_depend_on_its_batch() -> None:
    frames = [tagged(YUV420, full_range=False, index=index) for index in range(3)]
    items = [to_paste(frame, restored(frame)) for frame in frames]
    together = on_device(items, PasteConfig(), size=4)
    for item, result in zip(items, together, strict=True):
        (alone,) = on_device([item], PasteConfig(), size=4)
        assert levels_apart(alone.frame, result.frame) == 0


def test_frames_of_several_layouts_share_a_batch() -> None:
    formats = (YUV420, DEVICE_FORMATS[1])
    frames = [tagged(pixel_format, full_range=False) for pixel_format in formats]
    items = [to_paste(frame, restored(frame)) for frame in frames]
    for item, result in zip(items, on_device(items, PasteConfig()), strict=True):
        expected = one_by_one(item, PasteConfig())
        assert levels_apart(result.frame, expected.frame) < 2
