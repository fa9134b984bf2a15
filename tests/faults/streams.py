"""Streams that are missing, too long, too short, or change on the way."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from faults.bench import Bench, chapter, sound_of
from faults.files import FRAMES, film
from support.clips import Sound, first_beep_seconds, run_ffmpeg

fault = chapter("Streams")


@fault("no sound", "none is made up")
def no_sound(bench: Bench) -> None:
    outcome = bench.restore(bench.clip("film.mp4")).done()
    assert outcome.numbers() == list(range(12))
    with av.open(str(outcome.output)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


@fault("sound only", "refused at once: there is nothing to restore")
def sound_only(bench: Bench) -> None:
    path = bench.folder / "sound.m4a"
    run_ffmpeg("-i", film(bench), "-vn", "-c", "copy", path)
    bench.restore(path).refused("sound.m4a: no video stream (only audio)")


@fault("sound longer than the picture", "kept whole")
def longer_sound(bench: Bench) -> None:
    _other_length(bench, Fraction(3))


@fault("sound shorter than the picture", "kept as it is; the picture is kept whole")
def shorter_sound(bench: Bench) -> None:
    _other_length(bench, Fraction(1, 2))


def _other_length(bench: Bench, seconds: Fraction) -> None:
    sound = Sound(seconds=seconds, beeps_seconds=(Fraction(1, 4),))
    path = bench.clip("film.mp4", ticks=range(25), sounds=(sound,))
    outcome = bench.restore(path).done()
    assert outcome.numbers() == list(range(25))
    assert outcome.sound() == sound_of(path)
    assert first_beep_seconds(outcome.output) == pytest.approx(first_beep_seconds(path), abs=0.03)


@fault(
    "pictures that change size on the way, in a transport stream",
    "refused before the work starts, with the time of every change; `--end` and `--start` restore "
    "the parts one by one, each whole",
)
def size_changes(bench: Bench) -> None:
    path = _two_parts(bench, size_hw=(64, 128))
    bench.restore(path).refused(
        "film.ts: the frame format changes from 96x48 yuv420p to 128x64 yuv420p at 0.480 s",
        "--start",
    )
    _parts_are_whole(bench, path)


@fault(
    "a pixel format that changes on the way, in a transport stream",
    "refused before the work starts, likewise",
)
def format_changes(bench: Bench) -> None:
    path = _two_parts(bench, pixel_format="yuv422p")
    bench.restore(path).refused(
        "film.ts: the frame format changes from 96x48 yuv420p to 96x48 yuv422p at 0.480 s",
        "--start",
    )
    _parts_are_whole(bench, path)


@fault(
    "pictures that change size on the way, elsewhere",
    "refused when met, with the time; the parts can be restored one by one",
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
    bench.restore(path).refused(
        "film.mkv: at 0.480 s the frame format changes from 96x48 yuvj420p to 128x64 yuvj420p",
        "--start",
    )
    _parts_are_whole(bench, path)


def _two_parts(bench: Bench, **other: object) -> Path:
    # Without B-frames, which would have the muxer shift the one and not the other.
    options = {"bf": "0", "g": "8", "crf": "10"}
    one = bench.clip("one.ts", ticks=range(12), options=options)
    two = bench.clip("two.ts", ticks=range(12, 24), options=options, **other)
    path = bench.folder / "film.ts"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    return path


def _parts_are_whole(bench: Bench, path: Path) -> None:
    first = bench.restore(path, "--end", "0.48", output="first.mkv").done()
    second = bench.restore(path, "--start", "0.48", output="second.mkv").done()
    assert first.numbers() == list(range(12))
    assert second.numbers() == list(range(12))


@fault("a picture of another size among the frames of a folder", "refused by its name")
def other_picture(bench: Bench) -> None:
    folder = bench.folder / "frames"
    folder.mkdir()
    run_ffmpeg("-i", bench.clip(ticks=range(5)), folder / "%02d.png")
    small = bench.clip("small.mkv", ticks=(0,), size_hw=(32, 96))
    run_ffmpeg("-i", small, "-frames:v", "1", folder / "03.png")
    bench.restore(folder, output="out").refused("03.png: is 96x32 gbrp, but earlier images are")


@fault("a film of one frame", "one frame comes out, in every container")
def one_frame(bench: Bench) -> None:
    for suffix in ("mp4", "mkv", "ts"):
        path = bench.clip(f"one.{suffix}", ticks=(0,))
        outcome = bench.restore(path, output=f"{suffix}.mkv").done()
        assert outcome.numbers() == [0]


@fault(
    "a film 7680 pixels wide",
    "restored like any other; a codec that cannot hold the size is refused at once",
)
def wide(bench: Bench) -> None:
    settings = {"ticks": (0, 1, 2), "codec": "ffv1", "options": {}}
    path = bench.clip(size_hw=(64, 7680), **settings)
    outcome = bench.restore(path).done()
    assert outcome.numbers() == [0, 1, 2]
    assert outcome.frames()[0].coded_hw == (64, 7680)
    bench.restore(path, "--codec", "h264", output="h264.mkv").done()


@fault(
    "a stream that the output's container cannot hold",
    "refused at once by its number; `--drop-unsupported` leaves it out, and says so",
)
def unsupported(bench: Bench) -> None:
    path = film(bench, sound="flac")
    bench.restore(path, "--codec", "h264", output="out.ts").refused("stream 1 (audio, flac)")
    words = ("--codec", "h264", "--drop-unsupported")
    outcome = bench.restore(path, *words, output="out.ts").done()
    assert outcome.noted("stream 1", "was dropped")
    assert len(outcome.frames()) == FRAMES
