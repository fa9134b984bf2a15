"""Settings of the restore stage."""

from dataclasses import dataclass

from vidrestore.errors import ConfigError
from vidrestore.settings import RestoreSettings, check_options, same_option


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporalConfig:
    """How neighboring frames contribute: to a face's crop, and to its restored detail."""

    strength: float = same_option(RestoreSettings, "steady")
    """0 is off. At 1, neighbors without differences weigh as much as the frame itself."""
    context_frames: int = 2
    """Neighbors of a crop to each side: bounds memory, and blur where motion is missed."""
    blend_distances: tuple[int, ...] = (1, 3)
    """Distances in frames of the two neighbors of restored detail, pass by pass."""

    def __post_init__(self) -> None:
        check_options(self)
        if not 1 <= self.context_frames <= 8:
            raise ConfigError(f"context_frames must be 1 to 8, got {self.context_frames}")
        if not all(1 <= distance <= 8 for distance in self.blend_distances):
            raise ConfigError(f"blend_distances must be 1 to 8, got {self.blend_distances}")

    @property
    def blend_context_frames(self) -> int:
        """How many frames to each side the blended detail of a frame depends on."""
        return sum(self.blend_distances)
