"""Crops of a batch are those that ``align_face`` cuts one by one."""

import numpy as np
import pytest
import torch
from support.devicestages import (
    DEVICE_FORMATS,
    RANGES,
    fields_of,
    geometry_of,
    names,
    tagged,
)
from support.restoring import face_at

from vidrestore.faces.align import align_face, crop_region
from vidrestore.pipeline.on_device.align import CropRequest, cut_crops
from vidrestore.pipeline.on_device.images.planes import upload_planes
from vidrestore.pipeline.on_device.transfers import Uploader
from vidrestore.types import CROP_SIZE_PX, Frame, PixelFormat, TrackedFace

CPU = torch.device("cpu")
FACES = (
    face_at((90, 70), size_px=110, angle=0.3),
    face_at((60, 60), size_px=420, angle=-1.2),
    face_at((20, 130), size_px=900),
    face_at((120, 90), size_px=60, angle=3.0),
)
"""Of a frame of 150 rows: enlarged to a crop, enlarged little, shrunk, and upside down."""


def request(frame: Frame, face: TrackedFace, side_px: int = CROP_SIZE_PX) -> CropRequest:
    (planes,) = upload_planes([frame], Uploader(CPU))
    source = crop_region(frame, geometry_of(frame), face, side_px)
    assert source is not None
    return CropRequest(frame, planes, source, side_px)


def cut(requests: list[CropRequest], *, batch_size: int) -> list[torch.Tensor]:
    crops = cut_crops(requests, batch_size=batch_size, device=CPU)
    return [crop.crop_chw for crop in crops]


def levels(crop: torch.Tensor, frame: Frame, face: TrackedFace, side_px: int) -> np.ndarray:
    expected = align_face(frame, geometry_of(frame), face, device=CPU, side_px=side_px)
    assert expected is not None
    return (crop - expected.crop_chw).abs().numpy() * 255


@pytest.mark.parametrize("full_range", RANGES)
@pytest.mark.parametrize("pixel_format", DEVICE_FORMATS, ids=names(DEVICE_FORMATS))
def test_a_batch_of_crops_is_what_is_cut_one_by_one(
    pixel_format: PixelFormat, full_range: bool
) -> None:
    frame = tagged(pixel_format, full_range=full_range)
    sides = (512, 256, 128, 256)
    requests = [request(frame, face, side) for face, side in zip(FACES, sides, strict=True)]
    crops = cut(requests, batch_size=2)
    for crop, face, side in zip(crops, FACES, sides, strict=True):
        assert float(levels(crop, frame, face, side).max()) < 0.5


def test_fields_are_cut_as_on_a_cpu() -> None:
    for field in fields_of(tagged(DEVICE_FORMATS[0], full_range=False)):
        (crop,) = cut([request(field, FACES[0])], batch_size=2)
        assert float(levels(crop, field, FACES[0], CROP_SIZE_PX).max()) < 0.5


def test_a_crop_does_not_depend_on_its_batch() -> None:
    frames = [tagged(DEVICE_FORMATS[0], full_range=False, index=index) for index in range(3)]
    together = cut([request(frame, face) for frame in frames for face in FACES], batch_size=4)
    alone = [cut([request(frame, face)], batch_size=4)[0] for frame in frames for face in FACES]
    assert all(map(torch.equal, together, alone))
