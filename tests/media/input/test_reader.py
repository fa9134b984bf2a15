import tracemalloc
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from support.clips import Clip, damage_packet, make_clip, number_of, run_ffmpeg

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.input.source import open_source

VARIABLE_TICKS = (0, 512, 1024, 3000, 3100, 9000, 9512, 20000, 20512, 21024)


def read_all(path: Path, **options):
    with open_source(path, **options) as source:
        frames = list(source)
        return frames, source


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_every_frame_of_a_film_with_b_frames_is_read_once_and_in_order(
    tmp_path: Path, suffix: str
) -> None:
    path = make_clip(tmp_path / f"film{suffix}", Clip(ticks=tuple(range(30))))

    frames, source = read_all(path)

    assert [number_of(frame) for frame in frames] == list(range(30))
    assert [frame.index for frame in frames] == list(range(30))
    steps = {
        after.timestamp.seconds - before.timestamp.seconds for before, after in pairwise(frames)
    }
    assert steps == {Fraction(1, 25)}
    assert source.damaged_packets == 0
    assert source.repaired_timestamps == 0


def test_timestamps_of_a_variable_frame_rate_are_those_of_the_stream(tmp_path: Path) -> None:
    clip = Clip(ticks=VARIABLE_TICKS, time_base=Fraction(1, 12800), last_duration_ticks=700)
    options = {"video_track_timescale": "12800"}
    path = make_clip(tmp_path / "film.mp4", Clip(**{**_fields(clip), "container_options": options}))

    frames, source = read_all(path)

    assert source.info.time_base == Fraction(1, 12800)
    assert tuple(frame.timestamp.ticks for frame in frames) == VARIABLE_TICKS
    assert frames[-1].duration_ticks == 700


def _fields(clip: Clip) -> dict[str, object]:
    return {name: getattr(clip, name) for name in clip.__slots__}


@pytest.mark.parametrize(
    ("pixel_format", "depth", "shift_xy"),
    [
        ("yuv420p", 8, (1, 1)),
        ("yuv422p", 8, (1, 0)),
        ("yuv444p", 8, (0, 0)),
        ("yuv420p10le", 10, (1, 1)),
        ("yuv422p10le", 10, (1, 0)),
        ("yuv444p10le", 10, (0, 0)),
        ("gray", 8, (0, 0)),
    ],
)
def test_frames_stay_in_the_planes_they_were_decoded_to(
    tmp_path: Path, pixel_format: str, depth: int, shift_xy: tuple[int, int]
) -> None:
    coding = {"codec": "ffv1", "options": {}} if pixel_format == "gray" else {}
    path = make_clip(
        tmp_path / "film.mkv", Clip(ticks=(0, 1, 2), pixel_format=pixel_format, **coding)
    )

    frames, source = read_all(path)

    assert source.info.pixel_format.name == frames[0].pixel_format.name == pixel_format
    assert frames[0].pixel_format.bit_depth == depth
    assert frames[0].pixel_format.chroma_shift_xy == shift_xy
    with av.open(str(path)) as container:
        decoded = next(container.decode(video=0))
        samples = np.frombuffer(decoded.planes[0], np.uint8 if depth == 8 else np.uint16)
        lines = samples.reshape(decoded.height, -1)[:, : decoded.width]
        assert np.array_equal(frames[0].planes[0], lines)
    assert not any(plane.flags.writeable for plane in frames[0].planes)


def test_only_a_few_frames_are_in_memory_at_a_time(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv", Clip(ticks=tuple(range(80)), size_hw=(160, 240)))

    with open_source(path) as source:
        tracemalloc.start()
        for _ in source:
            pass
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak_bytes < 6 * 160 * 240 * 3 // 2


def test_frames_outside_the_time_range_are_skipped(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mp4", Clip(ticks=tuple(range(60))))

    frames, _ = read_all(path, start_seconds=0.9, end_seconds=1.4)

    assert [number_of(frame) for frame in frames] == list(range(23, 35))
    assert frames[0].timestamp.seconds == Fraction(23, 25)
    assert frames[0].index == 0


@pytest.mark.parametrize("suffix", [".mpg", ".ts"])
def test_start_counts_from_the_first_timestamp_of_a_broadcast_stream(
    tmp_path: Path, suffix: str
) -> None:
    plain = make_clip(tmp_path / "plain.mkv", Clip(ticks=tuple(range(50))))
    path = tmp_path / f"film{suffix}"
    codec = ("-c:v", "mpeg2video", "-bf", "2", "-g", "10", "-q:v", "2")
    run_ffmpeg("-i", plain, *codec, "-output_ts_offset", "50000", path)

    frames, source = read_all(path, start_seconds=1)
    full, _ = read_all(path)

    assert source.info.origin_seconds > 49_990
    expected = [
        frame for frame in full if frame.timestamp.seconds >= source.info.origin_seconds + 1
    ]
    assert [number_of(frame) for frame in frames] == [number_of(frame) for frame in expected]
    assert len(frames) in (25, 26)


def test_invalid_time_ranges_are_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv")
    with (
        pytest.raises(ConfigError, match="end must be later"),
        open_source(path, start_seconds=2, end_seconds=1),
    ):
        pass


def test_a_damaged_packet_is_counted_and_the_other_frames_are_read(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv", Clip(ticks=tuple(range(40))))
    damage_packet(path, 11)

    frames, source = read_all(path)

    assert source.damaged_packets >= 1
    assert len(frames) >= 38
    assert {0, 1, 2, 37, 38, 39} <= {number_of(frame) for frame in frames}


def test_a_truncated_film_is_read_to_its_last_frame(tmp_path: Path) -> None:
    fast = {"movflags": "+faststart"}
    path = make_clip(tmp_path / "film.mp4", Clip(ticks=tuple(range(60)), container_options=fast))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])

    frames, source = read_all(path)

    numbers = [number_of(frame) for frame in frames]
    assert numbers[:-3] == list(range(len(numbers) - 3))
    # The decoder alone, without frame threads, says what can be had.
    with av.open(str(path)) as container:
        possible = 0
        for packet in container.demux(video=0):
            try:
                possible += len(packet.decode())
            except av.error.InvalidDataError:
                continue
    assert len(frames) == possible
    assert source.damaged_packets == 60 - len(frames)


def test_frames_that_change_size_are_an_error_that_names_the_time(
    tmp_path: Path,
) -> None:
    one = make_clip(
        tmp_path / "one.ts", Clip(ticks=tuple(range(10)), codec="mpeg2video", options={})
    )
    two = make_clip(
        tmp_path / "two.ts",
        Clip(ticks=tuple(range(10, 20)), codec="mpeg2video", options={}, size_hw=(64, 128)),
    )
    path = tmp_path / "film.ts"
    path.write_bytes(one.read_bytes() + two.read_bytes())

    with pytest.raises(MediaError, match=r"film\.ts: at \d+\.\d+ s .* 96x48 .* 128x64"):
        read_all(path)


@pytest.mark.parametrize(("order", "top_first"), [("tff", True), ("bff", False)])
def test_interlaced_frames_have_the_flag_and_the_order_of_their_fields(
    tmp_path: Path, order: str, top_first: bool
) -> None:
    options = {"preset": "veryfast", "x264-params": f"{order}=1"}
    path = make_clip(tmp_path / "film.mkv", Clip(field_order=order, options=options))

    frames, source = read_all(path)

    assert all(frame.interlaced for frame in frames)
    assert all(frame.top_field_first is top_first for frame in frames)
    assert source.info.field_order == ("top first" if top_first else "bottom first")


def test_a_source_can_be_read_twice(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mkv")
    with open_source(path) as source:
        assert [frame.timestamp for frame in source] == [frame.timestamp for frame in source]


def test_missing_and_decreasing_timestamps_are_repaired_to_increase() -> None:
    from vidrestore.media.input.clock import Clock

    clock = Clock(Fraction(1, 250))

    ticks = [
        clock.ticks(pts, dts, 10)
        for pts, dts in ((100, 100), (None, 110), (None, None), (115, 0), (140, 0))
    ]

    assert ticks == [100, 110, 120, 121, 140]
    assert clock.repaired_count == 3


def test_timestamps_continue_after_a_restart_of_the_clock() -> None:
    from vidrestore.media.input.clock import Clock

    clock = Clock(Fraction(1, 1000))
    result = [9000, 9040, 9080, 0, 40, 90, 130]

    assert [clock.ticks(pts, pts, 40) for pts in result] == [
        9000, 9040, 9080, 9120, 9160, 9210, 9250,
    ]  # fmt: skip
    assert clock.repaired_count == 4


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts", ".mov"])
@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_the_field_order_is_that_of_the_frames_and_not_of_the_container(
    tmp_path: Path, codec: str, order: str, suffix: str
) -> None:
    plain = make_clip(
        tmp_path / "plain.mkv", Clip(field_order=order, codec="ffv1", options={}, ticks=(0, 1, 2))
    )
    path = tmp_path / f"film{suffix}"
    coding = ("-x264-params", f"{order}=1") if codec == "libx264" else ("-q:v", "2")
    run_ffmpeg("-i", plain, "-c:v", codec, "-flags", "+ilme+ildct", *coding, path)

    frames, source = read_all(path)

    assert {frame.top_field_first for frame in frames} == {order == "tff"}
    assert source.info.field_order == ("top first" if order == "tff" else "bottom first")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_columns_outside_the_crop_of_the_stream_are_removed(tmp_path: Path, suffix: str) -> None:
    plain, film = make_clip(tmp_path / "plain.mp4"), tmp_path / f"film{suffix}"
    crop = "h264_metadata=crop_left=6:crop_right=10:crop_top=4:crop_bottom=2"
    run_ffmpeg("-i", plain, "-c", "copy", "-bsf:v", crop, film)

    whole_frames, cropped_frames = read_all(plain)[0], read_all(film)[0]
    for full, frame in zip(whole_frames, cropped_frames, strict=True):
        assert np.array_equal(frame.planes[0], full.planes[0][4:-2, 6:-10])


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264", "libx265"])
def test_frames_before_the_first_key_frame_are_not_reported_as_damaged(
    tmp_path: Path, codec: str
) -> None:
    whole, film = tmp_path / "whole.ts", tmp_path / "film.ts"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=3", "-c:v", codec,
               "-g", "15", "-bf", "2", "-x265-params", "open-gop=1:log-level=none",
               "-x264-params", "open-gop=1:scenecut=0", "-b:v", "500k", whole)  # fmt: skip
    data = whole.read_bytes()
    film.write_bytes(data[len(data) // 188 // 3 * 188 :])

    frames, source = read_all(film)

    assert len(frames) > 30
    assert source.info.frames_before_key > 0
    assert source.damaged_packets <= 1, "the packet in which the film was cut"
    assert read_all(whole)[1].info.frames_before_key == 0
