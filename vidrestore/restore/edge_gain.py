"""Stage: strengthens the edges of restored crops, and leaves flat skin alone.

A network trained on pixel errors draws edges softer than they were. An unsharp mask brings them
back, but roughens skin as much. Here weak detail is left out ("coring"), so that eyes, lips and
hair gain and skin hardly does, and what goes beyond the values around is limited, so that no halo
is drawn.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from vidrestore.affine import scale_of
from vidrestore.errors import ConfigError
from vidrestore.restore.luma import luma_of_crop
from vidrestore.types import (
    CROP_SIZE_PX,
    SMALL_CROP_SIZE_PX,
    AlignedFace,
    FloatArray,
    RestoredFace,
    RestoredFrame,
)

_RANGE = (cv2.erode, cv2.dilate)
"""The darkest and the lightest value around each pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeGainConfig:
    """How much edges are strengthened, and which."""

    gain: float = 2.62
    """Part of an edge's detail that is added at the detail end; 0 is off."""
    power: float = 1.84
    """Of ``--detail``, by which the gain grows: 0.73 at its default, 0.5."""
    min_sigma_px: float = 1.5
    """Minimum deviation of the Gaussian in the space of crops: what is finer is detail."""
    source_sigma_px: float = 1.1
    """The same in pixels of the source, which are wide in the crop of a small face."""
    threshold: float = 0.005
    """Detail of this strength, in [0, 1], is added by half."""
    overshoot: float = 0.5
    """Part of what goes beyond the lightest or darkest value around that is kept."""
    small_gain: float = 1.5
    """Factor of the gain in small crops: the network's weights for them draw softer edges."""

    def __post_init__(self) -> None:
        if self.gain < 0 or self.small_gain < 0 or self.source_sigma_px < 0:
            raise ConfigError("gain, small_gain and source_sigma_px must be >= 0")
        if self.min_sigma_px <= 0 or self.threshold <= 0 or self.power <= 0:
            raise ConfigError("min_sigma_px, threshold and power must be > 0")
        if not 0 <= self.overshoot <= 1:
            raise ConfigError(f"overshoot must be 0 to 1, got {self.overshoot}")

    def for_crop(self, aligned: AlignedFace) -> "EdgeGainConfig":
        """Return the settings for the crop of a face."""
        is_small = aligned.side_px == SMALL_CROP_SIZE_PX
        return replace(self, gain=self.gain * self.small_gain) if is_small else self

    def sigma_px(self, aligned: AlignedFace) -> float:
        """Return the deviation for a face, in pixels of its crop."""
        sigma = max(self.min_sigma_px, self.source_sigma_px * scale_of(aligned.display_to_crop))
        return sigma * aligned.side_px / CROP_SIZE_PX


def strengthen_frames(
    frames: Iterable[RestoredFrame], *, detail: float, config: EdgeGainConfig
) -> Iterator[RestoredFrame]:
    """Yield every frame once, in order, with stronger edges in its restored crops.

    Args:
        frames: Restored.
        detail: Position of the restorer between fidelity, 0, and detail, 1; scales the gain, so
            the fidelity end stays as the network made it.
        config: How much, and which edges.
    """

    def strengthen(face: RestoredFace) -> RestoredFace:
        sigma_px = config.sigma_px(face.aligned)
        image = strengthen_edges(
            face.restored_chw,
            detail=detail,
            sigma_px=sigma_px,
            config=config.for_crop(face.aligned),
        )
        return replace(face, restored_chw=image)

    for frame in frames:
        yield replace(frame, faces=tuple(map(strengthen, frame.faces)))


def strengthen_edges(
    image_chw: Tensor, *, detail: float, sigma_px: float, config: EdgeGainConfig
) -> Tensor:
    """Return a crop with stronger edges, by the same change of its three colors.

    Args:
        image_chw: ``(3, S, S)`` float32 RGB in [0, 1].
        detail: As for ``strengthen_frames``.
        sigma_px: Deviation of the Gaussian, in pixels of the crop.
        config: How much, and which edges.
    """
    luma = luma_of_crop(image_chw)
    soft = cv2.GaussianBlur(luma, (0, 0), sigma_px)
    size: FloatArray = np.asarray(cv2.absdiff(luma, soft), dtype=np.float32)
    # In place, because arrays of this size cost as much to allocate as to compute.
    added = np.subtract(luma, soft, out=soft)
    added *= np.float32(config.gain * detail**config.power)
    added *= size
    size += np.float32(config.threshold)
    added /= size
    side = 2 * round(sigma_px) + 1
    lowest, highest = (change(luma, np.ones((side, side), np.uint8)) for change in _RANGE)
    lowest -= luma
    highest -= luma
    within = cv2.min(cv2.max(added, lowest, dst=lowest), highest, dst=lowest)
    added -= within
    added *= np.float32(config.overshoot)
    added += within
    if image_chw.device.type != "cpu":
        return (image_chw + torch.from_numpy(added).to(image_chw.device)).clamp_(0.0, 1.0)
    added_hwc: FloatArray = np.asarray(cv2.cvtColor(added, cv2.COLOR_GRAY2RGB), dtype=np.float32)
    added_hwc += image_chw.permute(1, 2, 0).numpy()
    return torch.from_numpy(np.clip(added_hwc, 0.0, 1.0, out=added_hwc)).permute(2, 0, 1)
