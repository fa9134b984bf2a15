import hashlib
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture
from support.frames import GRAY, random_frame
from support.restoring import face_at
from support.verify_cases import changed_names, find_check, restored_copy, with_sample

from vidrestore import RestoreSettings, restore_video
from vidrestore.media.input.video_info import probe
from vidrestore.pipeline.loading.checkpoints import checkpoint_sha256
from vidrestore.pipeline.record_lines import (
    frame_record,
    output_file,
    plain_settings,
    record_header,
)
from vidrestore.record import RecordReader
from vidrestore.settings import TrackStrength
from vidrestore.types import Assessment, FinishedFace, FinishedFrame
from vidrestore.verify import verify


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = Clip(ticks=tuple(range(4)), size_hw=FACE_SIZE_HW, picture=face_picture)
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", clip)


def packaged_sha256(name: str) -> str:
    data = (files("vidrestore.models") / "data" / name).read_bytes()
    return hashlib.sha256(data).hexdigest()


def test_a_run_with_a_record_can_be_verified(film: Path, tmp_path: Path) -> None:
    record, result = tmp_path / "r.jsonl", tmp_path / "r.mkv"
    settings = RestoreSettings(codec="ffv1", record=record, strength=0.5, device="cpu")

    report = restore_video(film, result, settings=settings)

    with RecordReader(record) as reader:
        header, frames = reader.header, list(reader)
    assert header.source.sha256 == hashlib.sha256(film.read_bytes()).hexdigest()
    assert header.checkpoint_sha256 == report.checkpoint_sha256
    assert header.checkpoint_sha256 == packaged_sha256("lite.safetensors")
    assert header.small_checkpoint_sha256 == report.small_checkpoint_sha256
    assert header.small_checkpoint_sha256 == packaged_sha256("lite_small.safetensors")
    assert header.tiny_checkpoint_sha256 == report.tiny_checkpoint_sha256
    assert header.tiny_checkpoint_sha256 == packaged_sha256("prior.safetensors")
    assert header.output.lossless
    assert len(frames) == report.frames == 4
    faces = [face for frame in frames for face in frame.faces]
    assert len(faces) == report.faces == 4
    assert all(0 < face.strength <= 0.5 and face.mask_xyxy is not None for face in faces)

    verification = verify(film, result, evidence_paths=[record])
    assert changed_names(verification) == []
    assert find_check(verification, "samples outside masks").result == "kept"
    assert find_check(verification, "record").detail.endswith("restored by lite, 4 faces")

    left, top, _, _ = faces[2].mask_xyxy or (0, 0, 0, 0)
    damaged = restored_copy(
        result,
        tmp_path / "harmed.mkv",
        lambda frame: with_sample(frame, index=2, plane=0, x=left - 1, y=top),
    )
    verification = verify(film, damaged, evidence_paths=[record])
    assert changed_names(verification) == ["samples outside masks"]
    where = f"1 sample in 1 frame; first frame 2, plane Y, x {left - 1}, y {top}"
    assert where in find_check(verification, "samples outside masks").detail


def test_a_run_that_fails_leaves_no_record(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mp4", Clip(ticks=tuple(range(3))))
    record = tmp_path / "r.jsonl"

    def stop(progress: object) -> None:
        if getattr(progress, "frames_done", 0) >= 2:
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        restore_video(
            source,
            tmp_path / "r.mkv",
            settings=RestoreSettings(record=record, device="cpu"),
            on_progress=stop,
        )
    assert not record.exists()


@pytest.mark.parametrize(
    ("settings", "target", "codec", "lossless"),
    [
        ({"codec": "ffv1"}, "r.mkv", "ffv1", True),
        ({"codec": "h264", "crf": 0.0}, "r.mp4", "h264", True),
        ({"codec": "h264", "crf": 1.0}, "r.mp4", "h264", False),
        ({"codec": "h264"}, "r.mp4", "h264", False),
        ({"codec": "h265", "crf": 0.0}, "r.mp4", "hevc", False),
        ({"codec": "prores"}, "r.mov", "prores", False),
        ({"codec": "ffv1", "deinterlace": "field"}, "r.mkv", "ffv1", False),
        ({"codec": "ffv1", "deinterlace": "keep"}, "r.mkv", "ffv1", True),
        ({"codec": "ffv1", "pulldown": True}, "r.mkv", "ffv1", False),
        ({"codec": "ffv1", "background": Path("x2.pth")}, "r.mkv", "ffv1", False),
        ({}, "folder", "png", False),
    ],
)
def test_only_lossless_results_are_recorded_as_lossless(
    film: Path, settings: dict[str, object], target: str, codec: str, lossless: bool
) -> None:
    chosen = RestoreSettings(**settings)  # type: ignore[arg-type]
    result = output_file(chosen, probe(film), Path(target))

    assert (result.codec, result.lossless) == (codec, lossless)


def test_ten_bit_h264_is_not_recorded_as_lossless(tmp_path: Path) -> None:
    clip = Clip(codec="ffv1", pixel_format="yuv420p10le", options={})
    info = probe(make_clip(tmp_path / "film.mkv", clip))

    settings = RestoreSettings(codec="h264", crf=0)
    assert not output_file(settings, info, Path("r.mkv")).lossless


def test_settings_are_recorded_as_plain_values_without_folders() -> None:
    settings = RestoreSettings(
        start_seconds=Fraction(3, 2),
        record=Path("/home/someone/r.jsonl"),
        codec="ffv1",
    )

    plain = plain_settings(settings)

    assert plain["start_seconds"] == "3/2"
    assert plain["end_seconds"] is None
    assert plain["record"] == "r.jsonl"
    assert plain["strength"] == 1.0
    assert all(
        value is None or isinstance(value, bool | int | float | str) for value in plain.values()
    )


def blurred_face_picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a face of the usual size with next to no detail."""
    height, width = size_hw
    picture = face_picture(number, size_hw)
    small = cv2.resize(picture, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height)), dtype=np.uint8)


def test_the_prior_draws_a_face_with_next_to_no_detail_unless_detail_is_0(tmp_path: Path) -> None:
    clip = Clip(ticks=tuple(range(4)), size_hw=FACE_SIZE_HW, picture=blurred_face_picture)
    source = make_clip(tmp_path / "blurred.mp4", clip)

    def crops_px(detail: float | None) -> set[int | None]:
        record = tmp_path / "r.jsonl"
        settings = RestoreSettings(record=record, detail=detail, device="cpu", overwrite=True)
        restore_video(source, tmp_path / "r.mkv", settings=settings)
        with RecordReader(record) as reader:
            return {face.crop_px for frame in reader for face in frame.faces}

    assert crops_px(None) == {128}
    assert crops_px(0.0) == {256}


def test_a_checkpoint_is_named_by_its_checksum_and_not_by_its_folder(
    film: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "mine.pth"
    weights.write_bytes(b"weights")
    settings = RestoreSettings(model=str(weights))

    header = record_header(settings, probe(film), Path("r.mkv"), detail=None)

    assert header.checkpoint_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert header.model == "mine.pth"
    assert str(tmp_path) not in str(header)


def test_missing_weights_have_no_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDRESTORE_WEIGHTS", str(tmp_path))

    assert checkpoint_sha256("gfpgan-1.4") is None
    assert checkpoint_sha256("codeformer") is None
    assert checkpoint_sha256("lite") == packaged_sha256("lite.safetensors")


def test_only_weights_for_small_faces_that_are_used_have_a_checksum(film: Path) -> None:
    small = packaged_sha256("lite_small.safetensors")
    tiny = packaged_sha256("prior.safetensors")

    def named(scale: int, detail: float, model: str = "lite") -> tuple[str | None, str | None]:
        settings = RestoreSettings(model=model)
        header = record_header(settings, probe(film), Path("r.mkv"), detail=detail, scale=scale)
        return header.small_checkpoint_sha256, header.tiny_checkpoint_sha256

    assert named(1, 0.5) == (small, tiny)
    assert named(1, 0.0) == (small, None)
    assert named(2, 0.5) == (None, tiny)
    assert named(1, 0.5, model="realesrgan") == (None, None)


def test_the_record_has_the_assessment_of_each_face() -> None:
    frame = random_frame(GRAY, (48, 64), index=7)
    face = replace(face_at((32.0, 24.0), size_px=40, track_id=4), interpolated=True)
    finished = FinishedFrame(
        frame=frame,
        source=frame,
        shot=2,
        faces=(
            FinishedFace(
                face=face,
                assessment=Assessment(strength=0.5, reason="turned far", identity_similarity=0.75),
                mask_xyxy=(1, 2, 30, 40),
                luma_before=100.0,
                # Arithmetic may end a digit beyond.
                luma_after=255.00000000000003,
            ),
        ),
    )

    line = frame_record(
        finished, RestoreSettings(strength=0.1, track_strengths=(TrackStrength(4, 0.5),))
    )

    assert (line.index, line.pts, line.shot) == (frame.index, frame.timestamp.ticks, 2)
    (message,) = line.faces
    assert (message.track, message.interpolated, message.mask_xyxy) == (4, True, (1, 2, 30, 40))
    assert (message.strength, message.reason, message.identity_similarity) == (
        0.25,
        "turned far",
        0.75,
    )
    assert (message.luma_before, message.luma_after) == (100.0, 255.0)
    assert message.points_xy == message.points_measured_xy
    np.testing.assert_allclose(message.points_xy, face.landmarks_xy)
