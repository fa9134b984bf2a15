"""Pastes the faces of a batch of frames: uploaded once, downloaded once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.affine import invert_affine
from vidrestore.media.color.region_rgb import aligned_box
from vidrestore.paste.composite import PastedFace, PasteResult
from vidrestore.paste.face_mask import FaceMask
from vidrestore.paste.masks import mapped_bounds
from vidrestore.paste.settings import PasteConfig
from vidrestore.pipeline.on_device.batching import faces_per_batch, filled, grouped
from vidrestore.pipeline.on_device.face_masks import CropBatch
from vidrestore.pipeline.on_device.images.planes import DevicePlanes, Layout, Regions, read_bits
from vidrestore.pipeline.on_device.paste import paste_batch
from vidrestore.pipeline.on_device.paste_plan import (
    PastePlan,
    cell_corners,
    layers_of,
    plan_paste,
)
from vidrestore.pipeline.on_device.transfers import Download
from vidrestore.types import (
    Box,
    DisplayGeometry,
    FloatArray,
    Frame,
    Plane,
    RestoredFace,
    TrackedFace,
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FrameToPaste:
    """A frame and the restored faces to paste into it."""

    frame: Frame
    geometry: DisplayGeometry
    planes: DevicePlanes | None
    """None only if there are no faces."""
    faces: tuple[RestoredFace, ...]
    crops: tuple[tuple[Tensor, Tensor], ...]
    """On the device: of every face the crop and the restored crop, each ``(3, S, S)``."""
    keep_chroma: bool
    skipped_faces: tuple[TrackedFace, ...] = ()


class _Face(NamedTuple):
    place: tuple[int, int]
    """Number of its frame in the batch, and its own in the frame."""
    plan: PastePlan
    face: RestoredFace
    crops: tuple[Tensor, Tensor]
    strength: float
    keep_chroma: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    layout: Layout
    count: int
    """How many faces count; the others repeat the last one."""
    faces: list[_Face]
    regions: Regions
    bounds: Tensor
    masks: Tensor


class StartedPaste:
    """Faces that are being pasted into frames."""

    def __init__(
        self,
        frames: Sequence[FrameToPaste],
        *,
        config: PasteConfig,
        batch_size: int,
        device: torch.device,
    ) -> None:
        """Start to paste, without waiting for the device.

        Args:
            frames: The frames, whose planes on the device are not changed.
            config: Strength, mask and color matching.
            batch_size: Faces of a batch; fewer if they are large.
            device: Where the planes and crops are.
        """
        self._frames, self._config = frames, config
        self._batch_size, self._device = batch_size, device
        self._batches: list[_Batch] = []
        tensors: list[Tensor] = []
        uploaded = {
            slot: frame.planes for slot, frame in enumerate(frames) if frame.planes is not None
        }
        for layout, slots in grouped(uploaded, lambda slot: uploaded[slot].layout).items():
            tensors += self._paste(layout, slots, [uploaded[slot].planes for slot in slots])
        self._download = Download(tensors)

    def _paste(
        self, layout: Layout, slots: list[int], planes: list[tuple[Tensor, ...]]
    ) -> list[Tensor]:
        """Paste into the frames of one layout, and return what is to be downloaded."""
        stacks = [torch.stack(same) for same in zip(*planes, strict=True)]
        decoded = stacks
        batches: list[_Batch] = []
        faces = self._planned(slots)
        layers = layers_of([(face.place[0], face.plan.region.box_xyxy) for face in faces])
        for layer in sorted({*layers}):
            on_top = [face for face, at in zip(faces, layers, strict=True) if at == layer]
            for shape, same in grouped(on_top, lambda face: face.plan.shape(layout)).items():
                size = faces_per_batch(shape.region_hw, self._batch_size)
                for count, part in filled(same, size):
                    pasted = paste_batch(
                        stacks,
                        decoded if self._config.mask == "head" else stacks,
                        layout,
                        [face.plan for face in part],
                        _crop_batch(part),
                        strengths=[face.strength for face in part],
                        keep_chroma=[face.keep_chroma for face in part],
                        config=self._config,
                    )
                    stacks = pasted.stacks
                    regions = Regions.uploaded([face.plan.region for face in part], self._device)
                    batches.append(
                        _Batch(layout, count, part, regions, pasted.cell_bounds, pasted.masks)
                    )
        self._batches += batches
        return [
            tensor
            for batch in batches
            for tensor in (batch.bounds, batch.masks, *_changed(stacks, batch))
        ]

    def _planned(self, slots: list[int]) -> list[_Face]:
        faces: list[_Face] = []
        for index, slot in enumerate(slots):
            item = self._frames[slot]
            for number, face in enumerate(item.faces):
                track = face.aligned.face.track_id
                strength = self._config.strength_of(track) * face.assessment.strength
                others = [other.aligned.face for other in item.faces if other is not face]
                plan = strength > 0.0 and plan_paste(
                    index,
                    item.frame,
                    item.geometry,
                    face,
                    mask=self._config.mask,
                    others=[*others, *item.skipped_faces],
                )
                if plan:
                    place, crops = (slot, number), item.crops[number]
                    faces.append(_Face(place, plan, face, crops, strength, item.keep_chroma))
        return faces

    def wait(self) -> list[PasteResult]:
        """Return the frames, once their faces are pasted."""
        tensors = iter(self._download.wait())
        planes: dict[int, list[Plane]] = {}
        faces: dict[tuple[int, int], PastedFace] = {}
        for batch in self._batches:
            bounds, masks = next(tensors), next(tensors)
            patches = [next(tensors) for _ in batch.layout.color_planes]
            for index, face in enumerate(batch.faces[: batch.count]):
                slot = face.place[0]
                box = self._mask_box(face, bounds[index].numpy())
                if box is not None:
                    mask = _face_mask(masks[index].numpy(), face.plan, box)
                    faces[face.place] = PastedFace(mask=mask, strength=face.strength)
                    if slot not in planes:
                        frame = self._frames[slot].frame
                        planes[slot] = [np.array(plane) for plane in frame.planes]
                    images = [patch[index] for patch in patches]
                    _copy_box(planes[slot], images, batch.layout, face.plan.region.box_xyxy, box)
        return [
            PasteResult(
                frame=item.frame.with_planes(tuple(planes[slot])) if slot in planes else item.frame,
                faces=tuple(faces.get((slot, number)) for number in range(len(item.faces))),
            )
            for slot, item in enumerate(self._frames)
        ]

    def _mask_box(self, face: _Face, bounds: NDArray[np.int64]) -> Box | None:
        if self._config.mask == "face":
            return face.plan.region.box_xyxy
        y0, y1, x0, x1 = map(int, bounds)
        if y0 > y1:
            return None
        corners = cell_corners((y0, y1, x0, x1))
        mapped = mapped_bounds(invert_affine(face.plan.coded_to_crop), corners)
        return aligned_box(self._frames[face.place[0]].frame, mapped)


def _crop_batch(faces: Sequence[_Face]) -> CropBatch:
    cells: list[Tensor | None] = []
    for name in ("face_mask_hw", "head_mask_hw"):
        masks: list[Tensor | None] = [getattr(face.face, name) for face in faces]
        found = [mask for mask in masks if mask is not None]
        cells.append(torch.stack(found).to(faces[0].crops[0].device) if found else None)
    crops, restored = (
        torch.stack(images) for images in zip(*(f.crops for f in faces), strict=True)
    )
    return CropBatch(crops=crops, restored=restored, face_cells=cells[0], head_cells=cells[1])


def _face_mask(region_mask: FloatArray, plan: PastePlan, box: Box) -> FaceMask:
    """Return the mask in a box of a region."""
    left, top = box[0] - plan.region.box_xyxy[0], box[1] - plan.region.box_xyxy[1]
    height, width = box[3] - box[1], box[2] - box[0]
    y0, y1, x0, x1 = plan.skin_yx
    return FaceMask(
        box_xyxy=box,
        mask_hw=np.array(region_mask[top : top + height, left : left + width]),
        skin=(
            slice(max(y0 - top, 0), min(y1 - top, height)),
            slice(max(x0 - left, 0), min(x1 - left, width)),
        ),
    )


def _changed(stacks: Sequence[Tensor], batch: _Batch) -> list[Tensor]:
    """Return the samples of every face's padded region, plane by plane."""
    return [
        read_bits(stack, batch.regions.slots, *batch.regions.samples_of(batch.layout, plane))
        for plane, stack in enumerate(stacks)
    ]


def _copy_box(
    planes: list[Plane], patches: Sequence[Tensor], layout: Layout, region: Box, box: Box
) -> None:
    """Copy what a box shows into planes, from patches that begin where a region does."""
    for number, patch in enumerate(patches):
        step_x, step_y = layout.steps_of(number)
        left, top = region[0] // step_x, region[1] // step_y
        rows = slice(box[1] // step_y, -(-box[3] // step_y))
        columns = slice(box[0] // step_x, -(-box[2] // step_x))
        target = planes[number]
        samples = patch.numpy().view(target.dtype)
        target[rows, columns] = samples[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
