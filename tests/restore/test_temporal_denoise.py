from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from support.faces import example_images, frame_with_crops
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.restore.settings import TemporalConfig
from vidrestore.restore.temporal_denoise import denoise_clip, denoise_frames
from vidrestore.types import AlignedFrame
from vidrestore.warp import average_areas

CONFIG = TemporalConfig()


def crop(seed: int, *, scene: int = 0, sigma: float = 0.04) -> Tensor:
    """Return a face index rest, or what scene 1 shows in its place, with the noise of ``seed``."""
    left = 170 if scene == 0 else 0
    square = torch.from_numpy(example_images(1)[0][0:256, left : left + 256].copy())
    clean = (square.permute(2, 0, 1).float() / 255).repeat_interleave(2, 1).repeat_interleave(2, 2)
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return (clean + torch.from_numpy(noise.astype(np.float32))).clamp(0, 1)


def restorer_inputs(frames: Sequence[AlignedFrame]) -> list[Tensor]:
    return [frame.faces[0].restorer_input_chw for frame in denoise_frames(frames, config=CONFIG)]


def test_denoising_halves_the_trembling_of_a_noisy_still_face() -> None:
    clip = [crop(seed) for seed in range(6)]
    denoised = list(denoise_clip(clip, config=CONFIG))
    trembling = [float(torch.stack(crops).diff(dim=0).abs().mean()) for crops in (clip, denoised)]
    assert len(denoised) == len(clip)
    assert trembling[1] < 0.5 * trembling[0]


def test_a_track_and_a_clip_are_denoised_alike() -> None:
    clip = [crop(seed) for seed in range(4)]
    frames = [frame_with_crops(index, [(7, image)]) for index, image in enumerate(clip)]
    alone = denoise_clip(clip, config=CONFIG, coarse_color=True)  # as the gray frames
    for result, expected in zip(restorer_inputs(frames), alone, strict=True):
        assert torch.equal(result, expected)


def test_frames_across_a_shot_change_have_no_influence() -> None:
    before = [frame_with_crops(index, [(1, crop(index, scene=1))]) for index in range(3)]
    after = [frame_with_crops(3 + index, [(2, crop(10 + index))]) for index in range(3)]
    alone, together = restorer_inputs(after), restorer_inputs([*before, *after])
    for result, expected in zip(together[3:], alone, strict=True):
        assert torch.equal(result, expected)


def test_a_single_image_is_not_denoised() -> None:
    (only,) = denoise_frames([frame_with_crops(0, [(1, crop(0)), (2, crop(1))])], config=CONFIG)
    assert [face.denoised_chw for face in only.faces] == [None, None]
    assert only.faces[0].restorer_input_chw is only.faces[0].crop_chw


def test_faces_are_averaged_within_their_track_only() -> None:
    frames = [
        frame_with_crops(0, [(1, crop(0)), (2, crop(1, scene=1))]),
        frame_with_crops(1, [(2, crop(2, scene=1))]),
        frame_with_crops(2, []),
        frame_with_crops(3, [(1, crop(3))]),
    ]
    done = list(denoise_frames(frames, config=CONFIG))
    assert [frame.frame.index for frame in done] == [0, 1, 2, 3]
    assert [[face.face.track_id for face in frame.faces] for frame in done] == [
        [1, 2],
        [2],
        [],
        [1],
    ]
    first, second = done[0].faces
    assert first.denoised_chw is None
    assert second.denoised_chw is not None
    assert done[3].faces[0].denoised_chw is None


def test_a_frame_depends_only_on_its_window() -> None:
    clip = [crop(seed) for seed in range(7)]
    full = list(denoise_clip(clip, config=CONFIG))
    part = list(denoise_clip(clip[1:6], config=CONFIG))
    assert torch.equal(full[3], part[2])


def test_only_the_later_neighbors_are_buffered() -> None:
    taken = 0

    def frames() -> Iterator[AlignedFrame]:
        nonlocal taken
        for index in range(12):
            taken += 1
            yield frame_with_crops(index, [])

    for given, _ in enumerate(denoise_frames(frames(), config=CONFIG)):
        assert taken - given <= CONFIG.context_frames + 1
    assert taken == 12


@pytest.mark.parametrize(
    ("setting", "value"), [("strength", 1.5), ("strength", -0.1), ("context_frames", 0)]
)
def test_settings_out_of_range_are_refused(setting: str, value: float) -> None:
    with pytest.raises(ConfigError, match=str(value)):
        TemporalConfig(**{setting: value})  # pyright: ignore[reportArgumentType]


def test_crops_of_another_size_are_no_neighbors() -> None:
    large = [crop(index) for index in range(3)]
    small = [average_areas(crop(10 + index), (256, 256)) for index in range(3)]
    frames = [frame_with_crops(index, [(1, image)]) for index, image in enumerate([*large, *small])]
    alone = [*restorer_inputs(frames[:3]), *restorer_inputs(frames[3:])]
    for result, expected in zip(restorer_inputs(frames), alone, strict=True):
        assert torch.equal(result, expected)
