"""How restored faces go back into the picture."""

from dataclasses import dataclass

from vidrestore.errors import ConfigError
from vidrestore.settings import MaskShape, RestoreSettings, check_options, same_option


@dataclass(frozen=True, slots=True, kw_only=True)
class PasteConfig:
    """Settings of the paste stage."""

    strength: float = same_option(RestoreSettings, "strength")
    """0 leaves every sample as it was, 1 shows the restored face in full."""
    mask: MaskShape = same_option(RestoreSettings, "mask")
    """How far around a face its restored crop is shown."""
    grain: float = same_option(RestoreSettings, "grain")
    """Share of the source's own grain that is put back on the restored face."""
    colour_match: float = 1.0
    """Share of the restorer's slow colour and brightness changes that is undone."""

    def __post_init__(self) -> None:
        check_options(self)
        if not 0.0 <= self.colour_match <= 1.0:
            raise ConfigError(f"colour_match must be a number from 0 to 1, got {self.colour_match}")
