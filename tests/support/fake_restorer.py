"""A fast restorer that tests use instead of the requested one."""

import torch
from torch import nn

from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.registry import RestorerSpec
from vidrestore.pipeline import setup
from vidrestore.restore.restorer import Restorer


class InterruptError(Exception):
    """Interrupts a run."""


class ContrastRestorer(nn.Module):
    """Lowers contrast slightly: a visible but harmless change."""

    def forward(self, crops_NCHW: torch.Tensor) -> RestorerOutput:
        return RestorerOutput(0.9 * crops_NCHW)


def load_fake_restorer(
    *_names: object, device: torch.device, dtype: torch.dtype, **_more: object
) -> Restorer:
    """Replace ``load_restorer``."""
    spec = RestorerSpec(build=ContrastRestorer, crop_size_px=512, license="Apache-2.0")
    return Restorer(ContrastRestorer(), spec, device=device, dtype=dtype)


def use_fake_restorer() -> None:
    """Use it in this process from now on."""
    setup.load_restorer = load_fake_restorer  # type: ignore[assignment]


def speed_up_worker() -> None:
    """Use the fake restorer in a worker process, and send the analysis of a few frames at a
    time."""
    from vidrestore.jobs.distributed import tasks

    use_fake_restorer()
    tasks.FRAMES_PER_BATCH = 4
