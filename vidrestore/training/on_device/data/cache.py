"""Teacher pairs made beforehand, on CPUs: a folder of arrays that can be filled piece by piece.

``degraded.npy``, ``clean.npy`` and ``teacher.npy`` are ``(C, 3, S, S)`` uint8; ``meta.npy`` is
``(C, 14)`` float32: the state (0 empty, 1 taught, -1 the truth is the teacher), the detail, and the
boxes. The state is written last, so that a run that was cut off goes on where it stopped.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.training.data.dataset import FaceDataset
from vidrestore.training.engine.run_state import Moment
from vidrestore.training.on_device.config import StageConfig
from vidrestore.training.on_device.data.bank import Faces
from vidrestore.training.on_device.data.batches import FaceBatch
from vidrestore.training.on_device.teacher import Teacher

_PICTURES = ("degraded", "clean", "teacher")
_META = 14
_TAUGHT, _GOOD = 1.0, -1.0


class TeacherCache:
    """The arrays of a folder.

    Args:
        folder: Made where it does not exist.
        count: Samples of a new cache.
        side_px: Side of a new cache's pictures.

    Raises:
        ConfigError: The folder holds arrays of another size, or damaged ones.
    """

    def __init__(self, folder: Path, *, count: int, side_px: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "meta.npy").exists():
            for name in _PICTURES:
                shape = (count, 3, side_px, side_px)
                _new(folder / f"{name}.npy", np.uint8, shape)
            _new(folder / "meta.npy", np.float32, (count, _META))
        self.pictures, self.meta = _opened(folder, mode="r+")
        if self.pictures[0].shape[0] != count or self.pictures[0].shape[2] != side_px:
            found = self.pictures[0].shape
            raise ConfigError(
                f"{folder}: a cache of {found[0]} faces of {found[2]} px, not of {count} of "
                f"{side_px} px; name another folder"
            )

    def fill(
        self,
        samples: FaceDataset,
        teacher: Teacher,
        *,
        device: torch.device,
        first: int = 0,
        every: int = 1,
        on_sample: Callable[[int], None] | None = None,
    ) -> int:
        """Make the samples ``first``, ``first + every``, ... that are missing; return how many.

        Sample ``k`` is a function of the samples' seed and ``k``, so that several processes can
        share the work.
        """
        made = 0
        for at in range(first, len(self.meta), every):
            if self.meta[at, 0] != 0:
                continue
            sample = samples[at]
            batch = teacher.taught(
                FaceBatch(
                    degraded=sample.degraded[None].to(device),
                    clean=sample.clean[None].to(device),
                    detail=sample.detail[None],
                    boxes_xyxy=sample.boxes_xyxy[None],
                )
            )
            assert batch.teacher is not None, "the teacher gives one"
            assert batch.taught is not None, "the teacher says so"
            pictures = (batch.degraded, batch.clean, batch.teacher)
            for array, picture in zip(self.pictures, pictures, strict=True):
                array[at] = _levels(picture[0])
                array.flush()
            self.meta[at, 1] = float(sample.detail)
            self.meta[at, 2:] = sample.boxes_xyxy.flatten().numpy()
            self.meta[at, 0] = _TAUGHT if bool(batch.taught) else _GOOD
            self.meta.flush()
            made += 1
            if on_sample is not None:
                on_sample(at)
        return made


class CachedFaces:
    """Batches of a stage from a cache; batch ``k`` is a function of the seed and ``k`` alone.

    Args:
        folder: Of a ``TeacherCache``.
        stage: Size and number of the faces of a batch.
        device: Where batches are.
        in_memory: Hold all pictures on the device.

    Raises:
        ConfigError: There is no such cache, it holds faces of another size, or none yet.
    """

    def __init__(
        self, folder: Path, stage: StageConfig, *, device: torch.device, in_memory: bool
    ) -> None:
        pictures, meta = _opened(folder, mode="r")
        if pictures[0].shape[2] != stage.side_px:
            raise ConfigError(
                f"{folder}: faces of {pictures[0].shape[2]} px, and the stage {stage.name} has "
                f"side_px = {stage.side_px}"
            )
        self._known = np.flatnonzero(np.asarray(meta[:, 0]) != 0)
        if not len(self._known):
            raise ConfigError(f"{folder}: holds no samples yet; fill it first")
        self._meta = torch.from_numpy(np.array(meta[self._known])).to(device)
        self._arrays = pictures
        self._held = (
            [torch.from_numpy(np.asarray(each[self._known])).to(device) for each in pictures]
            if in_memory
            else None
        )
        self._stage = stage
        self._device = device

    @property
    def all_sharp(self) -> bool:
        """Whether every sample has all the detail of its size; asks the device."""
        return bool((self._meta[:, 1] >= 1).all())

    def batch(self, moment: Moment) -> FaceBatch:
        """Return the batch of a step, every face drawn alike, half of them in a mirror."""
        count = self._stage.batch
        generator = moment.generator(0)
        index = torch.randint(len(self._known), (count,), generator=generator, device=self._device)
        mirror = torch.rand(count, generator=generator, device=self._device) < 0.5
        degraded, clean, teacher = (_signed(each) for each in self._pictures(index))
        meta = self._meta[index]
        faces = Faces(clean, meta[:, 1], meta[:, 2:].view(-1, 3, 4)).mirrored(mirror)
        flip = mirror[:, None, None, None]
        return FaceBatch(
            degraded=torch.where(flip, degraded.flip(3), degraded),
            clean=faces.image,
            detail=faces.detail,
            boxes_xyxy=faces.boxes_xyxy,
            teacher=torch.where(flip, teacher.flip(3), teacher),
            taught=meta[:, 0] == _TAUGHT,
        )

    def _pictures(self, index_N: Tensor) -> Sequence[Tensor]:
        if self._held is not None:
            return [each[index_N] for each in self._held]
        rows = self._known[index_N.cpu().numpy()]
        return [
            torch.from_numpy(np.stack([each[row] for row in rows])).to(self._device)
            for each in self._arrays
        ]


def _signed(levels_NCHW: Tensor) -> Tensor:
    signed = levels_NCHW.float() / 127.5 - 1
    return signed.contiguous(memory_format=torch.channels_last)


def _levels(picture_CHW: Tensor) -> NDArray[np.uint8]:
    return ((picture_CHW + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy()


def _new(path: Path, kind: type[np.generic], shape: tuple[int, ...]) -> None:
    np.lib.format.open_memmap(path, "w+", dtype=kind, shape=shape).flush()


def _opened(
    folder: Path, *, mode: str
) -> tuple[list["np.memmap[tuple[int, ...], np.dtype[np.uint8]]"],
           "np.memmap[tuple[int, ...], np.dtype[np.float32]]"]:  # fmt: skip
    try:
        pictures = [np.lib.format.open_memmap(folder / f"{name}.npy", mode) for name in _PICTURES]
        meta = np.lib.format.open_memmap(folder / "meta.npy", mode)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: no cache of teacher pairs: {error}") from error
    shapes = {each.shape for each in pictures}
    if len(shapes) != 1 or meta.shape != (pictures[0].shape[0], _META):
        raise ConfigError(f"{folder}: arrays that do not belong together; fill another folder")
    return pictures, meta
