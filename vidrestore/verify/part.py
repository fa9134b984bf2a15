"""Which packets of the source a result has to hold, where only a part of the film was wanted."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from vidrestore.media.input.inventory import PacketContents
from vidrestore.media.input.video_info import StreamKind

Lie: TypeAlias = Literal["wanted", "cut", "optional", "left out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a film, on the clock of its packets; None is its beginning or end."""

    start_seconds: Fraction | None = None
    end_seconds: Fraction | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is cut off."""
        return self.start_seconds is None and self.end_seconds is None

    def lie_of(self, packet: PacketContents, kind: StreamKind) -> Lie:
        """Return what must become of a packet.

        Sound that begins before the part and lasts into it is kept only where a container can
        say that players are to skip its beginning. Subtitles are cut to the part.
        """
        begins = packet.pts_seconds if packet.pts_seconds is not None else packet.dts_seconds
        if begins is None or self.is_whole:
            return "wanted"
        ends = begins + packet.duration_seconds
        early = self.start_seconds is not None and begins < self.start_seconds
        if self.end_seconds is not None and begins >= self.end_seconds:
            return "left out"
        if early and (kind not in ("audio", "subtitle") or ends <= (self.start_seconds or 0)):
            return "left out"
        if kind == "subtitle":
            late = self.end_seconds is not None and ends > self.end_seconds
            return "cut" if early or late else "wanted"
        return "optional" if early else "wanted"
