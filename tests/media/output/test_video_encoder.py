from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.clips import Clip, Sound, make_clip, number_of, packets_of, run_ffmpeg
from support.frames import random_frame
from support.video_copies import copy_video, frames_of, write_output

from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.color.region_rgb import region_to_rgb
from vidrestore.media.input.source import open_source
from vidrestore.media.input.video_info import probe
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.settings import CodecName
from vidrestore.types import DisplayGeometry

VARIABLE_TICKS = (0, 512, 1024, 3000, 3100, 9000, 9512, 20000, 20512, 21024)
TIMESCALE = {"video_track_timescale": "12800"}


def pixels_go_through(folder: Path, name: str, hw: tuple[int, int], suffix: str = ".mkv") -> None:
    """Write noise of a pixel format with FFV1, and read every sample back."""
    frames = [random_frame(PLANAR[name], hw, seed=index, index=index) for index in range(3)]
    seed = make_clip(folder / "seed.mkv", Clip(size_hw=(16, 96)))
    info = probe(seed)
    info = replace(
        info,
        pixel_format=PLANAR[name],
        geometry=DisplayGeometry(coded_hw=hw),
        time_base=Fraction(1, 25),
    )
    target = folder / f"out{suffix}"
    settings = EncoderSettings(codec="ffv1")
    write_output(target, frames, info=info, source_path=None, settings=settings)

    for written, frame in zip(frames_of(target), frames, strict=True):
        kept = written.planes[: len(frame.planes)]
        if PLANAR[name].model == written.pixel_format.model:
            for plane, original in zip(kept, frame.planes, strict=True):
                shift = written.pixel_format.bit_depth - frame.pixel_format.bit_depth
                assert np.array_equal(plane >> shift, original)


LOSSLESS = sorted(name for name in PLANAR if name not in ("yuva420p14le", "yuv440p12le"))


@pytest.mark.parametrize("name", LOSSLESS)
def test_ffv1_keeps_every_sample_of_every_pixel_format(tmp_path: Path, name: str) -> None:
    pixels_go_through(tmp_path, name, (18, 34))


@pytest.mark.parametrize(
    "name", ["yuv420p", "yuv422p10le", "yuv444p", "gray", "gbrp", "yuv420p10le"]
)
def test_ffv1_keeps_every_sample_of_odd_sizes(tmp_path: Path, name: str) -> None:
    pixels_go_through(tmp_path, name, (17, 33))


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("h264", ".mp4"), ("h265", ".mp4"), ("av1", ".mp4"), ("ffv1", ".mkv"), ("prores", ".mov"),
     ("h264", ".mkv"), ("h264", ".ts"), ("h264", ".mov"), ("av1", ".webm")],
)  # fmt: skip
def test_every_codec_keeps_every_frame_at_its_time(
    tmp_path: Path, codec: str, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = make_clip(tmp_path / "film.mp4", Clip(ticks=tuple(range(30)), size_hw=(96, 160)))
    capfd.readouterr()

    copy_video(path, tmp_path / f"out{suffix}", codec=codec)

    frames = frames_of(tmp_path / f"out{suffix}")
    assert [number_of(frame) for frame in frames] == list(range(30))
    first = frames[0].timestamp.seconds
    assert [frame.timestamp.seconds - first for frame in frames] == [
        Fraction(index, 25) for index in range(30)
    ]
    if suffix != ".ts":
        assert first == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
def test_variable_timestamps_and_the_last_duration_are_kept_to_the_tick(
    tmp_path: Path, codec: str
) -> None:
    clip = Clip(
        ticks=VARIABLE_TICKS, time_base=Fraction(1, 12800), last_duration_ticks=7000,
        container_options=TIMESCALE, size_hw=(96, 160),
    )  # fmt: skip
    path = make_clip(tmp_path / "film.mp4", clip)

    copy_video(path, tmp_path / "out.mp4", codec=codec)

    frames = frames_of(tmp_path / "out.mp4")
    assert tuple(frame.timestamp.ticks for frame in frames) == VARIABLE_TICKS
    assert frames[0].timestamp.time_base == Fraction(1, 12800)
    assert frames[-1].duration_ticks == 7000
    ends = [probe(film).duration_seconds for film in (path, tmp_path / "out.mp4")]
    assert ends[1] == pytest.approx(ends[0], abs=1e-6)


def test_rounding_to_the_milliseconds_of_matroska_is_noted(tmp_path: Path) -> None:
    clip = Clip(ticks=VARIABLE_TICKS, time_base=Fraction(1, 12800), container_options=TIMESCALE)
    path = make_clip(tmp_path / "film.mp4", clip)

    notes = copy_video(path, tmp_path / "out.mkv")

    for frame, ticks in zip(frames_of(tmp_path / "out.mkv"), VARIABLE_TICKS, strict=True):
        assert abs(frame.timestamp.seconds - Fraction(ticks, 12800)) <= Fraction(1, 2000)
    assert any("milliseconds" in note for note in notes)


@pytest.mark.parametrize(
    ("ticks", "message"),
    [
        ((0, 40, 83, 120), None),
        ((0, 40, 44, 60, 63, 120), "2 frames have the timestamp of the frame before"),
    ],
)
def test_frames_that_matroska_rounds_to_one_time_are_counted(
    tmp_path: Path, ticks: tuple[int, ...], message: str | None
) -> None:
    path = make_clip(
        tmp_path / "film.mp4",
        Clip(ticks=ticks, time_base=Fraction(1, 12800), container_options=TIMESCALE),
    )

    notes = copy_video(path, tmp_path / "out.mkv", codec="h264")

    assert any("the timestamp of the frame before" in note for note in notes) == (
        message is not None
    )
    assert message is None or any(message in note for note in notes)
    with av.open(str(tmp_path / "out.mkv")) as container:
        presentation_times = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert len(presentation_times) - len(set(presentation_times)) == (2 if message else 0)


def test_unevenly_spaced_frames_in_avi_are_noted(tmp_path: Path) -> None:
    clip = Clip(ticks=VARIABLE_TICKS, time_base=Fraction(1, 12800), container_options=TIMESCALE)
    uneven = make_clip(tmp_path / "uneven.mp4", clip)
    even = make_clip(tmp_path / "even.mp4")

    notes = copy_video(uneven, tmp_path / "uneven.avi", codec="h264")

    assert any("no timestamps" in note for note in notes)
    assert copy_video(even, tmp_path / "even.avi", codec="h264") == []


def test_decoding_times_never_decrease(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mp4", Clip(ticks=tuple(range(30))))
    copy_video(path, tmp_path / "out.mp4", codec="h264")
    with av.open(str(tmp_path / "out.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert all(packet.dts <= packet.pts for packet in packets)
    order = [packet.dts for packet in packets]
    assert order == sorted(set(order))
    assert order != [packet.pts for packet in packets], "no B-frames: this proves nothing"


@pytest.mark.parametrize(
    ("codec", "name"),
    [("h264", "yuv420p10le"), ("h264", "yuv422p"), ("h264", "yuv444p"), ("h264", "yuv422p10le"),
     ("h265", "yuv420p10le"), ("h265", "yuv444p10le"), ("h265", "gbrp"), ("av1", "yuv420p10le"),
     ("ffv1", "yuv422p10le")],
)  # fmt: skip
def test_depth_and_chroma_sampling_are_kept(tmp_path: Path, codec: str, name: str) -> None:
    clip = Clip(ticks=(0, 1, 2, 3), pixel_format=name, size_hw=(96, 160))
    if name == "gbrp":
        clip = Clip(
            ticks=(0, 1, 2), pixel_format="bgr0", codec="ffv1", options={}, size_hw=(96, 160)
        )
    path = make_clip(tmp_path / "film.mkv", clip)

    notes = copy_video(path, tmp_path / "out.mkv", codec=codec)

    assert probe(tmp_path / "out.mkv").pixel_format.name == name
    assert [note for note in notes if "in 4:4:4" not in note] == []


@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "prores", "ffv1"])
def test_odd_sizes_are_not_rounded(tmp_path: Path, codec: str) -> None:
    clip = Clip(codec="ffv1", options={}, size_hw=(75, 131), ticks=tuple(range(5)))
    path = make_clip(tmp_path / "film.mkv", clip)

    copy_video(path, tmp_path / "out.mkv", codec=codec)

    frames = frames_of(tmp_path / "out.mkv")
    assert {frame.coded_hw for frame in frames} == {(75, 131)}
    assert [number_of(frame) for frame in frames] == list(range(5))


def test_a_change_of_pixel_format_is_noted(tmp_path: Path) -> None:
    clip = Clip(codec="ffv1", options={}, pixel_format="yuv422p", ticks=(0, 1))
    path = make_clip(tmp_path / "film.mkv", clip)
    notes = copy_video(path, tmp_path / "out.mkv", codec="av1")
    assert notes == ["yuv422p is encoded as yuv420p: loses chroma resolution"]


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("h264", ".mp4"), ("h264", ".mkv"), ("h265", ".mp4"), ("av1", ".mp4"), ("av1", ".mkv"),
     ("ffv1", ".mkv"), ("prores", ".mov"), ("h264", ".ts")],
)  # fmt: skip
def test_color_tags_and_aspect_are_kept(tmp_path: Path, codec: str, suffix: str) -> None:
    clip = Clip(
        pixel_format="yuv420p10le", color=(9, 9, 16, 1), sample_aspect_ratio=Fraction(16, 11),
        size_hw=(96, 160), ticks=(0, 1, 2, 3),
    )  # fmt: skip
    path = make_clip(tmp_path / "film.mkv", clip)

    copy_video(path, tmp_path / f"out{suffix}", codec=codec)

    before, after = probe(path), probe(tmp_path / f"out{suffix}")
    assert (after.color.matrix, after.color.primaries, after.color.transfer) == (9, 9, 16)
    assert not after.color.full_range
    assert after.color.range_known
    # Matroska keeps the width on screen in whole pixels, not the ratio.
    assert after.geometry.display_hw == before.geometry.display_hw
    if suffix != ".mkv":
        assert after.geometry == before.geometry


@pytest.mark.parametrize("codec", ["h264", "h265", "ffv1"])
def test_full_range_stays_full_range(tmp_path: Path, codec: str) -> None:
    path = make_clip(tmp_path / "film.mkv", Clip(color=(6, 6, 6, 2), size_hw=(96, 160)))
    copy_video(path, tmp_path / "out.mkv", codec=codec)
    assert probe(tmp_path / "out.mkv").color.full_range


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_chroma_siting_is_kept(tmp_path: Path, codec: str) -> None:
    options = {"preset": "veryfast", "chroma_sample_location": "topleft"}
    path = make_clip(tmp_path / "film.mkv", Clip(options=options, size_hw=(96, 160)))
    copy_video(path, tmp_path / "out.mkv", codec=codec)
    assert probe(tmp_path / "out.mkv").color.chroma_location == 3


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    ("degrees", "flipped"), [(90, False), (180, False), (270, True), (0, True)]
)
def test_rotation_and_mirroring_are_kept(
    tmp_path: Path, suffix: str, degrees: int, flipped: bool
) -> None:
    clip = Clip(rotation_degrees=degrees, flipped=flipped, ticks=(0, 1, 2))
    path = make_clip(tmp_path / "film.mp4", clip)

    copy_video(path, tmp_path / f"out{suffix}", codec="h264")

    assert probe(tmp_path / f"out{suffix}").geometry == probe(path).geometry


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("codec", ["h264", "ffv1", "prores"])
def test_interlaced_film_keeps_its_field_order(tmp_path: Path, codec: str, order: str) -> None:
    options = {"preset": "veryfast", "x264-params": f"{order}=1"}
    path = make_clip(
        tmp_path / "film.mkv", Clip(field_order=order, options=options, size_hw=(96, 160))
    )
    target = tmp_path / ("out.mov" if codec == "prores" else "out.mkv")

    copy_video(path, target, codec=codec)

    frames = frames_of(target)
    assert len(frames) == 12
    assert all(frame.interlaced for frame in frames)
    assert {frame.top_field_first for frame in frames} == {order == "tff"}


def test_a_film_without_audio_has_none_in_the_output(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mp4")
    copy_video(path, tmp_path / "out.mp4", codec="h264")
    assert [stream.kind for stream in probe(tmp_path / "out.mp4").streams] == ["video"]


def test_frames_of_another_geometry_than_the_source_can_be_written(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mp4", Clip(sounds=(Sound(),)))
    info = probe(path)
    wide = replace(info.geometry, coded_hw=(48, 192))
    doubled = [
        frame.with_planes(tuple(np.concatenate([plane, plane], axis=1) for plane in frame.planes))
        for frame in frames_of(path)
    ]
    write_output(tmp_path / "side.mp4", doubled, info=info, source_path=path, geometry=wide)

    assert probe(tmp_path / "side.mp4").geometry.coded_hw == (48, 192)
    assert packets_of(tmp_path / "side.mp4", "audio") == packets_of(path, "audio")


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_very_short_h265_films_have_valid_decoding_times(
    tmp_path: Path, count: int, suffix: str
) -> None:
    clip = Clip(ticks=tuple(range(0, 512 * count, 512)), time_base=Fraction(1, 12_800))
    source = make_clip(tmp_path / "short.mp4", clip)
    for attempt in range(8):
        target = tmp_path / f"out{attempt}{suffix}"
        copy_video(source, target, codec="h265")
        with av.open(str(target)) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
        assert len(packets) == count
        # Matroska stores no decoding times, but refuses packets whose times make no sense.
        assert all(
            packet.dts in ((packet.pts,) if suffix == ".mp4" else (None, packet.pts))
            for packet in packets
        )


@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
def test_444_output_is_noted_with_the_option_for_420(tmp_path: Path, codec: CodecName) -> None:
    film = tmp_path / "film.mov"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.2,format=rgb24",
               "-c:v", "qtrle", film)  # fmt: skip
    with open_source(film) as source:
        info, frames = source.info, list(source)
    notes: dict[str, str] = {}
    for chroma in ("source", "420"):
        settings = EncoderSettings(codec=codec, chroma=chroma)
        target = tmp_path / f"{chroma}.mp4"
        noted = write_output(target, frames, info=info, source_path=film, settings=settings)
        notes[chroma] = " ".join(noted)

    assert ("--chroma 420" in notes["source"]) == (codec != "av1")
    assert "--chroma" not in notes["420"]
    assert "yuv420p" in notes["420"]
    assert probe(tmp_path / "420.mp4").pixel_format.chroma_shift_xy == (1, 1)
    (before, *_), (after, *_) = frames, frames_of(tmp_path / "420.mp4")
    rgb = [region_to_rgb(frame, (0, 0, 96, 64)) for frame in (before, after)]
    assert abs(rgb[0].mean((0, 1)) - rgb[1].mean((0, 1))).max() < 0.02
