"""Segments of a video, encoded one by one, are a video when they are put together."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from support.clips import Clip, Sound, make_clip, number_of, packets_of

from vidrestore.errors import MediaError
from vidrestore.media.input.clock import decode_timestamps
from vidrestore.media.input.source import open_source
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.open_output import open_output
from vidrestore.media.output.segments import SegmentIndex, index_path_of

UNEVEN = tuple(int(sum((400, 512, 700)[index % 3] for index in range(n))) for n in range(30))
PLAIN = Clip(
    ticks=tuple(range(30)),
    size_hw=(64, 96),
    sounds=(Sound(seconds=Fraction(30, 25)),),
)


def write_in_segments(source: Path, target: Path, codec: str, bounds: list[int]) -> Path:
    """Write a video in segments that begin at ``bounds``."""
    with (
        open_source(source) as film,
        open_output(
            target, info=film.info, source_path=source, settings=EncoderSettings(codec=codec)
        ) as output,
    ):
        frames = list(film)
        ends = [*bounds[1:], len(frames)]
        segments: list[tuple[Path, ...]] = []
        for number, (begin, end) in enumerate(zip(bounds, ends, strict=True)):
            writer = output.open_segment(target.parent / f"{target.stem}-{number}.segment")
            for frame in frames[begin:end]:
                writer.write(frame)
            segments.append(writer.finish())
        output.assemble(segments)
    return target


CASES = [
    ("h264", ".mp4"),
    ("h264", ".mkv"),
    ("h264", ".mov"),
    ("h265", ".mp4"),
    ("h265", ".mkv"),
    ("av1", ".mkv"),
    ("av1", ".mp4"),
    ("ffv1", ".mkv"),
    ("prores", ".mov"),
]


@pytest.mark.parametrize(("codec", "suffix"), CASES)
def test_segments_are_joined_without_a_seam(tmp_path: Path, codec: str, suffix: str) -> None:
    source = make_clip(tmp_path / "film.mkv", PLAIN)
    target = write_in_segments(source, tmp_path / f"out{suffix}", codec, [0, 7, 8, 21])
    with open_source(source) as film, open_source(target) as result:
        before, after = list(film), list(result)
        assert result.damaged_packets == 0
    assert [number_of(frame) for frame in after] == list(range(30))
    assert [f.timestamp.seconds for f in after] == [f.timestamp.seconds for f in before]
    sounds = [packets_of(path, "audio") for path in (source, target)]
    assert [sound.data for sound in sounds[0]] == [sound.data for sound in sounds[1]]
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
    dts = [packet.dts for packet in packets if packet.dts is not None]
    assert all(first < other for first, other in pairwise(dts))
    assert all(packet.pts >= packet.dts for packet in packets if packet.dts is not None)
    times = sorted((packet.pts or 0, packet.is_keyframe) for packet in packets)
    assert all(times[start][1] for start in (0, 7, 8, 21))


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_a_variable_frame_rate_survives_the_assembly(tmp_path: Path, codec: str) -> None:
    clip = Clip(
        ticks=UNEVEN,
        time_base=Fraction(1, 12800),
        size_hw=(64, 96),
        container_options={"video_track_timescale": "12800"},
    )
    source = make_clip(tmp_path / "film.mp4", clip)
    target = write_in_segments(source, tmp_path / "out.mp4", codec, [0, 11, 20])
    with open_source(source) as film, open_source(target) as result:
        before, after = list(film), list(result)
    assert [f.timestamp for f in after] == [f.timestamp for f in before]
    assert after[-1].duration_ticks == before[-1].duration_ticks


def test_a_truncated_segment_is_refused(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mkv", PLAIN)
    target = tmp_path / "out.mkv"
    with (
        open_source(source) as film,
        open_output(
            target, info=film.info, source_path=source, settings=EncoderSettings()
        ) as output,
    ):
        writer = output.open_segment(tmp_path / "0.segment")
        for frame in film:
            writer.write(frame)
        files = writer.finish()
        files[0].write_bytes(files[0].read_bytes()[:-1])
        with pytest.raises(MediaError, match="truncated"):
            output.assemble([files])
    assert not target.exists()


def test_a_packet_index_is_read_back_unchanged(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mkv", PLAIN)
    write_in_segments(source, tmp_path / "out.mkv", "h264", [0, 15])
    text = index_path_of(tmp_path / "out-1.segment").read_text()
    index = SegmentIndex.from_json(text)
    assert index.to_json() == text
    assert len(index.packets) == 15
    for damaged in ("{}", "[]", text.replace("[", "{"), text.replace("time_base", "base")):
        with pytest.raises(ValueError):  # noqa: PT011  (each has its own message)
            SegmentIndex.from_json(damaged)


@pytest.mark.parametrize(
    ("shown", "decoded"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3]),
        ([0, 2, 1, 3], [-1, 0, 1, 2]),
        ([0, 4, 2, 1, 3], [-2, -1, 0, 1, 2]),
        ([10, 40, 20, 30, 50], [0, 10, 20, 30, 40]),
        ([7], [7]),
    ],
)
def test_decoding_times_increase_and_precede_presentation_times(
    shown: list[int], decoded: list[int]
) -> None:
    assert decode_timestamps(shown) == decoded
