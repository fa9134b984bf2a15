"""Stage: restores crops in batches over frames and faces."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from vidrestore.types import AlignedFace, AlignedFrame, RestoredCrops, RestoredFace, RestoredFrame

Restore: TypeAlias = Callable[[list[AlignedFace]], RestoredCrops]
"""Returns the restored crops of faces whose crops have one size."""


def restore_frames(
    frames: Iterable[AlignedFrame],
    *,
    restore: Restore,
    batch_size: int,
    max_waiting_frames: int,
) -> Iterator[RestoredFrame]:
    """Yield every frame once, in order, with its faces restored.

    A batch runs once ``batch_size`` crops or ``max_waiting_frames`` frames are waiting, so at most
    ``max_waiting_frames`` frames and their crops are buffered.

    Args:
        frames: In order.
        restore: Takes at most ``batch_size`` faces. Crops of different sizes come in different
            batches.
        batch_size: Faces per call of ``restore``, at least 1.
        max_waiting_frames: At least 1.
    """
    if batch_size < 1 or max_waiting_frames < 1:
        raise ValueError("batch_size and max_waiting_frames must be at least 1")
    waiting: list[AlignedFrame] = []
    crops = 0
    for frame in frames:
        waiting.append(frame)
        crops += len(frame.faces)
        if crops == 0 or crops >= batch_size or len(waiting) >= max_waiting_frames:
            yield from _restore_waiting(waiting, restore, batch_size)
            waiting, crops = [], 0
    yield from _restore_waiting(waiting, restore, batch_size)


def _restore_waiting(
    waiting: list[AlignedFrame], restore: Restore, batch_size: int
) -> Iterator[RestoredFrame]:
    faces = [face for frame in waiting for face in frame.faces]
    restored: dict[AlignedFace, RestoredFace] = {}
    for side_px in sorted({face.side_px for face in faces}):
        same_size = [face for face in faces if face.side_px == side_px]
        for start in range(0, len(same_size), batch_size):
            batch = same_size[start : start + batch_size]
            restored |= zip(batch, _restore_batch(batch, restore), strict=True)
    for frame in waiting:
        yield RestoredFrame(
            frame=frame.frame,
            shot=frame.shot,
            faces=tuple(restored[face] for face in frame.faces),
            skipped_faces=frame.skipped_faces,
            is_monochrome=frame.is_monochrome,
        )


def _restore_batch(batch: list[AlignedFace], restore: Restore) -> Iterator[RestoredFace]:
    crops = restore(batch)
    face_masks, head_masks = crops.face_masks_nhw, crops.head_masks_nhw
    for index, (face, image) in enumerate(zip(batch, crops.images_nchw, strict=True)):
        yield RestoredFace(
            aligned=face,
            restored_chw=image,
            face_mask_hw=None if face_masks is None else face_masks[index],
            head_mask_hw=None if head_masks is None else head_masks[index],
            assessment=face.assessment,
        )
