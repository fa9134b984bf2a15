"""Reads packets from damaged files; reports where reading failed."""

import errno
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

_log = logging.getLogger(__name__)

_MAX_CONSECUTIVE_FAILURES = 16
_PROBE_BYTES = 1 << 25


def is_damage(error: Exception) -> bool:
    """Whether FFmpeg failed because of the content of a file, not because of the disk."""
    return isinstance(error, av.error.FFmpegError) and not isinstance(error, OSError)


def _is_misreported_as_io_error(
    error: av.error.FFmpegError, container: InputContainer, near_byte: int
) -> bool:
    """Whether FFmpeg reports damage as a disk error, as when Matroska points beyond the end."""
    if error.errno != errno.EIO:
        return False
    try:
        with Path(container.name.removeprefix("file:")).open("rb") as file:
            file.seek(near_byte)
            file.read(_PROBE_BYTES)
    except OSError:
        return False
    return True


def demux_past_errors(
    container: InputContainer, *streams: Stream, on_damage: Callable[[], None] = lambda: None
) -> "Iterator[Packet[Stream]]":
    """Yield the packets of some streams, continuing after damage.

    The last packet of a stream is empty and drains the decoder.

    Args:
        container: Read from its current position.
        streams: The streams to read.
        on_damage: Called for each place where reading failed.

    Raises:
        OSError: The disk fails.
    """
    failures = near_byte = 0
    while True:
        try:
            for packet in container.demux(*streams):
                failures, near_byte = 0, max(near_byte, packet.pos or 0)
                yield packet
            return
        except av.error.FFmpegError as error:
            if not (is_damage(error) or _is_misreported_as_io_error(error, container, near_byte)):
                raise
            if failures == 0:
                on_damage()
            failures += 1
            _log.info("%s: damaged: %s", container.name, error)
            if failures == _MAX_CONSECUTIVE_FAILURES:
                yield from map(_flush_packet, streams)
                return


def _flush_packet(stream: Stream) -> "Packet[Stream]":
    packet = Packet()
    packet.stream = stream
    return packet
