"""All training faces on the device, as 8-bit images."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from vidrestore.errors import ConfigError
from vidrestore.training.data.component_boxes import component_boxes
from vidrestore.training.data.dataset import DatasetConfig, FaceDataset
from vidrestore.training.data.face_table import cached_image_reader

_BLOCK_FACES = 8
"""Number of faces that a loader worker returns at once: 6 MB of shared memory at 512 px."""


class Faces(NamedTuple):
    """Faces before degradation; the first axis is that of the faces."""

    image: Tensor
    """``(N, 3, S, S)`` float32 RGB in [0, 1]."""
    resolution_ratio: Tensor
    """``(N,)`` native pixels over S, at most 1."""
    boxes_xyxy: Tensor
    """``(N, 3, 4)``: left eye, right eye, mouth, in pixels."""

    def downscale(self, side_px: int) -> "Faces":
        """Return the faces at a smaller side, which must divide the current one."""
        side = self.image.shape[-1]
        if side_px == side:
            return self
        return Faces(
            image=F.avg_pool2d(self.image, side // side_px),
            resolution_ratio=(self.resolution_ratio * (side / side_px)).clamp_max(1),
            boxes_xyxy=(self.boxes_xyxy + 0.5) * (side_px / side) - 0.5,
        )

    def mirror(self, mirror_N: Tensor) -> "Faces":
        """Return the faces, mirrored where ``mirror_N``; left always means left in the image."""
        side = self.image.shape[-1]
        boxes = self.boxes_xyxy[:, [1, 0, 2]][:, :, [2, 1, 0, 3]]
        boxes = torch.stack(
            [side - 1 - boxes[..., 0], boxes[..., 1], side - 1 - boxes[..., 2], boxes[..., 3]], -1
        )
        return Faces(
            image=torch.where(mirror_N[:, None, None, None], self.image.flip(3), self.image),
            resolution_ratio=self.resolution_ratio,
            boxes_xyxy=torch.where(mirror_N[:, None, None], boxes, self.boxes_xyxy),
        )


class _FaceBlocks(FaceDataset):
    """Item ``k`` is the k-th block of faces without degradation, for loader workers."""

    def __init__(self, config: DatasetConfig, *, seed: int) -> None:
        super().__init__(config, seed=seed)
        self.order = self._by_image()
        self.probabilities = torch.from_numpy(self._probabilities)[torch.tensor(self.order)]
        """Probabilities of the faces in that order, ``(F,)`` float64; their sum is 1."""

    def __len__(self) -> int:
        return -(-len(self.order) // _BLOCK_FACES)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return images ``(N, 3, S, S)`` uint8, resolution ratios and boxes."""
        numbers = self.order[index * _BLOCK_FACES : (index + 1) * _BLOCK_FACES]
        images: list[Tensor] = []
        boxes: list[Tensor] = []
        read = cached_image_reader()
        for number in numbers:
            face, points, _ = self._load(number, read(self._rows[number][0].image_path))
            images.append(torch.from_numpy(np.ascontiguousarray(face.transpose(2, 0, 1))))
            boxes.append(torch.from_numpy(component_boxes(points).astype(np.float32)))
        ratios = torch.tensor([self._rows[number][1] for number in numbers])
        return torch.stack(images), ratios, torch.stack(boxes)


class DeviceFaces:
    """Faces as one uint8 tensor ``(F, 3, S, S)`` on the device.

    Args:
        config: Sources and size of the faces; the recipes are not used.
        held_out: Number of faces that are not trained on.
        num_workers: Number of processes that read faces.
        seed: Selects the faces held out.
        device: Device of the faces.

    Raises:
        ConfigError: A table is missing, or too few faces have the required resolution.
    """

    def __init__(
        self,
        config: DatasetConfig,
        *,
        held_out: int,
        num_workers: int,
        seed: int,
        device: torch.device,
    ) -> None:
        source = _FaceBlocks(config, seed=seed)
        count = len(source.order)
        if count <= held_out:
            raise ConfigError(
                f"{config.root}: {count} faces are too few to hold out {held_out}; add faces, or "
                "lower held_out"
            )
        side = config.size_px
        # Allocated first: two copies of all faces might not fit.
        self._images = torch.empty(count, 3, side, side, dtype=torch.uint8, device=device)
        self._resolution_ratio = torch.empty(count, device=device)
        self._boxes = torch.empty(count, 3, 4, device=device)
        first = 0
        for images, ratios, boxes in DataLoader(source, batch_size=None, num_workers=num_workers):
            block = slice(first, first + len(images))
            self._images[block], self._resolution_ratio[block] = images, ratios
            self._boxes[block] = boxes
            first += len(images)
        probabilities = source.probabilities
        held_out_index = torch.from_numpy(np.random.default_rng(seed).permutation(count)[:held_out])
        self._held_out = held_out_index.to(device)
        probabilities[held_out_index] = 0
        cumulative = probabilities.cumsum(0) / probabilities.sum()
        self._cumulative = cumulative.float().to(device)
        self._last = int(torch.nonzero(probabilities)[-1])

    def __len__(self) -> int:
        """Return the number of faces, including those held out."""
        return len(self._images)

    def draw(self, count: int, generator: torch.Generator, *, side_px: int) -> Faces:
        """Draw faces by their probabilities, half of them mirrored."""
        device = self._images.device
        uniform = torch.rand(count, generator=generator, device=device)
        index = torch.searchsorted(self._cumulative, uniform, right=True).clamp_max(self._last)
        mirror = torch.rand(count, generator=generator, device=device) < 0.5
        return self._faces(index).downscale(side_px).mirror(mirror)

    def held_out(self, *, side_px: int) -> Faces:
        """Return the faces that are not trained on."""
        return self._faces(self._held_out).downscale(side_px)

    def all_sharp(self, *, side_px: int) -> bool:
        """Return whether all faces have the native resolution ``side_px``; synchronizes."""
        side = self._images.shape[-1]
        return bool((self._resolution_ratio * (side / side_px) >= 1).all())

    def _faces(self, index_N: Tensor) -> Faces:
        return Faces(
            image=self._images[index_N].float() / 255,
            resolution_ratio=self._resolution_ratio[index_N],
            boxes_xyxy=self._boxes[index_N],
        )
