"""Compare one copied stream, packet by packet: audio, subtitles or data."""

import hashlib
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from vidrestore.media.input.inventory import PacketContents, StreamContents
from vidrestore.media.input.video_info import StreamKind
from vidrestore.text import count_text
from vidrestore.types.time_range import TimeRange
from vidrestore.verify.checks import Check, changed, kept, seconds_text
from vidrestore.verify.time_offset import OffsetEstimator

_DIGEST_BYTES = 16
_SHOWN_DIGITS = 16

Expectation: TypeAlias = Literal["present", "clipped", "optional", "absent"]


def expectation_of(packet: PacketContents, kind: StreamKind, selected: TimeRange) -> Expectation:
    """Return whether the result must contain a packet of the source.

    Audio that starts before the range and lasts into it is copied only where a container can tell
    players to skip its start. Subtitles are clipped to the range.

    Args:
        packet: Packet of the source.
        kind: Kind of its stream.
        selected: The range that was restored, on the timeline of the packets.
    """
    start = packet.pts_seconds if packet.pts_seconds is not None else packet.dts_seconds
    if start is None or selected.is_full:
        return "present"
    end = start + packet.duration_seconds
    is_early = selected.start_seconds is not None and start < selected.start_seconds
    if selected.end_seconds is not None and start >= selected.end_seconds:
        return "absent"
    if is_early and (kind not in ("audio", "subtitle") or end <= (selected.start_seconds or 0)):
        return "absent"
    if kind == "subtitle":
        is_late = selected.end_seconds is not None and end > selected.end_seconds
        return "clipped" if is_early or is_late else "present"
    return "optional" if is_early else "present"


@dataclass(frozen=True, slots=True, kw_only=True)
class _PacketDigest:
    """What is stored of a packet until its counterpart is read."""

    seconds: Fraction | None
    duration_seconds: Fraction
    digest: bytes
    may_move: bool = False
    """Whether its timestamp or duration had to change."""


class _PacketQueue:
    """Packets of one file that are not compared yet, and totals of all its packets."""

    def __init__(self) -> None:
        self.waiting: deque[_PacketDigest] = deque()
        self.packets = 0
        self.size_bytes = 0
        self.hash = hashlib.sha256()
        self.hash_with_optional = hashlib.sha256()

    def add(self, packet: PacketContents, *, queue: bool, may_move: bool = False) -> None:
        self.packets += 1
        self.size_bytes += len(packet.data)
        self.hash.update(packet.data)
        self.hash_with_optional.update(packet.data)
        if queue:
            digest = hashlib.blake2b(packet.data, digest_size=_DIGEST_BYTES).digest()
            self.waiting.append(
                _PacketDigest(
                    seconds=packet.pts_seconds,
                    duration_seconds=packet.duration_seconds,
                    digest=digest,
                    may_move=may_move,
                )
            )


class StreamComparison:
    """Compares one stream of two files; stores digests of packets without a counterpart yet.

    The packet size of PCM depends on the container, so its bytes are compared and not its packets.
    """

    def __init__(
        self,
        source: StreamContents,
        result: StreamContents,
        selected: TimeRange,
        offset: OffsetEstimator,
    ) -> None:
        self.source = source
        self.result = result
        self._selected = selected
        self._offset = offset.copy()
        self._is_pcm = (source.info.codec or "").startswith("pcm_")
        self._before, self._after = _PacketQueue(), _PacketQueue()
        self._optional: PacketContents | None = None
        self._last_dts: Fraction | None = None
        self._pairs = 0
        self._moved = 0
        self._first: str | None = None

    @property
    def compared_bytes(self) -> tuple[int, int]:
        """Number of bytes of the source and of the result that were compared."""
        return self._before.size_bytes, self._after.size_bytes

    def add_source(self, packet: PacketContents) -> None:
        """Take the next packet of the source."""
        expectation = expectation_of(packet, self.source.info.kind, self._selected)
        dts = packet.dts_seconds
        # Muxers need increasing timestamps: a run changes others, and notes it.
        is_stuck = self._last_dts is not None and dts is not None and dts <= self._last_dts
        self._last_dts = dts if dts is not None else self._last_dts
        if expectation == "optional" and self._is_pcm:
            self._before.hash_with_optional.update(packet.data)
        elif expectation == "optional":
            self._optional = packet
        elif expectation != "absent":
            is_subtitle = self.source.info.kind == "subtitle"
            may_move = expectation == "clipped" or (is_stuck and not is_subtitle)
            self._before.add(packet, queue=not self._is_pcm, may_move=may_move)
            self._compare_waiting()

    def add_result(self, packet: PacketContents) -> None:
        """Take the next packet of the result."""
        optional, self._optional = self._optional, None
        if optional is not None and self._starts_with(optional, packet):
            self._before.add(optional, queue=not self._is_pcm)
            self._before.waiting.rotate(1)
        self._after.add(packet, queue=not self._is_pcm)
        self._compare_waiting()

    def _starts_with(self, optional: PacketContents, packet: PacketContents) -> bool:
        if optional.data != packet.data or self._after.packets:
            return False
        if optional.pts_seconds is None or packet.pts_seconds is None:
            return True
        error = optional.pts_seconds - packet.pts_seconds - self._offset.offset_seconds
        return abs(error) < max(optional.duration_seconds, self._rounding_seconds) / 2

    @property
    def _rounding_seconds(self) -> Fraction:
        after = self.result.time_base or Fraction(0)
        before = self.source.time_base or Fraction(0)
        # The offset is nearly a whole number of ticks of every stream.
        return after / 2 + (before / 2 if self._offset.offset_seconds else 0)

    def _compare_waiting(self) -> None:
        before, after = self._before.waiting, self._after.waiting
        while before and after:
            self._compare(before.popleft(), after.popleft())
            self._pairs += 1

    def _compare(self, before: _PacketDigest, after: _PacketDigest) -> None:
        if before.digest != after.digest:
            self._note(before, "has other bytes")
            return
        is_cover = self.source.info.is_cover
        if before.may_move or is_cover or before.seconds is None or after.seconds is None:
            return
        rounding = self._rounding_seconds
        if not self._offset.explains(before.seconds, after.seconds, rounding_seconds=rounding):
            self._moved += 1
            self._note(before, f"is at {seconds_text(after.seconds)} in the result")
        elif self.source.info.kind == "subtitle" and self._duration_differs(before, after):
            duration = seconds_text(after.duration_seconds)
            self._note(before, f"lasts {duration}, not {seconds_text(before.duration_seconds)}")

    def _duration_differs(self, before: _PacketDigest, after: _PacketDigest) -> bool:
        tolerance = 2 * self._rounding_seconds
        are_known = before.duration_seconds and after.duration_seconds
        error = abs(before.duration_seconds - after.duration_seconds)
        return bool(are_known) and error > tolerance

    def _note(self, before: _PacketDigest, difference: str) -> None:
        if self._first is None:
            time = "" if before.seconds is None else f" at {seconds_text(before.seconds)}"
            self._first = f"packet {self._pairs}{time} {difference}"

    def check(self) -> Check:
        """Return the result, after the last packet of both files."""
        name = str(self.source.info)
        before, after = self._before, self._after
        problems: list[str] = []
        if not self._is_pcm and before.packets != after.packets:
            problems.append(
                f"{before.packets} packets in the source, {after.packets} in the result"
            )
        if self._first is not None:
            problems.append(self._first)
        if self._is_pcm and self._pcm_differs():
            problems.append(self._other_bytes())
        if problems:
            return changed(name, "; ".join(problems))
        sha256 = after.hash.hexdigest()
        size = f"{after.size_bytes} bytes" if self._is_pcm else count_text(after.packets, "packet")
        return kept(name, f"{size}, sha256 {sha256[:_SHOWN_DIGITS]}..., {self._times()}")

    def _pcm_differs(self) -> bool:
        return self._after.hash.digest() not in (
            self._before.hash.digest(),
            self._before.hash_with_optional.digest(),
        )

    def _other_bytes(self) -> str:
        before, after = self.compared_bytes
        if before == after:
            return f"other bytes among its {before}"
        return f"{before} bytes in the source, {after} in the result"

    def _times(self) -> str:
        if self._is_pcm:
            return "bytes compared: PCM packet sizes depend on the container"
        if not self._offset.largest_rounding_seconds:
            return "times exact"
        return f"times rounded to {seconds_text(self.result.time_base or Fraction(0))}"
