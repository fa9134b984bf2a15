"""Reading goes on after damage, and stops where the disk fails."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import av
import av.error
import pytest
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from support.clips import make_clip

from vidrestore.media.input.demuxer import demux_past_errors


def failure(number: int) -> Exception:
    """Return what PyAV raises for an error number of FFmpeg."""
    try:
        av.error.err_check(-number)
    except av.error.FFmpegError as error:
        return error
    raise AssertionError(number)


DAMAGE = failure(0x41444E49)
"""FFmpeg's AVERROR_INVALIDDATA."""


class Container:
    """Gives packets and errors in the order of a script, as PyAV's does call by call."""

    def __init__(self, path: Path, *script: bytes | Exception) -> None:
        self.name = f"file:{path}"
        self._script = iter(script)

    def demux(self, *streams: object) -> "Iterator[Packet[Any]]":
        del streams
        for item in self._script:
            if isinstance(item, Exception):
                raise item
            yield Packet(item)


def read(container: Container, *streams: object) -> tuple[list[bytes], int]:
    """Return the contents of the packets, and at how many places reading failed."""
    places: list[None] = []
    packets = demux_past_errors(
        cast(InputContainer, container),
        *cast("tuple[Stream, ...]", streams),
        on_damage=lambda: places.append(None),
    )
    return [bytes(packet) for packet in packets], len(places)


def test_packets_after_damage_are_read_and_each_place_is_counted_once(tmp_path: Path) -> None:
    script = (b"a", DAMAGE, DAMAGE, DAMAGE, b"b", b"c", DAMAGE, b"d")

    assert read(Container(tmp_path, *script)) == ([b"a", b"b", b"c", b"d"], 2)


def test_a_file_that_only_fails_is_given_up_and_its_decoders_are_drained(tmp_path: Path) -> None:
    container = Container(tmp_path, b"a", *[DAMAGE] * 1000, b"b")

    with av.open(str(make_clip(tmp_path / "film.mkv"))) as film:
        assert read(container, film.streams.video[0]) == ([b"a", b""], 1)


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT])
def test_an_error_of_the_disk_is_raised(tmp_path: Path, number: int) -> None:
    with pytest.raises(OSError, match=r"Errno") as raised:
        read(Container(tmp_path, b"a", failure(number), b"b"))
    assert raised.value.errno == number


def test_a_read_beyond_the_end_is_damage_where_the_file_itself_can_be_read(tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(b"as long as it is")
    container = Container(film, b"a", failure(errno.EIO), b"b")

    assert read(container) == ([b"a", b"b"], 1)
    with pytest.raises(OSError, match=r"Errno"):
        read(Container(tmp_path / "gone.mkv", b"a", failure(errno.EIO), b"b"))
