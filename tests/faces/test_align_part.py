"""A part of a crop is what the whole crop shows there."""

import numpy as np
import pytest
import torch
from support.devicestages import DEVICE_FORMATS, geometry_of, tagged
from support.restoring import face_at

from vidrestore.faces.align import align_face, align_part
from vidrestore.types import TrackedFace

PART = slice(160, 448), slice(112, 400)
FRAME = tagged(DEVICE_FORMATS[0], full_range=False)


@pytest.mark.parametrize(
    "face",
    [
        face_at((90, 70), size_px=110, angle=0.3),
        face_at((20, 20), size_px=200),
        face_at((120, 90), size_px=60, angle=3.0),
    ],
    ids=["turned", "at the border", "upside down"],
)
def test_a_part_of_a_crop_is_cut_as_the_whole_crop(face: TrackedFace) -> None:
    geometry = geometry_of(FRAME)
    whole = align_face(FRAME, geometry, face, device=torch.device("cpu"))
    part = align_part(FRAME, geometry, face, PART)
    assert whole is not None
    assert part is not None
    np.testing.assert_array_equal(part.display_to_crop, whole.display_to_crop)
    expected = whole.crop_chw[:, PART[0], PART[1]]
    assert float((part.rgb_chw - expected).abs().max()) * 255 < 0.1


def test_a_part_outside_the_frame_is_none() -> None:
    face = face_at((5000, 5000), size_px=100)
    assert align_part(FRAME, geometry_of(FRAME), face, PART) is None
