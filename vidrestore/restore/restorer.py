"""A network of the model table as a function from crops to restored crops."""

import torch
from torch import Tensor, nn

from vidrestore.models.outputs import Restored
from vidrestore.models.table import RestorerSpec


class Restorer:
    """Runs one network in one precision on one device.

    Nothing is drawn at random and no state is kept: a crop gives the same result
    whenever it comes. Alone or in a batch the result is the same up to the rounding of
    the device's convolutions.
    """

    def __init__(
        self, network: nn.Module, spec: RestorerSpec, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        """Take over ``network``, with its weights loaded.

        Args:
            network: Built by ``spec``; its forward returns ``Restored``.
            spec: What it accepts.
            device: Where it runs.
            dtype: float32, bfloat16 or float16, for weights and features.
        """
        self.spec = spec
        self.device = device
        self.dtype = dtype
        prepared = network.eval().requires_grad_(False).to(device=device, dtype=dtype)
        self._network = prepared.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @torch.inference_mode()
    def restore(self, crops_NCHW: Tensor) -> Tensor:
        """Return restored crops of the same shape, clipped to [0, 1], on the device.

        Args:
            crops_NCHW: ``(N, 3, S, S)`` float32 RGB in [0, 1], S the network's crop size.

        Raises:
            ValueError: The crops have another shape.
        """
        side = self.spec.crop_size_px
        if tuple(crops_NCHW.shape[1:]) != (3, side, side):
            raise ValueError(f"crops must be (N, 3, {side}, {side}), got {crops_NCHW.shape}")
        scaled = (crops_NCHW.to(self.device) * 2.0 - 1.0).contiguous(
            memory_format=torch.channels_last
        )
        output: Restored = self._network(scaled)
        return (output.image.float() * 0.5 + 0.5).clamp_(0.0, 1.0)
