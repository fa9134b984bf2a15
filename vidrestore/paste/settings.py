"""How restored faces are blended back into the frame."""

from dataclasses import dataclass

from vidrestore.errors import ConfigError
from vidrestore.settings import (
    MaskShape,
    RestoreSettings,
    TrackStrength,
    check_options,
    same_option,
    strength_of_track,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasteConfig:
    """Settings of the paste stage."""

    strength: float = same_option(RestoreSettings, "strength")
    """0 leaves the frame unchanged; 1 shows the restored face in full."""
    track_strengths: tuple[TrackStrength, ...] = same_option(RestoreSettings, "track_strengths")
    """Strengths of single tracks, in place of ``strength``."""
    mask: MaskShape = same_option(RestoreSettings, "mask")
    """Whether the face alone or the whole head is blended in."""
    color_match: float = 1.0
    """How much of the restorer's large-scale changes of color and brightness is undone, 0 to 1."""

    def __post_init__(self) -> None:
        check_options(self)
        if not 0.0 <= self.color_match <= 1.0:
            raise ConfigError(f"color_match must be a number from 0 to 1, got {self.color_match}")

    def strength_of(self, track: int) -> float:
        """Return the strength of a track."""
        return strength_of_track(track, self.strength, self.track_strengths)
