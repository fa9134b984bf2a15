"""Packets that the edit list of a MOV or MP4 hides, ISO/IEC 14496-12, 8.6.6.

A film cut without encoding still holds what was before the cut, for the decoder's sake. FFmpeg
flags such packets as discarded. Other containers cannot hide a packet.
"""

from dataclasses import dataclass
from fractions import Fraction

from av.packet import Packet
from av.stream import Stream

from vidrestore.media.output.containers import ContainerSpec

PRIMING_SECONDS = Fraction(1, 10)
"""The longest delay of an encoder of sound. A decoder needs these packets, so they are copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenPackets:
    """What an edit list hides of one stream."""

    lead_seconds: Fraction = Fraction(0)
    """From the first packet to the first one shown."""
    shown_seconds: Fraction = Fraction(0)
    """When the first one is shown."""

    def keeps_lead(self, spec: ContainerSpec) -> bool:
        """Whether the packets before the first one shown are copied into a container.

        MOV and MP4 hide what is before 0 again. Elsewhere, no more is copied than the delay of an
        encoder, which a decoder needs.
        """
        if spec.is_mov and self.shown_seconds <= PRIMING_SECONDS:
            return True
        return self.lead_seconds <= PRIMING_SECONDS


def hidden_packets(stream: Stream) -> HiddenPackets:
    """Return what the edit list of an open film hides of a stream, from the film's index."""
    entries, base = stream.index_entries, stream.time_base
    if not entries or base is None or not entries[0].is_discard:
        return HiddenPackets()
    shown = next((entry.timestamp for entry in entries if not entry.is_discard), None)
    if shown is None:
        return HiddenPackets()
    lead = max(Fraction(0), (shown - entries[0].timestamp) * base)
    return HiddenPackets(lead_seconds=lead, shown_seconds=shown * base)


class EditListFilter:
    """Leaves hidden packets of one stream out of a copy; asked about every packet in turn."""

    def __init__(self, stream: Stream, spec: ContainerSpec) -> None:
        self._keeps_lead = hidden_packets(stream).keeps_lead(spec)
        self._shown = False

    def leaves_out(self, packet: "Packet[Stream]") -> bool:
        """Whether the next packet is not copied."""
        if not packet.is_discard:
            self._shown = True
            return False
        # What is hidden after the beginning is a part that was cut out.
        return self._shown or not self._keeps_lead
