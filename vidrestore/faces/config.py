"""Settings of face detection and tracking."""

from dataclasses import dataclass

from vidrestore.errors import ConfigError


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _require_fraction(name: str, value: float) -> None:
    _require(0.0 < value < 1.0, f"{name} must be between 0 and 1, got {value}")


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
        _require(self.min_face_px >= 12, f"min_face_px must be 12 or more, got {self.min_face_px}")
        _require(self.max_candidates >= 1, "max_candidates must be 1 or more")
        _require_fraction("pyramid_factor", self.pyramid_factor)
        _require_fraction("proposal_threshold", self.proposal_threshold)
        _require_fraction("refine_threshold", self.refine_threshold)
        _require_fraction("output_threshold", self.output_threshold)
        _require_fraction("tracked_threshold", self.tracked_threshold)
        _require_fraction("retinaface_threshold", self.retinaface_threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotConfig:
    """Thresholds of a shot change."""

    change_ratio: float = 2.5
    """Minimum ratio of a frame's difference from the previous one to that of its neighbors."""
    min_change: float = 6.0
    """Mean difference in brightness, of 255, below which nothing is a cut."""
    same_shot_correlation: float = 0.7
    """Correlation from which the images before and after belong to one shot."""
    other_shot_correlation: float = 0.2
    """Correlation with the previous image below which a shot begins, whatever else moves."""

    def __post_init__(self) -> None:
        _require(self.change_ratio > 1, f"change_ratio must be > 1, got {self.change_ratio}")
        _require(self.min_change > 0, f"min_change must be > 0, got {self.min_change}")
        _require_fraction("same_shot_correlation", self.same_shot_correlation)
        _require_fraction("other_shot_correlation", self.other_shot_correlation)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerConfig:
    """How faces are followed through a shot."""

    view_max_side_px: int = 640
    """Longer side of the image that is searched, in pixels."""
    search_every_seconds: float = 0.4
    """Time between searches of whole pictures; in between, known faces are followed."""
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
        _require(self.view_max_side_px >= 64, "view_max_side_px must be 64 or more")
        _require(self.search_every_seconds > 0, "search_every_seconds must be > 0")
        _require(self.min_hits >= 1, f"min_hits must be 1 or more, got {self.min_hits}")
        _require(self.min_track_seconds >= 0, "min_track_seconds must be 0 or more")
        _require(self.max_gap_seconds >= 0, "max_gap_seconds must be 0 or more")
        _require(self.max_search_misses >= 1, "max_search_misses must be 1 or more")
        _require(self.rotated_search_after_seconds > 0, "rotated_search_after_seconds must be > 0")
        _require(self.max_lookahead_frames >= 1, "max_lookahead_frames must be 1 or more")
        _require_fraction("min_track_score", self.min_track_score)
        _require_fraction("rotated_threshold", self.rotated_threshold)
        _require(
            self.lookahead_seconds >= max(self.max_gap_seconds, self.search_every_seconds),
            f"lookahead_seconds is {self.lookahead_seconds}, which is less than "
            f"max_gap_seconds ({self.max_gap_seconds}) or "
            f"search_every_seconds ({self.search_every_seconds})",
        )


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
        _require(self.window_seconds >= 0, "window_seconds must be 0 or more")
        _require(self.max_window_frames >= 1, "max_window_frames must be 1 or more")
        _require(self.outlier_sigmas > 0, "outlier_sigmas must be > 0")
        _require_fraction("noise_floor", self.noise_floor)
        _require_fraction("usual_noise", self.usual_noise)
        _require_fraction("interpolated_weight", self.interpolated_weight)
