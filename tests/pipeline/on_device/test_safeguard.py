"""Changes of a batch of faces are measured as the safeguard measures them one by one."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from support.safeguards import (
    FloatImage,
    aligned_face,
    chw,
    closed_eyes_crop,
    closed_mouth_crop,
    face_crop,
    other_crop,
    sharp_crop,
)
from torch import Tensor
from torch.nn import functional as F

from vidrestore.pipeline.on_device.images.spectra import resolutions_px
from vidrestore.pipeline.on_device.safeguard import FaceToMeasure, StartedChanges
from vidrestore.safeguard.checks import crop_luma, crop_resolution_px
from vidrestore.safeguard.identity import IdentityMeter, packaged_dlib_resnet
from vidrestore.safeguard.stage import FaceChange, measure_change
from vidrestore.types import RestoredFace

MOST_APART = 1e-4
"""Difference of a change, whose limits are 0.3 to 0.7."""


def blurred(crop: FloatImage, sigma_px: float) -> FloatImage:
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma_px), dtype=np.float32)


def restored_face(
    source: FloatImage, restored: FloatImage, side_px: int, roll: float
) -> RestoredFace:
    crop, image = (
        F.avg_pool2d(chw(picture)[None], 512 // side_px)[0] for picture in (source, restored)
    )
    turn = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0]])
    aligned = replace(aligned_face(source), crop_chw=crop, display_to_crop=turn)
    return RestoredFace(aligned=aligned, restored_chw=image)


def faces(side_px: int) -> list[RestoredFace]:
    """Return faces of six resolutions: unchanged, with other eyes or mouth, and other ones."""
    pairs = [
        (sharp_crop(), face_crop()),
        (face_crop(), closed_eyes_crop()),
        (blurred(face_crop(), 2), closed_mouth_crop()),
        (blurred(face_crop(), 4), other_crop()),
        (blurred(other_crop(), 6), sharp_crop()),
        (blurred(face_crop(), 12), face_crop()),
    ]
    return [
        restored_face(source, restored, side_px, 0.4 * index)
        for index, (source, restored) in enumerate(pairs)
    ]


@pytest.fixture(scope="module")
def meter() -> IdentityMeter:
    return IdentityMeter(packaged_dlib_resnet(), device=torch.device("cpu"))


def measured(
    restored: list[RestoredFace], meter: IdentityMeter, *, due: bool = True
) -> list[FaceChange]:
    items = [
        FaceToMeasure(face, (face.aligned.crop_chw, face.restored_chw), due) for face in restored
    ]
    return StartedChanges(items, meter=meter, batch_size=4).wait()


@pytest.mark.parametrize("side_px", [512, 256, 128])
def test_a_batch_is_measured_as_one_by_one(meter: IdentityMeter, side_px: int) -> None:
    results = measured(faces(side_px), meter)
    expected = [measure_change(face, meter) for face in faces(side_px)]
    np.testing.assert_allclose(results, expected, atol=MOST_APART, rtol=0)
    for values in zip(*expected, strict=True):
        assert min(values) < 0.3 < 0.5 < max(values)


def test_identity_is_measured_where_it_is_due(meter: IdentityMeter) -> None:
    some = faces(256)
    items = [
        FaceToMeasure(face, (face.aligned.crop_chw, face.restored_chw), index in (1, 4))
        for index, face in enumerate(some)
    ]
    changes = StartedChanges(items, meter=meter, batch_size=4).wait()
    assert [change.identity is not None for change in changes] == [at in (1, 4) for at in range(6)]
    assert changes[4] == measured(some, meter)[4]


def test_a_result_does_not_depend_on_the_rest_of_the_batch(meter: IdentityMeter) -> None:
    some = [*faces(512)[:2], *faces(256)]
    together = measured(some, meter)
    assert together == [measured([face], meter)[0] for face in some]


def luma(crop: Tensor) -> Tensor:
    return torch.from_numpy(crop_luma(crop))


@pytest.mark.parametrize("side_px", [512, 256, 128])
def test_resolutions_of_a_batch_are_those_of_each_crop(side_px: int) -> None:
    aligned = [face.aligned for face in faces(side_px)]
    lumas = torch.stack([luma(face.crop_chw) for face in aligned])
    results = resolutions_px(lumas, [0.4 * index for index in range(len(aligned))])
    expected = [crop_resolution_px(face, crop_luma(face.crop_chw)) for face in aligned]
    np.testing.assert_allclose(results.numpy(), expected, atol=0.01, rtol=0)
    assert min(expected) < 50
    assert max(expected) == side_px


def test_nothing_is_measured_of_no_faces(meter: IdentityMeter) -> None:
    assert measured([], meter) == []
