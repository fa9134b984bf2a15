from fractions import Fraction
from pathlib import Path

import av
import pytest
from support.clips import (
    Clip,
    Sound,
    first_beep_seconds,
    first_flash_seconds,
    make_clip,
    make_rich_clip,
    packets_of,
    run_ffmpeg,
)
from support.video_copies import copy_video, frames_of

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.input.video_info import probe

MOMENT = Fraction(3, 5)
SAMPLE = Fraction(1, 48_000)


def sync_clip(path: Path, **options) -> Path:
    """A flash and a beep at the same moment, on a clock both can count exactly."""
    codec = options.pop("sound_codec", "aac")
    start = options.pop("sound_start", Fraction(0))
    sound = Sound(codec=codec, beeps_seconds=(MOMENT,), start_seconds=start)
    return make_clip(
        path, Clip(ticks=tuple(range(25)), flashes_seconds=(MOMENT,), sounds=(sound,), **options)
    )


def lag_seconds(path: Path) -> Fraction:
    """How much later the beep is than the flash."""
    return first_beep_seconds(path) - first_flash_seconds(path)


@pytest.mark.parametrize("start", [Fraction(0), Fraction(1, 4)])
@pytest.mark.parametrize(
    ("source", "target", "tolerance"),
    [("a.mp4", "out.mp4", 0), ("a.mov", "out.mp4", 0), ("a.mkv", "out.mkv", 0),
     ("a.mp4", "out.mkv", Fraction(1, 1000)), ("a.mkv", "out.mp4", SAMPLE)],
)  # fmt: skip
def test_a_flash_and_a_beep_stay_in_sync(
    tmp_path: Path, source: str, target: str, tolerance: Fraction, start: Fraction
) -> None:
    path = sync_clip(tmp_path / source, sound_start=start)

    copy_video(path, tmp_path / target, codec="h264")

    assert abs(lag_seconds(path)) < Fraction(1, 100), "the clip itself is out of sync"
    assert abs(lag_seconds(tmp_path / target) - lag_seconds(path)) <= tolerance


@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
@pytest.mark.parametrize("offset", ["0.5", "50000.25"])
@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out.ts"])
def test_audio_of_broadcast_streams_stays_in_sync_from_any_first_timestamp(
    tmp_path: Path, suffix: str, offset: str, target: str
) -> None:
    plain = sync_clip(tmp_path / "plain.mkv")
    path = tmp_path / f"film{suffix}"
    coding = ("-c:v", "mpeg2video", "-q:v", "2", "-bf", "2", "-c:a", "mp2")
    run_ffmpeg("-i", plain, *coding, "-output_ts_offset", offset, path)

    copy_video(path, tmp_path / target, codec="h264")

    tolerance = Fraction(1, 1000) if target == "out.mkv" else SAMPLE
    assert abs(lag_seconds(tmp_path / target) - lag_seconds(path)) <= tolerance
    assert first_flash_seconds(tmp_path / target) < 3


def test_a_film_whose_audio_starts_first_stays_in_sync(tmp_path: Path) -> None:
    ticks = tuple(range(9, 34))
    sound = Sound(beeps_seconds=(MOMENT,))
    clip = Clip(ticks=ticks, flashes_seconds=(MOMENT,), sounds=(sound,))
    path = make_clip(tmp_path / "film.mp4", clip)

    copy_video(path, tmp_path / "out.mp4", codec="h264")

    assert lag_seconds(tmp_path / "out.mp4") == lag_seconds(path)
    assert [frame.timestamp.seconds for frame in frames_of(tmp_path / "out.mp4")] == [
        Fraction(tick, 25) for tick in ticks
    ]


@pytest.mark.parametrize(
    ("source", "target", "sound_codec"),
    [("a.mp4", "out.mp4", "aac"), ("a.mkv", "out.mkv", "flac"), ("a.mkv", "out.mkv", "libopus"),
     ("a.mov", "out.mov", "pcm_s16le"), ("a.mp4", "out.mkv", "aac"), ("a.mkv", "out.avi", "mp2")],
)  # fmt: skip
def test_audio_is_copied_byte_for_byte(
    tmp_path: Path, source: str, target: str, sound_codec: str
) -> None:
    path = sync_clip(tmp_path / source, sound_codec=sound_codec)

    copy_video(path, tmp_path / target, codec="h264")

    before, after = packets_of(path, "audio"), packets_of(tmp_path / target, "audio")
    joined = b"".join(packet.data for packet in before)
    assert b"".join(packet.data for packet in after) == joined
    if path.suffix == Path(target).suffix and not sound_codec.startswith("pcm"):
        assert after == before


def test_all_streams_and_tags_of_a_film_are_kept(tmp_path: Path) -> None:
    path = make_rich_clip(tmp_path)

    notes = copy_video(path, tmp_path / "out.mkv")

    target = tmp_path / "out.mkv"
    assert notes == []
    for kind, number in (("audio", 0), ("audio", 1), ("subtitle", 0)):
        assert packets_of(target, kind, number) == packets_of(path, kind, number)
    before, after = probe(path), probe(target)
    assert after.chapters == before.chapters
    assert [str(stream) for stream in after.streams[1:]] == [
        str(stream) for stream in before.streams[1:]
    ]
    for key in ("title", "ARCHIVE_ID"):
        assert after.metadata[key] == before.metadata[key]
    with av.open(str(path)) as source, av.open(str(target)) as written:
        for first, other in zip(source.streams, written.streams, strict=True):
            assert other.disposition == first.disposition
        assert written.streams[4].data == source.streams[4].data
        assert written.streams[4].mimetype == "application/x-truetype-font"


def test_tags_chapters_and_subtitles_of_quicktime_are_kept(tmp_path: Path) -> None:
    path = make_rich_clip(tmp_path, "rich.mov")

    copy_video(path, tmp_path / "out.mov", codec="h264")

    before, after = probe(path), probe(tmp_path / "out.mov")
    assert packets_of(tmp_path / "out.mov", "subtitle") == packets_of(path, "subtitle")
    assert [chapter.title for chapter in after.chapters] == ["One", "Two"]
    assert after.chapters == before.chapters
    assert after.metadata["title"] == "A film"


def test_tags_without_a_standard_field_in_mp4_are_kept(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "film.mkv", Clip(metadata={"title": "A film", "ARCHIVE_ID": "K-17"})
    )
    copy_video(path, tmp_path / "out.mp4", codec="h264")
    kept = {key.upper(): value for key, value in probe(tmp_path / "out.mp4").metadata.items()}
    assert kept["ARCHIVE_ID"] == "K-17"
    assert kept["TITLE"] == "A film"


def test_the_time_code_track_is_kept(tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "plain.mov")
    path = tmp_path / "film.mov"
    run_ffmpeg("-i", plain, "-c", "copy", "-timecode", "10:20:30:05", path)

    copy_video(path, tmp_path / "out.mov", codec="h264")

    assert [stream.kind for stream in probe(tmp_path / "out.mov").streams] == ["video", "data"]
    with av.open(str(tmp_path / "out.mov")) as container:
        assert container.streams[1].metadata["timecode"] == "10:20:30:05"


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv"])
def test_a_cover_image_is_kept(tmp_path: Path, target: str) -> None:
    plain = make_clip(tmp_path / "plain.mp4", Clip(sounds=(Sound(),)))
    cover, path = tmp_path / "cover.jpg", tmp_path / "film.mp4"
    run_ffmpeg("-i", plain, "-frames:v", "1", cover)
    streams = ("-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic")
    run_ffmpeg("-i", plain, "-i", cover, *streams, path)

    copy_video(path, tmp_path / target, codec="h264")

    assert len(frames_of(tmp_path / target)) == 12
    with av.open(str(tmp_path / target)) as container:
        (picture,) = [stream for stream in container.streams.video if stream.disposition & 0x400]
        packet = next(container.demux(picture))
        assert bytes(packet) == cover.read_bytes()


@pytest.mark.parametrize("suffix", [".mov", ".avi"])
def test_a_cover_image_that_the_container_cannot_hold_is_refused_before_restoring(
    tmp_path: Path, suffix: str
) -> None:
    plain = make_clip(tmp_path / "plain.mp4")
    cover, path = tmp_path / "cover.jpg", tmp_path / "film.mp4"
    run_ffmpeg("-i", plain, "-frames:v", "1", cover)
    streams = ("-map", "1", "-map", "0", "-c", "copy", "-disposition:v:0", "attached_pic")
    run_ffmpeg("-i", plain, "-i", cover, *streams, path)
    target = tmp_path / f"out{suffix}"

    with pytest.raises(UnsupportedStreamError, match=r"mjpeg.*use -o out\.mkv"):
        copy_video(path, target, codec="h264")

    notes = copy_video(path, target, codec="h264", drop_unsupported=True)
    assert any("mjpeg" in note and "dropped" in note for note in notes)
    assert len(frames_of(target)) == 12


def test_a_stream_that_needs_the_ffmpeg_program_is_added_at_the_end(tmp_path: Path) -> None:
    plain = sync_clip(tmp_path / "plain.mp4")
    lines = tmp_path / "lines.srt"
    lines.write_text("1\n00:00:00,200 --> 00:00:00,900\nHello\n")
    path = tmp_path / "film.mp4"
    streams = ("-map", "0", "-map", "1", "-c", "copy", "-c:s", "ttml")
    run_ffmpeg("-i", plain, "-i", lines, *streams, path)
    with av.open(str(path)) as container:
        assert container.streams[2].codec_context is None, "PyAV has learnt TTML: another example"

    copy_video(path, tmp_path / "out.mp4", codec="h264")

    target = tmp_path / "out.mp4"
    assert packets_of(target, "subtitle") == packets_of(path, "subtitle")
    assert packets_of(target, "audio") == packets_of(path, "audio")
    assert [frame.timestamp for frame in frames_of(target)] == [
        frame.timestamp for frame in frames_of(path)
    ]
    assert lag_seconds(target) == lag_seconds(path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "plain.mp4",
        "lines.srt",
        "film.mp4",
        "out.mp4",
    }


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_time_range_keeps_its_audio_and_starts_at_zero(tmp_path: Path, suffix: str) -> None:
    path = sync_clip(tmp_path / f"film{suffix}")

    copy_video(path, tmp_path / f"out{suffix}", codec="h264", start_seconds=0.4, end_seconds=0.8)

    target = tmp_path / f"out{suffix}"
    frames = frames_of(target)
    assert len(frames) == 10
    assert 0 <= frames[0].timestamp.seconds < Fraction(3, 100)
    assert abs(lag_seconds(target) - lag_seconds(path)) <= Fraction(1, 1000)
    sound = packets_of(target, "audio")
    assert sound[-1].pts < Fraction(1, 2)
    packets = {packet.data for packet in packets_of(path, "audio")}
    assert {packet.data for packet in sound} <= packets


def test_subtitles_and_chapters_are_trimmed_to_the_time_range(tmp_path: Path) -> None:
    path = make_rich_clip(tmp_path)

    copy_video(path, tmp_path / "out.mkv", start_seconds=0.5, end_seconds=1.5)

    lines = packets_of(tmp_path / "out.mkv", "subtitle")
    assert [(float(line.pts), float(line.duration)) for line in lines] == [(0, 0.4), (0.5, 0.5)]
    chapters = probe(tmp_path / "out.mkv").chapters
    assert [(float(chapter.start_seconds), float(chapter.end_seconds)) for chapter in chapters] == [
        (0, 0.3),
        (0.3, 1.0),
    ]


def test_audio_much_longer_than_the_video_is_kept_in_full(tmp_path: Path) -> None:
    sound = Sound(seconds=Fraction(4))
    path = make_clip(tmp_path / "film.mp4", Clip(sounds=(sound,)))
    copy_video(path, tmp_path / "out.mp4", codec="h264")
    assert packets_of(tmp_path / "out.mp4", "audio") == packets_of(path, "audio")


def test_the_remux_that_sets_the_aspect_ratio_keeps_everything_else(tmp_path: Path) -> None:
    plain = make_rich_clip(tmp_path)
    path = tmp_path / "wide.mkv"
    run_ffmpeg("-i", plain, "-map", "0", "-c", "copy", "-aspect:v", "4:1", path)

    copy_video(path, tmp_path / "out.mkv")

    target = tmp_path / "out.mkv"
    assert probe(target).geometry.sample_aspect_ratio == 2
    for kind, number in (("audio", 0), ("audio", 1), ("subtitle", 0)):
        assert packets_of(target, kind, number) == packets_of(path, kind, number)
    assert [frame.timestamp for frame in frames_of(target)] == [
        frame.timestamp for frame in frames_of(path)
    ]
    assert probe(target).chapters == probe(path).chapters
    assert probe(target).metadata["ARCHIVE_ID"] == "K-17"
    with av.open(str(path)) as source, av.open(str(target)) as written:
        assert [stream.disposition for stream in written.streams] == [
            stream.disposition for stream in source.streams
        ]
        assert written.streams[4].data == source.streams[4].data
