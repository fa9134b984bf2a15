"""Runs a super-resolution network on images of any size, in tiles to bound memory."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.devices import retry_out_of_memory
from vidrestore.errors import ConfigError, DeviceError, WeightsError
from vidrestore.media.color.plane_upscale import upscaled_hw
from vidrestore.pipeline.background.tiles import ALIGN_PX, CONTEXT_PX

_MAX_INPUT_PX = 512
_MAX_OUTPUT_PX = 1024
"""Longest sides of a tile at the network's input and output, which bound memory."""
_TRIAL_HW = (40, 104)
"""Size of the trial image: small, and unusual, because networks cache for common sizes."""
_HALVED_FROM = 4
"""Networks from this factor on get the image at half size if the output is smaller than theirs. Old
film and television hold less detail than pixels: at full size the network would leave it soft."""
_TIMED_SECONDS = 0.3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SuperResolution:
    """A network that upscales or cleans images, with its weights, on the CPU in float32."""

    name: str
    """Name from the user: a name from the table, or the path of a file."""
    kind: str
    """Name of the architecture in the literature."""
    factor: int
    """Enlargement along each side."""
    module: nn.Module
    call: Callable[[Tensor], Tensor]
    """Runs the module on ``(1, 3, H, W)`` RGB in [0, 1] in the weights' precision, or in
    float32 where ``takes_float32``."""
    supported_dtype: Callable[[torch.dtype], torch.dtype]
    """Returns the supported precision nearest to the requested one."""
    channels_last: bool
    """Whether the channels-last memory layout is faster."""
    takes_float32: bool = False
    """Whether input and output are float32, whatever the precision of its features."""
    context_px: int = CONTEXT_PX
    """Pixels of its input around a tile that it sees and whose result is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """How a network with one factor makes images of another scale."""

    shrink: int
    """Reduction of the image before the network."""
    network: int
    scale: int
    """Enlargement of the output over the image."""

    @staticmethod
    def of(name: str, network: int, scale: int | None) -> "Factors":
        """Return how a network enlarges images ``scale`` times; None is its own factor.

        Raises:
            ConfigError: It cannot.
        """
        scale = network if scale is None else scale
        if network % scale:
            raise ConfigError(
                f"--scale {scale}: {name} enlarges {network} times; its factor must be a multiple "
                "of the scale"
            )
        halved = network >= _HALVED_FROM and network // scale % 2 == 0
        return Factors(shrink=2 if halved else 1, network=network, scale=scale)

    @property
    def surplus(self) -> int:
        """Reduction of the network's output to the requested size."""
        return self.network // (self.shrink * self.scale)


class Upscaler:
    """A super-resolution or clean-up network in one precision on one device."""

    def __init__(
        self,
        found: SuperResolution,
        *,
        device: torch.device,
        dtype: torch.dtype,
        scale: int | None = None,
    ) -> None:
        """Move a network to the device and try it out.

        Args:
            found: The network, with its weights.
            device: Device of the network.
            dtype: Requested precision; float32 is used if the network cannot run in it.
            scale: Enlargement of the output; the network's factor if None.

        Raises:
            ConfigError: The network cannot make this enlargement.
            WeightsError: The network does not run.
        """
        self.name = found.name
        self.kind = found.kind
        self.factors = Factors.of(found.name, found.factor, scale)
        self.scale = self.factors.scale
        self.device = device
        self.dtype = found.supported_dtype(dtype)
        self._found = found
        self._layout = torch.contiguous_format
        network = found.module.eval().requires_grad_(False).to(device)
        if found.channels_last:
            self._layout = torch.channels_last
            network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._check_precision()

    def _check_precision(self) -> None:
        """Convert the network to its precision, or to float32 if it does not run in that.

        Raises:
            DeviceError: Out of memory.
            WeightsError: It does not run in float32 either, or its output has the wrong size.
        """
        network = self._found.module
        exact = {key: tensor.clone() for key, tensor in network.state_dict().items()}
        network.to(self.dtype)
        try:
            # Memory that runs out is a DeviceError here, and no reason for another precision.
            result = self.upscale(torch.full((3, *_TRIAL_HW), 0.5))
        except RuntimeError as error:
            if self.dtype != torch.float32:
                self.dtype = torch.float32
                network.float().load_state_dict(exact)
                self._check_precision()
                return
            raise WeightsError(f"{self.name}: this {self.kind} does not run: {error}") from error
        if tuple(result.shape[1:]) != upscaled_hw(_TRIAL_HW, self.scale):
            raise WeightsError(
                f"{self.name}: this {self.kind} should enlarge {self.factors.network} times, but "
                f"makes {result.shape[2]}x{result.shape[1]} of {_TRIAL_HW[1]}x{_TRIAL_HW[0]} for "
                f"a scale of {self.scale}; name another checkpoint"
            )

    @property
    def tile_side_px(self) -> int:
        """Longest side of a tile's core, in source pixels."""
        factors = self.factors
        largest = _MAX_OUTPUT_PX * factors.shrink // factors.network
        side = min(_MAX_INPUT_PX, largest)
        return max(ALIGN_PX, side // ALIGN_PX * ALIGN_PX)

    @property
    def context_px(self) -> int:
        """Source pixels around a tile that the network sees and whose result is dropped."""
        return self._found.context_px * self.factors.shrink

    @retry_out_of_memory
    @torch.inference_mode()
    def upscale(self, rgb_CHW: Tensor) -> Tensor:
        """Return ``(3, scale * H, scale * W)`` float32 RGB in [0, 1], on the CPU.

        Args:
            rgb_CHW: ``(3, H, W)`` float32 RGB in [0, 1].

        Raises:
            DeviceError: The network overflows in this precision.
            WeightsError: The network overflows in float32.
        """
        image = _shrink(rgb_CHW[None].to(self.device), self.factors.shrink)
        if not self._found.takes_float32:
            image = image.to(self.dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings of PyTorch about another project's code
            result = self._found.call(image.contiguous(memory_format=self._layout)).float()
        self._check_finite(result)
        result = result.clamp_(0.0, 1.0)
        if self.factors.surplus > 1:
            result = F.avg_pool2d(result, self.factors.surplus)
        if self.factors.shrink > 1:  # remove the padding
            height, width = upscaled_hw((rgb_CHW.shape[1], rgb_CHW.shape[2]), self.scale)
            result = result[:, :, :height, :width]
        return result[0].cpu()

    def _check_finite(self, result: Tensor) -> None:
        if bool(torch.isfinite(result).all()):
            return
        if self.dtype == torch.float32:
            raise WeightsError(
                f"{self.name}: the output of this {self.kind} is not finite; get another copy"
            )
        precision = str(self.dtype).removeprefix("torch.")
        raise DeviceError(
            f"{self.name}: {self.kind} overflows in {precision}; use --precision fp32"
        )

    def seconds_for(self, size_hw: tuple[int, int]) -> float:
        """Measure the time for an image of this size; if it is short, repeat and take the best."""
        image = torch.full((3, *size_hw), 0.5)
        fastest, spent = float("inf"), 0.0
        while spent < _TIMED_SECONDS:
            began = time.perf_counter()
            self.upscale(image)
            taken = time.perf_counter() - began
            fastest, spent = min(fastest, taken), spent + taken
        return fastest


def _shrink(image_NCHW: Tensor, times: int) -> Tensor:
    """Return means over squares of ``times`` pixels; sides are padded with their last pixels."""
    if times == 1:
        return image_NCHW
    height, width = image_NCHW.shape[-2:]
    padded = F.pad(image_NCHW, (0, -width % times, 0, -height % times), mode="replicate")
    return F.avg_pool2d(padded, times)
