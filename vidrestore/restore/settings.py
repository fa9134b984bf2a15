"""Settings of the restore stage."""

from dataclasses import dataclass

from vidrestore.errors import ConfigError
from vidrestore.settings import RestoreSettings, check_options, same_option


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporalDenoiseConfig:
    """How noise that differs from frame to frame is averaged out before restoration."""

    strength: float = same_option(RestoreSettings, "steady")
    """0 is off. At 1, neighbours without differences weigh as much as the frame itself."""
    reach_frames: int = 2
    """Neighbours to each side: bounds memory, and blur where motion is missed."""

    def __post_init__(self) -> None:
        check_options(self)
        _check_reach(self.reach_frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlendingConfig:
    """How restored detail that differs from frame to frame is blended."""

    strength: float = same_option(RestoreSettings, "steady")
    """0 is off. At 1, neighbours without differences weigh as much as the frame itself."""
    reach_frames: int = 2
    """Neighbours to each side: bounds memory and what a frame depends on."""

    def __post_init__(self) -> None:
        check_options(self)
        _check_reach(self.reach_frames)


def _check_reach(reach_frames: int) -> None:
    if not 1 <= reach_frames <= 8:
        raise ConfigError(f"reach_frames must be 1 to 8, got {reach_frames}")
