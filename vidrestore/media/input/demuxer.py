"""Packets of damaged files: whatever can be read, and a warning about what cannot."""

import errno
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

_log = logging.getLogger(__name__)

_MOST_FAILURES_IN_A_ROW = 16
_READ_TO_SEE_BYTES = 1 << 25


def is_damage(error: Exception) -> bool:
    """Whether FFmpeg fails because of a file's content, not because of the disk."""
    return isinstance(error, av.error.FFmpegError) and not isinstance(error, OSError)


def _lies(error: av.error.FFmpegError, container: InputContainer, near_byte: int) -> bool:
    """Whether FFmpeg reports damage as a disk error, as when Matroska points beyond the end."""
    if error.errno != errno.EIO:
        return False
    try:
        with Path(container.name.removeprefix("file:")).open("rb") as file:
            file.seek(near_byte)
            file.read(_READ_TO_SEE_BYTES)
    except OSError:
        return False
    return True


def demux_past_errors(
    container: InputContainer, *streams: Stream, on_damage: Callable[[], None]
) -> "Iterator[Packet[Stream]]":
    """Yield the packets of some streams, also those behind a damaged place.

    The last one is empty and drains a decoder.

    Args:
        container: An open file, read on from where it stands.
        streams: Whose packets.
        on_damage: Called for every place where reading failed.

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
            if not (is_damage(error) or _lies(error, container, near_byte)):
                raise
            if failures == 0:
                on_damage()
            failures += 1
            _log.info("%s: damaged: %s", container.name, error)
            if failures == _MOST_FAILURES_IN_A_ROW:
                yield from map(_draining, streams)
                return


def _draining(stream: Stream) -> "Packet[Stream]":
    packet = Packet()
    packet.stream = stream
    return packet
