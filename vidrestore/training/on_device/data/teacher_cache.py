"""A cache of degraded faces, their targets and the teacher's output, computed on CPUs in advance.

The cache is a folder of arrays. ``degraded.npy``, ``clean.npy`` and ``teacher.npy`` are
``(C, 3, S, S)`` uint8; ``meta.npy`` is ``(C, 14)`` float32: the state (0 empty, 1 uses the teacher,
2 uses the sharpened target as teacher, -1 uses the target), the resolution ratio, and the boxes.
The state is written last, so an interrupted command resumes where it stopped.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.training.data.dataset import FaceDataset
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.on_device.config import StageConfig, TeacherConfig
from vidrestore.training.on_device.data.batches import (
    FaceBatch,
    SecondView,
    draw_shifts,
    shift_batch,
)
from vidrestore.training.on_device.data.device_faces import Faces
from vidrestore.training.on_device.losses import draw_face_window
from vidrestore.training.on_device.teacher import Teacher, sharpening

_ARRAYS = ("degraded", "clean", "teacher")
_META_COLUMNS = 14
_USES_TEACHER, _USES_SHARP_TARGET, _USES_TARGET = 1.0, 2.0, -1.0
_WHOLE_FACE_RATIO = 0.5
"""Number of whole faces in a step relative to the number of windows in another step."""


class TeacherCache:
    """A cache that is filled sample by sample.

    Args:
        folder: Folder of the cache; created if it does not exist.
        count: Number of samples.
        side_px: Side of the images.

    Raises:
        ConfigError: The arrays in the folder are damaged, or of another size.
    """

    def __init__(self, folder: Path, *, count: int, side_px: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "meta.npy").exists():
            for name in _ARRAYS:
                shape = (count, 3, side_px, side_px)
                _create(folder / f"{name}.npy", np.uint8, shape)
            _create(folder / "meta.npy", np.float32, (count, _META_COLUMNS))
        self.images, self.meta = _open(folder, mode="r+")
        if self.images[0].shape[0] != count or self.images[0].shape[2] != side_px:
            shape = self.images[0].shape
            raise ConfigError(
                f"{folder}: a cache of {shape[0]} faces of {shape[2]} px, not of {count} of "
                f"{side_px} px; choose another folder"
            )

    def fill(
        self,
        samples: FaceDataset,
        teacher: Teacher | None,
        *,
        device: torch.device,
        first: int = 0,
        every: int = 1,
        on_sample: Callable[[int], None] | None = None,
    ) -> int:
        """Compute the missing samples of ``first``, ``first + every``, ...; return their number.

        Sample ``k`` depends on the dataset's seed and ``k`` alone, so processes can share the work.
        Without a teacher all samples use the target.
        """
        count = 0
        for index in range(first, len(self.meta), every):
            if self.meta[index, 0] != 0:
                continue
            sample = samples[index]
            batch = FaceBatch(
                degraded=sample.degraded[None].to(device),
                target=sample.target[None].to(device),
                resolution_ratio=sample.resolution_ratio[None],
                boxes_xyxy=sample.boxes_xyxy[None],
            )
            if teacher is not None:
                batch = teacher.teach(batch)
            for array, image in zip(
                self.images, (batch.degraded, batch.target, batch.teacher), strict=True
            ):
                if image is not None:
                    array[index] = _to_uint8(image[0])
                    array.flush()
            self.meta[index, 1] = float(sample.resolution_ratio)
            self.meta[index, 2:] = sample.boxes_xyxy.flatten().numpy()
            self.meta[index, 0] = _state(batch)
            self.meta.flush()
            count += 1
            if on_sample is not None:
                on_sample(index)
        return count


class CachedFaces:
    """Provides batches from a cache; batch ``k`` depends on the seed and ``k`` alone.

    Args:
        folder: Folder of a ``TeacherCache``.
        stage: Size and number of the faces in a batch.
        teacher: Gains of the teacher's detail, and whether the cache is kept on the device.
        device: Device of the batches.

    Raises:
        ConfigError: The cache is missing, empty, or of another size.
    """

    def __init__(
        self, folder: Path, stage: StageConfig, *, teacher: TeacherConfig, device: torch.device
    ) -> None:
        images, meta = _open(folder, mode="r")
        if images[0].shape[2] != stage.side_px:
            raise ConfigError(
                f"{folder}: faces of {images[0].shape[2]} px, but the stage {stage.name} has "
                f"side_px = {stage.side_px}; set side_px to the cache's size, or fill another cache"
            )
        self._filled = np.flatnonzero(np.asarray(meta[:, 0]) != 0)
        if not len(self._filled):
            raise ConfigError(f"{folder}: the cache is empty; fill it first")
        self._meta = torch.from_numpy(np.array(meta[self._filled])).to(device)
        self._arrays = images
        self._device_arrays = (
            [torch.from_numpy(np.asarray(array[self._filled])).to(device) for array in images]
            if teacher.in_memory
            else None
        )
        self._stage, self._teacher = stage, teacher
        self._device = device

    @property
    def all_sharp(self) -> bool:
        """Whether all samples have full resolution; synchronizes."""
        return bool((self._meta[:, 1] >= 1).all())

    def batch(self, run_state: RunState) -> FaceBatch:
        """Return the batch of a step: samples drawn uniformly, half of them mirrored.

        With ``crop_px`` it contains windows of that side, or half as many whole faces.
        """
        stage, count = self._stage, self._stage.batch
        is_whole = not stage.crop_px or run_state.step % stage.whole_every == 0
        if is_whole and stage.crop_px:
            count = max(1, round(_WHOLE_FACE_RATIO * count))
        generator = run_state.generator(0)
        index = torch.randint(len(self._filled), (count,), generator=generator, device=self._device)
        mirror = torch.rand(count, generator=generator, device=self._device) < 0.5
        degraded, target, teacher = (_to_signed(levels) for levels in self._images(index))
        meta = self._meta[index]
        faces = Faces(target, meta[:, 1], meta[:, 2:].view(-1, 3, 4)).mirror(mirror)
        flip = mirror[:, None, None, None]
        batch = FaceBatch(
            degraded=torch.where(flip, degraded.flip(3), degraded),
            target=faces.image,
            resolution_ratio=faces.resolution_ratio,
            boxes_xyxy=faces.boxes_xyxy,
            teacher=torch.where(flip, teacher.flip(3), teacher),
            use_teacher=meta[:, 0] > 0,
            sharpen=sharpening(meta[:, 0] == _USES_SHARP_TARGET, self._teacher),
        )
        if not is_whole:
            batch = self._crop(batch, np.random.default_rng((run_state.seed, run_state.step)))
        return self._add_second_view(batch, generator)

    def _crop(self, batch: FaceBatch, rng: np.random.Generator) -> FaceBatch:
        """Return a random window of every face."""
        side, image_side = self._stage.crop_px, self._stage.side_px
        windows = [draw_face_window(rng, side=side, image_side=image_side) for _ in batch.target]

        def crop(images_NCHW: Tensor) -> Tensor:
            pairs = zip(windows, images_NCHW, strict=True)
            return torch.stack([window.crop(image) for window, image in pairs])

        corners = batch.boxes_xyxy.new_tensor([(x, y, x, y) for y, x, _ in windows])
        return batch._replace(
            degraded=crop(batch.degraded),
            target=crop(batch.target),
            teacher=None if batch.teacher is None else crop(batch.teacher),
            boxes_xyxy=batch.boxes_xyxy - corners[:, None],
        )

    def _add_second_view(self, batch: FaceBatch, generator: torch.Generator) -> FaceBatch:
        """Return the batch with second views, which are shifted degraded images.

        A cache has one degradation of each sample, so the noise is shifted with the face.
        """
        count = min(self._stage.paired_count, len(batch.degraded))
        if not count:
            return batch
        shift = draw_shifts(count, self._stage, generator)
        shifted = shift_batch(batch.degraded[:count], -2 * shift)
        return batch._replace(second_view=SecondView(shifted, shift))

    def _images(self, index_N: Tensor) -> Sequence[Tensor]:
        if self._device_arrays is not None:
            return [array[index_N] for array in self._device_arrays]
        rows = self._filled[index_N.cpu().numpy()]
        return [
            torch.from_numpy(np.stack([array[row] for row in rows])).to(self._device)
            for array in self._arrays
        ]


def _state(batch: FaceBatch) -> float:
    if batch.teacher is None or not bool(batch.use_teacher):
        return _USES_TARGET
    return _USES_SHARP_TARGET if batch.teacher.equal(batch.target) else _USES_TEACHER


def _to_signed(levels_NCHW: Tensor) -> Tensor:
    signed = levels_NCHW.float() / 127.5 - 1
    return signed.contiguous(memory_format=torch.channels_last)


def _to_uint8(image_CHW: Tensor) -> NDArray[np.uint8]:
    return ((image_CHW + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy()


def _create(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    np.lib.format.open_memmap(path, "w+", dtype=dtype, shape=shape).flush()


def _open(
    folder: Path, *, mode: str
) -> tuple[list["np.memmap[tuple[int, ...], np.dtype[np.uint8]]"],
           "np.memmap[tuple[int, ...], np.dtype[np.float32]]"]:  # fmt: skip
    try:
        images = [np.lib.format.open_memmap(folder / f"{name}.npy", mode) for name in _ARRAYS]
        meta = np.lib.format.open_memmap(folder / "meta.npy", mode)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: not a cache of teacher pairs: {error}") from error
    shapes = {array.shape for array in images}
    if len(shapes) != 1 or meta.shape != (images[0].shape[0], _META_COLUMNS):
        raise ConfigError(f"{folder}: the arrays have different sizes; choose another folder")
    return images, meta
