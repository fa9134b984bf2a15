"""Runs a restorer network on crops."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isfinite
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.errors import DeviceError, WeightsError
from vidrestore.models.common.fusion import fuse
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.face_parser import FACE_CLASSES, HEAD_CLASSES, class_probability
from vidrestore.models.registry import RestorerSpec
from vidrestore.restore.adaptive_batch import AdaptiveBatchRunner
from vidrestore.restore.deferred_network import DeferredNetwork
from vidrestore.restore.recorded_network import RecordedNetwork, Run, record_graph
from vidrestore.types import CROP_SIZE_PX, RestoredCrops

_MASK_CELLS = 128
"""Cells along a side of the face and head masks: finer than their soft borders."""


class Restorer:
    """Runs one network in one precision on one device.

    The only state is how many crops fit into memory, and nothing is random: a crop always gives the
    same result. Alone and in a batch, results differ only by the rounding of convolutions.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: RestorerSpec,
        *,
        device: torch.device,
        dtype: torch.dtype,
        detail: float | None = None,
        small_networks: Mapping[int, Callable[[], nn.Module]] = MappingProxyType({}),
    ) -> None:
        """Prepare ``network``, whose weights are loaded.

        Args:
            network: Built by ``spec``; its forward returns ``RestorerOutput``.
            spec: Its entry in the registry.
            device: Where it runs.
            dtype: float32, bfloat16 or float16, for weights and features.
            detail: Position of its weights between two ends, 0 (fidelity) to 1 (detail);
                None for a single set of weights. Only reported.
            small_networks: Side of smaller crops -> how to load the network for them, which is done
                with the first such crop. What it raises, ``restore_crops`` raises.
        """
        self.spec = spec
        self.device = device
        self.dtype = dtype
        self.detail = detail
        self.network: nn.Module = self._prepared(network)
        self._record: Callable[[nn.Module, Tensor], Run] | None = None
        self._small_networks = {
            side_px: DeferredNetwork(partial(self._loaded, load))
            for side_px, load in small_networks.items()
        }
        self._batches = AdaptiveBatchRunner(self._run, device=device)

    def _prepared(self, network: nn.Module) -> nn.Module:
        frozen = network.eval().requires_grad_(False).to(device=self.device, dtype=self.dtype)
        fuse(frozen)
        return frozen.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def _loaded(self, load: Callable[[], nn.Module]) -> nn.Module:
        network = self._prepared(load())
        return network if self._record is None else RecordedNetwork(network, self._record)

    def record_networks(self, record: Callable[[nn.Module, Tensor], Run] = record_graph) -> None:
        """Replay the networks on a GPU from records, which are made for each shape of a batch.

        Call it before anything is restored.
        """
        self._record = record
        self.network = RecordedNetwork(self.network, record)

    @property
    def recording_failure(self) -> str | None:
        """Why recorded networks run step by step after all; None if they do not."""
        networks = (self.network, *(small.loaded for small in self._small_networks.values()))
        failures = [item.failure for item in networks if isinstance(item, RecordedNetwork)]
        return next((failure for failure in failures if failure is not None), None)

    @property
    def small_crop_sizes_px(self) -> tuple[int, ...]:
        """Sides of the smaller crops that another network restores, in rising order."""
        return tuple(sorted(self._small_networks))

    @property
    def reduced_batch_size(self) -> int | None:
        """Number of crops that fitted after memory ran out; None if it never did."""
        return self._batches.reduced_batch_size

    def restore_images(self, crops_NCHW: Tensor) -> Tensor:
        """Return only the images of ``restore_crops``."""
        return self.restore_crops(crops_NCHW).images_nchw

    def restore_crops(self, crops_NCHW: Tensor) -> RestoredCrops:
        """Return restored crops of the same size, clipped to [0, 1], on the device.

        If memory runs out, this and all later batches are split.

        Args:
            crops_NCHW: ``(N, 3, S, S)`` float32 RGB in [0, 1], S the network's crop size or
                ``CROP_SIZE_PX``, which is resized for the network and back; or one of
                ``small_crop_sizes_px``.

        Raises:
            ValueError: The crops have another shape.
            DeviceError: Out of memory with one crop, or the network overflows in this precision.
            WeightsError: The network overflows in float32.
        """
        sides = {self.spec.crop_size_px, CROP_SIZE_PX, *self.small_crop_sizes_px}
        shapes = [(3, side, side) for side in sorted(sides)]
        if tuple(crops_NCHW.shape[1:]) not in shapes:
            allowed = " or ".join(f"(N, 3, {side}, {side})" for _, side, _ in shapes)
            raise ValueError(f"crops must be {allowed}, got {tuple(crops_NCHW.shape)}")
        return self._batches.run(crops_NCHW)

    @torch.inference_mode()
    def _run(self, crops_NCHW: Tensor) -> RestoredCrops:
        crops = crops_NCHW.to(self.device)
        small = self._small_networks.get(crops.shape[-1])
        network = self.network if small is None else small.get()
        if small is None:
            crops = _resize(crops, self.spec.crop_size_px, enlarge_by="bilinear")
        scaled = (crops * 2.0 - 1.0).contiguous(memory_format=torch.channels_last)
        output: RestorerOutput = network(scaled)
        image = _resize(output.image.float(), crops_NCHW.shape[-1], enlarge_by="bicubic")
        self._check_finite(image)
        images = (image * 0.5 + 0.5).clamp_(0.0, 1.0)
        if output.parsing is None:
            return RestoredCrops(images_nchw=images)
        return RestoredCrops(
            images_nchw=images,
            face_masks_nhw=_class_mask(output.parsing, FACE_CLASSES),
            head_masks_nhw=_class_mask(output.parsing, HEAD_CLASSES),
        )

    def _check_finite(self, image_NCHW: Tensor) -> None:
        # Whatever is not finite makes the sum so.
        if isfinite(float(image_NCHW.sum())):
            return
        if self.dtype == torch.float32:
            raise WeightsError("the output of the restorer is not finite; get another checkpoint")
        precision = str(self.dtype).removeprefix("torch.")
        raise DeviceError(f"the restorer overflows in {precision}; use --precision fp32")


def _resize(image_NCHW: Tensor, side_px: int, *, enlarge_by: str) -> Tensor:
    """Return images of another size; reduction averages over areas."""
    side = image_NCHW.shape[-1]
    if side == side_px:
        return image_NCHW
    mode = enlarge_by if side < side_px else "area"
    return F.interpolate(image_NCHW, (side_px, side_px), mode=mode)


def _class_mask(logits_NCHW: Tensor, classes: Sequence[str]) -> Tensor:
    """Return ``(N, R, R)``: the fraction of each cell that ``classes`` fill."""
    cells = F.adaptive_avg_pool2d(class_probability(logits_NCHW, classes)[:, None], _MASK_CELLS)
    return cells[:, 0].contiguous()
