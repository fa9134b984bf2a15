"""Values that cross stages: frozen, self-checking, with unit and space in every name.

Three pixel spaces appear in this package:

* *coded*: samples as the decoder gives them, before rotation and aspect correction;
* *display*: what a viewer sees, upright and with square pixels (see ``DisplayGeometry``);
* *crop*: the canonical face crop, ``CROP_SIZE_PX`` on a side.

Coordinates are continuous, x to the right and y down, with the centre of the first
sample at (0, 0).
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Plane: TypeAlias = NDArray[np.uint8 | np.uint16]
FloatArray: TypeAlias = NDArray[np.float32]
Affine: TypeAlias = NDArray[np.float64]
"""``(2, 3)``: maps a column (x, y, 1) of one space to (x, y) of another."""

Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right and bottom, the last two exclusive."""

CROP_SIZE_PX = 512


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A presentation time that survives container changes without drift."""

    ticks: int
    time_base: Fraction
    """Seconds per tick, for example ``Fraction(1, 90_000)``."""

    def __post_init__(self) -> None:
        if self.time_base <= 0:
            raise ValueError(f"time_base must be > 0, got {self.time_base}")

    @property
    def seconds(self) -> Fraction:
        """Exact time in seconds."""
        return self.ticks * self.time_base

    def rescaled(self, time_base: Fraction) -> "Timestamp":
        """Return the nearest timestamp in another time base."""
        return Timestamp(round(self.seconds / time_base), time_base)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """A planar layout of samples, named as FFmpeg names it (``yuv420p10le``).

    Plane order is FFmpeg's: Y U V [A], or G B R [A], or gray [A is not supported there].
    """

    name: str
    model: Literal["yuv", "rgb", "gray"]
    bit_depth: int
    """Significant bits per sample; above 8 the samples are uint16."""
    chroma_shift_xy: tuple[int, int] = (0, 0)
    """log2 of the chroma subsampling along x and y: (1, 1) is 4:2:0."""
    has_alpha: bool = False

    def __post_init__(self) -> None:
        if not 8 <= self.bit_depth <= 16:
            raise ValueError(f"bit_depth must be 8 to 16, got {self.bit_depth}")

    @property
    def plane_count(self) -> int:
        """Planes of a frame, alpha included."""
        return (1 if self.model == "gray" else 3) + int(self.has_alpha)

    @property
    def max_value(self) -> int:
        """Largest sample value."""
        return (1 << self.bit_depth) - 1

    def plane_hw(self, index: int, coded_hw: tuple[int, int]) -> tuple[int, int]:
        """Height and width of plane ``index`` in a frame of ``coded_hw``, rounded up."""
        height, width = coded_hw
        if self.model == "yuv" and index in (1, 2):
            shift_x, shift_y = self.chroma_shift_xy
            return -(-height >> shift_y), -(-width >> shift_x)
        return height, width


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorTags:
    """How samples encode colour: code points of ITU-T H.273, 2 meaning unspecified."""

    matrix: int = 2
    primaries: int = 2
    transfer: int = 2
    full_range: bool = False
    range_known: bool = False
    """Whether the source says its range; where it does not, limited is assumed for YUV."""
    chroma_location: int = 0
    """FFmpeg's ``AVChromaLocation``: 0 unspecified, 1 left, 2 centre, 3 top left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayGeometry:
    """How coded samples lie on the screen.

    Order of operations from coded to display: mirror left-right if ``mirrored``, then
    turn clockwise by ``quarter_turns``, after stretching x by ``sample_aspect_ratio``.
    """

    coded_hw: tuple[int, int]
    sample_aspect_ratio: Fraction = Fraction(1)
    quarter_turns: int = 0
    """Clockwise turns of 90 degrees a player applies, 0 to 3."""
    mirrored: bool = False
    rows: Literal["all", "top", "bottom"] = "all"
    """Which rows of ``coded_hw`` the samples are: those of one field lie two rows apart."""

    def __post_init__(self) -> None:
        if self.quarter_turns not in (0, 1, 2, 3):
            raise ValueError(f"quarter_turns must be 0 to 3, got {self.quarter_turns}")
        if min(self.coded_hw) < 1 or self.sample_aspect_ratio <= 0:
            raise ValueError(f"impossible geometry: {self.coded_hw}, {self.sample_aspect_ratio}")

    @property
    def display_hw(self) -> tuple[int, int]:
        """Height and width a viewer sees, in square pixels (x is stretched, never y shrunk)."""
        height, width = self.coded_hw
        width = max(1, round(width * self.sample_aspect_ratio))
        return (width, height) if self.quarter_turns % 2 else (height, width)

    def of(self, frame: "Frame") -> "DisplayGeometry":
        """Return how the rows of ``frame`` lie on the screen, which may be a field's only."""
        if frame.field_of is None:
            return self
        return replace(self, rows="bottom" if frame.is_bottom_field else "top")

    def coded_to_display(self) -> Affine:
        """Return the ``(2, 3)`` map from coded to display pixel centres."""
        height, width = self.coded_hw
        stretched = max(1, round(width * self.sample_aspect_ratio))
        ratio = stretched / width
        apart, first = (1, 0) if self.rows == "all" else (2, int(self.rows == "bottom"))
        step = np.array([[ratio, 0.0, (ratio - 1) / 2], [0, apart, first], [0, 0, 1]])
        if self.mirrored:
            step = np.array([[-1.0, 0, stretched - 1], [0, 1, 0], [0, 0, 1]]) @ step
        size_hw = (height, stretched)
        for _ in range(self.quarter_turns):
            turn = np.array([[0.0, -1, size_hw[0] - 1], [1, 0, 0], [0, 0, 1]])
            step = turn @ step
            size_hw = (size_hw[1], size_hw[0])
        return step[:2].astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One picture in the planes it was decoded to, with its time."""

    index: int
    """Position in presentation order, from 0 at the first frame read."""
    timestamp: Timestamp
    duration_ticks: int
    """Display time in ticks of ``timestamp.time_base``; 0 where the source does not say."""
    planes: tuple[Plane, ...]
    """Read-only 2-D arrays in the order of ``pixel_format``, uint8 or uint16."""
    pixel_format: PixelFormat
    color: ColorTags
    source_name: str | None = None
    """File name inside a folder of frames; None for films."""
    interlaced: bool = False
    top_field_first: bool = False
    key_frame: bool = False
    """Whether decoding can begin here."""
    field_of: "Frame | None" = None
    """Of a field: the frame whose every second row it is; None where this is a whole frame."""
    is_bottom_field: bool = False
    """Whether its first row is the second of the whole frame."""

    def __post_init__(self) -> None:
        if len(self.planes) != self.pixel_format.plane_count:
            raise ValueError(
                f"{self.pixel_format.name} has {self.pixel_format.plane_count} planes, "
                f"got {len(self.planes)}"
            )
        dtype = np.uint8 if self.pixel_format.bit_depth == 8 else np.uint16
        for at, plane in enumerate(self.planes):
            if plane.shape != self.pixel_format.plane_hw(at, self.coded_hw):
                raise ValueError(f"plane {at} of {self.pixel_format.name} is {plane.shape}")
            if plane.dtype != dtype:
                raise ValueError(f"plane {at} of {self.pixel_format.name} is {plane.dtype}")

    @property
    def coded_hw(self) -> tuple[int, int]:
        """Height and width of the coded picture."""
        height, width = self.planes[0].shape
        return height, width

    @property
    def whole_hw(self) -> tuple[int, int]:
        """Height and width of the whole coded picture, of which this may be a field."""
        return self.coded_hw if self.field_of is None else self.field_of.coded_hw

    def with_planes(self, planes: tuple[Plane, ...]) -> "Frame":
        """Return the same frame with other samples."""
        return replace(self, planes=planes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RgbView:
    """A small upright RGB rendering of a frame, for detectors and cut finders."""

    rgb_hwc: NDArray[np.uint8]
    """``(h, w, 3)``, gamma-encoded RGB, display orientation, square pixels."""
    view_to_display: Affine
    """From pixels of the view to display pixels."""

    def __post_init__(self) -> None:
        if self.rgb_hwc.ndim != 3 or self.rgb_hwc.shape[2] != 3:
            raise ValueError(f"rgb_hwc must be (h, w, 3), got {self.rgb_hwc.shape}")
        if self.view_to_display.shape != (2, 3):
            raise ValueError(f"view_to_display must be (2, 3), got {self.view_to_display.shape}")


def _check_points(points_xy: FloatArray) -> None:
    if points_xy.shape != (5, 2) or not np.isfinite(points_xy).all():
        raise ValueError(f"points must be a finite (5, 2) array, got shape {points_xy.shape}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detection:
    """One face found in one picture, in that picture's pixels."""

    box_xyxy: tuple[float, float, float, float]
    score: float
    """Confidence in [0, 1]."""
    points_xy: FloatArray
    """``(5, 2)``: left eye, right eye, nose, left and right mouth corner, as seen."""

    def __post_init__(self) -> None:
        _check_points(self.points_xy)
        left, top, right, bottom = self.box_xyxy
        if not (right > left and bottom > top):
            raise ValueError(f"box_xyxy is empty: {self.box_xyxy}")

    def mapped(self, affine: Affine) -> "Detection":
        """Return the detection in another pixel space; the box stays axis-aligned."""
        left, top, right, bottom = self.box_xyxy
        corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]])
        moved = corners @ affine[:, :2].T + affine[:, 2]
        low, high = moved.min(axis=0), moved.max(axis=0)
        points = self.points_xy @ affine[:, :2].T + affine[:, 2]
        return Detection(
            box_xyxy=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
            score=self.score,
            points_xy=points.astype(np.float32),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackedFace:
    """One face of one track in one frame, in display pixels."""

    track_id: int
    """Stable over a shot, unique over the film."""
    box_xyxy: tuple[float, float, float, float]
    score: float
    points_xy: FloatArray
    """``(5, 2)`` landmarks after smoothing."""
    measured_points_xy: FloatArray
    """``(5, 2)`` landmarks as the detector gave them (or as a gap was bridged)."""
    interpolated: bool = False
    """Whether this frame was bridged rather than detected."""
    left_alone: str | None = None
    """Why it is not to be restored; None where it is."""
    goodness: float = 0.0
    """How good its picture already is along its track so far, 0 to 1."""

    def __post_init__(self) -> None:
        _check_points(self.points_xy)
        _check_points(self.measured_points_xy)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackedFrame:
    """A frame with the faces in it."""

    frame: Frame
    shot: int
    """Number of the shot, from 0."""
    faces: tuple[TrackedFace, ...]
    """In order of track number."""
    one_tone: bool = False
    """Whether the shot is black-and-white, or tinted alike all over: its chroma must stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How much of a restored face is to be taken, and why not all of it."""

    strength: float = 1.0
    """0 leaves the face alone, 1 shows it as restored."""
    reason: str | None = None
    """A short code such as ``too small``; None where nothing speaks against restoring."""
    identity_similarity: float | None = None
    """How alike source and restored face are to a network that knows people; None: not asked."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.strength <= 1.0:
            raise ValueError(f"strength must be between 0 and 1, got {self.strength}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlignedFace:
    """A tracked face resampled into the canonical crop."""

    face: TrackedFace
    display_to_crop: Affine
    crop_chw: "Tensor"
    """``(3, S, S)`` float32 RGB in [0, 1], on the device that restores it."""
    denoised_chw: "Tensor | None" = None
    """The crop averaged with what neighbouring frames show of the face; None where none does."""
    verdict: Verdict = Verdict()
    """How much may be taken of what becomes of it, as far as the face itself says."""

    def __post_init__(self) -> None:
        for crop in (self.crop_chw, self.denoised_chw):
            if crop is not None and tuple(crop.shape) != (3, CROP_SIZE_PX, CROP_SIZE_PX):
                raise ValueError(f"a crop must be (3, S, S), got {tuple(crop.shape)}")
        if self.display_to_crop.shape != (2, 3):
            raise ValueError(f"display_to_crop must be (2, 3), got {self.display_to_crop.shape}")

    @property
    def restorer_input_chw(self) -> "Tensor":
        """What a restorer is given."""
        return self.crop_chw if self.denoised_chw is None else self.denoised_chw


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlignedFrame:
    """A frame as decoded, with the crops of the faces to restore in it."""

    frame: Frame
    shot: int
    faces: tuple[AlignedFace, ...]
    """In order of track number."""
    left_alone: tuple[TrackedFace, ...] = ()
    """Faces that are not to be restored."""
    one_tone: bool = False
    """As of ``TrackedFrame``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RestoredFace:
    """An aligned face and what a restorer made of it."""

    aligned: AlignedFace
    restored_chw: "Tensor"
    """``(3, S, S)`` float32 RGB in [0, 1]."""
    face_mask_hw: "Tensor | None" = None
    """``(R, R)`` float32 in [0, 1], R a divisor of S: how much of each cell of the crop the face
    fills, hair and ears not counted; None where the restorer does not tell."""
    head_hw: "Tensor | None" = None
    """The same of the head: face, hair, hat, ears and neck."""
    verdict: Verdict = Verdict()

    def __post_init__(self) -> None:
        if self.restored_chw.shape != self.aligned.crop_chw.shape:
            raise ValueError(f"restored crop is {tuple(self.restored_chw.shape)}")
        for name, face_mask_hw in (("face_mask_hw", self.face_mask_hw), ("head_hw", self.head_hw)):
            shape = (1, 1) if face_mask_hw is None else tuple(face_mask_hw.shape)
            if len(shape) != 2 or shape[0] != shape[1] or CROP_SIZE_PX % shape[0]:
                raise ValueError(f"{name} must be (R, R), R a divisor of S, got {shape}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RestoredFrame:
    """A frame as decoded, with its faces restored beside it, not yet pasted."""

    frame: Frame
    shot: int
    faces: tuple[RestoredFace, ...]
    left_alone: tuple[TrackedFace, ...] = ()
    """Faces that were not restored."""
    one_tone: bool = False
    """As of ``TrackedFrame``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinishedFace:
    """What became of one face in one frame."""

    face: TrackedFace
    verdict: Verdict
    mask_xyxy: Box | None
    """Bounds of the samples that it may have changed, in coded pixels of the frame written; None
    where it changed none."""
    luma_before: float | None = None
    """Mean of the face, 0 to 255, as decoded; None where it was not cut out."""
    luma_after: float | None = None
    """The same as restored, at the strength it was taken with."""

    @property
    def restored(self) -> bool:
        """Whether anything of it was changed."""
        return self.mask_xyxy is not None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinishedFrame:
    """A frame ready for the encoder, and what became of its faces."""

    frame: Frame
    """As it is to be written."""
    source: Frame
    """As decoded."""
    shot: int
    faces: tuple[FinishedFace, ...]
    """All that were found, in order of track number."""
    one_tone: bool = False
    """As of ``TrackedFrame``."""
