"""Packets that an edit list of MOV or MP4 hides (ISO/IEC 14496-12, 8.6.6).

A film that was cut without re-encoding keeps packets before the cut, because the decoder needs
them. FFmpeg flags them as discarded. Other containers cannot hide packets.
"""

from dataclasses import dataclass
from fractions import Fraction

from av.packet import Packet
from av.stream import Stream

from vidrestore.media.output.containers import ContainerSpec

PRIMING_SECONDS = Fraction(1, 10)
"""Longest delay of an audio encoder. Decoders need these packets, so they are copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenPackets:
    """The packets of one stream that an edit list hides."""

    lead_seconds: Fraction = Fraction(0)
    """Time from the first packet to the first visible one."""
    visible_seconds: Fraction = Fraction(0)
    """Time of the first visible packet."""

    def keeps_lead(self, spec: ContainerSpec) -> bool:
        """Whether the packets before the first visible one are copied into a container.

        MOV and MP4 hide packets before 0 again. For other containers, only the delay of an encoder
        is copied, which decoders need.
        """
        if spec.is_mov and self.visible_seconds <= PRIMING_SECONDS:
            return True
        return self.lead_seconds <= PRIMING_SECONDS


def hidden_packets(stream: Stream) -> HiddenPackets:
    """Return the packets of a stream that the edit list of an open film hides."""
    entries, base = stream.index_entries, stream.time_base
    if not entries or base is None or not entries[0].is_discard:
        return HiddenPackets()
    visible = next((entry.timestamp for entry in entries if not entry.is_discard), None)
    if visible is None:
        return HiddenPackets()
    lead = max(Fraction(0), (visible - entries[0].timestamp) * base)
    return HiddenPackets(lead_seconds=lead, visible_seconds=visible * base)


class EditListFilter:
    """Decides which hidden packets of one stream are copied; takes every packet in turn."""

    def __init__(self, stream: Stream, spec: ContainerSpec) -> None:
        self._keeps_lead = hidden_packets(stream).keeps_lead(spec)
        self._has_started = False

    def drops(self, packet: "Packet[Stream]") -> bool:
        """Return whether the next packet is dropped."""
        if not packet.is_discard:
            self._has_started = True
            return False
        # Hidden packets after the first visible one were cut out of the film.
        return self._has_started or not self._keeps_lead
