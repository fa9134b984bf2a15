"""Metrics on pixels: PSNR, SSIM at one and at many scales, and sharpness."""

import torch
from torch import Tensor
from torch.nn import functional as F


def psnr_db(first_NCHW: Tensor, second_NCHW: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each pair, ``(N,)`` in dB.

    Args:
        first_NCHW: float in [0, 1].
        second_NCHW: Same shape.
    """
    error_N = (first_NCHW - second_NCHW).square().mean(dim=(1, 2, 3))
    return -10.0 * torch.log10(error_N.clamp_min(1e-10))


def ssim(first_NCHW: Tensor, second_NCHW: Tensor) -> Tensor:
    """Return the mean structural similarity of each pair over all channels, ``(N,)``.

    Wang, Bovik, Sheikh and Simoncelli 2004, "Image quality assessment", equation 13, with
    its window (11 x 11, sigma 1.5) and constants (K1 0.01, K2 0.03), where the window fits.

    Args:
        first_NCHW: float in [0, 1], at least 11 pixels on each side.
        second_NCHW: Same shape.
    """
    luminance, structure = _similarity_terms(first_NCHW, second_NCHW)
    return (luminance * structure).mean(dim=(1, 2, 3))


def _similarity_terms(first_NCHW: Tensor, second_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return the luminance term, and contrast times structure, at every position of the window."""
    channels = first_NCHW.shape[1]
    offsets = torch.arange(11, dtype=first_NCHW.dtype, device=first_NCHW.device) - 5
    taps = torch.exp(-offsets.square() / (2 * 1.5**2))
    taps = taps / taps.sum()
    row = taps.expand(channels, 1, 1, 11).contiguous()
    column = row.transpose(2, 3).contiguous()

    def mean(image: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(image, row, groups=channels), column, groups=channels)

    mean_a, mean_b = mean(first_NCHW), mean(second_NCHW)
    variance_a = mean(first_NCHW.square()) - mean_a.square()
    variance_b = mean(second_NCHW.square()) - mean_b.square()
    covariance = mean(first_NCHW * second_NCHW) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a.square() + mean_b.square() + c1)
    return luminance, (2 * covariance + c2) / (variance_a + variance_b + c2)


def gradient_magnitude(image_NCHW: Tensor) -> Tensor:
    """Return the mean length of the luma gradient of each image, ``(N,)``.

    A measure of sharpness; compare it only between images of the same scene.
    """
    luma = image_NCHW.mean(dim=1)
    along_x = luma[:, :-1, 1:] - luma[:, :-1, :-1]
    along_y = luma[:, 1:, :-1] - luma[:, :-1, :-1]
    return (along_x.square() + along_y.square()).sqrt().mean(dim=(1, 2))


_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ms_ssim(first_NCHW: Tensor, second_NCHW: Tensor) -> Tensor:
    """Return the multi-scale structural similarity of each pair, ``(N,)``.

    Wang, Simoncelli and Bovik 2003, "Multi-scale structural similarity for image quality
    assessment", equation 7 with the weights of its section 4: contrast and structure at five
    scales, luminance at the coarsest. Scales are means over 2 x 2; negative means count as 0.

    Args:
        first_NCHW: float in [0, 1], at least 176 pixels on each side.
        second_NCHW: Same shape.

    Raises:
        ValueError: The images are too small for five scales.
    """
    min_side = 11 * 2 ** (len(_SCALE_WEIGHTS) - 1)
    if min(first_NCHW.shape[2:]) < min_side:
        raise ValueError(f"MS-SSIM needs {min_side} pixels on a side, got {first_NCHW.shape[2:]}")
    result = torch.ones_like(first_NCHW[:, 0, 0, 0])
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        if scale:
            first_NCHW, second_NCHW = F.avg_pool2d(first_NCHW, 2), F.avg_pool2d(second_NCHW, 2)
        luminance, structure = _similarity_terms(first_NCHW, second_NCHW)
        last = scale == len(_SCALE_WEIGHTS) - 1
        term_NC = (luminance * structure if last else structure).mean(dim=(2, 3))
        result = result * term_NC.clamp_min(0).pow(weight).mean(dim=1)
    return result
