"""Standard input as a source: frames once, in order, few at a time."""

import os
import threading
from collections.abc import Generator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.input.pipe_source import PipeSource
from vidrestore.media.input.raw_streams import check_rate_is_needed
from vidrestore.media.input.source import open_source
from vidrestore.prefetch import prefetched
from vidrestore.storage import standard_streams
from vidrestore.types import Frame

SIZE_HW = (18, 33)
HEADER = b"YUV4MPEG2 W33 H18 F25:1 Ip A0:0 C420jpeg\n"
STDIN = Path("-")


def samples(number: int) -> NDArray[np.uint8]:
    count = 18 * 33 + 2 * 9 * 17
    return (np.arange(count) + 7 * number).astype(np.uint8)


def frame_bytes(number: int) -> bytes:
    return b"FRAME\n" + samples(number).tobytes()


class Pipe:
    """Standard input of this process, and the end that is written to."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()

    def send(self, data: bytes) -> None:
        """Write all of some bytes and close, on a thread: a pipe takes only so many."""
        threading.Thread(target=self._send, args=(data,), daemon=True).start()

    def _send(self, data: bytes) -> None:
        with open(self.write_fd, "wb") as file:  # noqa: PTH123  (a descriptor)
            file.write(data)


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Generator[Pipe]:
    opened = Pipe()
    monkeypatch.setattr(standard_streams, "_STDIN", opened.read_fd)
    yield opened
    os.close(opened.read_fd)


def assert_shows(frame: Frame, number: int) -> None:
    shown = np.concatenate([plane.ravel() for plane in frame.planes])
    np.testing.assert_array_equal(shown, samples(number))


def test_frames_have_the_samples_and_timestamps_of_the_pipe(pipe: Pipe) -> None:
    pipe.send(HEADER + b"".join(map(frame_bytes, range(40))))

    with open_source(STDIN) as source:
        frames = list(source)

    assert [frame.timestamp.seconds for frame in frames] == [
        Fraction(index, 25) for index in range(40)
    ]
    for number, frame in enumerate(frames):
        assert_shows(frame, number)


def test_frames_read_for_probing_are_returned_again(pipe: Pipe) -> None:
    pipe.send(HEADER + b"".join(map(frame_bytes, range(6))))

    with open_source(STDIN) as source:
        assert isinstance(source, PipeSource)
        head = source.head(4)
        frames = list(source)

    assert len(head) == 4
    assert [frame.index for frame in frames] == [*range(6)]


def test_a_time_range_selects_frames(pipe: Pipe) -> None:
    pipe.send(HEADER + b"".join(map(frame_bytes, range(20))))

    with open_source(STDIN, start_seconds=0.2, end_seconds=0.4) as source:
        frames = list(source)

    assert [frame.index for frame in frames] == [*range(5)]
    assert_shows(frames[0], 5)
    assert frames[0].timestamp.seconds == Fraction(1, 5)


def test_a_pipe_is_read_no_further_than_requested(pipe: Pipe) -> None:
    size = len(frame_bytes(0))
    os.write(pipe.write_fd, HEADER + b"".join(map(frame_bytes, range(8))))

    with open_source(STDIN) as source:
        frames = iter(source)
        for _ in range(3):
            next(frames)
        rest = os.read(pipe.read_fd, 1 << 20)

    assert len(rest) == 5 * size
    os.close(pipe.write_fd)


def test_a_truncated_frame_is_counted(pipe: Pipe) -> None:
    pipe.send(HEADER + frame_bytes(0) + frame_bytes(1)[:-1])

    with open_source(STDIN) as source:
        assert len(list(source)) == 1
        assert source.damaged_packets == 1


def test_garbage_between_frames_is_refused(pipe: Pipe) -> None:
    pipe.send(HEADER + frame_bytes(0) + b"Segmentation fault\n" + frame_bytes(1))

    with (
        open_source(STDIN) as source,
        pytest.raises(MediaError, match="damaged after 1 frames"),
    ):
        list(source)


def test_a_pipe_is_read_only_once(pipe: Pipe) -> None:
    pipe.send(HEADER + frame_bytes(0))

    with open_source(STDIN) as source:
        list(source)
        with pytest.raises(MediaError, match="only once"):
            list(source)


def test_a_stream_without_a_frame_rate_needs_the_option(pipe: Pipe) -> None:
    pipe.send(HEADER.replace(b"F25:1", b"F0:0") + frame_bytes(0))

    with open_source(STDIN, fps=Fraction(18)) as source:
        check_rate_is_needed(source.info, Fraction(18))
        assert source.info.average_rate == 18


def test_a_stream_without_a_frame_rate_is_refused_with_the_name_of_the_option(pipe: Pipe) -> None:
    pipe.send(HEADER.replace(b"F25:1", b"F0:0") + frame_bytes(0))

    with pytest.raises(MediaError, match="--fps 25"), open_source(STDIN):
        pass


def test_a_frame_rate_that_contradicts_the_stream_is_refused(pipe: Pipe) -> None:
    pipe.send(HEADER + frame_bytes(0))

    with (
        open_source(STDIN) as source,
        pytest.raises(ConfigError, match="leave out --fps"),
    ):
        check_rate_is_needed(source.info, Fraction(18))


def test_a_thread_that_waits_for_a_pipe_can_be_stopped(pipe: Pipe) -> None:
    os.write(pipe.write_fd, HEADER + frame_bytes(0))

    with open_source(STDIN) as source:
        # Two threads, one reading from the other, as in a restoration.
        ahead = prefetched(prefetched(source, size=1), size=1)
        with closing(ahead):
            next(ahead)

    os.close(pipe.write_fd)
