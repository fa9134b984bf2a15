"""The teacher: Real-ESRGAN's x4plus, applied to the output of the fidelity end.

Real-ESRGAN (Wang et al. 2021) gives sharp eyes, hair and lips, but invents detail if the blur is
strong; applied to the fidelity end's output it preserves identity better. If the fidelity end is
close to the target already, the target is the better teacher: unchanged for a clean face, and
sharpened for a slightly degraded one.
"""

import torch
from torch import Tensor, nn

from vidrestore.errors import WeightsError
from vidrestore.metrics.psnr_ssim import psnr_db
from vidrestore.models.registry import restorer_spec
from vidrestore.models.upscalers.realesrgan import RealEsrganFaces
from vidrestore.training.on_device.config import TeacherConfig
from vidrestore.training.on_device.data.batches import FaceBatch
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.load import load_weights

_CLEAN_PSNR_DB = 45.0
"""Minimum PSNR of a degraded face that counts as clean."""


class Teacher:
    """Adds the teacher's output to batches.

    Args:
        fidelity: A restorer whose forward returns ``RestorerOutput``, on the device; not trained.
        side_px: Side of the faces; the teacher receives them at a quarter of it.
        config: Settings of the teacher.
        device: Device of the teacher.
        dtype: Precision of the teacher.
    """

    def __init__(
        self,
        fidelity: nn.Module,
        *,
        side_px: int,
        config: TeacherConfig,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._fidelity = _freeze(fidelity, device, dtype)
        self._upscaler = _freeze(_x4plus(side_px), device, dtype)
        self._config = config

    @torch.no_grad()
    def teach(self, batch: FaceBatch) -> FaceBatch:
        """Return the batch with ``teacher``, ``use_teacher`` and ``sharpen``."""
        restored = self._fidelity(batch.degraded).image.float().clamp(-1, 1)
        is_good = _psnr_db(restored, batch.target) >= self._config.good_psnr_db
        # On a GPU, counting the good samples would synchronize.
        if is_good.device.type == "cpu" and bool(is_good.all()):
            image = batch.target
        else:
            image = self._upscaler(restored).image.float().clamp(-1, 1)
            image = torch.where(is_good[:, None, None, None], batch.target, image)
        is_clean = _psnr_db(batch.degraded, batch.target) >= _CLEAN_PSNR_DB
        return batch._replace(
            teacher=image,
            use_teacher=~is_good | (self._config.sharpen_target > 0) & ~is_clean,
            sharpen=sharpening(is_good, self._config),
        )


def sharpening(is_target_N: Tensor, config: TeacherConfig) -> Tensor:
    """Return the gain of each teacher image's finest detail, ``(N,)`` float32.

    Args:
        is_target_N: bool; whether the image is the target itself.
        config: The two gains.
    """
    amounts = is_target_N.new_tensor((config.sharpen, config.sharpen_target), dtype=torch.float32)
    return amounts[is_target_N.long()]


def _psnr_db(image_NCHW: Tensor, target_NCHW: Tensor) -> Tensor:
    return psnr_db(image_NCHW / 2 + 0.5, target_NCHW / 2 + 0.5)


def _x4plus(side_px: int) -> nn.Module:
    file = restorer_spec("realesrgan").packaged_file
    if file is None:
        raise WeightsError("the weights of realesrgan are not in the package")
    network = RealEsrganFaces(size_px=side_px)
    with bundled_file(file) as path:
        load_weights(network, path)
    return network


def _freeze(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    frozen = network.eval().requires_grad_(False).to(device=device, dtype=dtype)
    return frozen.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
