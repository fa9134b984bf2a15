"""Files that are damaged."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from faults.bench import Bench, chapter, frames_of, sound_of
from support.clips import Sound, run_ffmpeg

fault = chapter("Damaged files")

FRAMES = 50
SECONDS = Fraction(2)


def film(bench: Bench, name: str = "film.mkv", sound: str = "aac", **clip: object) -> Path:
    """Write two seconds of film with audio."""
    sounds = (Sound(codec=sound, seconds=SECONDS, beeps_seconds=(Fraction(1),)),)
    return bench.clip(name, ticks=tuple(range(FRAMES)), sounds=sounds, **clip)


def cut_off(path: Path, share: float) -> Path:
    """Keep the first part of a file only."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def overwritten(path: Path, share: float, count: int = 1500) -> Path:
    """Write garbage into a file."""
    data = bytearray(path.read_bytes())
    offset = int(len(data) * share)
    data[offset : offset + count] = np.random.default_rng(1).bytes(count)
    path.write_bytes(data)
    return path


@fault(
    "a Matroska film cut off in the middle",
    "all frames and sound before the cut are restored and copied; the report counts those missing",
)
def cut_off_matroska(bench: Bench) -> None:
    path = cut_off(film(bench), 0.6)
    count = len(frames_of(path))

    outcome = bench.restore(path).done()

    assert 20 < count < FRAMES
    assert outcome.numbers() == list(range(count))
    assert outcome.report["damaged_packets"] == FRAMES - count
    assert outcome.sound() == sound_of(path)


@fault(
    "a transport stream cut off in the middle",
    "all that is there is restored; such a stream does not say how long it was, so nothing is "
    "counted",
)
def cut_off_transport_stream(bench: Bench) -> None:
    path = cut_off(film(bench, "film.ts", sound="mp2"), 0.6)

    outcome = bench.restore(path).done()

    numbers = outcome.numbers()
    assert 20 < len(numbers) < FRAMES
    # Of the last few, those whose packets come later are gone.
    assert numbers[:-3] == list(range(len(numbers) - 3))
    assert outcome.sound() == sound_of(path)


@fault("an MP4 cut off before its index", "refused at once: without the index nothing can be read")
def cut_off_mp4(bench: Bench) -> None:
    path = cut_off(film(bench, "film.mp4"), 0.5)
    bench.restore(path).refused("film.mp4: not a video that FFmpeg can read, or truncated")


@fault(
    "an MP4 cut off behind its index, as a broken download is",
    "the frames that are there are restored; the report counts those missing",
)
def cut_off_mp4_with_index_first(bench: Bench) -> None:
    path = film(bench, "film.mp4", container_options={"movflags": "faststart"})
    cut_off(path, 0.7)
    count = len(frames_of(path))

    outcome = bench.restore(path).done()

    assert 10 < count < FRAMES
    assert outcome.numbers() == list(range(count))
    assert outcome.report["damaged_packets"] >= FRAMES - count


@fault(
    "an MP4 in fragments, with garbage in the index of one", "refused at once: FFmpeg reads none"
)
def fragments(bench: Bench) -> None:
    path = film(bench, "film.mp4", container_options={"movflags": "frag_keyframe+empty_moov"})
    data = bytearray(path.read_bytes())
    index = [index for index in range(len(data)) if data.startswith(b"trun", index)][4]
    data[index + 4 : index + 60] = b"\xff" * 56
    path.write_bytes(data)
    bench.restore(path).refused("film.mp4: not a video that FFmpeg can read")


@fault(
    "garbage in the middle of a Matroska film",
    "reading goes on behind it; what is lost is counted, and what comes after keeps its time",
)
def garbage_in_matroska(bench: Bench) -> None:
    path = film(bench, container_options={"cluster_time_limit": "200"})
    overwritten(path, 0.4)

    outcome = bench.restore(path).done()

    numbers, times = outcome.numbers(), outcome.times_ms()
    assert numbers[:10] == list(range(10))
    assert numbers[-10:] == list(range(FRAMES - 10, FRAMES))
    assert times[-10:] == [40 * number for number in numbers[-10:]]
    lost = FRAMES - len(numbers)
    assert lost > 0
    assert outcome.noted(f"{lost} frame", "missing")
    assert outcome.sound() == sound_of(path)


@fault(
    "garbage in the middle of a transport stream, a program stream or an MXF",
    "the same",
)
def garbage_elsewhere(bench: Bench) -> None:
    for suffix in ("ts", "mpg"):
        path = film(bench, f"film.{suffix}", sound="mp2", codec="mpeg2video", options={"g": "8"})
        _garbage_is_passed(bench, overwritten(path, 0.45), sound=True)
    path = bench.clip("film.mxf", ticks=range(FRAMES), codec="mpeg2video", options={"g": "8"})
    _garbage_is_passed(bench, overwritten(path, 0.45), sound=False)


def _garbage_is_passed(bench: Bench, path: Path, *, sound: bool) -> None:
    outcome = bench.restore(path, output=f"{path.suffix[1:]}.mkv").done()
    numbers, times = outcome.numbers(), outcome.times_ms()
    assert numbers[:10] == list(range(10))
    assert numbers[-10:] == list(range(FRAMES - 10, FRAMES))
    first = times[0]
    for number, time in zip(numbers[-10:], times[-10:], strict=True):
        assert abs(time - first - 40 * number) <= 1
    if len(numbers) < FRAMES:
        assert outcome.noted(f"{FRAMES - len(numbers)} frame", "missing")
    if sound:
        assert outcome.sound() == sound_of(path)


@fault(
    "garbage in the middle of an AVI",
    "reading goes on behind it; an AVI holds no times, so what comes after is early by the loss",
)
def garbage_in_avi(bench: Bench) -> None:
    path = film(bench, "film.avi", sound="ac3", codec="mpeg4", options={"g": "8"})
    overwritten(path, 0.45)

    outcome = bench.restore(path).done()

    numbers = outcome.numbers()
    assert numbers[:10] == list(range(10))
    assert numbers[-10:] == list(range(FRAMES - 10, FRAMES))
    assert outcome.report["damaged_packets"] >= FRAMES - len(numbers) > 0
    assert outcome.sound() == sound_of(path)


@fault(
    "garbage in one packet of an MP4",
    "every other frame is restored; those that cannot be decoded are counted",
)
def garbage_in_mp4(bench: Bench) -> None:
    path = overwritten(film(bench, "film.mp4"), 0.5)

    outcome = bench.restore(path).done()

    numbers = outcome.numbers()
    assert numbers[:20] == list(range(20))
    assert outcome.report["damaged_packets"] >= FRAMES - len(numbers)
    assert outcome.times_ms()[-1] - outcome.times_ms()[0] == 40 * (FRAMES - 1)
    assert len(outcome.sound()) == len(sound_of(path))


@fault("an AVI without its index", "nothing is lost: the packets are found one by one")
def missing_index(bench: Bench) -> None:
    path = bench.clip("film.avi", ticks=range(FRAMES), codec="mpeg4", options={"g": "8"})
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"idx1")])
    assert bench.restore(path).done().numbers() == list(range(FRAMES))


@fault("a Matroska film without its index", "nothing is lost, also with --start")
def missing_cues(bench: Bench) -> None:
    path = film(bench)
    data = path.read_bytes()
    cues = data.rindex(b"\x1c\x53\xbb\x6b")
    path.write_bytes(data[:cues])
    assert bench.restore(path).done().numbers() == list(range(FRAMES))
    part = bench.restore(path, "--start", "1", output="part.mkv").done()
    assert part.numbers() == list(range(25, FRAMES))


@fault("an empty file, zeros, or text under the name of a film", "refused at once")
def no_film(bench: Bench) -> None:
    path = bench.folder / "film.mkv"
    path.write_bytes(b"")
    bench.restore(path).refused("film.mkv: the file is empty")
    for data in (bytes(100_000), b"Dear Sir or Madam\n" * 1000):
        path.write_bytes(data)
        bench.restore(path).refused("film.mkv: not a video that FFmpeg can read")


@fault(
    "a playlist under the name of a film, which names files elsewhere",
    "refused: no address of it is opened",
)
def playlist(bench: Bench) -> None:
    path = bench.folder / "film.mkv"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n")
    bench.restore(path).refused("film.mkv: ")
    path.write_text("ffconcat version 1.0\nfile '/etc/passwd'\n")
    bench.restore(path).refused("film.mkv: ")


@fault("a picture cut off, in a folder", "refused by its name: a frame must not go missing")
def cut_off_picture(bench: Bench) -> None:
    folder = _pictures(bench, 5)
    cut_off(folder / "0003.png", 0.5)
    bench.restore(folder, output="out").refused("0003.png: ")


@fault("a picture that is a broken link, in a folder", "refused by its name, likewise")
def dangling_picture(bench: Bench) -> None:
    folder = _pictures(bench, 5)
    (folder / "0003.png").unlink()
    (folder / "0003.png").symlink_to(bench.folder / "elsewhere.png")
    bench.restore(folder, output="out").refused("0003.png: ")


def _pictures(bench: Bench, count: int) -> Path:
    folder = bench.folder / "frames"
    folder.mkdir()
    run_ffmpeg("-i", bench.clip(ticks=range(count)), "-start_number", "1", folder / "%04d.png")
    return folder
