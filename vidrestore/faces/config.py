"""Settings of face detection and tracking."""

from dataclasses import dataclass

from vidrestore.errors import ConfigError


def _require_at_least(config: object, **limits: float) -> None:
    for name, limit in limits.items():
        if not (value := getattr(config, name)) >= limit:
            raise ConfigError(f"{name} must be {limit} or more, got {value}")


def _require_above(limit: float, config: object, *names: str) -> None:
    for name in names:
        if not (value := getattr(config, name)) > limit:
            raise ConfigError(f"{name} must be > {limit}, got {value}")


def _require_fractions(config: object, *names: str) -> None:
    for name in names:
        if not 0.0 < (value := getattr(config, name)) < 1.0:
            raise ConfigError(f"{name} must be between 0 and 1, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """How faces are detected in an image."""

    min_face_px: float = 24.0
    """Smallest face to find, in pixels of the image; 12 or more."""
    pyramid_factor: float = 0.709
    """Size of a level of MTCNN's image pyramid relative to the previous one."""
    proposal_threshold: float = 0.6
    """Minimum score of a window that MTCNN's first network (P-Net) passes on."""
    refine_threshold: float = 0.7
    """Minimum score of a window that its second network (R-Net) passes on."""
    output_threshold: float = 0.7
    """Minimum score of a window that its third network (O-Net) accepts as a face."""
    tracked_threshold: float = 0.5
    """Minimum score when O-Net verifies a face. It is low because tracks are judged by their mean
    score."""
    max_candidates: int = 400
    """Maximum number of windows per image, best first; bounds time and memory."""
    retinaface_threshold: float = 0.8
    """Minimum score of RetinaFace's detections."""

    def __post_init__(self) -> None:
        _require_at_least(self, min_face_px=12, max_candidates=1)
        _require_fractions(self, "pyramid_factor", "proposal_threshold", "refine_threshold")
        _require_fractions(self, "output_threshold", "tracked_threshold", "retinaface_threshold")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerConfig:
    """How faces are followed through a shot."""

    view_max_side_px: int = 640
    """Longer side of the image that is searched, in pixels."""
    search_every_seconds: float = 0.4
    """Time between searches of whole pictures. In between, known faces are followed; a new one is
    traced back to the last search."""
    min_hits: int = 3
    """Minimum number of frames in which a face is detected, if the shot has that many."""
    min_track_seconds: float = 0.12
    """Shorter tracks are dropped, unless every search for them finds the face."""
    min_track_score: float = 0.8
    """Tracks with a lower mean score are dropped."""
    max_gap_seconds: float = 0.4
    """Longest gap that is bridged; after it the track ends."""
    max_search_misses: int = 3
    """Maximum number of consecutive searches that miss a face which is still found at its predicted
    position."""
    rotated_search_after_seconds: float = 1.0
    """After this time without a face, and at this interval, rotated images are searched, too."""
    rotated_threshold: float = 0.9
    """Minimum score of a face in a rotated image."""
    lookahead_seconds: float = 0.4
    """Delay of the stage; at least the longest gap and the time between searches."""
    max_lookahead_frames: int = 32
    """Maximum delay in frames, whatever the time; bounds memory."""

    def __post_init__(self) -> None:
        _require_at_least(self, view_max_side_px=64, min_hits=1, max_lookahead_frames=1)
        _require_at_least(self, min_track_seconds=0, max_gap_seconds=0, max_search_misses=1)
        _require_above(0, self, "search_every_seconds", "rotated_search_after_seconds")
        _require_fractions(self, "min_track_score", "rotated_threshold")
        longest_wait = max(self.max_gap_seconds, self.search_every_seconds)
        _require_at_least(self, lookahead_seconds=longest_wait)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothingConfig:
    """How landmarks are smoothed along a track."""

    window_seconds: float = 0.2
    """Half width of the window; 0 leaves landmarks as detected."""
    max_window_frames: int = 16
    """Maximum number of frames to each side, whatever the time; bounds memory."""
    outlier_sigmas: float = 5.0
    """A landmark further than this from the fit of its track is an outlier."""
    noise_floor: float = 0.004
    """Minimum landmark noise, in eye distances; smaller changes count as motion."""
    usual_noise: float = 0.02
    """Landmark noise, in eye distances, where a window is too short to measure it."""
    interpolated_weight: float = 0.25
    """Weight of an interpolated face relative to a detected one."""

    def __post_init__(self) -> None:
        _require_at_least(self, window_seconds=0, max_window_frames=1)
        _require_above(0, self, "outlier_sigmas")
        _require_fractions(self, "noise_floor", "usual_noise", "interpolated_weight")
