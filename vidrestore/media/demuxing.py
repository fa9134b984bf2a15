"""Packets of damaged files: whatever can be read, and a word on what cannot."""

import logging
from collections.abc import Callable, Iterator

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

_log = logging.getLogger(__name__)

_MOST_FAILURES_IN_A_ROW = 16


def is_damage(error: Exception) -> bool:
    """Whether FFmpeg fails over what a file holds, not over the disk it lies on."""
    return isinstance(error, av.error.FFmpegError) and not isinstance(error, OSError)


def packets_around_damage(
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
    failures = 0
    while True:
        try:
            for packet in container.demux(*streams):
                failures = 0
                yield packet
            return
        except av.error.FFmpegError as error:
            if not is_damage(error):
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
