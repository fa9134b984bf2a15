"""Edges of a batch of restored crops are strengthened as ``edge_gain`` does it one by one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.safeguards import aligned_face, chw, closed_eyes_crop, face_crop, other_crop
from torch import Tensor
from torch.nn import functional as F

from vidrestore.pipeline.on_device.restore import strengthen_batch
from vidrestore.restore.edge_gain import EdgeGainConfig, strengthen_edges
from vidrestore.types import AlignedFace

CONFIG = EdgeGainConfig()
SCALES = (0.9, 2.3, 17.0)
"""From the frame to the crop: of a large face, a middle one, and one of 30 pixels."""


def batch(side_px: int) -> tuple[Tensor, list[AlignedFace]]:
    images = torch.stack([chw(crop) for crop in (face_crop(), closed_eyes_crop(), other_crop())])
    images = F.avg_pool2d(images, 512 // side_px)
    faces = [
        replace(aligned_face(face_crop()), crop_chw=image, display_to_crop=np.eye(2, 3) * scale)
        for image, scale in zip(images, SCALES, strict=True)
    ]
    return images, faces


@pytest.mark.parametrize("side_px", [512, 256])
def test_a_batch_is_strengthened_as_one_by_one(side_px: int) -> None:
    images, faces = batch(side_px)
    results = strengthen_batch(images, faces, detail=1.0, config=CONFIG)
    for image, face, result in zip(images, faces, results, strict=True):
        sigma_px, config = CONFIG.sigma_px(face), CONFIG.for_crop(face)
        expected = strengthen_edges(image, detail=1.0, sigma_px=sigma_px, config=config)
        assert float((result - expected).abs().max()) * 255 < 0.002
        assert float((expected - image).abs().max()) * 255 > 5


def test_a_result_does_not_depend_on_the_rest_of_the_batch() -> None:
    images, faces = batch(256)
    together = strengthen_batch(images, faces, detail=0.5, config=CONFIG)
    for index, face in enumerate(faces):
        alone = strengthen_batch(
            images[index].expand_as(images), [face] * 3, detail=0.5, config=CONFIG
        )
        assert torch.equal(alone[0], together[index])
