"""Faces that the packaged generator draws on the device, with their styles.

A face drawn from a style is an exact pair of image and style: an encoder learns styles without an
optimization for every photograph, from faces that never run out.
"""

import numpy as np
import torch
from torch import Tensor

from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.training.data.component_boxes import component_boxes
from vidrestore.training.on_device.data.device_faces import Faces
from vidrestore.types import CROP_SIZE_PX


class DrawnFaces:
    """Draws faces by a generator that is not trained.

    Args:
        prior: A frozen generator on the device; faces have its size.
        truncation: Range of the distance from the mean style, 0 to 1.
        dtype: Precision of the images; styles are float32.
    """

    def __init__(
        self, prior: MobileStyleGAN, *, truncation: tuple[float, float], dtype: torch.dtype
    ) -> None:
        self._prior, self._truncation, self._dtype = prior, truncation, dtype
        self._device = prior.get_buffer("mean_style").device
        landmarks = (TEMPLATE_LANDMARKS_XY + 0.5) * (prior.out_size / CROP_SIZE_PX) - 0.5
        boxes = torch.from_numpy(component_boxes(landmarks).astype(np.float32))
        self._boxes = boxes.to(self._device)

    @torch.no_grad()
    def draw(self, count: int, generator: torch.Generator) -> tuple[Faces, Tensor]:
        """Return faces and their styles in W, ``(count, F)``, without a synchronization."""
        prior, device = self._prior, self._device
        latent = torch.randn(count, prior.num_style_feat, generator=generator, device=device)
        low, high = self._truncation
        distance = low + (high - low) * torch.rand(count, 1, generator=generator, device=device)
        styles = prior.styles(latent, truncation=distance)
        is_half = self._dtype is not torch.float32
        with torch.autocast(device.type, self._dtype, enabled=is_half):
            image = prior.synthesize(prior.to_w_plus(styles))
        image = (image.float() / 2 + 0.5).clamp(0, 1)
        ratio = torch.ones(count, device=device)
        return Faces(image, ratio, self._boxes.expand(count, -1, -1)), styles
