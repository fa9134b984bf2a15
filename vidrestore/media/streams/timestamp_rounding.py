"""Detects what a container loses of the timestamps of frames."""

from collections import deque
from fractions import Fraction
from pathlib import Path

from av.packet import Packet
from av.video.stream import VideoStream

from vidrestore.media.output.containers import ContainerSpec

_ROUNDED_SECONDS = Fraction(1, 500)
_MAX_REORDERED = 64


class TimestampRounding:
    """Observes the timestamps that are written into a container."""

    def __init__(self, spec: ContainerSpec, target: Path, time_base: Fraction) -> None:
        self._spec = spec
        self._suffix = target.suffix
        self._time_base = time_base
        self._last_ticks: int | None = None
        self._step_ticks: list[int] = []
        """Shortest and longest time between two frames; empty before the second frame."""
        self._rounds = False
        self._shared_count = 0
        self._rounded: deque[int] = deque(maxlen=_MAX_REORDERED)
        """Rounded timestamps of the last packets, in milliseconds."""

    def add_frame(self, ticks: int) -> None:
        """Add the timestamp of the next frame in presentation order."""
        if self._last_ticks is not None:
            steps = [*self._step_ticks, ticks - self._last_ticks]
            self._step_ticks = [min(steps), max(steps)]
        self._last_ticks = ticks

    def add_packet(self, packet: "Packet[VideoStream]") -> None:
        """Add the next packet, before it is written."""
        if packet.pts is None or not self._spec.rounds_to_milliseconds:
            return
        milliseconds = packet.pts * packet.time_base * 1000
        # As FFmpeg rounds: halves go up.
        rounded = (milliseconds + Fraction(1, 2)) // 1
        self._rounds |= milliseconds != rounded
        self._shared_count += rounded in self._rounded
        self._rounded.append(rounded)

    def notes(self) -> list[str]:
        """Return notes for the user, after the last packet."""
        notes: list[str] = []
        if self._rounds:
            notes.append(f"{self._suffix} rounds timestamps to milliseconds{self._shared()}")
        if self._spec.lacks_timestamps and self._is_uneven:
            notes.append(
                f"{self._suffix} has no timestamps: the variable frame rate becomes "
                "empty frames, which some players ignore; .mkv and .mp4 store timestamps"
            )
        return notes

    def _shared(self) -> str:
        if not self._shared_count:
            return ""
        count = self._shared_count
        frames = "1 frame has" if count == 1 else f"{count} frames have"
        return f": {frames} the timestamp of the frame before; .mp4 keeps them distinct"

    @property
    def _is_uneven(self) -> bool:
        """Whether times between frames differ by more than the rounding of timestamps."""
        if not self._step_ticks:
            return False
        shortest, longest = self._step_ticks
        return (longest - shortest) * self._time_base > _ROUNDED_SECONDS
