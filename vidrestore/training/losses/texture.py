"""How much fine texture there is where: a loss on local energies, not on pixels.

Pixel losses are least where all that is uncertain is left out, which is what makes faces waxy. Here
restored and target must have as much contrast in every small window, orientation and scale,
wherever exactly its lines run: the spectral counterpart of a Gram loss (Portilla and Simoncelli
2000, section 3.1: local oriented magnitudes tell textures apart), without a network.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.training.losses.full_precision import to_float32

_WINDOW_PX = 8
_SCALES = 3


def texture_energies(brightness_N1HW: Tensor) -> list[Tensor]:
    """Return root mean squares of differences within windows, ``(N, 4, h, w)`` for each scale.

    Differences are between neighbours to the right, below, and along both diagonals; windows
    are 8 x 8 pixels of the scale, half overlapping; scales are the picture, its half, its quarter.

    Args:
        brightness_N1HW: Any range, at least 36 pixels on each side.
    """
    maps: list[Tensor] = []
    for scale in range(_SCALES):
        if scale:
            brightness_N1HW = F.avg_pool2d(brightness_N1HW, 2)
        here = brightness_N1HW[..., :-1, :-1]
        right, below = brightness_N1HW[..., :-1, 1:], brightness_N1HW[..., 1:, :-1]
        across = brightness_N1HW[..., 1:, 1:]
        squared = torch.cat([right - here, below - here, across - here, below - right], dim=1)
        mean = F.avg_pool2d(squared.square(), _WINDOW_PX, stride=_WINDOW_PX // 2)
        # The square root is steep at nothing.
        maps.append((mean + 1e-8).sqrt())
    return maps


def texture_energy_loss(
    restored_NCHW: Tensor,
    target_NCHW: Tensor,
    *,
    places_N1HW: Tensor | None = None,
    floor: float = 0.01,
) -> Tensor:
    """Return the mean over scales of ``|log(restored energy) - log(target energy)|``, a scalar.

    Logarithms, because half the texture of skin is missed as much as half that of hair is.

    Args:
        restored_NCHW: RGB in [-1, 1], at least 36 pixels on each side.
        target_NCHW: Same shape; gets no gradient.
        places_N1HW: 1 where texture counts, 0 where not; None counts all.
        floor: Energy that is as good as none, in the same units.
    """
    pairs = zip(
        texture_energies(to_float32(restored_NCHW).mean(dim=1, keepdim=True)),
        texture_energies(to_float32(target_NCHW.detach()).mean(dim=1, keepdim=True)),
        strict=True,
    )
    terms: list[Tensor] = []
    for found, aimed in pairs:
        missed = (torch.log(found + floor) - torch.log(aimed + floor)).abs()
        if places_N1HW is None:
            terms.append(missed.mean())
        else:
            height, width = missed.shape[2:]
            counted = F.adaptive_avg_pool2d(places_N1HW, (height, width))
            terms.append((missed * counted).mean() / counted.mean().clamp_min(1e-6))
    return torch.stack(terms).mean()
