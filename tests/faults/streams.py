"""Streams that are missing, longer or shorter than others, or change their format."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from faults.bench import Bench, audio_packets, chapter
from faults.files import FRAMES, film
from support.clips import Sound, first_beep_seconds, run_ffmpeg

fault = chapter("Streams")


@fault(
    "no audio",
    "the output has none",
)
def no_audio(bench: Bench) -> None:
    outcome = bench.restore(bench.clip("film.mp4")).assert_succeeded()
    assert outcome.numbers() == list(range(12))
    with av.open(str(outcome.output)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


@fault(
    "audio only",
    "refused at once: there are no frames to restore",
)
def audio_only(bench: Bench) -> None:
    path = bench.folder / "sound.m4a"
    run_ffmpeg("-i", film(bench), "-vn", "-c", "copy", path)
    bench.restore(path).assert_refused("sound.m4a: no video stream (only audio)")


@fault(
    "audio longer than the video",
    "all of the audio is kept",
)
def longer_audio(bench: Bench) -> None:
    _assert_lengths_are_kept(bench, Fraction(3))


@fault(
    "audio shorter than the video",
    "audio and video keep their own lengths",
)
def shorter_audio(bench: Bench) -> None:
    _assert_lengths_are_kept(bench, Fraction(1, 2))


def _assert_lengths_are_kept(bench: Bench, seconds: Fraction) -> None:
    sound = Sound(seconds=seconds, beeps_seconds=(Fraction(1, 4),))
    path = bench.clip("film.mp4", ticks=range(25), sounds=(sound,))
    outcome = bench.restore(path).assert_succeeded()
    assert outcome.numbers() == list(range(25))
    assert outcome.audio() == audio_packets(path)
    assert first_beep_seconds(outcome.output) == pytest.approx(first_beep_seconds(path), abs=0.03)


@fault(
    "a frame size that changes within a transport stream",
    "refused before the first frame is restored, with the time of every change; `--start` "
    "and `--end` restore the parts separately and completely",
)
def size_changes(bench: Bench) -> None:
    path = _two_joined_films(bench, size_hw=(64, 128))
    bench.restore(path).assert_refused(
        "film.ts: the frame format changes from 96x48 yuv420p to 128x64 yuv420p at 0.480 s",
        "--start",
    )
    _assert_parts_are_complete(bench, path)


@fault(
    "a pixel format that changes within a transport stream",
    "refused before the first frame is restored, in the same way",
)
def format_changes(bench: Bench) -> None:
    path = _two_joined_films(bench, pixel_format="yuv422p")
    bench.restore(path).assert_refused(
        "film.ts: the frame format changes from 96x48 yuv420p to 96x48 yuv422p at 0.480 s",
        "--start",
    )
    _assert_parts_are_complete(bench, path)


@fault(
    "a frame size that changes within another container",
    "refused at the first frame of the new size, with its time; the parts can be restored "
    "separately",
)
def size_changes_in_matroska(bench: Bench) -> None:
    path = bench.folder / "film.mkv"
    settings = {"codec": "mjpeg", "pixel_format": "yuvj420p", "options": {}}
    one = bench.clip("one.mkv", ticks=range(12), **settings)
    two = bench.clip("two.mkv", ticks=range(12, 24), size_hw=(64, 128), **settings)
    with av.open(str(one)) as first, av.open(str(two)) as then, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(first.streams.video[0])
        for source in (first, then):
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    output.mux_one(packet)
    bench.restore(path).assert_refused(
        "film.mkv: at 0.480 s the frame format changes from 96x48 yuvj420p to 128x64 yuvj420p",
        "--start",
    )
    _assert_parts_are_complete(bench, path)


def _two_joined_films(bench: Bench, **other: object) -> Path:
    # Without B-frames, for which the muxer would shift one part but not the other.
    options = {"bf": "0", "g": "8", "crf": "10"}
    one = bench.clip("one.ts", ticks=range(12), options=options)
    two = bench.clip("two.ts", ticks=range(12, 24), options=options, **other)
    path = bench.folder / "film.ts"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    return path


def _assert_parts_are_complete(bench: Bench, path: Path) -> None:
    first = bench.restore(path, "--end", "0.48", output="first.mkv").assert_succeeded()
    second = bench.restore(path, "--start", "0.48", output="second.mkv").assert_succeeded()
    assert first.numbers() == list(range(12))
    assert second.numbers() == list(range(12))


@fault(
    "an image of another size in an image sequence",
    "refused by name",
)
def image_of_another_size(bench: Bench) -> None:
    folder = bench.folder / "frames"
    folder.mkdir()
    run_ffmpeg("-i", bench.clip(ticks=range(5)), folder / "%02d.png")
    small = bench.clip("small.mkv", ticks=(0,), size_hw=(32, 96))
    run_ffmpeg("-i", small, "-frames:v", "1", folder / "03.png")
    bench.restore(folder, output="out").assert_refused(
        "03.png: is 96x32 gbrp, but earlier images are"
    )


@fault(
    "a film of one frame",
    "the output has one frame, from every container",
)
def one_frame(bench: Bench) -> None:
    for suffix in ("mp4", "mkv", "ts"):
        path = bench.clip(f"one.{suffix}", ticks=(0,))
        outcome = bench.restore(path, output=f"{suffix}.mkv").assert_succeeded()
        assert outcome.numbers() == [0]


@fault(
    "a film 7680 pixels wide",
    "restored like any other; a codec that does not support the size is refused at once",
)
def wide(bench: Bench) -> None:
    settings = {"ticks": (0, 1, 2), "codec": "ffv1", "options": {}}
    path = bench.clip(size_hw=(64, 7680), **settings)
    outcome = bench.restore(path).assert_succeeded()
    assert outcome.numbers() == [0, 1, 2]
    assert outcome.frames()[0].coded_hw == (64, 7680)
    bench.restore(path, "--codec", "h264", output="h264.mkv").assert_succeeded()


@fault(
    "a stream that the output's container cannot hold",
    "refused at once with its number; `--drop-unsupported` leaves it out and adds a note",
)
def unsupported(bench: Bench) -> None:
    path = film(bench, sound="flac")
    bench.restore(path, "--codec", "h264", output="out.ts").assert_refused("stream 1 (audio, flac)")
    arguments = ("--codec", "h264", "--drop-unsupported")
    outcome = bench.restore(path, *arguments, output="out.ts").assert_succeeded()
    assert outcome.has_note("stream 1", "was dropped")
    assert len(outcome.frames()) == FRAMES
