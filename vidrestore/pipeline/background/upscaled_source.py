"""The source of an upscaled film, as its outputs see it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from vidrestore.media.color.matrices import with_stated_matrix
from vidrestore.media.color.plane_upscale import upscaled_geometry
from vidrestore.media.input.source import Source, SourceWrapper
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.types import Frame, Timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaledSource(SourceWrapper):
    """The source of an enlarged film, as its outputs see it: with the output's size and color."""

    source: Source
    scale: int

    @property
    def info(self) -> VideoInfo:
        """Description of the source with the enlarged size and an explicit color matrix."""
        info = self.source.info
        color = with_stated_matrix(info.color, info.pixel_format, info.geometry.coded_hw)
        if self.scale == 1:
            return info
        return replace(info, geometry=upscaled_geometry(info.geometry, self.scale), color=color)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames of the source, not enlarged."""
        return iter(self.source)

    def frames_from(
        self, index: int, timestamp: Timestamp, *, seek: bool = True
    ) -> Iterator[Frame]:
        """Yield the frames of the source from a number on, not enlarged."""
        return self.source.frames_from(index, timestamp, seek=seek)
