"""Settings of the faces stage."""

from dataclasses import dataclass

from vidrestore.errors import ConfigError


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _require_fraction(name: str, value: float) -> None:
    _require(0.0 < value < 1.0, f"{name} must lie between 0 and 1, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """How faces are found in one picture."""

    min_face_px: float = 24.0
    """Smallest face looked for, in pixels of the picture searched; 12 or more."""
    pyramid_factor: float = 0.709
    """Size of a level of MTCNN's picture pyramid relative to the one before."""
    proposal_threshold: float = 0.6
    """Score from which MTCNN's first network passes a window on."""
    refine_threshold: float = 0.7
    """Score from which its second network does."""
    output_threshold: float = 0.7
    """Score from which its third network calls a window a face."""
    tracked_threshold: float = 0.5
    """Score from which a face that was expected at its place is taken as seen there."""
    max_candidates: int = 400
    """Windows passed on per picture, best first: bounds time and memory on busy pictures."""
    retinaface_threshold: float = 0.8
    """Score from which RetinaFace's finds count as faces."""

    def __post_init__(self) -> None:
        _require(self.min_face_px >= 12, f"min_face_px must be 12 or more, got {self.min_face_px}")
        _require(self.max_candidates >= 1, "max_candidates must be 1 or more")
        _require_fraction("pyramid_factor", self.pyramid_factor)
        _require_fraction("proposal_threshold", self.proposal_threshold)
        _require_fraction("refine_threshold", self.refine_threshold)
        _require_fraction("output_threshold", self.output_threshold)
        _require_fraction("tracked_threshold", self.tracked_threshold)
        _require_fraction("retinaface_threshold", self.retinaface_threshold)
