"""Whether a restored face is still the same person: compares embeddings before and after.

A recognition network measures the distance between two faces. It recognises blurred faces badly,
and a well restored face is rightly sharper, so both are softened to the detail that the source
really has. What is left is drift: a good restorer moves a face by less than 0.3, and another
person's face is 0.43 or more away (see ``config``).
"""

from collections.abc import Callable
from math import ceil

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.models.recognizers.dlib_resnet import CHIP_SIDE_PX, FaceEmbedding
from vidrestore.types import Affine
from vidrestore.warp import warp_image
from vidrestore.weights.bundled import load_packaged

_CHIP_SCALE = 52.55 / 125.92
_CROP_TO_CHIP: Affine = np.array(
    [
        [_CHIP_SCALE, 0.0, 74.0 - _CHIP_SCALE * 255.94],
        [0.0, _CHIP_SCALE, 47.13 - _CHIP_SCALE * 240.07],
    ]
)
"""The network was trained on faces with eyes 52.55 px apart around (74.0, 47.13): dlib's
``get_face_chip`` with size 150 and padding 0.25, measured at the middles of the eyes' corners. On
40 stills the embeddings are 0.16 from those of dlib's chips by dlib's landmarks."""
_DETAIL_SHARE = 0.4
"""Share of the source's real detail at which faces are compared. At this share 95 % of true faces
are within 0.28 of their degraded versions; at full detail, within 0.52."""
_LEAST_DETAIL_PX = 40.0
"""Below this side nothing would be left to compare."""
_STRANGERS = 1.2
"""Distance that counts as no similarity: twice dlib's threshold between people."""


def embedded_face_embedding() -> FaceEmbedding:
    """Return the network with the weights that come with this package, in float32.

    Raises:
        WeightsError: The file in the package is missing or damaged.
    """
    network = load_packaged(FaceEmbedding(), "face_embedding.safetensors")
    return network.eval().requires_grad_(False)


class IdentityMeter:
    """Measures how far restoring moved a face from the person's identity."""

    def __init__(self, network: FaceEmbedding, *, device: torch.device) -> None:
        """Move ``network`` to ``device``."""
        self._network = network.to(device).to(memory_format=torch.channels_last)
        self._device = device

    @torch.inference_mode()
    def distance(self, source_chw: Tensor, restored_chw: Tensor, *, resolution_px: float) -> float:
        """Return the distance between two pictures of a face, at the first one's real detail.

        Each call runs exactly two chips, so that a result does not depend on the batch.

        Args:
            source_chw: ``(3, S, S)`` RGB in [0, 1], a canonical crop.
            restored_chw: The same restored.
            resolution_px: Of the source, from ``effective_resolution_px``.

        Returns:
            Euclidean distance of embeddings: 0 for the same picture; people differ by 0.6.
        """
        chips = torch.stack([_chip(crop, resolution_px) for crop in (source_chw, restored_chw)])
        embeddings = self._network(chips.to(self._device))
        return float((embeddings[0] - embeddings[1]).norm())


def embedding_norm(
    network: FaceEmbedding, *, device: torch.device
) -> Callable[[NDArray[np.uint8]], float]:
    """Return a function from an aligned face, ``(S, S, 3)`` RGB, to the norm of its embedding.

    The embeddings of clear faces have norms near 1.4; what is no face lies off.
    """
    network = network.to(device)

    @torch.inference_mode()
    def norm(face_hwc: NDArray[np.uint8]) -> float:
        chw = torch.from_numpy(np.ascontiguousarray(face_hwc)).permute(2, 0, 1).float() / 255
        chip = _chip(chw, float(chw.shape[-1]))
        return float(network(chip[None].to(device))[0].norm())

    return norm


def distance_to_similarity(distance: float) -> float:
    """Return a distance as a similarity: 1 is identical, 0.5 dlib's threshold, 0 strangers."""
    return max(-1.0, 1.0 - distance / _STRANGERS)


def _chip(crop_chw: Tensor, resolution_px: float) -> Tensor:
    chip = warp_image(crop_chw, _CROP_TO_CHIP, (CHIP_SIDE_PX, CHIP_SIDE_PX)).cpu()
    sigma = (
        0.5
        * crop_chw.shape[-1]
        * _CHIP_SCALE
        / (_DETAIL_SHARE * max(_LEAST_DETAIL_PX, resolution_px))
    )
    side = 2 * ceil(3 * sigma) + 1
    hwc = np.ascontiguousarray(chip.permute(1, 2, 0).numpy())
    soft = cv2.GaussianBlur(hwc, (side, side), sigma, borderType=cv2.BORDER_REPLICATE)
    return torch.from_numpy(np.asarray(soft, dtype=np.float32)).permute(2, 0, 1).clamp(0, 1)
