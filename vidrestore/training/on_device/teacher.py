"""The teacher: Real-ESRGAN's x4plus of what the fidelity end makes of a face.

Real-ESRGAN (Wang et al. 2021) draws clear eyes, hair and lips, but paints where blur is heavy; fed
the fidelity end's result it keeps the person better. Where the fidelity end is close to the truth
already, the truth is the better teacher.
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
    """Adds the teacher's pictures to batches.

    Args:
        fidelity: A restorer whose forward returns ``RestorerOutput``, on the device; not trained.
        side_px: Of the faces; the teacher sees a quarter of it.
        good_from_db: PSNR of ``fidelity`` from which the truth is the teacher.
        device: Where the teacher runs.
        dtype: Of its weights and features.
    """

    def __init__(
        self,
        fidelity: nn.Module,
        *,
        side_px: int,
        good_from_db: float,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._fidelity = _frozen(fidelity, device, dtype)
        self._enlarger = _frozen(_x4plus(side_px), device, dtype)
        self.good_from_db = good_from_db

    @torch.no_grad()
    def taught(self, batch: FaceBatch) -> FaceBatch:
        """Return the batch with ``teacher`` and ``taught``."""
        restored = self._fidelity(batch.degraded).image.float().clamp(-1, 1)
        error = psnr_db(restored / 2 + 0.5, batch.clean / 2 + 0.5)
        picture = self._enlarger(restored).image.float().clamp(-1, 1)
        return batch._replace(teacher=picture, taught=error < self.good_from_db)


def _x4plus(side_px: int) -> nn.Module:
    file = restorer_spec("realesrgan").packaged_file
    if file is None:
        raise WeightsError("the weights of realesrgan are not in the package")
    network = RealEsrganFaces(size_px=side_px)
    with bundled_file(file) as path:
        load_weights(network, path)
    return network


def _frozen(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    there = network.eval().requires_grad_(False).to(device=device, dtype=dtype)
    return there.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
