"""Identity loss: distance of restored and target in the embeddings of a recognition network.

GFP-GAN, section 3.5, and MMRB, section 3.4, equation 15: the L1 distance of embeddings, which are
not normalized in the released code. Identity is usually measured by their cosine.

The network is frozen; gradients flow to the restored image only.
"""

from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.affine import compose_affines, fit_similarity, invert_affine, scale_of
from vidrestore.errors import WeightsError
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.metrics.identity import RECOGNITION_HW, RECOGNITION_LANDMARKS_XY
from vidrestore.models.recognizers.arcface import ArcFaceResNet
from vidrestore.models.recognizers.mobilefacenet import MobileFaceNet
from vidrestore.training.losses.feature_extractors import FrozenModule
from vidrestore.training.losses.full_precision import to_float32, without_autocast
from vidrestore.types import CROP_SIZE_PX, Affine
from vidrestore.weights.load import load_state, read_state

_GRAY = (0.2989, 0.5870, 0.1140)
_ARCFACE_PX = 128


class IdentityNetwork(Protocol):
    """Maps aligned faces to embeddings."""

    def __call__(self, image_NCHW: Tensor) -> Tensor:
        """Return raw embeddings ``(N, D)`` of RGB faces in [-1, 1] in the 512 alignment."""
        ...


class ArcFaceIdentity(FrozenModule):
    """ArcFace's ResNet-18 on whole aligned faces, in gray at 128 x 128; the network is frozen."""

    def __init__(self, network: ArcFaceResNet) -> None:
        super().__init__()
        self.network = network
        self.freeze()

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """Return raw embeddings ``(N, 512)`` of RGB in [-1, 1]."""
        return self.network(arcface_input(image_NCHW))


class MobileFaceNetIdentity(FrozenModule):
    """MobileFaceNet on the 112 x 96 crop of aligned faces that it was trained on."""

    def __init__(self, network: MobileFaceNet) -> None:
        super().__init__()
        self.network = network
        self.freeze()

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """Return raw embeddings ``(N, 128)`` of RGB in [-1, 1]."""
        return self.network(recognition_crop(image_NCHW) * (127.5 / 128.0))


def identity_loss(
    network: IdentityNetwork,
    restored_NCHW: Tensor,
    target_NCHW: Tensor,
    *,
    distance: Literal["l1", "cosine"] = "l1",
    weight: float = 1.0,
) -> Tensor:
    """Return the distance of the embeddings of restored and target, a scalar.

    Args:
        network: A frozen network.
        restored_NCHW: RGB in [-1, 1] in the 512 alignment, at any resolution.
        target_NCHW: Same shape; gets no gradient.
        distance: The mean absolute difference of raw embeddings, or one minus the mean cosine.
        weight: Weight of the loss; at 0 the network does not run.
    """
    if weight == 0:
        return restored_NCHW.new_zeros(())
    with torch.no_grad():
        target = to_float32(network(target_NCHW))
    restored = to_float32(network(restored_NCHW))
    if distance == "l1":
        return F.l1_loss(restored, target) * weight
    return (1 - F.cosine_similarity(restored, target, dim=1)).mean() * weight


def arcface_input(image_NCHW: Tensor) -> Tensor:
    """Return ``(N, 1, 128, 128)`` gray faces in [-1, 1], as in GFP-GAN's released code.

    The network was trained on faces downscaled without antialiasing: at 512 px each sample reads 4
    of 16 pixels, and the gradient reaches only those.
    """
    image = to_float32(image_NCHW)
    with without_autocast(image.device):
        weights = image.new_tensor(_GRAY)[:, None, None]
        gray = (image * weights).sum(dim=1, keepdim=True)
        size = (_ARCFACE_PX, _ARCFACE_PX)
        return F.interpolate(gray, size, mode="bilinear", align_corners=False)


def recognition_crop(image_NCHW: Tensor) -> Tensor:
    """Return ``(N, 3, 112, 96)`` crops in the alignment of recognition networks, with gradients.

    As in ``metrics.identity``: downscaled with antialiasing, then warped, bicubic.

    Args:
        image_NCHW: ``(N, 3, S, S)`` in the 512 alignment.

    Raises:
        ValueError: Images are not square.
    """
    height, width = image_NCHW.shape[2:]
    if height != width:
        raise ValueError(f"aligned faces are square, got {height} x {width} px")
    image = to_float32(image_NCHW)
    small, grid = _downscaled_side_and_grid(width, image.device)
    with without_autocast(image.device):
        if small < width:
            image = F.interpolate(image, (small, small), mode="bilinear", antialias=True)
        grid = grid.to(image.dtype).expand(len(image), -1, -1, -1)
        return F.grid_sample(
            image, grid, mode="bicubic", padding_mode="border", align_corners=False
        )


def load_identity_network(path: Path) -> ArcFaceIdentity | MobileFaceNetIdentity:
    """Return the frozen network of a checkpoint of ArcFace's ResNet or of MobileFaceNet.

    Raises:
        WeightsError: The file is missing or unsafe, or holds another network.
    """
    network = load_recognition_network(path)
    if isinstance(network, MobileFaceNet):
        return MobileFaceNetIdentity(network)
    return ArcFaceIdentity(network)


def load_recognition_network(path: Path) -> ArcFaceResNet | MobileFaceNet:
    """Return the network of a checkpoint of ArcFace's ResNet or of MobileFaceNet.

    Raises:
        WeightsError: The file is missing or unsafe, or holds another network.
    """
    state = read_state(path)
    if "linear7.conv.weight" in state:
        mobilefacenet = MobileFaceNet()
        load_state(mobilefacenet, state, path)
        return mobilefacenet
    if "fc5.weight" in state:
        blocks = [{key.split(".")[1] for key in state if key.startswith(f"layer{index}.")}
                  for index in range(1, 5)]  # fmt: skip
        network = ArcFaceResNet(
            layers=[len(block) for block in blocks], use_se=any(".se." in key for key in state)
        )
        load_state(network, state, path)
        return network
    raise WeightsError(
        f"{path}: neither ArcFace's ResNet nor MobileFaceNet, by its tensors; give a checkpoint of "
        "one of them"
    )


@lru_cache(maxsize=8)
def _downscaled_side_and_grid(side_px: int, device: torch.device) -> tuple[int, Tensor]:
    """Return the side to which crops of ``side_px`` are downscaled, and the sampling grid.

    Cached, because copying the grid to a GPU would synchronize in every step.
    """
    points = (TEMPLATE_LANDMARKS_XY + 0.5) * (side_px / CROP_SIZE_PX) - 0.5
    to_face = fit_similarity(points, RECOGNITION_LANDMARKS_XY)
    small = round(side_px * scale_of(to_face))
    if small < side_px:
        ratio, shift = small / side_px, (small / side_px - 1) / 2
        to_small: Affine = np.array([[ratio, 0.0, shift], [0.0, ratio, shift]])
        to_face = compose_affines(invert_affine(to_small), to_face)
    with torch.inference_mode(False):  # autograd cannot save tensors of inference mode
        return small, _sampling_grid(invert_affine(to_face), min(small, side_px), device)


def _sampling_grid(face_to_image: Affine, side_px: int, device: torch.device) -> Tensor:
    """Return a ``(1, 112, 96, 2)`` float64 grid; -1 and 1 are the outer edges of the image."""
    y, x = np.mgrid[: RECOGNITION_HW[0], : RECOGNITION_HW[1]].astype(np.float64)
    ones = np.ones_like(x)
    position_hw2 = np.einsum("ij,jhw->hwi", face_to_image, np.stack([x, y, ones]))
    return torch.from_numpy((2 * position_hw2 + 1)[None] / side_px - 1).to(device)
