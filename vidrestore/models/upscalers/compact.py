"""The compact super-resolution network of Real-ESRGAN's authors: small enough for a CPU.

Convolutions with parametric ReLUs (He et al. 2015) work at the size of the input. The last one
predicts what to add to the input, enlarged by repeating its pixels, and a pixel shuffle (Shi et
al. 2016, section 3) lays it out. Tensors have the published names: ``body.N.weight``.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class CompactUpscaler(nn.Module):
    """Enlarges RGB images.

    Args:
        features: Channels between the convolutions.
        convolutions: Between the first and the last one.
        scale: How many times larger the output is along each side.
    """

    def __init__(self, *, features: int = 64, convolutions: int = 16, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = []
        for in_channels in (3, *[features] * convolutions):
            layers += [
                nn.Conv2d(in_channels, features, kernel_size=3, padding=1),
                nn.PReLU(features),
            ]
        layers.append(nn.Conv2d(features, 3 * scale**2, kernel_size=3, padding=1))
        self.body = nn.Sequential(*layers)

    def forward(self, rgb_NCHW: Tensor) -> Tensor:
        """Return ``(N, 3, scale * H, scale * W)`` float32 RGB, [0, 1] nominally; not clipped.

        Args:
            rgb_NCHW: ``(N, 3, H, W)`` float32 RGB in [0, 1]; features have the weights' precision.
        """
        feat = rgb_NCHW.to(next(self.parameters()).dtype)
        change = F.pixel_shuffle(self.body(feat), self.scale)
        # Added in the input's precision: bf16 has too few levels for an image.
        return F.interpolate(rgb_NCHW, scale_factor=self.scale, mode="nearest") + change
