"""How restored faces go back into the picture."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from vidrestore.errors import ConfigError

MaskShape: TypeAlias = Literal["face", "head"]
"""What is restored: an ellipse through the landmarks, or hair, ears and neck, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasteConfig:
    """Settings of the paste stage."""

    strength: float = 1.0
    """0 leaves every sample as it was, 1 shows the restored face in full."""
    mask: MaskShape = "head"
    """How far around a face its restored crop is shown."""
    grain: float = 1.0
    """Share of the source's own grain that is put back on the restored face."""
    colour_match: float = 1.0
    """Share of the restorer's slow colour and brightness changes that is undone."""

    def __post_init__(self) -> None:
        if self.mask not in get_args(MaskShape):
            known = " or ".join(get_args(MaskShape))
            raise ConfigError(f"mask must be {known}, got {self.mask!r}")
        for name in ("strength", "grain", "colour_match"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ConfigError(f"{name} must be between 0 and 1, got {value}")
