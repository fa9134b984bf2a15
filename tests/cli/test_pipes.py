"""``-`` as source and output: frames from and to other programs, as users run them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from support.clips import Clip, Sound, make_clip
from support.faceclips import face_picture
from support.fake_restorer import load_fake_restorer
from support.fields import interlaced_clip
from support.video_copies import frames_of

from vidrestore.cli import main
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.jobs.store.job_folder import count_finished_segments
from vidrestore.media.y4m import MAGIC, Y4mHeader
from vidrestore.pipeline import setup
from vidrestore.restore.restorer import Restorer
from vidrestore.storage import standard_streams

_TESTS = Path(__file__).parents[1]
_COMMAND = """
from support.fake_restorer import use_fake_restorer
from vidrestore.cli import entry_point
use_fake_restorer()
entry_point()
"""
_FACE_HW = (120, 160)
_FRAMES = 8
_FACE_CLIP = Clip(
    codec="ffv1",
    options={"level": "3"},
    pixel_format="yuv444p",  # YUV4MPEG2 always states where chroma of 4:2:0 is
    size_hw=_FACE_HW,
    picture=face_picture,
    sounds=(Sound(codec="flac"),),
    ticks=range(_FRAMES),
)


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: ExitCode
    out: bytes
    err: str


class Command:
    """Runs commands in this process, with a pipe as standard input and a cheap restorer."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capture: "pytest.CaptureFixture[bytes]"
    ) -> None:
        self._monkeypatch = monkeypatch
        self._capture = capture
        monkeypatch.setattr(setup, "load_restorer", load_loudly)

    def __call__(self, *words: str | Path, sent: bytes = b"") -> Done:
        stdin_fd, sender_fd = os.pipe()
        self._monkeypatch.setattr(standard_streams, "_STDIN", stdin_fd)
        sender = threading.Thread(target=_send, args=(sender_fd, sent), daemon=True)
        sender.start()
        code = main([*map(str, words)])
        os.close(stdin_fd)
        sender.join()
        out, err = self._capture.readouterr()
        return Done(code, out, err.decode())


def load_loudly(
    *names: object, device: torch.device, dtype: torch.dtype, **more: object
) -> Restorer:
    """Print as some libraries do."""
    os.write(1, b"printed by a library\n")
    return load_fake_restorer(*names, device=device, dtype=dtype, **more)


def _send(fd: int, data: bytes) -> None:
    with open(fd, "wb") as file:
        file.write(data)


@pytest.fixture
def vidrestore(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: "pytest.CaptureFixture[bytes]"
) -> Command:
    return Command(monkeypatch, capfdbinary)


def ffmpeg(*words: str | Path, sent: bytes = b"") -> bytes:
    program = imageio_ffmpeg.get_ffmpeg_exe()
    return subprocess.run(
        [program, "-v", "error", *map(str, words)], input=sent, capture_output=True, check=True
    ).stdout


def as_y4m(path: Path) -> bytes:
    return ffmpeg("-i", path, "-f", "yuv4mpegpipe", "-strict", "-1", "-")


def header_of(stream: bytes) -> Y4mHeader:
    return Y4mHeader.from_line(stream[: stream.index(b"\n") + 1])


@pytest.fixture(scope="module")
def face_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("pipes") / "film.mkv", _FACE_CLIP)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "gray16le"])
def test_frames_without_faces_are_copied_bit_for_bit(
    vidrestore: Command, tmp_path: Path, pixel_format: str
) -> None:
    options = {"level": "3", "strict": "-2"}
    clip = Clip(codec="ffv1", options=options, pixel_format=pixel_format, ticks=range(3))
    sent = as_y4m(make_clip(tmp_path / "film.mkv", clip)).replace(b" A0:0 ", b" A16:15 ")

    done = vidrestore("-", "-o", "-", "--quiet", sent=sent)

    assert (done.code, done.err) == (ExitCode.OK, "printed by a library\n")
    assert header_of(done.out) == header_of(sent)
    samples = [stream[stream.index(b"\n") :] for stream in (sent, done.out)]
    assert samples[0] == samples[1]


@pytest.mark.parametrize(("order", "full_range"), [("tff", True), ("bff", False)])
def test_field_flags_and_color_range_are_kept(
    vidrestore: Command, tmp_path: Path, order: str, full_range: bool
) -> None:
    color = (1, 1, 1, 2 if full_range else 1)
    sent = as_y4m(interlaced_clip(tmp_path / "film.mkv", order=order, color=color))

    done = vidrestore("-", "-o", "-", sent=sent)

    header = header_of(done.out)
    assert header.field_order == ("top first" if order == "tff" else "bottom first")
    assert header.full_range is full_range
    assert "each field was restored separately" in done.err


def test_a_pipe_and_a_file_give_the_same_frames(
    vidrestore: Command, face_film: Path, tmp_path: Path
) -> None:
    whole, piped = tmp_path / "whole.mkv", tmp_path / "piped.mkv"
    vidrestore(face_film, "-o", whole, "--codec", "ffv1")

    done = vidrestore("-", "-o", "-", "--segment", "0.2", sent=as_y4m(face_film))
    ffmpeg("-i", "-", "-c:v", "ffv1", piped, sent=done.out)

    assert "1 track" in done.err
    for first, other in zip(frames_of(whole), frames_of(piped), strict=True):
        for before, after in zip(first.planes, other.planes, strict=True):
            np.testing.assert_array_equal(before, after)


def test_a_pipe_is_restored_to_a_file(vidrestore: Command, face_film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"

    done = vidrestore("-", "-o", out, "--codec", "ffv1", sent=as_y4m(face_film))

    assert done.code == ExitCode.OK, done.err
    assert len(frames_of(out)) == _FRAMES
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]


def test_a_film_is_restored_to_a_pipe_and_dropped_streams_are_noted(
    vidrestore: Command, face_film: Path
) -> None:
    done = vidrestore(face_film, "-o", "-")

    assert done.out.startswith(MAGIC)
    assert "stream 1 (audio, flac) dropped" in done.err


def test_standard_output_has_only_frames(vidrestore: Command, face_film: Path) -> None:
    done = vidrestore(face_film, "-o", "-", "--end", "0.2")

    header = done.out[: done.out.index(b"\n") + 1]
    frame_bytes = len(b"FRAME\n") + header_of(done.out).frame_bytes
    assert len(done.out) == len(header) + 5 * frame_bytes
    assert "printed by a library" in done.err


def test_the_record_of_a_pipe_is_written(
    vidrestore: Command, face_film: Path, tmp_path: Path
) -> None:
    record = tmp_path / "r.jsonl"

    vidrestore("-", "-o", "-", "--record", record, sent=as_y4m(face_film))

    assert '"codec":"rawvideo"' in record.read_text()
    assert record.read_text().count('"faces":[{') == _FRAMES


def test_a_truncated_stream_is_finished_and_noted(vidrestore: Command, face_film: Path) -> None:
    done = vidrestore("-", "-o", "-", sent=as_y4m(face_film)[:-10])

    assert done.code == ExitCode.OK
    assert f"{_FRAMES - 1} frames" in done.err
    assert "1 damaged packet in the source" in done.err


def test_a_missing_frame_rate_is_given_by_an_option(vidrestore: Command, face_film: Path) -> None:
    sent = as_y4m(face_film).replace(b" F25:1 ", b" F0:0 ")

    done = vidrestore("-", "-o", "-", "--fps", "18", sent=sent)

    assert header_of(done.out).frame_rate == Fraction(18)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-", "-o", "-", "--resume"), "--resume: a pipe cannot be continued"),
        (("-", "-o", "out.mkv", "--resume"), "--resume: a pipe cannot be continued"),
        (("-", "-o", "out.mkv", "--engine", "ray"), "--engine ray: workers cannot share a pipe"),
        (("-", "-o", "out.mkv", "--dry-run"), "--dry-run: cannot be used with a pipe"),
        (("-", "-o", "out.mkv", "--review", "r.html"), "--review: cannot be used with a pipe"),
        (("-", "-o", "out.mkv", "--verify"), "--verify: reads both films again"),
        (("film.mkv", "-o", "-", "--chroma", "420"), "--chroma: standard output is not encoded"),
        (("film.mkv", "-o", "-", "--codec", "ffv1"), "--codec: standard output is not encoded"),
        (("film.mkv", "-o", "-", "--framemd5", "m"), "ffmpeg -i - -f framemd5"),
        (("film.mkv", "-o", "-", "--compare", "c.mkv"), "use -o FILE"),
        (("film.mkv", "-"), "vidrestore film.mkv -o -"),
        (("-", "-"), "vidrestore - -o -"),
    ],
)
def test_options_that_a_pipe_does_not_support_are_refused(
    vidrestore: Command, words: Sequence[str], message: str
) -> None:
    done = vidrestore(*words)

    (line,) = done.err.splitlines()
    assert message in line
    assert done.code == ExitCode.USAGE


@pytest.mark.parametrize("words", [("info", "-"), ("verify", "-", "x.mkv")])
def test_commands_that_do_not_read_pipes_refuse_them(
    vidrestore: Command, words: Sequence[str]
) -> None:
    done = vidrestore(*words)

    assert "only `vidrestore - -o FILE` reads standard input" in done.err


def test_the_error_names_the_command_that_reads_a_named_pipe(
    vidrestore: Command, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")

    done = vidrestore(tmp_path / "fifo", "-o", tmp_path / "out.mkv")

    assert f"vidrestore - -o FILE < {tmp_path / 'fifo'}" in done.err


def start_command(*words: str, folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{_TESTS.parent}{os.pathsep}{_TESTS}"},
        cwd=folder,
    )


def test_closing_the_reader_ends_the_command_without_an_error(
    face_film: Path, tmp_path: Path
) -> None:
    with start_command(str(face_film), "-o", "-", folder=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(100)
        process.stdout.close()
        message = process.stderr.read().decode()

    assert process.returncode == ExitCode.PIPE_CLOSED
    assert all(line.startswith("restoring: ") for line in message.splitlines())


def test_sigterm_ends_the_command_while_it_waits_for_input(face_film: Path, tmp_path: Path) -> None:
    with start_command("-", "-o", "out.mkv", "--segment", "0.1", folder=tmp_path) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        # More frames than the stages hold for what comes after.
        sent = as_y4m(face_film)
        process.stdin.write(sent + 14 * sent[sent.index(b"\n") + 1 :])
        process.stdin.flush()
        wait_for(lambda: count_finished_segments(tmp_path / "out.mkv") > 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == ExitCode.TERMINATED
        assert b"ended by SIGTERM" in process.stderr.read()

    assert list(tmp_path.iterdir()) == []


def wait_for(is_reached: Callable[[], bool]) -> None:
    while not is_reached():
        time.sleep(0.05)
