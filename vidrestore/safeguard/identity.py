"""Identity drift: distance between the embeddings of a face before and after restoration.

Recognition networks work poorly on blurred faces, and a well restored face is sharper than its
source. So both are blurred to the effective resolution of the source. Then a good restorer moves a
face by less than 0.3, and another person's face is 0.43 or more away (see ``config``).
"""

from collections.abc import Callable
from math import ceil

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.affine import compose_affines, scaling
from vidrestore.devices import retry_out_of_memory
from vidrestore.models.recognizers.dlib_resnet import INPUT_SIDE_PX, DlibResNet
from vidrestore.types import CROP_SIZE_PX, Affine
from vidrestore.warp import warp_image
from vidrestore.weights.bundled import load_packaged

INPUT_SCALE = 52.55 / 125.92
CROP_TO_INPUT: Affine = np.array(
    [
        [INPUT_SCALE, 0.0, 74.0 - INPUT_SCALE * 255.94],
        [0.0, INPUT_SCALE, 47.13 - INPUT_SCALE * 240.07],
    ]
)
"""The network was trained on faces with eyes 52.55 px apart around (74.0, 47.13): dlib's
``get_face_chip`` with size 150 and padding 0.25, measured between the corners of each eye. On 40
images the embeddings are 0.16 from those of dlib's crops by dlib's landmarks."""
RESOLUTION_RATIO = 0.4
"""Resolution of the comparison relative to the source's. At this ratio 95 % of true faces are
within 0.28 of their degraded versions; at 1, within 0.52."""
MIN_RESOLUTION_PX = 40.0
"""Below this resolution there would be nothing to compare."""
PEOPLE_DISTANCE = 0.6
"""dlib's threshold between people, of embeddings."""
_ZERO_SIMILARITY_DISTANCE = 2 * PEOPLE_DISTANCE
"""Distance at which the similarity is 0."""


def packaged_dlib_resnet() -> DlibResNet:
    """Return the network with the weights in this package, in float32.

    Raises:
        WeightsError: The file in the package is missing or damaged.
    """
    network = load_packaged(DlibResNet(), "face_embedding.safetensors")
    return network.eval().requires_grad_(False)


class IdentityMeter:
    """Measures how far restoration moved a face from the person's identity."""

    def __init__(
        self, network: DlibResNet, *, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        """Move ``network`` to ``device``; in bfloat16, distances differ by up to 0.005."""
        self._network = network.to(device, dtype).to(memory_format=torch.channels_last)
        self._device, self._dtype = device, dtype

    @retry_out_of_memory
    @torch.inference_mode()
    def distance(self, source_chw: Tensor, restored_chw: Tensor, *, resolution_px: float) -> float:
        """Return the distance between two crops of a face, at the resolution of the first.

        Each call runs a batch of two, so that a result does not depend on other faces.

        Args:
            source_chw: ``(3, S, S)`` RGB in [0, 1], an aligned crop.
            restored_chw: The same crop, restored.
            resolution_px: ``effective_resolution_px`` of the source.

        Returns:
            Euclidean distance of embeddings: 0 for equal crops; people differ by 0.6 or more.
        """
        crops = torch.stack([_to_input(crop, resolution_px) for crop in (source_chw, restored_chw)])
        embeddings = self.embeddings(crops)
        return float((embeddings[0] - embeddings[1]).square().sum().sqrt())

    def embeddings(self, inputs_NCHW: Tensor) -> Tensor:
        """Return ``(N, 128)`` embeddings on the device, without waiting for it.

        Args:
            inputs_NCHW: ``(N, 3, 150, 150)`` RGB in [0, 1]: crops seen through ``CROP_TO_INPUT``.
        """
        with torch.inference_mode():
            embeddings: Tensor = self._network(inputs_NCHW.to(self._device, self._dtype))
            return embeddings.float()


def embedding_norm(
    network: DlibResNet, *, device: torch.device
) -> Callable[[NDArray[np.uint8]], float]:
    """Return a function from an aligned crop, ``(S, S, 3)`` RGB, to the norm of its embedding.

    Clear faces have norms near 1.4; other images have other norms.
    """
    embedding = face_embedding(network, device=device)
    return lambda face_hwc: float(np.linalg.norm(embedding(face_hwc)))


def face_embedding(
    network: DlibResNet, *, device: torch.device
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Return a function from an aligned crop, ``(S, S, 3)`` RGB, to its embedding, ``(128,)``.

    Embeddings of two people are ``PEOPLE_DISTANCE`` or more apart.
    """
    network = network.to(device)

    @torch.inference_mode()
    def embedding(face_hwc: NDArray[np.uint8]) -> NDArray[np.float32]:
        chw = torch.from_numpy(np.ascontiguousarray(face_hwc)).permute(2, 0, 1).float() / 255
        crop = _to_input(chw, float(chw.shape[-1]))
        return network(crop[None].to(device))[0].float().cpu().numpy()

    return embedding


def distance_to_similarity(distance: float) -> float:
    """Return a similarity: 1 for equal crops, 0.5 at dlib's threshold between people."""
    return max(-1.0, 1.0 - distance / _ZERO_SIMILARITY_DISTANCE)


def _to_input(crop_chw: Tensor, resolution_px: float) -> Tensor:
    """Return ``(3, 150, 150)``: the crop as the network expects it, blurred to a resolution."""
    pixels_to_crop = scaling(CROP_SIZE_PX / crop_chw.shape[-1])
    to_input = compose_affines(pixels_to_crop, CROP_TO_INPUT)
    aligned = warp_image(crop_chw, to_input, (INPUT_SIDE_PX, INPUT_SIDE_PX)).cpu()
    cells = RESOLUTION_RATIO * max(MIN_RESOLUTION_PX, resolution_px)
    sigma = 0.5 * CROP_SIZE_PX * INPUT_SCALE / cells
    side = 2 * ceil(3 * sigma) + 1
    hwc = np.ascontiguousarray(aligned.permute(1, 2, 0).numpy())
    blurred = cv2.GaussianBlur(hwc, (side, side), sigma, borderType=cv2.BORDER_REPLICATE)
    return torch.from_numpy(np.asarray(blurred, dtype=np.float32)).permute(2, 0, 1).clamp(0, 1)
