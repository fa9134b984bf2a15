"""Measures how restoration changed a batch of faces, as the safeguard measures one.

The twins are ``eye_mouth_change`` and ``IdentityMeter.distance`` of ``vidrestore.safeguard``.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vidrestore.affine import compose_affines, scaling
from vidrestore.models.recognizers.dlib_resnet import INPUT_SIDE_PX
from vidrestore.pipeline.on_device.batching import faces_per_batch, filled, grouped
from vidrestore.pipeline.on_device.images.filters import filter_matrices, luma_of
from vidrestore.pipeline.on_device.images.resample import (
    Warp,
    Warps,
    area_weights,
    average_areas,
)
from vidrestore.pipeline.on_device.images.spectra import resolutions_px
from vidrestore.pipeline.on_device.transfers import Download
from vidrestore.safeguard import identity
from vidrestore.safeguard.checks import affine_roll_radians
from vidrestore.safeguard.eye_mouth_change import (
    CELLS,
    CONTRAST,
    EYES,
    MOUTH,
    NOISE,
    RESOLUTION_RATIO,
    SIGMA_CELLS,
    WORKING_PX,
)
from vidrestore.safeguard.identity import IdentityMeter
from vidrestore.safeguard.stage import FaceChange
from vidrestore.types import CROP_SIZE_PX, RestoredFace

_IDENTITY_FACES = 4
"""Faces whose identity is compared at once: few of a batch are due."""
_BOXES = (*EYES, MOUTH)
_AREA_REACH = 15
_INPUT_REACH = 21
"""Samples to each side of the widest filters: those of the least resolutions."""


class FaceToMeasure(NamedTuple):
    """A restored face, with its crops on the device."""

    face: RestoredFace
    crops: tuple[Tensor, Tensor]
    """The crop and the restored crop, each ``(3, S, S)`` RGB in [0, 1]."""
    is_due: bool
    """Whether its identity is compared."""


class StartedChanges:
    """Changes that are being measured."""

    def __init__(
        self, faces: Sequence[FaceToMeasure], *, meter: IdentityMeter, batch_size: int
    ) -> None:
        """Start to measure, without waiting for the device.

        Args:
            faces: Of one or more frames.
            meter: Its network compares identities.
            batch_size: Faces of a batch; fewer if they are large.
        """
        self._parts: list[tuple[list[int], list[int]]] = []
        """Places of the faces of each batch, and of those whose identity is compared."""
        tensors: list[Tensor] = []
        sides = [item.face.aligned.side_px for item in faces]
        for side_px, same in grouped(range(len(faces)), sides.__getitem__).items():
            for count, part in filled(same, faces_per_batch((side_px, side_px), batch_size)):
                batch = _Batch([faces[place] for place in part])
                due = [at for at in range(count) if faces[part[at]].is_due]
                self._parts.append((part[:count], [part[at] for at in due]))
                tensors += [batch.eye_mouth_changes(), batch.identity_distances(due, meter)]
        self._download = Download(tensors)

    def wait(self) -> list[FaceChange]:
        """Return the change of each face, once it is measured."""
        hosts = iter(self._download.wait())
        changes: dict[int, FaceChange] = {}
        for part, due in self._parts:
            rows, distances = next(hosts), next(hosts)
            for place, row in zip(part, rows, strict=False):
                changes[place] = FaceChange(eyes=float(row[:2].max()), mouth=float(row[2]))
            for place, distance in zip(due, distances, strict=False):
                changes[place] = changes[place]._replace(identity=float(distance))
        return [changes[place] for place in range(len(changes))]


class _Batch:
    """Faces whose crops have one size."""

    def __init__(self, faces: Sequence[FaceToMeasure]) -> None:
        crops, restored = zip(*(item.crops for item in faces), strict=True)
        self._crops, self._restored = torch.stack(crops), torch.stack(restored)
        self._lumas = [255.0 * luma_of(images)[:, 0] for images in (self._crops, self._restored)]
        rolls = [affine_roll_radians(item.face.aligned.display_to_crop) for item in faces]
        self._resolutions = resolutions_px(self._lumas[0], rolls)

    def eye_mouth_changes(self) -> Tensor:
        """Return ``(N, 3)``: the change of the left eye, the right eye and the mouth."""
        cells = (self._resolutions * RESOLUTION_RATIO).clamp(*CELLS).floor()
        sigmas = SIGMA_CELLS * WORKING_PX / cells
        taps = _gaussian_taps(sigmas, ((8 * sigmas + 1).round() / 2).floor(), _AREA_REACH)
        sizes = torch.full_like(cells, WORKING_PX).float()
        most = CELLS[1]
        average = area_weights(sizes, cells.float(), WORKING_PX, most)
        reduce = average @ filter_matrices(taps, WORKING_PX)
        before, after = (
            (reduce @ average_areas(luma[:, None], WORKING_PX)[:, 0] @ reduce.mT).double()
            for luma in self._lumas
        )
        return _relative_changes(before, after, _inside(cells, most))

    def identity_distances(self, places: Sequence[int], meter: IdentityMeter) -> Tensor:
        """Return ``(N,)`` distances of some faces, which fill the first places."""
        if not places:
            return self._resolutions[:0]
        size = min(_IDENTITY_FACES, len(self._crops))
        return torch.cat([self._distances(part, meter) for _, part in filled(places, size)])

    def _distances(self, places: Sequence[int], meter: IdentityMeter) -> Tensor:
        images = torch.stack(
            [images[at] for images in (self._crops, self._restored) for at in places]
        )
        cells = torch.stack([self._resolutions[at] for at in places])
        cells = identity.RESOLUTION_RATIO * cells.clamp(min=identity.MIN_RESOLUTION_PX)
        sigmas = 0.5 * CROP_SIZE_PX * identity.INPUT_SCALE / cells
        taps = _gaussian_taps(sigmas, (3 * sigmas).ceil(), _INPUT_REACH)
        blur = filter_matrices(taps, INPUT_SIDE_PX, reflect=False).repeat(2, 1, 1)[:, None]
        inputs = (blur @ _to_input(images) @ blur.mT).clamp(0.0, 1.0)
        embeddings = meter.embeddings(inputs)
        difference = embeddings[: len(places)] - embeddings[len(places) :]
        return difference.square().sum(dim=1).sqrt()


def _to_input(images_NCHW: Tensor) -> Tensor:
    """Return ``(N, 3, 150, 150)``: crops as the recognition network sees them."""
    side_px = images_NCHW.shape[-1]
    to_input = compose_affines(scaling(CROP_SIZE_PX / side_px), identity.CROP_TO_INPUT)
    warp = Warp.planned((side_px, side_px), to_input)
    warps = Warps([warp] * len(images_NCHW), images_NCHW.device)
    return warps.apply(images_NCHW, (INPUT_SIDE_PX, INPUT_SIDE_PX))


def _gaussian_taps(sigmas: Tensor, reaches: Tensor, most: int) -> Tensor:
    """Return ``(N, 2 * most + 1)`` float32 taps of filters that reach ``(N,)`` samples."""
    offsets = torch.arange(-most, most + 1, device=sigmas.device)[None]
    taps = (-0.5 * (offsets / sigmas[:, None]).square()).exp()
    taps = torch.where(offsets.abs() <= reaches[:, None], taps, 0.0)
    return (taps / taps.sum(dim=1, keepdim=True)).float()


def _inside(cells: Tensor, most: int) -> Tensor:
    """Return ``(N, 3, most, most)``: which cells show each eye and the mouth."""
    places = torch.arange(most, device=cells.device)

    def between(low: int, high: int) -> Tensor:
        first, end = ((side * cells / CROP_SIZE_PX).round()[:, None] for side in (low, high))
        return (places >= first) & (places < end)

    def boxes() -> Iterator[Tensor]:
        for left, top, right, bottom in _BOXES:
            yield between(top, bottom)[:, :, None] & between(left, right)[:, None, :]

    return torch.stack([*boxes()], dim=1)


def _relative_changes(before: Tensor, after: Tensor, inside: Tensor) -> Tensor:
    """Return ``(N, 3)`` differences of ``(N, h, w)`` cells inside areas, apart from contrast."""
    count = inside.sum(dim=(2, 3))

    def centered(cells: Tensor) -> Tensor:
        own = cells[:, None] * inside
        return (own - (own.sum(dim=(2, 3)) / count)[:, :, None, None]) * inside

    source, restored = centered(before), centered(after)
    power = source.square().sum(dim=(2, 3))
    contrast = (source * restored).sum(dim=(2, 3)) / (power + 1e-6)
    residual = restored - contrast.clamp(*CONTRAST)[:, :, None, None] * source
    change = (residual.square().sum(dim=(2, 3)) / count).sqrt()
    return change / (power / count + NOISE**2).sqrt()
