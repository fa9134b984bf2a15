"""The degradation models of the three papers, with their published ranges.

All are ``[(y * k) downsampled by r + n_delta] JPEG_q``, enlarged to the original size, and differ
in kernels and ranges. Docstrings say what is assumed where a paper does not give a value.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from vidrestore.training.degradations.base import (
    DOWN_FILTERS,
    PerFrameDegradation,
    Range,
    choose,
    draw_seed,
    frame_rng,
    quantize,
    resize,
    uniform,
)
from vidrestore.training.degradations.blur import (
    anisotropic_kernel,
    box_blur,
    fast_gaussian_blur,
    filter_image,
    gaussian_blur,
    median_blur,
    shake_kernel,
    uneven_motion_kernel,
)
from vidrestore.training.degradations.compression import jpeg
from vidrestore.training.degradations.noise import add_fast_gaussian_noise, add_gaussian_noise
from vidrestore.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class GfpganDegradation(PerFrameDegradation):
    """``[(y * k_sigma) downsampled by r + n_delta] JPEG_q``, and the original size."""

    sigma_px: float
    downscale: float
    noise: float
    jpeg_quality: int
    noise_seed: int

    def small_px(self, side_px: int) -> int:
        """Return the length of a side of ``side_px`` pixels while noise and JPEG are added."""
        return max(2, round(side_px / self.downscale))

    def degrade_frame(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return frame ``index`` of a clip, degraded."""
        height, width = image_hwc.shape[:2]
        small_wh = (self.small_px(width), self.small_px(height))
        image = gaussian_blur(image_hwc, sigma_px=self.sigma_px, ratio=1.0, angle=0.0)
        image = resize(image, small_wh, cv2.INTER_LINEAR)
        rng = frame_rng(self.noise_seed, index)
        image = add_gaussian_noise(image, sigma=self.noise / 255.0, rng=rng)
        image = jpeg(image, quality=self.jpeg_quality)
        return quantize(resize(image, (width, height), cv2.INTER_LINEAR))


@dataclass(frozen=True, slots=True, kw_only=True)
class GfpganRecipe:
    """The degradation model of GFP-GAN, section 4.1, with its published ranges."""

    sigma_px: Range = (0.2, 10.0)
    downscale: Range = (1.0, 8.0)
    noise: Range = (0.0, 15.0)
    """Standard deviation on a scale of 255."""
    jpeg_quality: Range = (60, 100)

    def draw(self, rng: np.random.Generator) -> GfpganDegradation:
        """Draw each parameter uniformly from its range."""
        return GfpganDegradation(
            sigma_px=uniform(rng, self.sigma_px),
            downscale=uniform(rng, self.downscale),
            noise=uniform(rng, self.noise),
            jpeg_quality=round(uniform(rng, self.jpeg_quality)),
            noise_seed=draw_seed(rng),
        )


PsfrganBlur: TypeAlias = Literal["gaussian", "average", "median", "motion"]
_PSFRGAN_BLURS: tuple[PsfrganBlur, ...] = ("gaussian", "average", "median", "motion")


@dataclass(frozen=True, slots=True, kw_only=True)
class PsfrganDegradation(PerFrameDegradation):
    """One of four blurs, a smaller size, white noise, JPEG, and the original size."""

    blur: PsfrganBlur
    extent: float
    """Standard deviation of the Gaussian, or size of the other kernels, in pixels."""
    angle: float
    asymmetry: float
    scale: float
    down_filter: int
    noise: float
    jpeg_quality: int
    noise_seed: int

    def degrade_frame(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return frame ``index`` of a clip, degraded."""
        height, width = image_hwc.shape[:2]
        small_wh = (max(2, round(width * self.scale)), max(2, round(height * self.scale)))
        image = resize(self._blur(image_hwc), small_wh, self.down_filter)
        rng = frame_rng(self.noise_seed, index)
        image = add_fast_gaussian_noise(image, sigma=self.noise / 255.0, rng=rng)
        image = jpeg(image, quality=self.jpeg_quality)
        return quantize(resize(image, (width, height), cv2.INTER_LINEAR))

    def _blur(self, image_hwc: FloatArray) -> FloatArray:
        size = round(self.extent)
        if self.blur == "gaussian":
            return fast_gaussian_blur(image_hwc, sigma_px=self.extent)
        if self.blur == "average":
            return box_blur(image_hwc, size_px=size)
        if self.blur == "median":
            return median_blur(image_hwc, size_px=size // 2 * 2 + 1)
        kernel = uneven_motion_kernel(length_px=size, angle=self.angle, asymmetry=self.asymmetry)
        return filter_image(image_hwc, kernel)


@dataclass(frozen=True, slots=True, kw_only=True)
class PsfrganRecipe:
    """The degradation model of PSFR-GAN, appendix B.

    The paper does not name the filters. Here, one of three filters shrinks images, and bilinear
    interpolation enlarges them. Compression levels are those of imgaug, which the paper uses: level
    c is JPEG quality ``1 + 99 (1 - c / 101)``.
    """

    gaussian: Range = (3.0, 15.0)
    average: Range = (3, 15)
    median: Range = (3, 15)
    motion: Range = (5, 25)
    scale: Range = (32 / 512, 256 / 512)
    noise: Range = (0.0, 0.1 * 255)
    """Standard deviation on a scale of 255."""
    compression: Range = (10, 65)

    def draw(self, rng: np.random.Generator) -> PsfrganDegradation:
        """Draw one of the four blurs, and each parameter uniformly from its range."""
        blur = choose(rng, _PSFRGAN_BLURS)
        limits = {
            "gaussian": self.gaussian,
            "average": self.average,
            "median": self.median,
            "motion": self.motion,
        }[blur]
        compression = uniform(rng, self.compression)
        return PsfrganDegradation(
            blur=blur,
            extent=uniform(rng, limits),
            angle=uniform(rng, (0.0, 2 * float(np.pi))),
            asymmetry=uniform(rng, (-1.0, 1.0)),
            scale=uniform(rng, self.scale),
            down_filter=choose(rng, DOWN_FILTERS),
            noise=uniform(rng, self.noise),
            jpeg_quality=round(1 + 99 * (1 - compression / 101)),
            noise_seed=draw_seed(rng),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MmrbDegradation(PerFrameDegradation):
    """Gaussian or motion blur, another size, white noise, strong JPEG, and the original size."""

    motion_px: float | None
    """Length of the camera's path; None for a Gaussian."""
    sigma_px: float
    ratio: float
    angle: float
    downscale: float
    noise: float
    jpeg_quality: int
    noise_seed: int

    def degrade_frame(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return frame ``index`` of a clip, degraded."""
        height, width = image_hwc.shape[:2]
        small_wh = (
            max(2, round(width / self.downscale)),
            max(2, round(height / self.downscale)),
        )
        image = resize(filter_image(image_hwc, self._kernel()), small_wh, cv2.INTER_LINEAR)
        rng = frame_rng(self.noise_seed, index)
        image = add_fast_gaussian_noise(image, sigma=self.noise / 255.0, rng=rng)
        image = jpeg(image, quality=self.jpeg_quality)
        return quantize(resize(image, (width, height), cv2.INTER_LINEAR))

    def _kernel(self) -> FloatArray:
        if self.motion_px is not None:
            kernel = shake_kernel(length_px=self.motion_px, bend=1.5, seed=self.noise_seed)
        else:
            kernel = anisotropic_kernel(sigma_px=self.sigma_px, ratio=self.ratio, angle=self.angle)
        return _crop_kernel(kernel)


_MMRB_KERNEL_PX = 41


def _crop_kernel(kernel: FloatArray) -> FloatArray:
    """Return the middle 41 pixels of the kernel, the size in the paper."""
    margin = max(0, (kernel.shape[0] - _MMRB_KERNEL_PX) // 2)
    if not margin:
        return kernel
    inner = kernel[margin:-margin, margin:-margin]
    return np.ascontiguousarray(inner / inner.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class MmrbRecipe:
    """The degradation model of the MMRB paper, section 4.1, equation 17.

    The paper gives the kernel's size (41), the scale (0.4 to 8; below 1 the image is enlarged
    before noise and JPEG), noise (0 to 25) and quality (5 to 50), and says that blur is Gaussian or
    motion. Assumed here: the width of the Gaussian, which is that of the works it follows, and
    motion in half of the draws.
    """

    sigma_px: Range = (0.2, 10.0)
    motion_px: Range = (3.0, 41.0)
    downscale: Range = (0.4, 8.0)
    noise: Range = (0.0, 25.0)
    """Standard deviation on a scale of 255."""
    jpeg_quality: Range = (5, 50)

    def draw(self, rng: np.random.Generator) -> MmrbDegradation:
        """Draw each parameter uniformly from its range."""
        return MmrbDegradation(
            motion_px=uniform(rng, self.motion_px) if rng.random() < 0.5 else None,
            sigma_px=uniform(rng, self.sigma_px),
            ratio=uniform(rng, (0.3, 1.0)) if rng.random() < 0.5 else 1.0,
            angle=uniform(rng, (0.0, float(np.pi))),
            downscale=uniform(rng, self.downscale),
            noise=uniform(rng, self.noise),
            jpeg_quality=round(uniform(rng, self.jpeg_quality)),
            noise_seed=draw_seed(rng),
        )
