"""A super-resolution network over pictures of any size: in tiles, so that memory is bounded."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vidrestore.errors import DeviceError, WeightsError
from vidrestore.media.enlarge import enlarged_hw
from vidrestore.models.recognition import recognised
from vidrestore.pipeline.zoo import Descriptor, described, supported_dtype
from vidrestore.weights.load import read_state

_ALIGN_PX = 32
"""Tiles start at multiples of this: of the windows and strides of all usual networks."""
CONTEXT_PX = 32
"""Source pixels around a tile that the network sees and whose result is dropped."""
_MOST_OUTPUT_PX = 1024
_MOST_INPUT_PX = 512
_TRIAL_HW = (40, 104)
"""Not square and not large: networks cache things for the usual sizes."""
# Convolutions alone are fastest in this layout; attention code often relies on the other.
_CHANNELS_LAST = frozenset({"Compact", "ESRGAN"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A part of a picture, in its pixels; right and bottom exclusive."""

    core_xyxy: tuple[int, int, int, int]
    """What this tile is responsible for."""
    seen_xyxy: tuple[int, int, int, int]
    """The core with its surroundings, inside the picture."""


def tiles_of(size_hw: tuple[int, int], side_px: int) -> list[Tile]:
    """Return tiles whose cores cover a picture once, each at most ``side_px`` on a side."""
    return [
        Tile(
            core_xyxy=(left, top, right, bottom),
            seen_xyxy=(
                max(0, left - CONTEXT_PX),
                max(0, top - CONTEXT_PX),
                min(size_hw[1], right + CONTEXT_PX),
                min(size_hw[0], bottom + CONTEXT_PX),
            ),
        )
        for top, bottom in _spans(size_hw[0], side_px)
        for left, right in _spans(size_hw[1], side_px)
    ]


def _spans(length_px: int, side_px: int) -> Iterator[tuple[int, int]]:
    count = -(-length_px // side_px)
    step = -(-length_px // (count * _ALIGN_PX)) * _ALIGN_PX
    for start in range(0, length_px, step):
        yield start, min(length_px, start + step)


class Upscaler:
    """A super-resolution or clean-up network of spandrel's, in one precision on one device."""

    def __init__(
        self, found: Descriptor, path: Path, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        """Take over a loaded network.

        Args:
            found: For RGB pictures.
            path: Where it came from.
            device: Where it runs.
            dtype: Wished; float32 where the network cannot run in it.
        """
        self.path = path
        self.kind = found.architecture.name
        self.scale = found.scale
        self.device = device
        self.dtype = supported_dtype(found, dtype)
        self._found = found
        self._layout = torch.contiguous_format
        network = found.model.eval().requires_grad_(False).to(device)
        if found.architecture.id in _CHANNELS_LAST:
            self._layout = torch.channels_last
            network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._tried_out()

    def _tried_out(self) -> None:
        """Put the network into its precision; back into float32 where its flags promise too much.

        Raises:
            WeightsError: It does not even run in float32, or gives another size than it says.
        """
        network = self._found.model
        exact = {key: each.clone() for key, each in network.state_dict().items()}
        network.to(self.dtype)
        try:
            result = self.enlarged(torch.full((3, *_TRIAL_HW), 0.5))
        except RuntimeError as error:
            if self.dtype != torch.float32:
                self.dtype = torch.float32
                network.float().load_state_dict(exact)
                self._tried_out()
                return
            raise WeightsError(f"{self.path}: this {self.kind} does not run: {error}") from error
        if tuple(result.shape[1:]) != enlarged_hw(_TRIAL_HW, self.scale):
            raise WeightsError(
                f"{self.path}: this {self.kind} is said to enlarge {self.scale} times, and makes "
                f"{result.shape[2]}x{result.shape[1]} of {_TRIAL_HW[1]}x{_TRIAL_HW[0]}"
            )

    @property
    def tile_side_px(self) -> int:
        """Longest side of a tile's core, in source pixels."""
        side = min(_MOST_INPUT_PX, _MOST_OUTPUT_PX // self.scale)
        return max(_ALIGN_PX, side // _ALIGN_PX * _ALIGN_PX)

    @torch.inference_mode()
    def enlarged(self, rgb_CHW: Tensor) -> Tensor:
        """Return ``(3, scale * H, scale * W)`` float32 RGB in [0, 1], on the CPU.

        Args:
            rgb_CHW: ``(3, H, W)`` float32 RGB in [0, 1].

        Raises:
            DeviceError: The precision is too low for this network.
            WeightsError: No precision would do.
        """
        image = rgb_CHW[None].to(device=self.device, dtype=self.dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks of PyTorch on another project's code
            result = self._found(image.contiguous(memory_format=self._layout))
        result = result[0].float().cpu()
        if not bool(torch.isfinite(result).all()):
            if self.dtype == torch.float32:
                raise WeightsError(f"{self.path}: this {self.kind} gives no numbers; it is broken")
            precision = str(self.dtype).removeprefix("torch.")
            raise DeviceError(
                f"{self.path}: {self.kind} overflows in {precision}; use --precision fp32"
            )
        return result


def load_upscaler(path: Path, *, device: torch.device, dtype: torch.dtype) -> Upscaler:
    """Return the network of a super-resolution checkpoint; spandrel, an extra, builds it.

    Raises:
        WeightsError: The checkpoint is missing, unsafe, or not one for whole RGB pictures.
    """
    path = path.expanduser()
    state = read_state(path)
    ours = recognised({key: tuple(tensor.shape) for key, tensor in state.items()})
    if ours is not None:
        raise _for_faces(path, ours.architecture)
    found = described(state, path)
    kind = found.architecture.name
    if found.purpose == "FaceSR":
        raise _for_faces(path, kind)
    if found.purpose not in ("SR", "Restoration"):
        raise WeightsError(f"{path}: {kind} does not enlarge pictures ({found.purpose})")
    if (found.input_channels, found.output_channels) != (3, 3):
        raise WeightsError(
            f"{path}: this {kind} takes {found.input_channels} and gives {found.output_channels} "
            "channels; --background needs one for RGB"
        )
    return Upscaler(found, path, device=device, dtype=dtype)


def _for_faces(path: Path, kind: str) -> WeightsError:
    return WeightsError(f"{path}: {kind} restores faces, not whole pictures; use --model {path}")
