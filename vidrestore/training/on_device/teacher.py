"""The teacher: Real-ESRGAN's x4plus, applied to the output of the fidelity end.

Real-ESRGAN (Wang et al. 2021) makes clear eyes, hair and lips, but invents detail where blur is
heavy; from the fidelity end's output it keeps the identity better. Where the fidelity end is close
to the target already, the target is the better teacher.
"""

import torch
from torch import nn

from vidrestore.errors import WeightsError
from vidrestore.metrics.psnr_ssim import psnr_db
from vidrestore.models.registry import restorer_spec
from vidrestore.models.upscalers.realesrgan import RealEsrganFaces
from vidrestore.training.on_device.data.batches import FaceBatch
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.load import load_weights


class Teacher:
    """Adds the teacher's output to batches.

    Args:
        fidelity: A restorer whose forward returns ``RestorerOutput``, on the device; not trained.
        side_px: Of the faces; the teacher sees a quarter of it.
        good_psnr_db: PSNR of ``fidelity`` from which a sample learns from the target instead.
        device: Of the teacher.
        dtype: Of its weights and features.
    """

    def __init__(
        self,
        fidelity: nn.Module,
        *,
        side_px: int,
        good_psnr_db: float,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._fidelity = _freeze(fidelity, device, dtype)
        self._upscaler = _freeze(_x4plus(side_px), device, dtype)
        self.good_psnr_db = good_psnr_db

    @torch.no_grad()
    def teach(self, batch: FaceBatch) -> FaceBatch:
        """Return the batch with ``teacher`` and ``use_teacher``."""
        restored = self._fidelity(batch.degraded).image.float().clamp(-1, 1)
        error = psnr_db(restored / 2 + 0.5, batch.target / 2 + 0.5)
        image = self._upscaler(restored).image.float().clamp(-1, 1)
        return batch._replace(teacher=image, use_teacher=error < self.good_psnr_db)


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
