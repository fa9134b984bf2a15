"""The restore stage: crops gathered over frames and faces, given back in order."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from vidrestore.restore.crops import RestoredCrops
from vidrestore.types import AlignedFrame, RestoredFace, RestoredFrame


def restore_frames(
    frames: Iterable[AlignedFrame],
    *,
    restore: Callable[[Tensor], RestoredCrops],
    batch_size: int,
    max_waiting_frames: int,
) -> Iterator[RestoredFrame]:
    """Yield every frame once, in order, with its faces restored.

    A batch runs as soon as ``batch_size`` crops are there, or ``max_waiting_frames`` frames
    wait; so at most ``max_waiting_frames`` frames and their crops are held.

    Args:
        frames: In order.
        restore: Takes ``(N, 3, S, S)``, N at most ``batch_size``, and keeps the shape.
        batch_size: Crops per call of ``restore``, at least 1.
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
            yield from _flushed(waiting, restore, batch_size)
            waiting, crops = [], 0
    yield from _flushed(waiting, restore, batch_size)


def _flushed(
    waiting: list[AlignedFrame], restore: Callable[[Tensor], RestoredCrops], batch_size: int
) -> Iterator[RestoredFrame]:
    faces = [face for each in waiting for face in each.faces]
    restored: list[RestoredFace] = []
    for start in range(0, len(faces), batch_size):
        batch = faces[start : start + batch_size]
        crops = restore(torch.stack([face.restorer_input_chw for face in batch]))
        region, head = crops.face_masks_nhw, crops.head_nhw
        restored += [
            RestoredFace(
                aligned=face,
                restored_chw=image,
                face_mask_hw=None if region is None else region[at],
                head_hw=None if head is None else head[at],
                assessment=face.assessment,
            )
            for at, (face, image) in enumerate(zip(batch, crops.images_nchw, strict=True))
        ]
    at = 0
    for each in waiting:
        own = tuple(restored[at : at + len(each.faces)])
        at += len(each.faces)
        yield RestoredFrame(
            frame=each.frame,
            shot=each.shot,
            faces=own,
            skipped_faces=each.skipped_faces,
            is_monochrome=each.is_monochrome,
        )
