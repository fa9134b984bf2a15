"""All training faces on the device, as 8-bit pictures."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from vidrestore.errors import ConfigError
from vidrestore.training.data.archives import read_picture
from vidrestore.training.data.component_boxes import component_boxes
from vidrestore.training.data.dataset import FaceDataset, SampleConfig

_FACES_AT_ONCE = 8
"""Of a reading process: 6 MB of shared memory at 512 px."""


class Faces(NamedTuple):
    """Clean faces, one for each entry of the first axis."""

    image: Tensor
    """``(N, 3, S, S)`` float32 RGB in [0, 1]."""
    detail: Tensor
    """``(N,)`` real pixels over S, at most 1."""
    boxes_xyxy: Tensor
    """``(N, 3, 4)``: left eye, right eye, mouth, in pixels."""

    def at_side(self, side_px: int) -> "Faces":
        """Return the faces at another size that divides theirs."""
        own = self.image.shape[-1]
        if side_px == own:
            return self
        return Faces(
            image=F.avg_pool2d(self.image, own // side_px),
            detail=(self.detail * (own / side_px)).clamp_max(1),
            boxes_xyxy=(self.boxes_xyxy + 0.5) * (side_px / own) - 0.5,
        )

    def mirrored(self, chosen_N: Tensor) -> "Faces":
        """Return the faces, those chosen in a mirror; left stays what is on the left."""
        side = self.image.shape[-1]
        boxes = self.boxes_xyxy[:, [1, 0, 2]][:, :, [2, 1, 0, 3]]
        boxes = torch.stack(
            [side - 1 - boxes[..., 0], boxes[..., 1], side - 1 - boxes[..., 2], boxes[..., 3]], -1
        )
        return Faces(
            image=torch.where(chosen_N[:, None, None, None], self.image.flip(3), self.image),
            detail=self.detail,
            boxes_xyxy=torch.where(chosen_N[:, None, None], boxes, self.boxes_xyxy),
        )


class StoredFaces(FaceDataset):
    """The faces of the tables as they are, a few at once; degradations are not drawn."""

    def stored(self, numbers: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return pictures ``(N, 3, S, S)`` uint8, details and boxes of some faces."""
        images: list[Tensor] = []
        boxes: list[Tensor] = []
        picture = None
        for at in numbers:
            row = self._rows[at][0]
            if picture is None or picture[0] != row.picture:
                picture = (row.picture, read_picture(row.picture))
            face, points, _ = self._sized(self._aligned(at, picture[1]), row)
            images.append(torch.from_numpy(np.ascontiguousarray(face.transpose(2, 0, 1))))
            boxes.append(torch.from_numpy(component_boxes(points).astype(np.float32)))
        detail = torch.tensor([self._rows[at][1] for at in numbers])
        return torch.stack(images), detail, torch.stack(boxes)

    def in_order(self) -> list[int]:
        """Return the numbers of all faces, those of one picture one after another."""
        return sorted(range(len(self._rows)), key=lambda at: str(self._rows[at][0].picture))

    @property
    def odds(self) -> Tensor:
        """How often each face is drawn, ``(F,)`` float64, in sum 1."""
        return torch.from_numpy(self._odds)


class _Blocks(StoredFaces):
    """Item ``k`` is the k-th block of faces: what reading processes are asked for."""

    def __init__(self, config: SampleConfig, *, seed: int) -> None:
        super().__init__(config, seed=seed)
        order = self.in_order()
        self.blocks = [
            order[at : at + _FACES_AT_ONCE] for at in range(0, len(order), _FACES_AT_ONCE)
        ]

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.stored(self.blocks[index])


class FaceBank:
    """Faces as one uint8 tensor ``(F, 3, S, S)`` on the device.

    Args:
        config: Which faces, at which size; its recipes are not used.
        held_out: Faces that are never drawn, to look at.
        workers: Processes that read.
        seed: Chooses those held out.
        device: Where the faces are.

    Raises:
        ConfigError: A table is missing, or too few faces are good enough.
    """

    def __init__(
        self,
        config: SampleConfig,
        *,
        held_out: int,
        workers: int,
        seed: int,
        device: torch.device,
    ) -> None:
        source = _Blocks(config, seed=seed)
        count = sum(map(len, source.blocks))
        if count <= held_out:
            raise ConfigError(f"{config.root}: {count} faces, of which {held_out} are held out")
        side = config.size_px
        # In one piece from the start: two copies of all faces would not fit everywhere.
        self._images = torch.empty(count, 3, side, side, dtype=torch.uint8, device=device)
        self._detail = torch.empty(count, device=device)
        self._boxes = torch.empty(count, 3, 4, device=device)
        first = 0
        for images, detail, boxes in _read(source, workers):
            here = slice(first, first + len(images))
            self._images[here], self._detail[here], self._boxes[here] = images, detail, boxes
            first += len(images)
        odds = source.odds[torch.tensor(source.in_order())]
        chosen = np.random.default_rng(seed).permutation(count)[:held_out]
        self._held = torch.from_numpy(chosen).to(device)
        odds[torch.from_numpy(chosen)] = 0
        self._upto = (odds.cumsum(0) / odds.sum()).float().to(device)
        self._last = int(torch.nonzero(odds)[-1])

    def __len__(self) -> int:
        """Return the number of faces, those held out included."""
        return len(self._images)

    def drawn(self, count: int, generator: torch.Generator, *, side_px: int) -> Faces:
        """Draw faces by their odds, half of them in a mirror; the generator is on the device."""
        device = self._images.device
        where = torch.rand(count, generator=generator, device=device)
        index = torch.searchsorted(self._upto, where, right=True).clamp_max(self._last)
        mirror = torch.rand(count, generator=generator, device=device) < 0.5
        return self._faces(index).at_side(side_px).mirrored(mirror)

    def held_out(self, *, side_px: int) -> Faces:
        """Return the faces that are never drawn."""
        return self._faces(self._held).at_side(side_px)

    def all_sharp(self, *, side_px: int) -> bool:
        """Whether every face has real pixels for all of ``side_px``; asks the device."""
        own = self._images.shape[-1]
        return bool((self._detail * (own / side_px) >= 1).all())

    def _faces(self, index_N: Tensor) -> Faces:
        return Faces(
            image=self._images[index_N].float() / 255,
            detail=self._detail[index_N],
            boxes_xyxy=self._boxes[index_N],
        )


def _read(source: _Blocks, workers: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    yield from DataLoader(source, batch_size=None, num_workers=workers)
