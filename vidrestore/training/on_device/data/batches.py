"""Batches of faces that are degraded on the device, and of codec samples from the CPU."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from vidrestore.training.data.dataset import FaceDataset, FaceSample
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.on_device.config import DeviceDataConfig, StageConfig
from vidrestore.training.on_device.data.degradation_table import DegradationTable
from vidrestore.training.on_device.data.degrade_batch import apply_tones, degrade_batch
from vidrestore.training.on_device.data.device_faces import DeviceFaces, Faces
from vidrestore.training.on_device.data.drawn_faces import DrawnFaces
from vidrestore.training.on_device.data.resize_matrices import apply_matrices, shift_matrices
from vidrestore.training.tasks.batches import BatchConfig, face_batches


class SecondView(NamedTuple):
    """Another view of the first M faces of a batch, with the opposite shift and other noise."""

    degraded: Tensor
    """``(M, 3, S, S)`` RGB in [-1, 1]."""
    shift_xy: Tensor
    """``(M, 2)`` pixels: the first view is sampled at ``position + shift``, this one at
    ``position - shift``."""


class FaceBatch(NamedTuple):
    """One batch on the device; images are ``(N, 3, S, S)`` float32 RGB in [-1, 1]."""

    degraded: Tensor
    target: Tensor
    resolution_ratio: Tensor
    """``(N,)`` native pixels over S, at most 1."""
    boxes_xyxy: Tensor
    """``(N, 3, 4)``: left eye, right eye, mouth, in pixels."""
    second_view: SecondView | None = None
    teacher: Tensor | None = None
    """The teacher's output for the degraded faces, if there is a teacher."""
    use_teacher: Tensor | None = None
    """``(N,)`` bool: whether a sample learns from the teacher instead of the target."""
    sharpen: Tensor | None = None
    """``(N,)`` gain of the teacher's finest detail."""
    styles: Tensor | None = None
    """``(M, F)`` styles in W of the first M faces, which are generated."""


class DegradedFaces:
    """Provides the batches of a stage; batch ``k`` depends on the seed and ``k`` alone."""

    def __init__(
        self,
        faces: DeviceFaces,
        data: DeviceDataConfig,
        stage: StageConfig,
        *,
        run_state: RunState,
        drawn: DrawnFaces | None = None,
    ) -> None:
        """Draw the table of degradations.

        Args:
            faces: The faces.
            data: Their degradations.
            stage: Size and number of the faces in a batch.
            run_state: State of the run at the first step, with seed and device.
            drawn: Draws the generated faces of the stage; None if it has none.
        """
        self._faces, self._drawn = faces, drawn
        self._stage = stage
        self._table = DegradationTable(
            data.recipes,
            rows=data.rows,
            side_px=stage.side_px,
            gray_probability=data.faces.gray_probability,
            aged_probability=data.aged_probability,
            seed=run_state.seed,
            device=run_state.device,
        )
        self._codecs = _codec_samples(data, stage, run_state) if stage.codec_count else None

    @property
    def all_sharp(self) -> bool:
        """Whether all samples have full resolution; synchronizes."""
        return self._codecs is None and self._faces.all_sharp(side_px=self._stage.side_px)

    def batch(self, run_state: RunState) -> FaceBatch:
        """Return the batch of a step; steps must follow each other."""
        generator = run_state.generator(0)
        stage = self._stage
        count = stage.batch - stage.codec_count - stage.generated_count
        faces = self._faces.draw(count, generator, side_px=stage.side_px)
        styles = None
        if self._drawn is not None:
            drawn, styles = self._drawn.draw(stage.generated_count, generator)
            faces = Faces(*(torch.cat(pair) for pair in zip(drawn, faces, strict=True)))
        batch = self._degrade(faces, generator, paired=stage.paired_count, styles=styles)
        if self._codecs is None:
            return batch
        sample = next(self._codecs)
        mirror = torch.rand(len(sample.target), generator=generator, device=run_state.device) < 0.5
        return _concatenate(batch, _mirror(sample, mirror))

    def _degrade(
        self,
        faces: Faces,
        generator: torch.Generator,
        *,
        paired: int,
        styles: Tensor | None = None,
    ) -> FaceBatch:
        rows = self._table.draw(len(faces.image), generator)
        target = apply_tones(faces.image, rows)
        if styles is not None:
            # In other tones, a face would not be that of its style.
            target = torch.cat([faces.image[: len(styles)], target[len(styles) :]])
        reach = self._table.reach_px
        second_view = None
        if paired:
            shift_xy = draw_shifts(paired, self._stage, generator)
            first, second = (
                shift_batch(target[:paired], shift).clamp(0, 1) for shift in (shift_xy, -shift_xy)
            )
            target = torch.cat([first, target[paired:]])
            second_rows = rows.rows(torch.arange(paired, device=target.device))
            image = degrade_batch(second, second_rows, reach_px=reach, generator=generator)
            second_view = SecondView(_to_signed(image), shift_xy)
        return FaceBatch(
            degraded=_to_signed(degrade_batch(target, rows, reach_px=reach, generator=generator)),
            target=_to_signed(target),
            resolution_ratio=faces.resolution_ratio,
            boxes_xyxy=faces.boxes_xyxy,
            second_view=second_view,
            styles=styles,
        )

    def degrade_fixed(self, faces: Faces, *, seed: int) -> FaceBatch:
        """Return a batch whose degradations depend on ``seed`` alone."""
        generator = torch.Generator(faces.image.device).manual_seed(seed)
        return self._degrade(faces, generator, paired=0)


def draw_shifts(count: int, stage: StageConfig, generator: torch.Generator) -> Tensor:
    """Draw the ``shift_xy`` of second views, ``(count, 2)``, on the generator's device."""
    uniform = torch.rand(count, 2, generator=generator, device=generator.device)
    return stage.consistency_shift_px * (2 * uniform - 1)


def shift_batch(image_NCHW: Tensor, shift_xy_N2: Tensor) -> Tensor:
    """Return images sampled at ``position + shift`` by cubic convolution, with repeated edges."""
    side = image_NCHW.shape[-1]
    columns = shift_matrices(shift_xy_N2[:, 0], side_px=side)
    return apply_matrices(image_NCHW, shift_matrices(shift_xy_N2[:, 1], side_px=side), columns)


def _to_signed(image_NCHW: Tensor) -> Tensor:
    """Return [0, 1] as [-1, 1], in channels-last memory format."""
    return (image_NCHW * 2 - 1).contiguous(memory_format=torch.channels_last)


def _codec_samples(
    data: DeviceDataConfig, stage: StageConfig, run_state: RunState
) -> Iterator[FaceSample]:
    """Yield the codec samples of every step on the device, each ``codec_repeat`` times.

    Labels are left out.
    """
    config = replace(data.faces, size_px=stage.side_px)
    first, used = divmod(run_state.step, stage.codec_repeat)
    batches = face_batches(
        FaceDataset(config, seed=run_state.seed),
        BatchConfig(size=stage.codec_count, num_workers=data.num_workers),
        first_step=first,
        context=DistributedContext(),
    )
    for (sample,) in batches:
        tensors: list[Tensor] = []
        for tensor in sample._replace(labels=torch.empty(0)):
            pinned = tensor.pin_memory() if run_state.device.type == "cuda" else tensor
            tensors.append(pinned.to(run_state.device, non_blocking=True))
        for _ in range(stage.codec_repeat - used):
            yield FaceSample(*tensors)
        used = 0


def _mirror(sample: FaceSample, mirror_N: Tensor) -> FaceBatch:
    faces = Faces(sample.target, sample.resolution_ratio, sample.boxes_xyxy).mirror(mirror_N)
    degraded = torch.where(mirror_N[:, None, None, None], sample.degraded.flip(3), sample.degraded)
    return FaceBatch(degraded, faces.image, faces.resolution_ratio, faces.boxes_xyxy)


def _concatenate(first: FaceBatch, second: FaceBatch) -> FaceBatch:
    """Return both batches, with the second views and the styles of the first one."""
    fields = (torch.cat(pair) for pair in zip(first[:4], second[:4], strict=True))
    return FaceBatch(*fields, second_view=first.second_view, styles=first.styles)
