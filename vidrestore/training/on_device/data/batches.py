"""Batches of a stage: faces from the bank, degraded on the device, and codec samples between."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from vidrestore.training.data.dataset import FaceDataset, FaceSample
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.run_state import Moment
from vidrestore.training.on_device.config import DeviceDataConfig, StageConfig
from vidrestore.training.on_device.data.bank import FaceBank, Faces
from vidrestore.training.on_device.data.degrade import degraded, toned
from vidrestore.training.on_device.data.sampling import sampled, shift_matrices
from vidrestore.training.on_device.data.table import DegradationTable
from vidrestore.training.tasks.batches import BatchConfig, face_batches


class SecondView(NamedTuple):
    """The first M faces of a batch once more: shifted the other way, with other noise."""

    degraded: Tensor
    """``(M, 3, S, S)`` RGB in [-1, 1]."""
    shift_xy: Tensor
    """``(M, 2)`` pixels: the batch's own view samples at ``place + shift``, this one at
    ``place - shift``."""


class FaceBatch(NamedTuple):
    """One batch on the device; pictures are ``(N, 3, S, S)`` float32 RGB in [-1, 1]."""

    degraded: Tensor
    clean: Tensor
    detail: Tensor
    """``(N,)`` real pixels over S, at most 1."""
    boxes_xyxy: Tensor
    """``(N, 3, 4)``: left eye, right eye, mouth, in pixels."""
    again: SecondView | None = None
    teacher: Tensor | None = None
    """What the teacher made of the degraded faces, where it was asked before."""
    taught: Tensor | None = None
    """``(N,)`` bool: where the teacher counts; elsewhere the truth does."""


class DegradedFaces:
    """Makes the batches of a stage; batch ``k`` is a function of the seed and ``k`` alone."""

    def __init__(
        self, bank: FaceBank, data: DeviceDataConfig, stage: StageConfig, *, moment: Moment
    ) -> None:
        """Draw the table of degradations.

        Args:
            bank: The faces.
            data: How they are degraded.
            stage: Size and number of the faces of a batch.
            moment: The first step; the run's seed and device.
        """
        self._bank = bank
        self._stage = stage
        self._table = DegradationTable(
            data.recipes,
            rows=data.rows,
            side_px=stage.side_px,
            gray_share=data.faces.gray_share,
            aged_share=data.aged_share,
            seed=moment.seed,
            device=moment.device,
        )
        self._codecs = _codec_samples(data, stage, moment) if stage.codec_samples else None

    @property
    def all_sharp(self) -> bool:
        """Whether every sample has all the detail of its size; asks the device."""
        return self._codecs is None and self._bank.all_sharp(side_px=self._stage.side_px)

    def batch(self, moment: Moment) -> FaceBatch:
        """Return the batch of a step; call it for one step after another."""
        generator = moment.generator(0)
        own = self._stage.batch - self._stage.codec_samples
        faces = self._bank.drawn(own, generator, side_px=self._stage.side_px)
        batch = self._degraded(faces, generator, paired=self._stage.paired_samples)
        if self._codecs is None:
            return batch
        extra = next(self._codecs)
        mirror = torch.rand(len(extra.clean), generator=generator, device=moment.device) < 0.5
        return _joined(batch, _mirrored(extra, mirror))

    def _degraded(self, faces: Faces, generator: torch.Generator, *, paired: int) -> FaceBatch:
        drawn = self._table.drawn(len(faces.image), generator)
        clean = toned(faces.image, drawn)
        reach = self._table.reach_px
        again = None
        if paired:
            shift = self._stage.consistency_shift_px
            at = torch.rand(paired, 2, generator=generator, device=clean.device)
            shift_xy = shift * (2 * at - 1)
            other = shifted(clean[:paired], -shift_xy).clamp(0, 1)
            clean = torch.cat([shifted(clean[:paired], shift_xy).clamp(0, 1), clean[paired:]])
            rows = drawn.rows(torch.arange(paired, device=clean.device))
            seen = degraded(other, rows, reach_px=reach, generator=generator)
            again = SecondView(_signed(seen), shift_xy)
        return FaceBatch(
            degraded=_signed(degraded(clean, drawn, reach_px=reach, generator=generator)),
            clean=_signed(clean),
            detail=faces.detail,
            boxes_xyxy=faces.boxes_xyxy,
            again=again,
        )

    def fixed(self, faces: Faces, *, seed: int) -> FaceBatch:
        """Return faces degraded the same way every time, to look at."""
        generator = torch.Generator(faces.image.device).manual_seed(seed)
        return self._degraded(faces, generator, paired=0)


def shifted(image_NCHW: Tensor, shift_xy_N2: Tensor) -> Tensor:
    """Return pictures sampled at ``place + shift`` by cubic convolution, edges repeated."""
    side = image_NCHW.shape[-1]
    columns = shift_matrices(shift_xy_N2[:, 0], side_px=side)
    return sampled(image_NCHW, shift_matrices(shift_xy_N2[:, 1], side_px=side), columns)


def _signed(image_NCHW: Tensor) -> Tensor:
    """Return [0, 1] as [-1, 1], laid out for fast convolution."""
    return (image_NCHW * 2 - 1).contiguous(memory_format=torch.channels_last)


def _codec_samples(
    data: DeviceDataConfig, stage: StageConfig, moment: Moment
) -> Iterator[FaceSample]:
    """Yield the codec samples of every step, each set ``codec_repeat`` times, on the device.

    Their masks are left out.
    """
    config = replace(data.faces, size_px=stage.side_px)
    first, used = divmod(moment.step, stage.codec_repeat)
    batches = face_batches(
        FaceDataset(config, seed=moment.seed),
        BatchConfig(size=stage.codec_samples, workers=data.workers),
        first_step=first,
        world=DistributedContext(),
    )
    for (sample,) in batches:
        pictures = sample._replace(mask=torch.empty(0))
        pinned = [each.pin_memory() if moment.device.type == "cuda" else each for each in pictures]
        there = FaceSample(*[each.to(moment.device, non_blocking=True) for each in pinned])
        for _ in range(stage.codec_repeat - used):
            yield there
        used = 0


def _mirrored(sample: FaceSample, chosen_N: Tensor) -> FaceBatch:
    faces = Faces(sample.clean, sample.detail, sample.boxes_xyxy).mirrored(chosen_N)
    seen = torch.where(chosen_N[:, None, None, None], sample.degraded.flip(3), sample.degraded)
    return FaceBatch(seen, faces.image, faces.detail, faces.boxes_xyxy)


def _joined(batch: FaceBatch, extra: FaceBatch) -> FaceBatch:
    pairs = zip(batch[:4], extra[:4], strict=True)
    degraded_, clean, detail, boxes = (torch.cat([one, other]) for one, other in pairs)
    return FaceBatch(degraded_, clean, detail, boxes, again=batch.again)
