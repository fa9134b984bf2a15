"""Interlaced and telecined films from file to file."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import Clip, Sound, make_clip, packets_of, run_ffmpeg
from support.faceclips import face_picture
from support.fields import (
    LOSSLESS,
    best_matching_instant,
    combing,
    interlaced_clip,
    interlaced_picture,
    moving_picture,
    telecined_clip,
    telecined_picture,
)
from support.video_copies import frames_of

from vidrestore import JobSettings, RestoreReport, RestoreSettings
from vidrestore.errors import ConfigError, MediaError
from vidrestore.jobs.run import restore_video
from vidrestore.media.input.video_info import probe
from vidrestore.record import RecordReader
from vidrestore.settings import Deinterlace

SIZE_HW = (48, 96)
FRAMES = 12
FACE_HW = (240, 320)
SETTINGS = RestoreSettings(codec="ffv1", device="cpu", precision="fp32")


def restore(
    source: Path, name: str = "out.mkv", *, job: JobSettings | None = None, **settings: object
) -> tuple[Path, RestoreReport]:
    target = source.with_name(name)
    chosen = replace(SETTINGS, **settings)  # type: ignore[arg-type]
    return target, restore_video(source, target, settings=chosen, job=job)


def assert_same_frames(one: Path, other: Path) -> None:
    for old, new in zip(frames_of(one), frames_of(other), strict=True):
        assert new.timestamp.seconds == old.timestamp.seconds
        assert (new.interlaced, new.top_field_first) == (old.interlaced, old.top_field_first)
        for before, after in zip(old.planes, new.planes, strict=True):
            np.testing.assert_array_equal(before, after)


def flags_of(path: Path) -> tuple[set[bool], int]:
    """Return which frames a decoder calls interlaced, and FFmpeg's code of the field order."""
    with av.open(str(path)) as container:
        flags = {frame.interlaced_frame for frame in container.decode(video=0)}
        return flags, container.streams.video[0].codec_context.field_order


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le"])
@pytest.mark.parametrize(("order", "code"), [("tff", 2), ("bff", 3)])
def test_an_interlaced_film_without_faces_is_unchanged_bit_for_bit(
    tmp_path: Path, order: str, code: int, pixel_format: str
) -> None:
    path = interlaced_clip(tmp_path / "film.mkv", order=order, pixel_format=pixel_format)

    target, report = restore(path)

    assert_same_frames(path, target)
    assert flags_of(target) == flags_of(path) == ({True}, code)
    assert any("each field was restored separately" in note for note in report.notes)


@pytest.mark.parametrize(
    ("codec", "coding"),
    [
        ("libx264", ("-flags", "+ilme+ildct", "-x264-params", "bff=1")),
        ("mpeg2video", ("-flags", "+ilme+ildct", "-q:v", "2", "-vf", "setfield=bff")),
    ],
)
def test_interlaced_films_of_other_codecs_keep_their_field_flags(
    tmp_path: Path, codec: str, coding: tuple[str, ...]
) -> None:
    plain = interlaced_clip(tmp_path / "plain.mkv", order="bff")
    path = tmp_path / "film.mkv"
    run_ffmpeg("-i", plain, "-c:v", codec, *coding, path)

    lossless, _ = restore(path, "lossless.mkv")
    fields, _ = restore(path, "fields.mkv", codec="h264")

    assert_same_frames(path, lossless)
    assert flags_of(path)[0] == flags_of(fields)[0] == {True}
    assert probe(fields).field_order == probe(path).field_order == "bottom first"


def test_fields_without_flags_are_detected_and_stay_without_flags(tmp_path: Path) -> None:
    path = interlaced_clip(
        tmp_path / "film.mkv", order="bff", flagged=False, ticks=tuple(range(20))
    )

    target, report = restore(path)

    assert_same_frames(path, target)
    assert flags_of(target)[0] == {False}
    assert "interlaced, bottom field first (seen in 20 of 20 frames, not flagged)" in str(
        report.notes
    )


@pytest.mark.parametrize(("wish", "share"), [("frame", 1), ("field", 2)])
def test_a_deinterlaced_film_is_progressive_with_exact_times_and_its_audio(
    tmp_path: Path, wish: Deinterlace, share: int
) -> None:
    ticks = (0, 3, 4, 10, 11, 12, 20, 21, 30, 31, 32, 40)
    path = interlaced_clip(
        tmp_path / "film.mp4",
        codec="libx264",
        options={"preset": "veryfast", "x264-params": "tff=1", "crf": "4"},
        ticks=ticks,
        time_base=Fraction(1, 100),
        last_duration_ticks=4,
        sounds=(Sound(seconds=Fraction(2, 5)),),
    )

    target, report = restore(path, "out.mp4", deinterlace=wish, codec="h264", crf=4)

    before, after = frames_of(path), frames_of(target)
    assert report.frames == len(after) == share * FRAMES
    starts = [frame.timestamp.seconds for frame in before]
    last = before[-1]
    ends = [*starts[1:], starts[-1] + last.duration_ticks * last.timestamp.time_base]
    halves = [(start + end) / 2 for start, end in zip(starts, ends, strict=True)]
    expected = starts if share == 1 else sorted([*starts, *halves])
    assert [frame.timestamp.seconds for frame in after] == expected
    assert flags_of(target) == ({False}, 1)
    instants = [*range(2 * FRAMES)][:: 3 - share]
    assert [
        best_matching_instant(frame.planes[0], SIZE_HW, range(2 * FRAMES)) for frame in after
    ] == instants
    assert all(combing(frame.planes[0]) < 0.3 for frame in after)
    old, new = (packets_of(film, "audio") for film in (path, target))
    assert [(packet.pts, packet.data) for packet in old] == [
        (packet.pts, packet.data) for packet in new
    ]


def test_pulldown_is_removed_on_request_and_otherwise_reported(tmp_path: Path) -> None:
    path = telecined_clip(tmp_path / "film.mkv", 25)

    kept, hinted = restore(path, "kept.mkv")
    target, report = restore(path, "out.mp4", pulldown=True, codec="h264", crf=4)

    assert_same_frames(path, kept)
    assert "3:2 pulldown is seen: --pulldown recovers the original frames" in hinted.notes
    frames = frames_of(target)
    assert report.frames == len(frames) == 20
    assert [best_matching_instant(frame.planes[0], SIZE_HW, range(20)) for frame in frames] == [
        *range(20)
    ]
    assert probe(target).average_rate == pytest.approx(Fraction(24_000, 1001), rel=1e-3)
    assert flags_of(target) == ({False}, 1)


def test_frames_left_combed_by_pulldown_removal_are_deinterlaced(tmp_path: Path) -> None:
    def picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        return (telecined_picture if number < 15 else interlaced_picture)(number, size_hw)

    path = telecined_clip(tmp_path / "film.mkv", 25, picture=picture)
    target, _ = restore(path, pulldown=True)
    assert all(combing(frame.planes[0]) < 0.3 for frame in frames_of(target))


@pytest.fixture(scope="module")
def face_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face that moves to the right from field to field, frame by frame in one direction."""

    def moment(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        wide = face_picture(number // 2, (size_hw[0], size_hw[1] + 80))
        return np.ascontiguousarray(wide[:, 60 - 6 * number :][:, : size_hw[1]])

    def picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        woven = moment(2 * number, size_hw)
        woven[1::2] = moment(2 * number + 1, size_hw)[1::2]
        return woven

    clip = Clip(**LOSSLESS, picture=picture, field_order="tff", size_hw=FACE_HW, ticks=range(5))
    return make_clip(tmp_path_factory.mktemp("face") / "face.mkv", clip)


def test_a_moving_face_is_restored_in_both_fields_and_nothing_else_changes(
    face_film: Path,
) -> None:
    record = face_film.with_name("out.jsonl")
    target, report = restore(face_film, record=record)

    with RecordReader(record) as reader:
        lines = list(reader)
    assert report.faces == len(lines) == 5
    for before, after, line in zip(frames_of(face_film), frames_of(target), lines, strict=True):
        (face,) = line.faces
        assert face.mask_xyxy is not None
        left, top, right, bottom = face.mask_xyxy
        for step, old, new in zip((1, 2, 2), before.planes, after.planes, strict=True):
            changed = old != new
            inside = np.zeros(old.shape, bool)
            inside[top // step : -(-bottom // step), left // step : -(-right // step)] = True
            assert not changed[~inside].any()
            shares = [changed[parity::2].mean() for parity in (0, 1)]
            assert min(shares) > 0.5 * max(shares) > 0
        # Each field still shows its own moment: rows of the two differ as much as before.
        box = (slice(top, bottom), slice(left, right))
        assert combing(after.planes[0][box]) > 0.7 * combing(before.planes[0][box])


def test_segment_boundaries_do_not_change_restored_fields(face_film: Path) -> None:
    whole, _ = restore(face_film, "whole.mkv", overwrite=True)
    parts, _ = restore(
        face_film, "parts.mkv", overwrite=True, job=JobSettings(segment_seconds=0.04)
    )
    assert_same_frames(whole, parts)


def test_removing_pulldown_from_a_film_without_it_is_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv", Clip(picture=moving_picture, ticks=tuple(range(20))))
    with pytest.raises(MediaError, match=r"film\.mkv: no 3:2 pulldown is seen"):
        restore(path, pulldown=True)


@pytest.mark.parametrize("wish", ["keep", "frame", "field"])
def test_field_settings_do_not_change_a_progressive_film(tmp_path: Path, wish: Deinterlace) -> None:
    path = make_clip(
        tmp_path / "film.mkv",
        Clip(**LOSSLESS, picture=moving_picture, ticks=tuple(range(20))),
    )
    target, report = restore(path, deinterlace=wish)
    assert_same_frames(path, target)
    assert "not flagged as interlaced, and no fields are seen" in str(report.notes)


def test_conflicting_field_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pulldown excludes deinterlace field"):
        RestoreSettings(pulldown=True, deinterlace="field")
    with pytest.raises(ConfigError, match="deinterlace must be one of auto, keep"):
        RestoreSettings(deinterlace="bob")  # type: ignore[arg-type]
    folder = tmp_path / "frames"
    folder.mkdir()
    run_ffmpeg("-f", "lavfi", "-i", "testsrc=d=0.1:s=96x64", folder / "%02d.png")
    with pytest.raises(
        ConfigError, match=r"--deinterlace frame is only for films, but .*frames is a fold"
    ):
        restore_video(folder, tmp_path / "out", settings=replace(SETTINGS, deinterlace="frame"))
