"""A film restored with ``--gpu-stages``: as without, whatever its segments, threads and stops."""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture, three_shot_film
from support.faces import ScriptedDetector, example_images, face_at, frame_of, tracked_at
from support.fake_restorer import ContrastRestorer, InterruptError
from support.restoring import face_at as face_in_frame
from support.safeguards import face_crop
from support.video_copies import frames_of
from torch import Tensor

from vidrestore import JobSettings, RestoreReport, RestoreSettings, restore_video
from vidrestore.models.registry import RestorerSpec
from vidrestore.pipeline.on_device import restore as restore_module
from vidrestore.pipeline.on_device import stages as stages_module
from vidrestore.pipeline.on_device.align import CropRequest, CutCrop, cut_crops
from vidrestore.pipeline.on_device.images.planes import DevicePlanes
from vidrestore.pipeline.on_device.transfers import Download
from vidrestore.pipeline.stages import Stages
from vidrestore.progress import Progress
from vidrestore.restore.restorer import Restorer
from vidrestore.safeguard.identity import IdentityMeter, packaged_dlib_resnet
from vidrestore.stage_timer import Stopwatch
from vidrestore.types import DisplayGeometry, Frame, TrackedFrame

FRAMES = 20
CPU = torch.device("cpu")
MOST_APART = 1
"""Levels of 255 by which a sample may differ from that of the stages for one frame."""
MOST_APART_IN_FIELDS = 2
SHORT = JobSettings(segment_seconds=0.2)
RESUME = JobSettings(segment_seconds=0.2, resume=True)


class OnDevice(Tensor):
    """A tensor that counts as one on the device, which is the CPU."""


def cut_crops_on_device(
    requests: Sequence[CropRequest], *, batch_size: int, device: torch.device
) -> list[CutCrop]:
    crops = cut_crops(requests, batch_size=batch_size, device=device)
    return [crop._replace(crop_chw=crop.crop_chw.as_subclass(OnDevice)) for crop in crops]


pytestmark = pytest.mark.usefixtures("use_fake_restorer")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return three_shot_film(path, frames=FRAMES, stripes=range(8, 12))


def run(
    source: Path,
    target: Path,
    job: JobSettings = SHORT,
    stop_at: int | None = None,
    **settings: object,
) -> RestoreReport:
    def on_progress(progress: Progress) -> None:
        if stop_at is not None and progress.frames_done >= stop_at:
            raise InterruptError

    chosen = {"codec": "ffv1", "device": "cpu", "precision": "fp32", "gpu_stages": True, **settings}
    return restore_video(
        source,
        target,
        settings=RestoreSettings(**chosen),  # type: ignore[arg-type]
        job=job,
        on_progress=on_progress,
    )


def samples(path: Path) -> list[tuple[bytes, ...]]:
    return [tuple(plane.tobytes() for plane in frame.planes) for frame in frames_of(path)]


def most_apart(first: Sequence[Frame], other: Sequence[Frame]) -> float:
    return max(
        float(np.abs(plane.astype(int) - like.astype(int)).max())
        for one, two in zip(first, other, strict=True)
        for plane, like in zip(one.planes, two.planes, strict=True)
    )


@pytest.mark.parametrize("mask", ["head", "face"])
def test_a_film_is_restored_as_without(film: Path, tmp_path: Path, mask: str) -> None:
    report = run(film, tmp_path / "on.mkv", mask=mask)
    expected = run(film, tmp_path / "off.mkv", mask=mask, gpu_stages=False)
    assert report.faces == expected.faces > 10
    on, off = (frames_of(tmp_path / name) for name in ("on.mkv", "off.mkv"))
    assert most_apart(on, off) <= MOST_APART
    assert most_apart(off, frames_of(film)) > 10 * MOST_APART


def test_an_interlaced_film_is_restored_as_without(tmp_path: Path) -> None:
    clip = Clip(
        ticks=tuple(range(6)), size_hw=FACE_SIZE_HW, picture=face_picture, field_order="tff"
    )
    film = make_clip(tmp_path / "film.mkv", clip)
    run(film, tmp_path / "on.mkv")
    run(film, tmp_path / "off.mkv", gpu_stages=False)
    on, off = (frames_of(tmp_path / name) for name in ("on.mkv", "off.mkv"))
    assert most_apart(on, off) <= MOST_APART_IN_FIELDS
    assert most_apart(off, frames_of(film)) > 5 * MOST_APART_IN_FIELDS


def test_an_enlarged_film_is_restored_as_without(film: Path, tmp_path: Path) -> None:
    for name, on in (("on.mkv", True), ("off.mkv", False)):
        run(
            film,
            tmp_path / name,
            background="compact",
            end_seconds=Fraction(1, 10),
            gpu_stages=on,
        )
    on, off = (frames_of(tmp_path / name) for name in ("on.mkv", "off.mkv"))
    assert most_apart(on, off) <= MOST_APART


def test_segments_batches_and_threads_do_not_change_a_sample(film: Path, tmp_path: Path) -> None:
    run(film, tmp_path / "segments.mkv")
    run(film, tmp_path / "whole.mkv", JobSettings(segment_seconds=1000))
    assert samples(tmp_path / "segments.mkv") == samples(tmp_path / "whole.mkv")


def test_a_resumed_run_gives_the_bytes_of_an_uninterrupted_one(film: Path, tmp_path: Path) -> None:
    run(film, tmp_path / "whole.mkv")
    with pytest.raises(InterruptError):
        run(film, tmp_path / "out.mkv", stop_at=12)
    run(film, tmp_path / "out.mkv", RESUME)
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_the_report_says_why_a_network_was_not_recorded(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Restorer, "recording_failure", "it reads a value")
    report = run(film, tmp_path / "out.mkv", end_seconds=Fraction(1, 10))
    assert any("CUDA graph" in note and "it reads a value" in note for note in report.notes)


def stages(
    batch_size: int = 4, *, overlap: bool = False, on: bool = True, guarded: bool = False
) -> Stages:
    meter = IdentityMeter(packaged_dlib_resnet(), device=CPU) if guarded else None
    spec = RestorerSpec(build=ContrastRestorer, crop_size_px=512, license="none")
    restorer = Restorer(ContrastRestorer(), spec, device=CPU, dtype=torch.float32, detail=0.5)
    return Stages(
        detector=ScriptedDetector({}),
        restorer=restorer,
        geometry=DisplayGeometry(coded_hw=(128, 128)),
        settings=RestoreSettings(min_face_px=12, gpu_stages=on, keep_good=0.0),
        batch_size=batch_size,
        stopwatch=Stopwatch(),
        overlap=overlap,
        meter=meter,
    )


def tracked(count: int, faces: int = 1) -> list[TrackedFrame]:
    found = face_at((62.0, 62.0), eyes_px=32.0)
    face = tracked_at(found.landmarks_xy, box_xyxy=found.box_xyxy)
    others = tuple(replace(face, track_id=number + 1) for number in range(faces))
    picture = example_images(1)[0][0:256:2, 170:426:2]
    return [
        TrackedFrame(
            frame=frame_of(np.roll(picture, index, axis=0), index=index, ticks=3600 * index),
            shot=0,
            faces=others,
        )
        for index in range(count)
    ]


def test_three_threads_give_the_samples_of_one() -> None:
    frames = tracked(9)
    one, three = (list(stages(overlap=overlap).restore(frames)) for overlap in (False, True))
    for first, other in zip(one, three, strict=True):
        assert most_apart([first.frame], [other.frame]) == 0


def frontal(count: int) -> list[TrackedFrame]:
    """Return frames that a face fills, which moves up and down."""
    small = cv2.resize(face_crop(), (128, 128), interpolation=cv2.INTER_AREA)
    picture = (small * 255).round().astype(np.uint8)
    face = face_in_frame((63.5, 63.5), size_px=128)
    moved = [np.roll(picture, index % 2, axis=0) for index in range(count)]
    return [
        TrackedFrame(frame=frame_of(each, index=index, ticks=3600 * index), shot=0, faces=(face,))
        for index, each in enumerate(moved)
    ]


def test_faces_are_assessed_and_strengthened_as_without() -> None:
    frames = frontal(9)
    on, off = (list(stages(on=on, guarded=True).restore(frames)) for on in (True, False))
    for frame, expected in zip(on, off, strict=True):
        assert most_apart([frame.frame], [expected.frame]) <= MOST_APART
        (face,), (other,) = frame.faces, expected.faces
        assert face.restored
        assert face.assessment.reason == other.assessment.reason
        assert face.assessment.strength == pytest.approx(other.assessment.strength, abs=1e-3)
        similarity, like = (item.assessment.identity_similarity for item in (face, other))
        # On the device it is measured in every fifth frame; elsewhere, of a face that is surely the
        # same, in every eighth.
        assert similarity == pytest.approx(like, abs=5e-3)
        assert face.luma_after == pytest.approx(other.luma_after, abs=0.1)


def test_a_crop_is_uploaded_once_after_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded: list[int] = []

    def upload(images: Sequence[Tensor], device: torch.device) -> list[Tensor]:
        uploaded.append(sum(not isinstance(image, OnDevice) for image in images))
        return [image.as_subclass(OnDevice) for image in images]

    downloaded = Download.wait

    def wait(download: Download) -> list[Tensor]:
        return [tensor.as_subclass(Tensor) for tensor in downloaded(download)]

    monkeypatch.setattr(Download, "wait", wait)
    monkeypatch.setattr(stages_module, "upload_images", upload)
    monkeypatch.setattr(stages_module, "cut_crops", cut_crops_on_device)
    assert len(list(stages(guarded=True).restore(frontal(9)))) == sum(uploaded) == 9


@pytest.mark.parametrize(
    ("module", "name"), [(stages_module, "StartedChanges"), (restore_module, "filter_matrices")]
)
def test_memory_that_runs_out_once_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
) -> None:
    real, calls = getattr(module, name), count()

    def fail_once(*given: object, **more: object) -> object:
        if next(calls) == 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(*given, **more)

    monkeypatch.setattr(module, name, fail_once)
    assert len(list(stages(guarded=True).restore(frontal(4)))) == 4
    assert next(calls) > 1


@pytest.mark.parametrize(("guarded", "batches"), [(False, 6), (True, 8)])
def test_memory_is_bounded(guarded: bool, batches: int) -> None:
    connected = stages(guarded=guarded)
    asked = 0

    def counted() -> Iterator[TrackedFrame]:
        nonlocal asked
        for frame in tracked(70):
            asked += 1
            yield frame

    most_ahead = most_held = 0
    for done, _ in enumerate(connected.restore(counted())):
        most_ahead = max(most_ahead, asked - done)
        if done % 20 == 10:
            held = sum(type(item) is DevicePlanes for item in gc.get_objects())
            most_held = max(most_held, held)
    assert most_ahead <= connected.context_frames + batches * connected.batch_size + 16
    assert 0 < most_held <= most_ahead + connected.batch_size
    gc.collect()
    assert not any(type(item) is DevicePlanes for item in gc.get_objects())


def test_frames_without_faces_are_not_touched() -> None:
    frames = tracked(5, faces=0)
    for finished, before in zip(stages().restore(frames), frames, strict=True):
        assert finished.frame is before.frame
