"""AVI numbers its packets: what is shown when follows from their places alone."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from support.clips import Clip, Sound, make_clip, number_of, run_ffmpeg
from support.verify_cases import changed_names
from support.video_copies import copy_video, frames_of

from vidrestore.media.input.source import open_source
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.open_output import open_output
from vidrestore.types import Frame
from vidrestore.verify import verify

EVEN = tuple(range(30))
# AVI has an empty packet wherever the last picture is shown again.
REPEATED = (0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 20, 21, 22, 23, 24, 25)
CODECS = {
    "h264": Clip(),
    "h264_pyramid": Clip(options={"preset": "veryfast", "bf": "4", "b-pyramid": "normal"}),
    "h264_two": Clip(options={"preset": "veryfast", "bf": "1", "g": "8"}),
    "mpeg4": Clip(codec="mpeg4", options={"g": "12", "bf": "2", "b_strategy": "0"}),
    "mpeg2": Clip(codec="mpeg2video", options={"g": "12", "bf": "2", "b_strategy": "0"}),
    "h264_in_order": Clip(options={"preset": "veryfast", "bf": "0"}),
    "mpeg4_in_order": Clip(codec="mpeg4", options={"g": "12"}),
    "ffv1": Clip(codec="ffv1", options={}),
    "mjpeg": Clip(codec="mjpeg", options={}, pixel_format="yuvj420p"),
    "rawvideo": Clip(codec="rawvideo", options={}),
}


@pytest.mark.parametrize("ticks", [EVEN, REPEATED])
@pytest.mark.parametrize("name", CODECS)
def test_avi_frames_keep_their_presentation_times(
    tmp_path: Path, name: str, ticks: tuple[int, ...]
) -> None:
    path = make_clip(tmp_path / "film.avi", replace(CODECS[name], ticks=ticks))

    with open_source(path) as source:
        frames = list(source)
        assert (source.repaired_timestamps, source.damaged_packets) == (0, 0)

    assert [number_of(frame) for frame in frames] == list(range(len(ticks)))
    assert [frame.timestamp.ticks for frame in frames] == list(ticks)
    assert frames[-1].duration_ticks == 1


@pytest.mark.parametrize("name", ["h264", "mpeg4", "mpeg2"])
def test_decoding_avi_with_b_frames_from_any_frame_gives_the_same_frames(
    tmp_path: Path, name: str
) -> None:
    path = make_clip(tmp_path / "film.avi", replace(CODECS[name], ticks=REPEATED))
    with open_source(path) as source:
        full = list(source)
        for first in full:
            part = list(source.frames_from(first.index, first.timestamp))
            expected = full[first.index :]
            assert [(frame.index, frame.timestamp, frame.duration_ticks) for frame in part] == [
                (frame.index, frame.timestamp, frame.duration_ticks) for frame in expected
            ]
            assert [number_of(frame) for frame in part] == [number_of(frame) for frame in expected]


def test_avi_with_a_fine_time_base_gives_its_last_frame_one_frame_of_duration(
    tmp_path: Path,
) -> None:
    made = make_clip(tmp_path / "made.mp4", replace(CODECS["h264"], ticks=EVEN))
    path = tmp_path / "film.avi"
    run_ffmpeg("-i", made, "-c", "copy", "-r", "600", path)

    with open_source(path) as source:
        frames = list(source)
        assert source.damaged_packets == 0
        assert source.info.time_base.denominator > 25, "it counts frames: another example"

    assert [frame.timestamp.seconds * 25 for frame in frames] == list(EVEN)
    last = frames[-1]
    assert last.duration_ticks * last.timestamp.time_base * 25 == 1


def write_avi(path: Path, packets: Sequence[bytes], template: Path) -> None:
    """Write packets into AVI, one after the other."""
    with av.open(str(template)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for index, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, stream.time_base
            packet.pts = packet.dts = round(index / 25 / stream.time_base)
            packet.is_keyframe = index == 0
            container.mux(packet)


# ISO/IEC 14496-2, 6.2.5: a predicted picture that is not coded, at 25 steps a second.
NOT_CODED = b"\x00\x00\x01\xb6" + bytes([0b01010000, 0b01001111])
PICTURE, REMARK = b"\x00\x00\x01\xb6", b"\x00\x00\x01\xb2"


def test_frames_of_a_packed_bitstream_have_one_timestamp_each(tmp_path: Path) -> None:
    clip = replace(CODECS["mpeg4"], ticks=tuple(range(10)))
    plain = make_clip(tmp_path / "plain.avi", clip)
    with av.open(str(plain)) as container:
        coded = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    kinds = [data[data.index(PICTURE) + 4] >> 6 for data in coded]
    assert kinds == [0, 1, 2, 2, 1, 2, 2, 1, 2, 2], "no two B-frames in a row: this proves nothing"
    # DivX puts the first B-frame beside the picture that it needs, and says so by a "p".
    header, picture = coded[0].split(PICTURE)
    first = header.split(REMARK)[0] + REMARK + b"DivX503b1393p" + PICTURE + picture
    packets = [first]
    for index in (1, 4, 7):
        packets += [coded[index] + coded[index + 1], coded[index + 2], NOT_CODED]
    path = tmp_path / "film.avi"
    write_avi(path, packets, plain)

    with open_source(path) as source:
        frames = list(source)
        again = list(source.frames_from(7, frames[7].timestamp))
        assert (source.repaired_timestamps, source.damaged_packets) == (0, 0)

    assert [number_of(frame) for frame in frames] == list(range(10))
    assert [frame.timestamp.ticks for frame in frames] == list(range(10))
    assert [frame.index for frame in again] == [7, 8, 9]


def test_an_empty_avi_frame_extends_the_previous_one(tmp_path: Path) -> None:
    clip = Clip(codec="mpeg4", options={"g": "12"}, ticks=tuple(range(6)))
    plain = make_clip(tmp_path / "plain.avi", clip)
    with av.open(str(plain)) as container:
        coded = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    path = tmp_path / "film.avi"
    write_avi(path, [*coded[:3], NOT_CODED, *coded[3:]], plain)

    frames = frames_of(path)

    assert [number_of(frame) for frame in frames] == list(range(6))
    assert [frame.timestamp.ticks for frame in frames] == [0, 1, 2, 4, 5, 6]


@pytest.mark.parametrize("name", ["h264", "mpeg4"])
def test_audio_of_avi_with_b_frames_stays_in_sync(tmp_path: Path, name: str) -> None:
    clip = replace(CODECS[name], ticks=EVEN, sounds=(Sound(codec="pcm_s16le"),))
    path = make_clip(tmp_path / "film.avi", clip)

    copy_video(path, tmp_path / "out.mkv")

    assert changed_names(verify(path, tmp_path / "out.mkv")) == []
    assert frames_of(tmp_path / "out.mkv")[0].timestamp.ticks == 0


NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("name", "clip", "rate"),
    [
        ("film.mov", Clip(ticks=EVEN), Fraction(25)),
        ("film.mov", Clip(ticks=REPEATED, last_duration_ticks=2), Fraction(25)),
        ("film.mkv", Clip(ticks=EVEN), Fraction(25)),
        ("film.mov", Clip(ticks=EVEN, time_base=1 / NTSC, rate=NTSC), NTSC),
        ("film.mkv", Clip(ticks=EVEN, time_base=1 / NTSC, rate=NTSC), NTSC),
        ("film.mov", Clip(ticks=(0, 1), time_base=1 / NTSC, rate=NTSC), NTSC),
        ("film.mov", Clip(ticks=(0,)), Fraction(25)),
    ],
)
def test_avi_counts_frames_at_the_rate_of_the_film(
    tmp_path: Path, name: str, clip: Clip, rate: Fraction
) -> None:
    path = make_clip(tmp_path / name, replace(clip, sounds=(Sound(codec="pcm_s16le"),)))
    target = tmp_path / "out.avi"

    with (
        open_source(path) as source,
        open_output(
            target, info=source.info, source_path=path, settings=EncoderSettings(codec="h264")
        ) as output,
    ):
        segments = []
        for number, frames in enumerate(batched(list(source), 12)):
            writer = output.open_segment(tmp_path / str(number))
            for frame in frames:
                writer.write(frame)
            segments.append(writer.finish())
        output.assemble(segments)

    frames = frames_of(target)
    assert frames[0].timestamp.time_base == 1 / rate
    assert [frame.timestamp.ticks for frame in frames] == list(clip.ticks)
    assert [number_of(frame) for frame in frames] == list(range(len(clip.ticks)))
    assert changed_names(verify(path, target)) == []


def batched(frames: Sequence[Frame], size: int) -> list[Sequence[Frame]]:
    return [frames[index : index + size] for index in range(0, len(frames), size)]
