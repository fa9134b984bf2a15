"""Time stamps of pictures as a container holds them, and their loss of precision."""

from collections import deque
from fractions import Fraction
from pathlib import Path

from av.packet import Packet
from av.video.stream import VideoStream

from vidrestore.media.output.containers import ContainerSpec

_ROUNDED_SECONDS = Fraction(1, 500)
_MOST_REORDERED = 64


class TimestampRounding:
    """Follows the times of a film's pictures on their way into a container."""

    def __init__(self, spec: ContainerSpec, target: Path, time_base: Fraction) -> None:
        self._spec = spec
        self._suffix = target.suffix
        self._time_base = time_base
        self._last_ticks: int | None = None
        self._step_ticks: list[int] = []
        """Shortest and longest time between two frames."""
        self._rounds = False
        self._shared_count = 0
        self._rounded: deque[int] = deque(maxlen=_MOST_REORDERED)
        """Of the last packets, in milliseconds."""

    def follow(self, ticks: int) -> None:
        """Take note of the time of the next picture in presentation order."""
        if self._last_ticks is not None:
            steps = [*self._step_ticks, ticks - self._last_ticks]
            self._step_ticks = [min(steps), max(steps)]
        self._last_ticks = ticks

    def take(self, packet: "Packet[VideoStream]") -> None:
        """Take note of a packet that is about to be written."""
        if packet.pts is None or not self._spec.rounds_to_milliseconds:
            return
        milliseconds = packet.pts * packet.time_base * 1000
        # As FFmpeg rounds: a half goes up, above 0.
        rounded = (milliseconds + Fraction(1, 2)) // 1
        self._rounds |= milliseconds != rounded
        self._shared_count += rounded in self._rounded
        self._rounded.append(rounded)

    def notes(self) -> list[str]:
        """Return notes for the user about the times, after all are written."""
        notes: list[str] = []
        if self._rounds:
            said = f"{self._suffix} rounds time stamps to milliseconds"
            notes.append(f"{said}{self._shared()}")
        if self._spec.lacks_timestamps and self._is_uneven:
            notes.append(
                f"{self._suffix} holds no time stamps: the variable frame rate of this film is "
                "written as empty frames, which some players ignore; .mkv and .mp4 hold time stamps"
            )
        return notes

    def _shared(self) -> str:
        if not self._shared_count:
            return ""
        count = self._shared_count
        frames = "1 frame has" if count == 1 else f"{count} frames have"
        return f": {frames} the time of the one before, which was closer; .mp4 holds them apart"

    @property
    def _is_uneven(self) -> bool:
        """Whether times between frames differ by more than the rounding of time stamps."""
        if not self._step_ticks:
            return False
        shortest, longest = self._step_ticks
        return (longest - shortest) * self._time_base > _ROUNDED_SECONDS
