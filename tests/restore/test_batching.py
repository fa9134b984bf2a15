from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle

import pytest
import torch
from support.faces import frame_with_crops

from vidrestore.restore.batching import Restore, restore_frames
from vidrestore.types import AlignedFrame, RestoredCrops


def aligned_frame(index: int, faces: int, *, sides_px: Sequence[int] = (512,)) -> AlignedFrame:
    """Return a frame whose crops are filled with their track's number, of these sides in turn."""
    numbers = [100 * index + face for face in range(faces)]
    sides = zip(numbers, cycle(sides_px), strict=False)
    return frame_with_crops(
        index, ((number, torch.full((3, side, side), float(number))) for number, side in sides)
    )


def unchanged(crops: torch.Tensor) -> RestoredCrops:
    return RestoredCrops(images_nchw=crops)


def of_crops(restore: Callable[[torch.Tensor], RestoredCrops]) -> Restore:
    return lambda faces: restore(torch.stack([face.restorer_input_chw for face in faces]))


COUNTS = (0, 1, 3, 0, 0, 2, 1, 0, 4, 1)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 64])
def test_every_frame_is_returned_once_in_order_with_its_faces(batch_size: int) -> None:
    calls: list[int] = []

    def restore(crops: torch.Tensor) -> RestoredCrops:
        calls.append(len(crops))
        return unchanged(crops + 0.5)

    frames = [aligned_frame(index, faces) for index, faces in enumerate(COUNTS)]
    done = list(
        restore_frames(
            frames, restore=of_crops(restore), batch_size=batch_size, max_waiting_frames=5
        )
    )
    assert [frame.frame.index for frame in done] == list(range(len(COUNTS)))
    for restored, given in zip(done, frames, strict=True):
        assert [face.aligned for face in restored.faces] == list(given.faces)
        for face in restored.faces:
            assert float(face.restored_chw[0, 0, 0]) == face.aligned.face.track_id + 0.5
    assert max(calls) <= batch_size
    assert sum(calls) == sum(COUNTS)


def test_crops_of_several_frames_share_a_batch() -> None:
    calls: list[int] = []

    def restore(crops: torch.Tensor) -> RestoredCrops:
        calls.append(len(crops))
        return unchanged(crops)

    frames = [aligned_frame(index, 1) for index in range(8)]
    list(restore_frames(frames, restore=of_crops(restore), batch_size=4, max_waiting_frames=16))
    assert calls == [4, 4]


def test_the_number_of_waiting_frames_is_bounded() -> None:
    taken = 0

    def frames() -> Iterator[AlignedFrame]:
        nonlocal taken
        for index in range(40):
            taken += 1
            yield aligned_frame(index, 1 if index == 0 else 0)

    given = 0
    for _ in restore_frames(
        frames(), restore=of_crops(unchanged), batch_size=8, max_waiting_frames=6
    ):
        assert taken - given <= 6
        given += 1
    assert given == 40


def test_frames_without_faces_do_not_wait() -> None:
    stream = restore_frames(
        (aligned_frame(index, 0) for index in range(3)),
        restore=of_crops(unchanged),
        batch_size=8,
        max_waiting_frames=6,
    )
    assert next(stream).frame.index == 0


def test_each_face_gets_the_masks_of_its_own_crop() -> None:
    def restore(crops: torch.Tensor) -> RestoredCrops:
        masks = crops[:, 0, :4, :4] / 1000
        return RestoredCrops(images_nchw=crops, face_masks_nhw=masks, head_masks_nhw=masks / 2)

    frames = [aligned_frame(index, faces) for index, faces in enumerate(COUNTS)]
    stream = restore_frames(frames, restore=of_crops(restore), batch_size=3, max_waiting_frames=5)
    faces = [face for frame in stream for face in frame.faces]
    assert len(faces) == sum(COUNTS)
    for face in faces:
        assert face.face_mask_hw is not None
        assert face.face_mask_hw.shape == (4, 4)
        assert float(face.face_mask_hw[0, 0]) == pytest.approx(face.aligned.face.track_id / 1000)
        assert face.head_mask_hw is not None
        assert float(face.head_mask_hw[0, 0]) == pytest.approx(face.aligned.face.track_id / 2000)


def test_padding_of_a_batch_is_removed() -> None:
    faces, heads = torch.rand(3, 4, 4), torch.rand(3, 4, 4)
    crops = RestoredCrops(
        images_nchw=torch.rand(3, 3, 8, 8), face_masks_nhw=faces, head_masks_nhw=heads
    )
    kept = crops.first(2)
    assert kept.face_masks_nhw is not None
    assert kept.head_masks_nhw is not None
    torch.testing.assert_close(kept.images_nchw, crops.images_nchw[:2])
    torch.testing.assert_close(kept.face_masks_nhw, faces[:2])
    torch.testing.assert_close(kept.head_masks_nhw, heads[:2])


@pytest.mark.parametrize("name", ["face_masks_nhw", "head_masks_nhw"])
def test_masks_of_fewer_crops_than_images_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="2 crops, but 1 masks"):
        RestoredCrops(images_nchw=torch.zeros(2, 3, 8, 8), **{name: torch.zeros(1, 4, 4)})


def test_the_restorer_gets_the_denoised_crop_if_it_exists() -> None:
    frame = aligned_frame(0, 2)
    denoised = replace(frame.faces[0], denoised_chw=torch.full((3, 512, 512), 7.0))
    (done,) = restore_frames(
        [replace(frame, faces=(denoised, frame.faces[1]))],
        restore=of_crops(unchanged),
        batch_size=8,
        max_waiting_frames=6,
    )
    assert [float(face.restored_chw[0, 0, 0]) for face in done.faces] == [7.0, 1.0]
    assert float(done.faces[0].aligned.crop_chw[0, 0, 0]) == 0.0


def test_crops_of_different_sizes_come_in_different_batches() -> None:
    sizes: list[tuple[int, int]] = []

    def restore(crops: torch.Tensor) -> RestoredCrops:
        sizes.append((len(crops), crops.shape[-1]))
        return RestoredCrops(images_nchw=crops)

    frames = [aligned_frame(index, 3, sides_px=(512, 256)) for index in range(2)]
    done = list(
        restore_frames(iter(frames), restore=of_crops(restore), batch_size=6, max_waiting_frames=4)
    )
    assert sizes == [(2, 256), (4, 512)]
    for before, after in zip(frames, done, strict=True):
        assert [face.aligned for face in after.faces] == list(before.faces)
        for face in after.faces:
            assert torch.equal(face.restored_chw, face.aligned.crop_chw)
