"""Packets that the edit list of a MOV or MP4 hides, ISO/IEC 14496-12, 8.6.6.

A film that was cut without re-encoding still has the packets before the cut, which the decoder
needs. FFmpeg flags them as discarded. Other containers cannot hide packets.
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
    """Time from the first packet to the first one shown."""
    shown_seconds: Fraction = Fraction(0)
    """Time of the first packet shown."""

    def keeps_lead(self, spec: ContainerSpec) -> bool:
        """Whether the packets before the first one shown are copied into a container.

        MOV and MP4 hide packets before 0 again. Into other containers, only the delay of an encoder
        is copied, which decoders need.
        """
        if spec.is_mov and self.shown_seconds <= PRIMING_SECONDS:
            return True
        return self.lead_seconds <= PRIMING_SECONDS


def hidden_packets(stream: Stream) -> HiddenPackets:
    """Return the packets of a stream that the edit list of an open film hides."""
    entries, base = stream.index_entries, stream.time_base
    if not entries or base is None or not entries[0].is_discard:
        return HiddenPackets()
    shown = next((entry.timestamp for entry in entries if not entry.is_discard), None)
    if shown is None:
        return HiddenPackets()
    lead = max(Fraction(0), (shown - entries[0].timestamp) * base)
    return HiddenPackets(lead_seconds=lead, shown_seconds=shown * base)


class EditListFilter:
    """Drops the hidden packets of one stream from a copy; sees every packet in turn."""

    def __init__(self, stream: Stream, spec: ContainerSpec) -> None:
        self._keeps_lead = hidden_packets(stream).keeps_lead(spec)
        self._shown = False

    def leaves_out(self, packet: "Packet[Stream]") -> bool:
        """Whether the next packet is not copied."""
        if not packet.is_discard:
            self._shown = True
            return False
        # Hidden packets after the first shown one are a part that was cut out.
        return self._shown or not self._keeps_lead
