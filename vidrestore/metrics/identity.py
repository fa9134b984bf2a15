"""Identity: similarity of two faces to a recognition network."""

import numpy as np
import torch
from torch import Tensor, nn

from vidrestore.affine import fit_similarity
from vidrestore.types import Affine
from vidrestore.warp import warp_image

RECOGNITION_LANDMARKS_XY = np.array(
    [
        [30.2946, 51.6963],
        [65.5318, 51.5014],
        [48.0252, 71.7366],
        [33.5493, 92.3655],
        [62.7299, 92.2041],
    ]
)
"""The five landmarks in the crops that recognition networks are trained on."""
RECOGNITION_HW = (112, 96)
"""Size of these crops in pixels."""


def embeddings(network: nn.Module, crops_NCHW: Tensor, landmarks_xy: np.ndarray) -> Tensor:
    """Return unit embeddings ``(N, D)`` of crops with the same alignment.

    Args:
        network: Takes ``(N, 3, 112, 96)`` RGB as ``(x - 127.5) / 128``.
        crops_NCHW: float RGB in [0, 1].
        landmarks_xy: ``(5, 2)`` landmarks in crop pixels, the same for all crops.
    """
    to_recognition: Affine = fit_similarity(landmarks_xy, RECOGNITION_LANDMARKS_XY)
    faces = torch.stack([warp_image(crop, to_recognition, RECOGNITION_HW) for crop in crops_NCHW])
    scaled = (faces.clamp(0, 1) * 255.0 - 127.5) / 128.0
    with torch.inference_mode():
        return nn.functional.normalize(network(scaled.contiguous()), dim=1)


def arcface_embeddings(network: nn.Module, crops_NCHW: Tensor) -> Tensor:
    """Return unit embeddings ``(N, D)`` by a network for gray images of 128 pixels.

    As in GFP-GAN, section 3.5, the whole aligned crop is converted to gray and reduced.

    Args:
        network: Takes ``(N, 1, 128, 128)`` in [-1, 1].
        crops_NCHW: float RGB in [0, 1], aligned like FFHQ.
    """
    weights = crops_NCHW.new_tensor([0.2989, 0.5870, 0.1140])[:, None, None]
    gray = (crops_NCHW.clamp(0, 1) * weights).sum(dim=1, keepdim=True)
    small = nn.functional.interpolate(gray, (128, 128), mode="bilinear", antialias=True)
    with torch.inference_mode():
        return nn.functional.normalize(network(small * 2 - 1), dim=1)


def angle_degrees(cosines: Tensor) -> Tensor:
    """Return the angle of each cosine, in degrees: the "Deg." of GFP-GAN's tables."""
    return torch.rad2deg(torch.arccos(cosines.clamp(-1, 1)))


def cosine(first_ND: Tensor, second_ND: Tensor) -> Tensor:
    """Return the cosine of each pair of unit embeddings, ``(N,)``."""
    return (first_ND * second_ND).sum(dim=1)
