"""Detail blended inside the pipeline: what a frame depends on, and what turns it off."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from threading import active_count

import numpy as np
import pytest
import torch
from support.faces import ScriptedDetector, example_images, face_at, frame_of, tracked_at
from torch import Tensor, nn

from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.registry import RestorerSpec
from vidrestore.pipeline import stages as stages_module
from vidrestore.pipeline.stages import Stages
from vidrestore.restore.restorer import Restorer
from vidrestore.restore.settings import TemporalConfig
from vidrestore.settings import RestoreSettings
from vidrestore.stage_timer import Stopwatch
from vidrestore.types import DisplayGeometry, FinishedFrame, TrackedFrame

SIZE_HW = (128, 128)
POINTS = face_at((62.0, 62.0), eyes_px=32.0)


class Unsteady(nn.Module):
    """Sharpens, and draws lines that differ with the least change of the crop."""

    def forward(self, image: Tensor) -> RestorerOutput:
        drawn = 0.1 * torch.sin(4000.0 * image.mean(dim=(1, 2, 3), keepdim=True) + 40.0 * image)
        return RestorerOutput(image=image + drawn)


def stages(steady: float, batch_size: int = 4) -> Stages:
    spec = RestorerSpec(build=Unsteady, crop_size_px=512, license="none")
    return Stages(
        detector=ScriptedDetector({}),
        restorer=Restorer(Unsteady(), spec, device=torch.device("cpu"), dtype=torch.float32),
        geometry=DisplayGeometry(coded_hw=SIZE_HW),
        settings=RestoreSettings(grain=0, steady=steady, min_face_px=12),
        batch_size=batch_size,
        stopwatch=Stopwatch(),
    )


def tracked_frames_with_noise(count: int) -> list[TrackedFrame]:
    """Return frames of a face at rest, each with different noise."""
    picture = example_images(1)[0][0:256:2, 170:426:2].astype(np.float32)
    face = tracked_at(POINTS.landmarks_xy, box_xyxy=POINTS.box_xyxy)
    frames: list[TrackedFrame] = []
    for index in range(count):
        noise = np.random.default_rng(index).normal(0, 4, picture.shape)
        rgb = np.clip(picture + noise, 0, 255).astype(np.uint8)
        frames.append(
            TrackedFrame(
                frame=frame_of(rgb, index=index, ticks=3600 * index), shot=0, faces=(face,)
            )
        )
    return frames


def samples(finished: Sequence[FinishedFrame], index: int) -> bytes:
    (result,) = (frame for frame in finished if frame.source.index == index)
    return b"".join(plane.tobytes() for plane in result.frame.planes)


def test_a_frame_depends_on_its_context_frames_and_no_others() -> None:
    frames, at = tracked_frames_with_noise(16), 8
    full = samples(list(stages(1.0).restore(frames)), at)
    # The landmarks rest, so smoothing them reaches nowhere: what is left is two to each side
    # before the network, and four after it.
    near, nearer = (
        samples(list(stages(1.0).restore(frames[at - context : at + context + 1])), at)
        for context in (6, 5)
    )
    assert near == full
    assert nearer != full


def test_a_segment_with_its_context_frames_gives_the_frames_of_the_full_film() -> None:
    context = stages(1.0).context_frames
    frames = tracked_frames_with_noise(context + 4)
    full = list(stages(1.0).restore(frames))
    part = list(stages(1.0).restore(frames[2:]))
    assert [samples(part, at) for at in (context + 2, context + 3)] == [
        samples(full, at) for at in (context + 2, context + 3)
    ]


def test_without_blending_fewer_context_frames_are_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("detail is blended")

    assert stages(1.0).context_frames == stages(0.0).context_frames + 6
    monkeypatch.setattr(stages_module, "blend_pasted", never)
    monkeypatch.setattr(stages_module, "denoise_frames", never)
    frames = tracked_frames_with_noise(3)
    alone = list(stages(0.0).restore(frames))
    assert samples(alone, 1) == samples(list(stages(0.0).restore(frames[1:2])), 1)


@pytest.mark.parametrize(("steady", "grain"), [(0.3, 0.2), (0.3, 0.0), (0.0, 0.2)])
def test_blending_gets_the_settings_of_the_run(
    steady: float, grain: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[float, float]] = []

    def blend(frames: object, *, config: TemporalConfig, grain: float) -> object:
        given.append((config.strength, grain))
        return frames

    monkeypatch.setattr(stages_module, "blend_pasted", blend)
    settings = replace(stages(steady).settings, grain=grain)
    list(replace(stages(steady), settings=settings).restore(tracked_frames_with_noise(1)))
    assert given == [(steady, grain)]


def passed_on(frames: object, **_: object) -> object:
    return frames


def test_blending_reduces_flicker_of_generated_detail(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = tracked_frames_with_noise(6)

    def trembling() -> float:
        finished = list(stages(1.0).restore(frames))
        lumas = [frame.frame.planes[0].astype(np.float32) for frame in finished]
        return float(np.abs(np.diff(lumas, axis=0))[:, 40:90, 40:90].mean())

    with_blending = trembling()
    monkeypatch.setattr(stages_module, "blend_pasted", passed_on)
    assert with_blending < 0.7 * trembling()


def test_the_number_of_threads_does_not_change_the_samples() -> None:
    frames = tracked_frames_with_noise(9)
    one, three = (
        list(replace(stages(1.0), overlap=overlap).restore(frames)) for overlap in (False, True)
    )
    assert [samples(one, index) for index in range(9)] == [
        samples(three, index) for index in range(9)
    ]


def test_closing_the_generator_ends_its_threads() -> None:
    before = active_count()
    with closing(stages(1.0).restore(tracked_frames_with_noise(30))) as finished:
        next(finished)
        assert active_count() > before
    assert active_count() == before


def test_an_error_of_the_input_is_raised_in_the_caller() -> None:
    def broken() -> Iterator[TrackedFrame]:
        yield from tracked_frames_with_noise(3)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(stages(1.0).restore(broken()))
