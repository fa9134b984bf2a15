"""One stream of sound, subtitles or data: packet for packet the source's, at the same times."""

import hashlib
from collections import deque
from dataclasses import dataclass
from fractions import Fraction

from vidrestore.media.input.inventory import PacketContents, StreamContents
from vidrestore.verify.checks import Check, changed, counted, kept, seconds_text
from vidrestore.verify.part import Part
from vidrestore.verify.time_offset import OffsetEstimator

_DIGEST_BYTES = 16
_SHOWN_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    """What of a packet is held until its partner comes."""

    seconds: Fraction | None
    duration_seconds: Fraction
    digest: bytes
    times_are_free: bool = False
    """Whether its time or duration had to change."""


class _Side:
    """The packets of one film, as they come."""

    def __init__(self) -> None:
        self.waiting: deque[_Fact] = deque()
        self.packets = 0
        self.size_bytes = 0
        self.hash = hashlib.sha256()
        self.hash_with_optional = hashlib.sha256()

    def take(self, packet: PacketContents, *, keep: bool, times_are_free: bool = False) -> None:
        self.packets += 1
        self.size_bytes += len(packet.data)
        self.hash.update(packet.data)
        self.hash_with_optional.update(packet.data)
        if keep:
            self.waiting.append(_fact(packet, times_are_free=times_are_free))


def _fact(packet: PacketContents, *, times_are_free: bool) -> _Fact:
    return _Fact(
        seconds=packet.pts_seconds,
        duration_seconds=packet.duration_seconds,
        digest=hashlib.blake2b(packet.data, digest_size=_DIGEST_BYTES).digest(),
        times_are_free=times_are_free,
    )


class StreamComparison:
    """Compares one stream of two films; holds what one film brings before the other, as checksums.

    PCM has no packets by itself: every container cuts it differently, so its bytes are compared and
    not its packets.
    """

    def __init__(
        self, source: StreamContents, result: StreamContents, part: Part, shift: OffsetEstimator
    ) -> None:
        self.source = source
        self.result = result
        self._part = part
        self._shift = shift.copied()
        self._is_pcm = (source.info.codec or "").startswith("pcm_")
        self._before, self._after = _Side(), _Side()
        self._optional: PacketContents | None = None
        self._last_dts: Fraction | None = None
        self._pairs = 0
        self._moved = 0
        self._first: str | None = None

    @property
    def bytes_taken(self) -> tuple[int, int]:
        """Bytes of the source and of the result, without those that are not to be compared."""
        return self._before.size_bytes, self._after.size_bytes

    def take_source(self, packet: PacketContents) -> None:
        """Take the next packet of the source."""
        lie = self._part.lie_of(packet, self.source.info.kind)
        dts = packet.dts_seconds
        # The muxer wants times that grow: what does not is moved, and the run says so.
        stuck = self._last_dts is not None and dts is not None and dts <= self._last_dts
        self._last_dts = dts if dts is not None else self._last_dts
        if lie == "optional" and self._is_pcm:
            self._before.hash_with_optional.update(packet.data)
        elif lie == "optional":
            self._optional = packet
        elif lie != "left out":
            free = lie == "cut" or (stuck and self.source.info.kind != "subtitle")
            self._before.take(packet, keep=not self._is_pcm, times_are_free=free)
            self._settle()

    def take_result(self, packet: PacketContents) -> None:
        """Take the next packet of the result."""
        optional, self._optional = self._optional, None
        if optional is not None and self._begins_with(optional, packet):
            self._before.take(optional, keep=not self._is_pcm)
            self._before.waiting.rotate(1)
        self._after.take(packet, keep=not self._is_pcm)
        self._settle()

    def _begins_with(self, optional: PacketContents, packet: PacketContents) -> bool:
        if optional.data != packet.data or self._after.packets:
            return False
        if optional.pts_seconds is None or packet.pts_seconds is None:
            return True
        off = optional.pts_seconds - packet.pts_seconds - self._shift.shift_seconds
        return abs(off) < max(optional.duration_seconds, self._rounding_seconds) / 2

    @property
    def _rounding_seconds(self) -> Fraction:
        after = self.result.time_base or Fraction(0)
        before = self.source.time_base or Fraction(0)
        # A shift is a whole number of ticks of every stream, or nearly.
        return after / 2 + (before / 2 if self._shift.shift_seconds else 0)

    def _settle(self) -> None:
        before, after = self._before.waiting, self._after.waiting
        while before and after:
            self._compare(before.popleft(), after.popleft())
            self._pairs += 1

    def _compare(self, before: _Fact, after: _Fact) -> None:
        if before.digest != after.digest:
            self._note(before, "has other bytes")
            return
        is_cover = self.source.info.attached_picture
        if before.times_are_free or is_cover or before.seconds is None or after.seconds is None:
            return
        rounding = self._rounding_seconds
        if not self._shift.explains(before.seconds, after.seconds, rounding_seconds=rounding):
            self._moved += 1
            self._note(before, f"is at {seconds_text(after.seconds)} in the result")
        elif self.source.info.kind == "subtitle" and self._lasts_otherwise(before, after):
            lasts = seconds_text(after.duration_seconds)
            self._note(before, f"is shown for {lasts}, not {seconds_text(before.duration_seconds)}")

    def _lasts_otherwise(self, before: _Fact, after: _Fact) -> bool:
        most = 2 * self._rounding_seconds
        known = before.duration_seconds and after.duration_seconds
        return bool(known) and abs(before.duration_seconds - after.duration_seconds) > most

    def _note(self, before: _Fact, said: str) -> None:
        if self._first is None:
            at = "" if before.seconds is None else f" at {seconds_text(before.seconds)}"
            self._first = f"packet {self._pairs}{at} {said}"

    def check(self) -> Check:
        """Return what became of the stream, after the last packet of both films."""
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
        what = f"{after.size_bytes} bytes" if self._is_pcm else counted(after.packets, "packet")
        return kept(name, f"{what}, sha256 {sha256[:_SHOWN_DIGITS]}..., {self._times()}")

    def _pcm_differs(self) -> bool:
        found = self._after.hash.digest()
        return found not in (
            self._before.hash.digest(),
            self._before.hash_with_optional.digest(),
        )

    def _other_bytes(self) -> str:
        before, after = self.bytes_taken
        if before == after:
            return f"other bytes among its {before}"
        return f"{before} bytes in the source, {after} in the result"

    def _times(self) -> str:
        if self._is_pcm:
            return "every container cuts PCM into other packets"
        if not self._shift.largest_rounding_seconds:
            return "times exact"
        return f"times rounded to {self.result.time_base} s"
