"""Damaged files."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from faults.bench import Bench, audio_packets, chapter, frames_of
from support.clips import Sound, run_ffmpeg

fault = chapter("Damaged files")

FRAMES = 50
SECONDS = Fraction(2)


def film(bench: Bench, name: str = "film.mkv", sound: str = "aac", **clip: object) -> Path:
    """Write two seconds of film with audio."""
    sounds = (Sound(codec=sound, seconds=SECONDS, beeps_seconds=(Fraction(1),)),)
    return bench.clip(name, ticks=tuple(range(FRAMES)), sounds=sounds, **clip)


def truncate(path: Path, share: float) -> Path:
    """Truncate a file to this share of its size."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def write_garbage(path: Path, share: float, count: int = 1500) -> Path:
    """Write garbage into a file."""
    data = bytearray(path.read_bytes())
    offset = int(len(data) * share)
    data[offset : offset + count] = np.random.default_rng(1).bytes(count)
    path.write_bytes(data)
    return path


@fault(
    "a Matroska film truncated in the middle",
    "all frames and audio before the cut are kept; the report counts the missing frames",
)
def truncated_matroska(bench: Bench) -> None:
    path = truncate(film(bench), 0.6)
    count = len(frames_of(path))

    outcome = bench.restore(path).assert_succeeded()

    assert 20 < count < FRAMES
    assert outcome.numbers() == list(range(count))
    assert outcome.report["damaged_packets"] == FRAMES - count
    assert outcome.audio() == audio_packets(path)


@fault(
    "a transport stream truncated in the middle",
    "everything in the file is restored; a transport stream does not state its length, so no "
    "missing frames are counted",
)
def truncated_transport_stream(bench: Bench) -> None:
    path = truncate(film(bench, "film.ts", sound="mp2"), 0.6)

    outcome = bench.restore(path).assert_succeeded()

    numbers = outcome.numbers()
    assert 20 < len(numbers) < FRAMES
    # Of the last few, those whose packets come later are gone.
    assert numbers[:-3] == list(range(len(numbers) - 3))
    assert outcome.audio() == audio_packets(path)


@fault(
    "an MP4 truncated before its index",
    "refused at once: nothing can be read without the index",
)
def truncated_mp4(bench: Bench) -> None:
    path = truncate(film(bench, "film.mp4"), 0.5)
    bench.restore(path).assert_refused("film.mp4: not a video that FFmpeg can read, or truncated")


@fault(
    "an MP4 truncated after its index, like an interrupted download",
    "the frames in the file are restored; the report counts the missing ones",
)
def truncated_mp4_with_index_first(bench: Bench) -> None:
    path = film(bench, "film.mp4", container_options={"movflags": "faststart"})
    truncate(path, 0.7)
    count = len(frames_of(path))

    outcome = bench.restore(path).assert_succeeded()

    assert 10 < count < FRAMES
    assert outcome.numbers() == list(range(count))
    assert outcome.report["damaged_packets"] >= FRAMES - count


@fault(
    "a fragmented MP4 with garbage in the index of one fragment",
    "refused at once: FFmpeg cannot read the file",
)
def fragments(bench: Bench) -> None:
    path = film(bench, "film.mp4", container_options={"movflags": "frag_keyframe+empty_moov"})
    data = bytearray(path.read_bytes())
    index = [index for index in range(len(data)) if data.startswith(b"trun", index)][4]
    data[index + 4 : index + 60] = b"\xff" * 56
    path.write_bytes(data)
    bench.restore(path).assert_refused("film.mp4: not a video that FFmpeg can read")


@fault(
    "garbage in the middle of a Matroska film",
    "reading continues after the garbage; lost frames are counted, and later frames keep "
    "their timestamps",
)
def garbage_in_matroska(bench: Bench) -> None:
    path = film(bench, container_options={"cluster_time_limit": "200"})
    write_garbage(path, 0.4)

    outcome = bench.restore(path).assert_succeeded()

    numbers, times = outcome.numbers(), outcome.times_ms()
    assert numbers[:10] == list(range(10))
    assert numbers[-10:] == list(range(FRAMES - 10, FRAMES))
    assert times[-10:] == [40 * number for number in numbers[-10:]]
    lost = FRAMES - len(numbers)
    assert lost > 0
    assert outcome.has_note(f"{lost} frame", "missing")
    assert outcome.audio() == audio_packets(path)


@fault(
    "garbage in the middle of a transport stream, a program stream or an MXF",
    "the same",
)
def garbage_elsewhere(bench: Bench) -> None:
    for suffix in ("ts", "mpg"):
        path = film(bench, f"film.{suffix}", sound="mp2", codec="mpeg2video", options={"g": "8"})
        _assert_garbage_is_skipped(bench, write_garbage(path, 0.45), sound=True)
    path = bench.clip("film.mxf", ticks=range(FRAMES), codec="mpeg2video", options={"g": "8"})
    _assert_garbage_is_skipped(bench, write_garbage(path, 0.45), sound=False)


def _assert_garbage_is_skipped(bench: Bench, path: Path, *, sound: bool) -> None:
    outcome = bench.restore(path, output=f"{path.suffix[1:]}.mkv").assert_succeeded()
    numbers, times = outcome.numbers(), outcome.times_ms()
    assert numbers[:10] == list(range(10))
    assert numbers[-10:] == list(range(FRAMES - 10, FRAMES))
    first = times[0]
    for number, time in zip(numbers[-10:], times[-10:], strict=True):
        assert abs(time - first - 40 * number) <= 1
    if len(numbers) < FRAMES:
        assert outcome.has_note(f"{FRAMES - len(numbers)} frame", "missing")
    if sound:
        assert outcome.audio() == audio_packets(path)


@fault(
    "garbage in the middle of an AVI",
    "reading continues after the garbage; AVI stores no timestamps, so later frames are "
    "early by the duration of the lost ones",
)
def garbage_in_avi(bench: Bench) -> None:
    path = film(bench, "film.avi", sound="ac3", codec="mpeg4", options={"g": "8"})
    write_garbage(path, 0.45)

    outcome = bench.restore(path).assert_succeeded()

    numbers = outcome.numbers()
    assert numbers[:10] == list(range(10))
    assert numbers[-10:] == list(range(FRAMES - 10, FRAMES))
    assert outcome.report["damaged_packets"] >= FRAMES - len(numbers) > 0
    assert outcome.audio() == audio_packets(path)


@fault(
    "garbage in one packet of an MP4",
    "all other frames are restored; those that cannot be decoded are counted",
)
def garbage_in_mp4(bench: Bench) -> None:
    path = write_garbage(film(bench, "film.mp4"), 0.5)

    outcome = bench.restore(path).assert_succeeded()

    numbers = outcome.numbers()
    assert numbers[:20] == list(range(20))
    assert outcome.report["damaged_packets"] >= FRAMES - len(numbers)
    assert outcome.times_ms()[-1] - outcome.times_ms()[0] == 40 * (FRAMES - 1)
    assert len(outcome.audio()) == len(audio_packets(path))


@fault(
    "an AVI without an index",
    "nothing is lost: packets are found by scanning the file",
)
def missing_index(bench: Bench) -> None:
    path = bench.clip("film.avi", ticks=range(FRAMES), codec="mpeg4", options={"g": "8"})
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"idx1")])
    assert bench.restore(path).assert_succeeded().numbers() == list(range(FRAMES))


@fault(
    "a Matroska film without an index",
    "nothing is lost, not even with `--start`",
)
def missing_cues(bench: Bench) -> None:
    path = film(bench)
    data = path.read_bytes()
    cues = data.rindex(b"\x1c\x53\xbb\x6b")
    path.write_bytes(data[:cues])
    assert bench.restore(path).assert_succeeded().numbers() == list(range(FRAMES))
    part = bench.restore(path, "--start", "1", output="part.mkv").assert_succeeded()
    assert part.numbers() == list(range(25, FRAMES))


@fault(
    "an empty file, a file of zeros, or text, named like a film",
    "refused at once",
)
def not_a_film(bench: Bench) -> None:
    path = bench.folder / "film.mkv"
    path.write_bytes(b"")
    bench.restore(path).assert_refused("film.mkv: the file is empty")
    for data in (bytes(100_000), b"Dear Sir or Madam\n" * 1000):
        path.write_bytes(data)
        bench.restore(path).assert_refused("film.mkv: not a video that FFmpeg can read")


@fault(
    "a playlist named like a film, which refers to other files",
    "refused; none of the files and addresses in it is opened",
)
def playlist(bench: Bench) -> None:
    path = bench.folder / "film.mkv"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n")
    bench.restore(path).assert_refused("film.mkv: ")
    path.write_text("ffconcat version 1.0\nfile '/etc/passwd'\n")
    bench.restore(path).assert_refused("film.mkv: ")


@fault(
    "a truncated image in an image sequence",
    "refused by name: no frame may go missing",
)
def truncated_image(bench: Bench) -> None:
    folder = _image_sequence(bench, 5)
    truncate(folder / "0003.png", 0.5)
    bench.restore(folder, output="out").assert_refused("0003.png: ")


@fault(
    "a broken link in an image sequence",
    "refused by name, for the same reason",
)
def broken_link_in_sequence(bench: Bench) -> None:
    folder = _image_sequence(bench, 5)
    (folder / "0003.png").unlink()
    (folder / "0003.png").symlink_to(bench.folder / "elsewhere.png")
    bench.restore(folder, output="out").assert_refused("0003.png: ")


def _image_sequence(bench: Bench, count: int) -> Path:
    folder = bench.folder / "frames"
    folder.mkdir()
    run_ffmpeg("-i", bench.clip(ticks=range(count)), "-start_number", "1", folder / "%04d.png")
    return folder
