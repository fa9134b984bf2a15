"""The stages that ``--gpu-stages`` runs on the device around the network: from crops to frames."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from vidrestore.devices import retry_out_of_memory
from vidrestore.faces.align import CropRegion, crop_region
from vidrestore.paste.composite import PasteResult
from vidrestore.paste.settings import PasteConfig
from vidrestore.pipeline.on_device.align import CropRequest, CutCrop, cut_crops
from vidrestore.pipeline.on_device.average_frames import CropView, Views, averages, jobs_of
from vidrestore.pipeline.on_device.batching import chunks, started_ahead
from vidrestore.pipeline.on_device.images.planes import DevicePlanes, upload_planes
from vidrestore.pipeline.on_device.paste_frames import FrameToPaste, StartedPaste
from vidrestore.pipeline.on_device.safeguard import FaceToMeasure, StartedChanges
from vidrestore.pipeline.on_device.transfers import Download, Uploader, upload_images
from vidrestore.restore.settings import TemporalConfig
from vidrestore.safeguard.config import SafeguardConfig
from vidrestore.safeguard.identity import IdentityMeter
from vidrestore.safeguard.stage import (
    DueFaces,
    FaceChange,
    assess_changes,
    with_due_faces,
)
from vidrestore.sliding_window import Window, sliding_window
from vidrestore.types import (
    AlignedFace,
    AlignedFrame,
    DisplayGeometry,
    RestoredFrame,
    TrackedFace,
    TrackedFrame,
)

MAX_CHUNK_FRAMES = 16
"""Frames of a batch; twice as many are held, because the next batch is started ahead."""

SideOf = Callable[[TrackedFace], int]


class PasteTarget(NamedTuple):
    """A frame with its restored faces."""

    restored: RestoredFrame
    shown: RestoredFrame
    """The same, or an enlarged frame with its faces in it."""
    geometry: DisplayGeometry
    """Of the frame or field that is shown."""


class _Held(NamedTuple):
    """What stays on the device of a frame until its faces are pasted."""

    planes: DevicePlanes
    crops: dict[int, CutCrop]
    """By track."""
    views: Views
    """Of those whose gray levels are downloaded."""
    restored: dict[int, Tensor]
    """The restored crops that the safeguard measured, by track."""


class _StartedAlign(NamedTuple):
    frames: list[TrackedFrame]
    faces: list[tuple[int, TrackedFace, CropRegion]]
    """Number of the frame in the chunk, the face, and its region."""
    download: Download


class DeviceRun:
    """Aligns, averages, checks and pastes the frames of one run, which stay on the device.

    Between its methods are the stages that work on crops in the machine's memory. It holds the
    planes and the crops of the frames that these buffer, and of two batches for each method.
    """

    def __init__(self, device: torch.device, geometry: DisplayGeometry, batch_size: int) -> None:
        """Prepare a run.

        Args:
            device: Where it runs.
            geometry: Display geometry of the film.
            batch_size: Faces of a batch.
        """
        self._device, self._geometry, self._batch_size = device, geometry, batch_size
        self._uploader = Uploader(device)
        self._held: dict[int, _Held] = {}
        """By number of the frame."""

    def align(
        self, frames: Iterable[TrackedFrame], *, side_of: SideOf, outside: str
    ) -> Iterator[AlignedFrame]:
        """Yield every frame in order, with the crops of its faces in the machine's memory.

        Args:
            frames: In presentation order.
            side_of: Returns the side of a face's crop.
            outside: Why a face outside the frame is skipped.
        """
        batches = chunks(frames, min(self._batch_size, MAX_CHUNK_FRAMES))
        for started in started_ahead(batches, lambda chunk: self._start_align(chunk, side_of)):
            yield from self._aligned(started, outside)

    @retry_out_of_memory
    def _start_align(self, frames: list[TrackedFrame], side_of: SideOf) -> _StartedAlign:
        faces: list[tuple[int, TrackedFace, CropRegion]] = []
        for slot, tracked in enumerate(frames):
            geometry = self._geometry.of(tracked.frame)
            for face in tracked.faces:
                if face.skip_reason is None:
                    source = crop_region(tracked.frame, geometry, face, side_of(face))
                    if source is not None:
                        faces.append((slot, face, source))
        used = sorted({slot for slot, _, _ in faces})
        uploaded = upload_planes([frames[slot].frame for slot in used], self._uploader)
        planes = dict(zip(used, uploaded, strict=True))
        requests = [
            CropRequest(frames[slot].frame, planes[slot], source, side_of(face))
            for slot, face, source in faces
        ]
        crops = cut_crops(requests, batch_size=self._batch_size, device=self._device)
        held = {slot: _Held(planes[slot], {}, {}, {}) for slot in used}
        for (slot, face, _), crop in zip(faces, crops, strict=True):
            held[slot].crops[face.track_id] = crop
        self._held |= {frames[slot].frame.index: held[slot] for slot in used}
        tensors = [tensor for crop in crops for tensor in (crop.crop_chw, crop.gray_hw)]
        return _StartedAlign(frames, faces, Download(tensors))

    def _aligned(self, started: _StartedAlign, outside: str) -> Iterator[AlignedFrame]:
        aligned: dict[tuple[int, int], AlignedFace] = {}
        tensors = iter(started.download.wait())
        for slot, face, source in started.faces:
            crop, gray = next(tensors), next(tensors)
            held, track = self._held[started.frames[slot].frame.index], face.track_id
            held.views[track] = CropView(*held.crops[track][:2], gray.numpy())
            display_to_crop = source.display_to_crop
            aligned[slot, face.track_id] = AlignedFace(
                face=face, display_to_crop=display_to_crop, crop_chw=crop
            )
        for slot, tracked in enumerate(started.frames):
            places = [(slot, face.track_id) for face in tracked.faces]
            skipped = (face for face in tracked.faces if (slot, face.track_id) not in aligned)
            yield AlignedFrame(
                frame=tracked.frame,
                shot=tracked.shot,
                faces=tuple(aligned[place] for place in places if place in aligned),
                skipped_faces=tuple(
                    replace(face, skip_reason=face.skip_reason or outside) for face in skipped
                ),
                is_monochrome=tracked.is_monochrome,
            )

    def average(
        self, frames: Iterable[AlignedFrame], *, config: TemporalConfig
    ) -> Iterator[AlignedFrame]:
        """Yield every frame in order with ``denoised_chw`` of its faces, on the device.

        Args:
            frames: In presentation order.
            config: How many neighbors count, and how much.
        """
        items = ((frame, self._views_of(frame)) for frame in frames)
        context = config.context_frames
        windows = sliding_window(items, before=context, after=context)

        for part in chunks(windows, min(self._batch_size, MAX_CHUNK_FRAMES)):
            averaged = self._averaged(part, config)
            for window in part:
                index, views = window.item.frame.index, window.value
                faces: list[AlignedFace] = []
                for face in window.item.faces:
                    # A face without neighbors goes from the device to the network, too.
                    alone = views[face.face.track_id].crop_chw
                    crop = averaged.get((index, face.face.track_id), alone)
                    faces.append(replace(face, denoised_chw=crop))
                yield replace(window.item, faces=tuple(faces))

    def _views_of(self, frame: AlignedFrame) -> Views:
        tracks = [face.face.track_id for face in frame.faces]
        return {track: self._held[frame.frame.index].views[track] for track in tracks}

    @retry_out_of_memory
    def _averaged(
        self, windows: list[Window[AlignedFrame, Views]], config: TemporalConfig
    ) -> dict[tuple[int, int], Tensor]:
        jobs = [job for window in windows for job in jobs_of(window)]
        results = averages(jobs, config=config, batch_size=self._batch_size, device=self._device)
        return dict(zip((job.place for job in jobs), results, strict=True))

    def check_after_restore(
        self, frames: Iterable[RestoredFrame], *, meter: IdentityMeter, config: SafeguardConfig
    ) -> Iterator[RestoredFrame]:
        """Yield every frame in order, with the final assessment of each restored face.

        Args:
            frames: In presentation order.
            meter: Compares identities.
            config: How strongly faces are protected.
        """
        yield from assess_changes(self._measured(frames, meter), config=config)

    def _measured(
        self, frames: Iterable[RestoredFrame], meter: IdentityMeter
    ) -> Iterator[tuple[RestoredFrame, list[FaceChange]]]:
        batches = chunks(with_due_faces(frames), min(self._batch_size, MAX_CHUNK_FRAMES))
        for batch, started in started_ahead(
            batches, lambda batch: (batch, self._measuring(batch, meter))
        ):
            changes = iter(started.wait())
            for frame, faces in batch:
                yield frame, [next(changes) for _ in faces]

    @retry_out_of_memory
    def _measuring(
        self, batch: Sequence[tuple[RestoredFrame, DueFaces]], meter: IdentityMeter
    ) -> StartedChanges:
        faces = [(frame.frame.index, *face) for frame, faces in batch for face in faces]
        images = upload_images([face.restored_chw for _, face, _ in faces], self._device)
        measured: list[FaceToMeasure] = []
        for (index, face, is_due), image in zip(faces, images, strict=True):
            held, track = self._held[index], face.aligned.face.track_id
            held.restored[track] = image
            crops = (held.crops[track].crop_chw, image)
            measured.append(FaceToMeasure(face, crops, is_due))
        return StartedChanges(measured, meter=meter, batch_size=self._batch_size)

    def paste(
        self, frames: Iterable[PasteTarget], *, config: PasteConfig
    ) -> Iterator[tuple[PasteTarget, PasteResult]]:
        """Yield every frame in order, with its faces pasted.

        Args:
            frames: In presentation order.
            config: Strength, mask and color matching.
        """
        batches = chunks(frames, min(self._batch_size, MAX_CHUNK_FRAMES))
        for targets, started in started_ahead(
            batches, lambda targets: (targets, self._start_paste(targets, config))
        ):
            yield from zip(targets, started.wait(), strict=True)

    def _start_paste(self, targets: Sequence[PasteTarget], config: PasteConfig) -> StartedPaste:
        started = self._pasting(targets, config)
        for target in targets:
            self._held.pop(target.restored.frame.index, None)
        return started

    @retry_out_of_memory
    def _pasting(self, targets: Sequence[PasteTarget], config: PasteConfig) -> StartedPaste:
        held = [self._held_of(target) for target in targets]
        missing = [
            slot
            for slot, (target, here) in enumerate(zip(targets, held, strict=True))
            if here is None and target.shown.faces
        ]
        frames = [targets[slot].shown.frame for slot in missing]
        planes = dict(zip(missing, upload_planes(frames, self._uploader), strict=True))
        planes |= {slot: here.planes for slot, here in enumerate(held) if here is not None}
        crops = iter(upload_images(_crops_of(targets, held), self._device))
        items = [
            FrameToPaste(
                frame=shown.frame,
                geometry=geometry,
                planes=planes.get(slot),
                faces=shown.faces,
                crops=tuple((next(crops), next(crops)) for _ in shown.faces),
                keep_chroma=restored.is_monochrome,
                skipped_faces=shown.skipped_faces,
            )
            for slot, (restored, shown, geometry) in enumerate(targets)
        ]
        return StartedPaste(items, config=config, batch_size=self._batch_size, device=self._device)

    def _held_of(self, target: PasteTarget) -> _Held | None:
        """Return what is on the device; None if another frame is pasted into."""
        is_source = target.shown.frame is target.restored.frame
        return self._held.get(target.restored.frame.index) if is_source else None


def _crops_of(targets: Sequence[PasteTarget], held: Sequence[_Held | None]) -> list[Tensor]:
    """Return of every face the crop and the restored crop."""
    images: list[Tensor] = []
    for target, here in zip(targets, held, strict=True):
        for face in target.shown.faces:
            crop, restored = face.aligned.crop_chw, face.restored_chw
            if here is not None:
                track = face.aligned.face.track_id
                crop, restored = here.crops[track].crop_chw, here.restored.get(track, restored)
            images += [crop, restored]
    return images
