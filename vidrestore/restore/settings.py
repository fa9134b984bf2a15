"""Settings of the restore stage."""

from dataclasses import dataclass

from vidrestore.errors import ConfigError
from vidrestore.settings import RestoreSettings, check_options, same_option


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporalConfig:
    """How neighboring frames contribute: to a face's crop, and to the restored face."""

    strength: float = same_option(RestoreSettings, "steady")
    """0 is off. At 1, neighbors without differences weigh as much as the frame itself."""
    context_frames: int = 2
    """Neighbors of a crop to each side: bounds memory, and blur where motion is missed."""

    def __post_init__(self) -> None:
        check_options(self)
        if not 1 <= self.context_frames <= 8:
            raise ConfigError(f"context_frames must be 1 to 8, got {self.context_frames}")
