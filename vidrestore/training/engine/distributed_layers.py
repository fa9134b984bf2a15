"""Layers whose statistics are those of a batch, computed over all processes of a run.

Batch normalization (the face parser) and the minibatch standard deviation (StyleGAN2's
discriminator) compare the samples of a batch. Of a part of it they would give other numbers.
torch's ``SyncBatchNorm`` needs a GPU.
"""

from typing import cast

import torch
from torch import Tensor, nn

from vidrestore.models.stylegan2.discriminator import MinibatchStddev, minibatch_stddev
from vidrestore.training.engine.distributed import DistributedContext


class SynchronizedBatchNorm2d(nn.BatchNorm2d):
    """``nn.BatchNorm2d`` with the mean and variance of the samples of all processes.

    Args:
        norm: Whose parameters and running statistics it takes.
        context: The processes; all hold equally many samples.
    """

    def __init__(self, norm: nn.BatchNorm2d, context: DistributedContext) -> None:
        super().__init__(norm.num_features, eps=norm.eps, momentum=norm.momentum)
        self.weight, self.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers():
            self.register_buffer(name, buffer)
        self._context = context

    def forward(self, input: Tensor) -> Tensor:
        """Return ``(N, C, H, W)`` features of the same shape."""
        if not self.training:
            return super().forward(input)
        feat = input.float()
        count = feat.numel() // feat.shape[1] * self._context.size
        mean = self._over_all(feat) / count
        centered = feat - mean
        variance = self._over_all(centered.square()) / count
        self._track(mean.detach().flatten(), variance.detach().flatten(), count)
        gain = self.weight.view(1, -1, 1, 1) * torch.rsqrt(variance + self.eps)
        return (centered * gain + self.bias.view(1, -1, 1, 1)).to(input.dtype)

    def _over_all(self, values_NCHW: Tensor) -> Tensor:
        """Return the sum over samples, pixels and processes, ``(1, C, 1, 1)``."""
        return self._context.sum_with_gradient(values_NCHW.sum(dim=(0, 2, 3), keepdim=True))

    @torch.no_grad()
    def _track(self, mean_C: Tensor, variance_C: Tensor, count: int) -> None:
        share = 0.1 if self.momentum is None else self.momentum
        cast(Tensor, self.running_mean).lerp_(mean_C, share)
        cast(Tensor, self.running_var).lerp_(variance_C * (count / max(1, count - 1)), share)
        cast(Tensor, self.num_batches_tracked).add_(1)


class SynchronizedStddev(MinibatchStddev):
    """``MinibatchStddev`` in groups of the batch of all processes."""

    def __init__(self, stddev: MinibatchStddev, context: DistributedContext) -> None:
        super().__init__(group=stddev.group)
        self._context = context

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return ``(N, 1, H, W)``, as ``minibatch_stddev``."""
        rank, size = self._context.rank, self._context.size
        empty = torch.zeros_like(feat_NCHW)
        parts = [feat_NCHW if index == rank else empty for index in range(size)]
        whole = self._context.sum_with_gradient(torch.cat(parts))
        return self._context.own_part(minibatch_stddev(whole, group=self.group))


def synchronize_batches(network: nn.Module, context: DistributedContext) -> None:
    """Let the layers of ``network`` that compare samples compare those of all processes."""
    if context.size == 1:
        return
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, SynchronizedBatchNorm2d(child, context))
            elif type(child) is MinibatchStddev:
                setattr(module, name, SynchronizedStddev(child, context))
